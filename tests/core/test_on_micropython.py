"""Every portable test file once more in the real MicroPython VM, with 64-bit and with 32-bit floats.

The tests of a file are read from its syntax tree, so a test that the VM did not run fails, and so does
a file without tests. One VM process runs a whole file; each of its tests is reported under its own name.
`portable/kit.py` says what a portable test looks like.
"""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest
from micropython_vm import micropython

CORE = Path(__file__).parent
PORTABLE = CORE / "portable"
SHARED = CORE.parents[1] / "shared"
HEAP = "400k"
NO_TESTS = "(no tests in this file)"


def names_of(path: Path) -> list[str]:
    """Return the names of the test functions that a file defines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in names if name.startswith("test_")] or [NO_TESTS]


def heap_of(path: Path) -> str:
    """Return the heap that a file asks for in a line `HEAP = "800k"`, else the usual one."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HEAP":
            return str(ast.literal_eval(node.value))
    return HEAP


def run_file(path: Path, floats: str, *paths: Path) -> tuple[dict[str, str], str]:
    """Run a file in the VM, `paths` first on its path.

    Return the report of each test that ran ("" if it passed), and all output.
    """
    command: list[str | Path] = [micropython(), "-X", f"heapsize={heap_of(path)}"]
    command += [PORTABLE / "run_in_vm.py", floats, path.stem, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=380, check=False)
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


@functools.cache
def run(module: str, floats: str) -> tuple[dict[str, str], str]:
    """Run one of the portable files."""
    return run_file(PORTABLE / f"{module}.py", floats, SHARED, PORTABLE, CORE)


CASES = [(path.stem, name) for path in sorted(PORTABLE.glob("test_*.py")) for name in names_of(path)]


@pytest.mark.parametrize("floats", ["double", "single"])
@pytest.mark.parametrize(("module", "name"), CASES)
def test_portable(module: str, name: str, floats: str) -> None:
    assert name != NO_TESTS, f"{module}.py defines no test functions"
    reports, output = run(module, floats)
    assert name in reports, f"{name} did not run:\n{output}"
    assert not reports[name], reports[name]


def test_the_runner_reports_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_bad.py").write_text(
        "def test_good():\n    pass\n\n\ndef test_wrong():\n    assert 1 == 2\n"
    )
    (tmp_path / "test_empty.py").write_text('HEAP = "800k"\n')
    (tmp_path / "run_in_vm.py").write_text((PORTABLE / "run_in_vm.py").read_text())
    monkeypatch.setattr(sys.modules[__name__], "PORTABLE", tmp_path)
    assert names_of(tmp_path / "test_empty.py") == [NO_TESTS]
    assert heap_of(tmp_path / "test_empty.py") == "800k"
    reports, _ = run("test_bad", "double")
    assert reports["test_good"] == ""
    assert "AssertionError" in reports["test_wrong"]
