"""Cases of `vm/flash_*.py`, run in the real MicroPython VM with the firmware as a board gets it: our log, and
littlefs of the same VM, on a NOR flash that counts. docs/measuring.md says what each figure is."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, wraps
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_cli.firmware_files import ROM, build

from .figure import NO_FIGURES, Figure, skip
from .sync_vm import micropython

SECTOR = 4096
#: The ring of laps and collections, in sectors, and that of mounts: 1 MiB.
RING, LARGE_RING = 64, 256
#: Bytes of an operation, less author and number.
READING = 32
LAPS = {12: 2, READING: 10, 60: 2}
RECORDS = 2_000
#: How many authors a log has.
AUTHORS = (1, 8, 64)

VM = Path(__file__).parent / "vm"
_HEAP = "64m"
_SECONDS = 200
#: Cases that only count may run beside others; those that take times may not.
_AT_A_TIME = 2

Counters = dict[str, Any]
Case = tuple[str, str, dict[str, Any]]

_folder = tempfile.TemporaryDirectory(prefix="hedgerow-flash-")


@cache
def tree() -> Path:
    """The folder with the compiled firmware, made once."""
    found = Path(_folder.name, "tree")
    for local, name in build(Path(_folder.name, "build")):
        if name.endswith(".mpy"):
            target = found / name.removeprefix(f"{ROM}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(local.read_bytes())
    return found


def run(module: str, case: str, arguments: dict[str, Any]) -> Counters:
    """What one case has counted; BENCH_FAILED with the VM's words, BENCH_TOOL_MISSING without a VM."""
    command = [micropython(), "-X", f"heapsize={_HEAP}", str(VM / "flash_main.py"), str(tree())]
    command += [module, case, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise HedgerowError("BENCH_FAILED", f"{case} {arguments}: {done.stdout}{done.stderr}"[-600:])
    result: Counters = json.loads(done.stdout)
    return result


def run_all(cases: Sequence[Case]) -> list[Counters]:
    """What each of some cases that only count has counted, in their order."""
    tree()
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(lambda case: run(*case), cases))


@cache
def laps(size: int, authors: int, idle: bool) -> Counters:
    """Operations of that size of so many authors, receipted now and then, for LAPS around the small ring."""
    sectors = {"sectors": RING, "authors": authors, "idle": idle}
    return run("flash_log", "appends", {"size": size, "laps": LAPS[size], **sectors})


@cache
def littlefs(size: int) -> Counters:
    """A file on 1 MiB to which RECORDS of that size were appended, each with a flush."""
    counted = run("flash_littlefs", "appends", {"size": size, "count": RECORDS, "sectors": LARGE_RING})
    return {"records": RECORDS, **counted}


def named(authors: int) -> str:
    """How a figure's name ends that is for so many authors."""
    return f"{authors}_authors" if authors > 1 else "1_author"


def in_vm(measure: Callable[[], list[Figure]]) -> Callable[[], list[Figure]]:
    """Leave it out, and say so, where there is no VM."""

    @wraps(measure)
    def measured() -> list[Figure]:
        try:
            return measure()
        except HedgerowError as error:
            if error.code != "BENCH_TOOL_MISSING":
                raise
            skip(measure.__name__, error)
            return NO_FIGURES

    return measured
