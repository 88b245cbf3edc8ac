"""Runs a program of the firmware's tests in the VM, beside a radio and an ESP-IDF that do nothing."""

import subprocess
from pathlib import Path

from micropython_vm import micropython

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STUB = """
FLAG_WRITE_NO_RESPONSE = 4
FLAG_NOTIFY = 16


class UUID:
    def __init__(self, value):
        self.value = value


class BLE:
    def __init__(self):
        self.written = b""

    def gatts_read(self, handle):
        data, self.written = self.written, b""
        return data

    def gatts_write(self, handle, data):
        self.written = data

    def active(self, on=None):
        return False

    def irq(self, handler):
        pass

    config = gatts_set_buffer = lambda self, *words, **names: None

    def gatts_register_services(self, services):
        return tuple([(1, 2)] * len(services))
"""


IDF = """
HEAP_DATA = 4


def idf_heap_info(capabilities):
    assert capabilities == HEAP_DATA
    return regions
"""


def said_by(folder: Path, program: str) -> dict[str, str]:
    """Return what a program of this folder has printed, by its first word."""
    (folder / "bluetooth.py").write_text(STUB)
    (folder / "esp32.py").write_text(IDF)
    places = [str(place) for place in (folder, HERE, ROOT / "firmware", ROOT / "shared")]
    program = f"import sys; sys.path[:0] = {places!r}; import {program}"
    done = subprocess.run(
        [micropython(), "-X", "heapsize=320k", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())
