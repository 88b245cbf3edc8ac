"""What the firmware takes on a board, in code and in heap: `python -m bench.size [--json]`, `make size`."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_boards.profiles import PROFILES, ROM_BYTES
from hedgerow_cli.firmware_files import ROM, build, rom_image

from . import size_board, size_heap

#: How each part of the result was measured.
HOW = {
    "mpy_bytes": "each module as `hedgerow flash` compiles it (constants folded, private names short, "
    "mpy-cross -O3); all of them lie in flash and are used there",
    "resident": "sys.modules of the unchanged firmware on an emulated esp32c3: after readings and beacons, "
    "then after a session with a keeper; what they take of the heap is below",
    "live_bytes_64": "gc.mem_alloc() between top-level calls on the 64-bit unix VM (PyPI) with the "
    "firmware in a"
    " ROMFS image, whose bytes are not counted: with nothing, the firmware's modules loaded and"
    " the log opened on a flash in a file, readings recorded, the modules loaded with which a "
    "relay makes connections itself, after a SELECT over all readings",
    "live_bytes_32": "the same on MicroPython's 32-bit WebAssembly VM (npm), which has no ROMFS: "
    "bytecode counts",
    "smallest_heap": "smallest `-X heapsize` of the 64-bit unix VM, in steps of 4 KiB, with which the same "
    "peer records and syncs with a keeper in another process; for 32 bits it is divided by the factor",
}


def measure() -> dict[str, Any]:
    """Everything, as one JSON object; sizes in bytes unless the name says KiB."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-size-") as folder:
        files = build(Path(folder, "build"))
        sizes = {
            name.removeprefix(f"{ROM}/")
            .removesuffix(".mpy")
            .replace("/", ".")
            .removesuffix(".__init__"): len(local.read_bytes())
            for local, name in files
            if name.endswith(".mpy")
        }
        result: dict[str, Any] = {"how": HOW, "mpy_bytes": sizes, "mpy_bytes_total": sum(sizes.values())}
        result["rom_image_bytes"], result["rom_partition_bytes"] = len(rom_image(files)), ROM_BYTES
        result["resident"] = {
            state: {"bytes": sum(sizes[name] for name in names), "modules": names}
            for state, names in size_board.resident(files).items()
        }
        board = Path(folder, "board")
        size_heap.stage(files, board)
        result["heap"] = _heap(board)
    result["heap_kib_of_boards"] = {name: profile.heap_kib for name, profile in PROFILES.items()}
    return result


def _heap(firmware: Path) -> dict[str, Any]:
    factor, how = size_heap.factor(firmware)
    found: dict[str, Any] = {"factor_64_bit": round(factor, 2), "factor_how": how, "documents": {}}
    for documents in size_heap.DOCUMENTS:
        entry: dict[str, Any] = {"live_bytes_64": size_heap.live_64(firmware, documents)}
        try:
            entry["live_bytes_32"] = size_heap.live_32(firmware, documents)
        except HedgerowError as error:
            entry["live_bytes_32_left_out"] = str(error)
        kib = size_heap.smallest(firmware, documents)
        entry["smallest_heap_kib_64"] = kib
        entry["smallest_heap_kib_32"] = round(kib / factor)
        found["documents"][str(documents)] = entry
    return found


def lines(result: dict[str, Any]) -> list[str]:
    """The same for people."""
    said = ["mpy_bytes, and when a module is resident:"]
    states = result["resident"]
    for name, size in result["mpy_bytes"].items():
        loaded = [state for state, what in states.items() if name in what["modules"]]
        said.append(f"  {size:6}  {name:32}{', '.join(loaded)}".rstrip())
    said.append(f"  {result['mpy_bytes_total']:6}  all of them")
    said.append(
        f"  {result['rom_image_bytes']:6}  image, of {result['rom_partition_bytes']} bytes of the partition"
    )
    said += [f"  {what['bytes']:6}  resident: {state}" for state, what in states.items()]
    heap = result["heap"]
    said.append(
        f"heap; {heap['factor_64_bit']} bytes of 64-bit heap for one of 32 bits: {heap['factor_how']}"
    )
    for documents, entry in heap["documents"].items():
        wide, narrow = entry["smallest_heap_kib_64"], entry["smallest_heap_kib_32"]
        said.append(f"  {documents} documents: smallest_heap {wide} KiB, for 32 bits {narrow} KiB")
        for name in ("live_bytes_32", "live_bytes_64"):
            stages = ", ".join(f"{stage} {size}" for stage, size in entry.get(name, {}).items())
            said.append(f"    {name}: {stages or entry[name + '_left_out']}")
    boards = ", ".join(f"{name} {kib}" for name, kib in result["heap_kib_of_boards"].items())
    said.append(f"  KiB of heap on boards: {boards}")
    return [*said, "how:", *(f"  {name}: {how}" for name, how in result["how"].items())]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.size", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines for people")
    wants_json = parser.parse_args(arguments).json
    try:
        result = measure()
    except HedgerowError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result) if wants_json else "\n".join(lines(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
