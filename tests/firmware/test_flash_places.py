"""The log on flash where it is not simply a partition of its own: encrypted, worn, behind a file system."""

import dataclasses
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from device_rig import SERIES, acks, errors, install, stage

from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board
from hedgerow_boards.partition_table import FLAG_ENCRYPTED
from hedgerow_boards.profiles import PROFILES
from hedgerow_cli.logfile.fetch import fetch
from hedgerow_cli.logfile.image import ImageDevice, custody, open_image
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.tail import FEWEST, HEAD, SECTOR, Tail, files_end, tail_of

Boards = Callable[..., list[Board]]
TABLE = PROFILES["esp32"].table
ENCRYPTED = (*TABLE[:-1], dataclasses.replace(TABLE[-1], flags=FLAG_ENCRYPTED))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stage(tmp_path_factory.mktemp("firmware"))


def test_it_records_on_an_encrypted_partition_through_power_cuts(boards: Boards, root: Path) -> None:
    (board,) = boards(table=ENCRYPTED, sensor=SERIES)
    board.wait_for(">>> ", 10)
    before = board.counters.overwrites
    install(board, root, readings=12)
    for after, model in ((300, "prefix"), (90, "bits"), (400, "suffix")):
        board.cut_power(after_bytes=after, model=model, partition="hedgerow")
        board.wait_power_cut(30)
        board.power_on()
    board.wait_for("ack 12 ", 30)
    assert set(errors(board)) <= {"BLE_UNAVAILABLE"}
    assert board.counters.overwrites == before
    entry = board.partition("hedgerow")
    assert b"Hg\x02" not in board.read_flash(entry.offset, 64 * SECTOR)
    data, note = fetch(board.port, lambda *step: None)
    assert note.encrypted
    log = open_image(data, encrypted=True)
    (author,) = custody(log).authors
    assert author.readings == 12
    assert author.sealed == author.held
    assert max(ack.number for ack in acks(board)) <= author.held


@pytest.mark.parametrize("how", ["erase-noop", "erase-error", "program-noop", "program-error"])
def test_it_passes_worn_sectors_over(how: str, boards: Boards, root: Path) -> None:
    (board,) = boards(sensor=SERIES)
    for sector in (1, 2, 5):
        board.wear_out("hedgerow", sector, how)
    install(board, root, readings=5)
    board.wait_for("ack 5 ", 30)
    board.power_off()
    entry = board.partition("hedgerow")
    assert custody(open_image(board.read_flash(entry.offset, entry.size))).readings == 5


# ---- behind a file system


def fat(sectors: int, size: int = SECTOR) -> bytes:
    """A boot sector as MicroPython's FAT has it."""
    head = bytearray(HEAD)
    head[:3], head[54:57], head[510:] = b"\xeb\xfe\x90", b"FAT", b"\x55\xaa"
    struct.pack_into("<H", head, 11, size)
    struct.pack_into("<H" if sectors < 65536 else "<xxxxxxxxxxxxxI", head, 19, sectors)
    return bytes(head)


def littlefs(sectors: int, size: int = SECTOR, version: int = 0x20001) -> bytes:
    head = bytearray(b"\xff" * HEAD)
    head[8:16] = b"littlefs"
    struct.pack_into("<III", head, 20, version, size, sectors)
    return bytes(head)


BLANK = b"\xff" * HEAD


@pytest.mark.parametrize(
    ("first", "second", "end"),
    [
        (fat(128), BLANK, 128),
        (fat(1025, 512), BLANK, 129),
        (fat(70000, 512), BLANK, 8750),
        (littlefs(64), littlefs(64), 64),
        (littlefs(64), BLANK, 64),
        (BLANK, littlefs(64), 64),
        (littlefs(64), littlefs(512), 512),
        (fat(128), littlefs(512), 512),
        (littlefs(64), littlefs(64, size=512), None),
        (littlefs(64, version=0x30000), BLANK, None),
        (littlefs(0), BLANK, None),
        (BLANK, BLANK, None),
        (bytes(HEAD), bytes(HEAD), None),
        (fat(0), BLANK, None),
        (fat(128, 0), BLANK, None),
        (fat(128)[:-2] + b"\0\0", BLANK, None),
        (b"\0" + fat(128)[1:], BLANK, None),
        (fat(128)[:54] + b"NTFS" + fat(128)[58:], BLANK, None),
    ],
)
def test_where_a_file_system_ends_is_proven_or_unknown(first: bytes, second: bytes, end: int | None) -> None:
    assert files_end(first, second) == end


def partition(end: int, count: int = 64) -> ImageDevice:
    device = ImageDevice(bytes(range(256)) * (count * SECTOR // 256))
    device.cells[:HEAD] = fat(end)
    return device


def test_a_tail_leaves_alone_what_lies_before_it() -> None:
    device = partition(16)
    before = bytes(device.cells)
    tail = tail_of(device)
    assert isinstance(tail, Tail)
    assert tail.ioctl(4, 0) == 48
    assert tail.ioctl(5, 0) == SECTOR
    assert tail.info() == (1, 0x40, 16 * SECTOR, 48 * SECTOR, "hedgerow", False)
    for call in (
        lambda: tail.ioctl(6, -1),
        lambda: tail.ioctl(6, 48),
        lambda: tail.writeblocks(-1, b"x", 0),
        lambda: tail.writeblocks(0, b"x", -1),
        lambda: tail.writeblocks(47, bytes(2), SECTOR - 1),
        lambda: tail.readblocks(48, bytearray(1), 0),
        lambda: tail.readblocks(0, bytearray(1), -1),
    ):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.args == (22,)
    assert device.cells == before
    tail.ioctl(6, 0)
    tail.writeblocks(0, b"here", 5)
    read = bytearray(6)
    tail.readblocks(0, read, 4)
    assert read == b"\xffhere\xff"
    log = FlashLog(tail)
    for n in range(3000):
        log.put(4, b"key", n.to_bytes(4, "big"))
    assert log.ring.seq > 8
    assert device.cells[: 16 * SECTOR] == before[: 16 * SECTOR]


@pytest.mark.parametrize("end", [64, 65, 64 - FEWEST + 1])
def test_there_is_no_tail_where_the_file_system_takes_it_all(end: int) -> None:
    assert tail_of(partition(end)) is None
    assert tail_of(partition(64 - FEWEST)) is not None


def test_a_board_without_a_place_says_so(boards: Boards, root: Path) -> None:
    (board,) = boards(stock=True, profile="esp32c3")
    for name in ("hedgerow", "hedgerow_device"):
        for source in (root / "build" / name).rglob("*.py"):
            source.unlink()  # what is left is bytecode
        board.mpremote("cp", "-r", f"{root}/build/{name}", ":")
    program = "from hedgerow_device.starting import open_log\ntry:\n    open_log()\n"
    program += "except Exception as error:\n    print(error.code)"
    assert board.mpremote("exec", program).stdout.strip() == "LOG_PARTITION"
    with pytest.raises(HedgerowError) as caught:
        fetch(board.port, lambda *step: None)
    assert caught.value.code == "LOG_PARTITION"
