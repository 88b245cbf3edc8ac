"""What a flash does that is no longer, or not simply, a flash: encrypted partitions and worn sectors."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board
from hedgerow_boards.control import ControlPage
from hedgerow_boards.partition_table import FLAG_ENCRYPTED
from hedgerow_boards.profiles import PROFILES
from hedgerow_boards.vm.control_layout import SECTOR, WEAR

Boards = Callable[..., list[Board]]
TABLE = PROFILES["esp32"].table
ENCRYPTED = (*TABLE[:-1], dataclasses.replace(TABLE[-1], flags=FLAG_ENCRYPTED))
LOG = "from esp32 import Partition\nlog = Partition.find(Partition.TYPE_DATA, label='hedgerow')[0]\n"
TRY = """
def attempt(call):
    try:
        call()
        print("done")
    except OSError as error:
        print(error.errno)
"""


def run(board: Board, program: str) -> list[str]:
    return board.mpremote("resume", "exec", LOG + TRY + program).stdout.splitlines()


def test_an_encrypted_partition_is_written_in_blocks_of_16_bytes(boards: Boards) -> None:
    (board,) = boards(table=ENCRYPTED)
    printed = run(
        board,
        """
print(log.info()[5])
buf = bytearray(32)
attempt(lambda: log.writeblocks(0, bytes(range(32)), 16))
attempt(lambda: log.writeblocks(0, bytes(16), 8))
attempt(lambda: log.writeblocks(0, bytes(24), 64))
log.readblocks(0, buf, 16)
print(buf == bytes(range(32)))
log.readblocks(0, buf, 21)
print(buf[:4] == bytes((5, 6, 7, 8)))
attempt(lambda: log.writeblocks(0, bytes(range(32)), 16))
attempt(lambda: log.writeblocks(0, bytes(32), 16))
log.writeblocks(3, b"\\xa5" * 4096)
log.readblocks(3, buf, 4000)
print(buf == b"\\xa5" * 32)
""",
    )
    assert printed == ["True", "done", "-258", "-260", "True", "True", "done", "5", "True"]
    # What lies there, and what esptool reads, is another thing.
    entry = board.partition("hedgerow")
    assert board.read_flash(entry.offset + 16, 32) != bytes(range(32))


def test_erased_cells_of_an_encrypted_partition_read_as_noise(boards: Boards) -> None:
    (board,) = boards(table=ENCRYPTED)
    program = "buf = bytearray(4096)\nlog.ioctl(6, 1)\nlog.readblocks(1, buf)\nprint(len(set(buf)))\n"
    program += "other = bytearray(4096)\nlog.readblocks(2, other)\nprint(buf == other)"
    values, same = run(board, program)
    assert int(values) > 200
    assert same == "False"
    entry = board.partition("hedgerow")
    assert board.read_flash(entry.offset + 4096, 4096) == b"\xff" * 4096


@pytest.mark.parametrize(
    ("how", "printed"),
    [
        ((), ["done", "done", "b'\\x00'"]),
        (("erase-noop",), ["done", "done", "b'\\x00'"]),
        (("erase-error",), ["-24577", "done", "b'\\x00'"]),
        (("program-noop",), ["done", "done", "b'\\xff'"]),
        (("program-error",), ["done", "-24577", "b'\\xff'"]),
    ],
)
def test_worn_sectors(board: Board, how: tuple[str, ...], printed: list[str]) -> None:
    board.wear_out("hedgerow", 5, *how)
    before = board.erase_counts[board.partition("hedgerow").offset // SECTOR + 5]
    program = "buf = bytearray(1)\nattempt(lambda: log.ioctl(6, 5))\n"
    program += (
        "attempt(lambda: log.writeblocks(5, b'\\0', 9))\nlog.readblocks(5, buf, 9)\nprint(bytes(buf))\n"
    )
    program += "log.writeblocks(6, b'\\0', 9)"
    assert run(board, program) == printed
    program = "attempt(lambda: log.ioctl(6, 5))\nbuf = bytearray(1)\nlog.readblocks(5, buf, 9)\nprint(buf[0])"
    erased = run(board, program)[1]
    assert erased == ("0" if how and how[0].startswith("erase") else "255")
    counted = board.erase_counts[board.partition("hedgerow").offset // SECTOR + 5] - before
    assert counted == (0 if how and how[0].startswith("erase") else 2)


def test_a_worn_sector_heals_and_is_within_its_partition(board: Board) -> None:
    board.wear_out("hedgerow", 5, "erase-error", "program-error")
    board.wear_out("hedgerow", 5)
    assert run(board, "attempt(lambda: log.ioctl(6, 5))") == ["done"]
    for sector, how in ((384, "erase-noop"), (-1, "erase-noop"), (0, "melted")):
        with pytest.raises(HedgerowError) as caught:
            board.wear_out("hedgerow", sector, how)
        assert caught.value.code == "FLASH_RANGE"


def test_the_control_page_of_a_former_version_grows(tmp_path: Path) -> None:
    path = tmp_path / "control.bin"
    path.write_bytes(bytes(WEAR) + (7).to_bytes(4, "little") * 8)
    page = ControlPage(path, 8 * SECTOR)
    assert page.erase_counts() == [7] * 8
    page.set_worn(7, 1)
    page.close()
    assert path.stat().st_size == WEAR + 8 * 5
