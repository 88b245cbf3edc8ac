"""Starts a MicroPython VM in this process: `python -I -S launch.py MODULE [VM options] SHIM CONFIG`.

MODULE is the file of the extension module that holds the VM. CONFIG is the board's configuration as
JSON; the flash image, the control page and the sensor's series that it names are mapped here and
their addresses added, because the VM itself can reach memory but not map a file.
"""

# ruff: noqa: E402 - the signal must be dealt with before anything else
import signal

# Until the VM's own handler is in place, an early Ctrl-C must not end the process.
signal.signal(signal.SIGUSR2, signal.SIG_IGN)

import ctypes
import importlib.machinery
import importlib.util
import json
import mmap
import os
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_ARGUMENT_BYTES = 200


def _map(path: str) -> tuple[mmap.mmap, int]:
    """Map a file shared; returns the mapping, to be kept, and its address."""
    with Path(path).open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    return mapping, ctypes.addressof(ctypes.c_char.from_buffer(mapping))


def _die_with_parent(libc: ctypes.CDLL) -> None:
    if sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _bind_keyboard_interrupt(libc: ctypes.CDLL, vm: ctypes.CDLL) -> None:
    """SIGUSR2 schedules KeyboardInterrupt in the VM.

    `signal` keeps SA_RESTART. SIGINT would not do: the VM raises out of its handler, also in the
    middle of a collection.
    """
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal.restype = ctypes.c_void_p
    libc.signal(signal.SIGUSR2, ctypes.cast(vm.mp_sched_keyboard_interrupt, ctypes.c_void_p))


def main() -> None:
    library, options, config = sys.argv[1], sys.argv[2:-1], json.loads(sys.argv[-1])
    libc, vm = ctypes.CDLL(None), ctypes.CDLL(library)
    _die_with_parent(libc)
    loader = importlib.machinery.ExtensionFileLoader("micropython_module", library)
    spec = importlib.util.spec_from_file_location("micropython_module", library, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)

    kept = []
    for name in ("image", "control", "series"):
        if config.get(name):
            mapping, address = _map(config[name])
            kept.append(mapping)
            config[f"{name}_at"] = address
            config[f"{name}_bytes"] = len(mapping)
    repl_mode = ctypes.c_int.in_dll(vm, "pyexec_mode_kind")  # 0 friendly, 1 raw
    repl_mode.value = int(config["raw"])
    _bind_keyboard_interrupt(libc, vm)
    text = json.dumps(config)  # ASCII, in pieces, because the VM interns each argument
    pieces = [text[i : i + _ARGUMENT_BYTES] for i in range(0, len(text), _ARGUMENT_BYTES)]
    module.run_main(["micropython", *options, *pieces])
    # The VM has ended its REPL or run sys.exit: a soft reset. The raw REPL outlives it.
    os.write(config["events"], b"exit %d\n" % repl_mode.value)
    os._exit(0)


main()
