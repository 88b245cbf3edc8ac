"""Ctrl-C for a VM: a signal while a program runs that wants it, a plain byte otherwise.

The VM catches SIGINT exactly while a program runs and has Ctrl-C enabled; it is never sent, only
looked at. What is sent is SIGUSR2, which the launcher has bound to the VM's own keyboard interrupt.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_SIGINT_BIT = 1 << (signal.SIGINT - 1)
_KINFO_BYTES = 648
_KINFO_SIGCATCH = 236  # kp_proc.p_sigcatch of struct kinfo_proc, <sys/sysctl.h> on 64-bit macOS
_CTL_KERN, _KERN_PROC, _KERN_PROC_PID = 1, 14, 1


def interruptible(pid: int) -> bool:
    """Whether the VM runs a program that Ctrl-C may end."""
    if sys.platform == "linux":
        try:
            with Path(f"/proc/{pid}/status").open(encoding="ascii", errors="replace") as status:
                for line in status:
                    if line.startswith("SigCgt:"):
                        return bool(int(line.split()[1], 16) & _SIGINT_BIT)
        except (FileNotFoundError, ProcessLookupError):
            pass
        return False
    return bool(_sigcatch_by_sysctl(pid) & _SIGINT_BIT)


def interrupt(pid: int) -> None:
    """Raise KeyboardInterrupt in the VM."""
    os.kill(pid, signal.SIGUSR2)


def _sigcatch_by_sysctl(pid: int) -> int:
    libc = ctypes.CDLL(None)
    name = (ctypes.c_int * 4)(_CTL_KERN, _KERN_PROC, _KERN_PROC_PID, pid)
    info = ctypes.create_string_buffer(_KINFO_BYTES)
    size = ctypes.c_size_t(_KINFO_BYTES)
    if libc.sysctl(name, 4, info, ctypes.byref(size), None, ctypes.c_size_t(0)) or not size.value:
        return 0
    return int.from_bytes(info.raw[_KINFO_SIGCATCH : _KINFO_SIGCATCH + 4], sys.byteorder)
