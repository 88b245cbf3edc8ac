"""The portable tests of the cryptography once more in the real MicroPython VM (see test_on_micropython)."""

import functools
import subprocess
from pathlib import Path

import pytest
from micropython_vm import micropython
from test_on_micropython import NO_TESTS, SHARED, heap_of, names_of

HERE = Path(__file__).parent
PORTABLE = HERE / "portable"
KIT = HERE.parent / "portable"


@functools.cache
def run(module: str) -> tuple[dict[str, str], str]:
    """Run a file in the VM; return the report of each test that ran ("" if it passed), and all output."""
    heap = heap_of(PORTABLE / f"{module}.py")
    command = [micropython(), "-X", f"heapsize={heap}", KIT / "run_in_vm.py", "double", module]
    paths = [SHARED, PORTABLE, KIT, HERE, HERE.parent]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=100, check=False)
    reports: dict[str, str] = {}
    name = ""
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in ("PASS", "FAIL"):
            name = rest
            reports[name] = line if word == "FAIL" else ""
        elif name and reports[name]:
            reports[name] += "\n" + line
    return reports, f"{done.stdout}\n{done.stderr}\nexit status {done.returncode}"


CASES = [(path.stem, name) for path in sorted(PORTABLE.glob("test_*.py")) for name in names_of(path)]


@pytest.mark.parametrize(("module", "name"), CASES)
def test_portable_cryptography(module: str, name: str) -> None:
    assert name != NO_TESTS, f"{module}.py defines no test functions"
    reports, output = run(module)
    assert name in reports, f"{name} did not run:\n{output}"
    assert not reports[name], reports[name]
