"""ROMFS on an emulated board: vfs.rom_ioctl as the ESP32 port has it, and the real mpremote on top of it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hedgerow_boards.board import Board
from hedgerow_boards.profiles import ROM_BYTES, STOCK_TABLE

Boards = Callable[..., list[Board]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Modules for /rom and /rom/lib, one of them larger than a sector."""
    root = tmp_path / "tree"
    (root / "lib").mkdir(parents=True)
    (root / "first.py").write_text("NAME = 'first'\n")
    (root / "large.bin").write_bytes(bytes(range(256)) * 64)
    (root / "lib" / "second.py").write_text("NAME = 'second'\n")
    return root


def run(board: Board, program: str) -> str:
    return board.mpremote("exec", program).stdout.strip()


def test_a_blank_partition_is_there_and_not_mounted(board: Board) -> None:
    said = board.mpremote("romfs", "query").stdout
    blocks = ROM_BYTES // 4096
    assert f"ROMFS0 partition has size {ROM_BYTES} bytes ({blocks} blocks of 4096 bytes each)" in said
    assert "Not a valid ROMFS" in said
    assert run(board, "import sys; print(sys.path)") == "['', '.frozen', '/lib']"


def test_what_is_deployed_is_mounted_and_used_in_place(board: Board, tree: Path) -> None:
    board.mpremote("romfs", "deploy", str(tree))
    assert "ROMFS image size: " in board.mpremote("romfs", "query").stdout
    assert run(board, "import sys; print(sys.path)") == "['', '.frozen', '/rom', '/rom/lib', '/lib']"
    assert run(board, "import first, second; print(first.__file__, second.NAME)") == "/rom/first.mpy second"
    program = "import gc, vfs\ngc.collect()\nbefore = gc.mem_alloc()\nrom = memoryview(vfs.rom_ioctl(2, 0))\n"
    program += "gc.collect()\nprint(gc.mem_alloc() - before < 2000, len(rom), bytes(rom[:3]))"
    assert run(board, program) == f"True {ROM_BYTES} b'\\xd2\\xcd1'"
    assert board.counters.overwrites == 0
    wear = board.erase_counts
    place = board.partition("romfs")
    assert sum(wear[place.offset // 4096 : place.end // 4096]) == 5, "only the sectors of the image"


def test_a_second_deploy_takes_the_place_of_the_first(board: Board, tree: Path) -> None:
    board.mpremote("romfs", "deploy", str(tree))
    (tree / "first.py").write_text("NAME = 'other'\n")
    board.mpremote("romfs", "deploy", str(tree))
    assert run(board, "import first; print(first.NAME)") == "other"


def test_a_table_without_the_partition_has_no_segment(boards: Boards, tmp_path: Path) -> None:
    with Board("stock", tmp_path / "stock", stock=True) as board:
        board.power_on()
        assert board.partitions == STOCK_TABLE
        assert run(board, "import vfs; print(vfs.rom_ioctl(1), vfs.rom_ioctl(2, 0))") == "0 -22"
        assert "No ROMFS partitions available" in board.mpremote("romfs", "query").stdout


def test_nothing_is_programmed_but_as_a_block_device(board: Board) -> None:
    assert run(board, "import vfs; print([vfs.rom_ioctl(n, 0, 0) for n in (3, 4, 5, 6)])") == str([-22] * 4)
    program = "import vfs\nrom = vfs.rom_ioctl(2, 0)\nrom.writeblocks(0, b'\\x0f', 0)\n"
    program += "try:\n    rom.writeblocks(0, b'\\xf0', 0)\nexcept OSError as error:\n    print(error.errno)\n"
    program += "rom.ioctl(6, 0)\nprint(bytes(memoryview(rom)[:1]))"
    assert run(board, program).split() == ["5", "b'\\xff'"]


def test_a_deploy_that_loses_power_can_be_made_again(board: Board, tree: Path) -> None:
    for after in (0, 100, 9_000):
        board.cut_power(after_bytes=after, partition="romfs")
        deploy = [sys.executable, "-m", "mpremote", "connect", board.port, "romfs", "deploy", str(tree)]
        with subprocess.Popen(deploy, stdout=subprocess.DEVNULL) as process:
            board.wait_power_cut(10)
            process.kill()
        board.power_on()
        assert run(board, "print(6 * 7)") == "42"
    board.mpremote("romfs", "deploy", str(tree))
    assert run(board, "import second; print(second.NAME)") == "second"
