"""`hedgerow flash --keep-table`: a board whose partition table must not change records, on the real VM."""

import functools
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board
from hedgerow_boards.partition_table import Partition, pack
from hedgerow_boards.profiles import PROFILES, STOCK_TABLE
from hedgerow_boards.sensor import SensorSeries
from hedgerow_cli.flashing import keep
from hedgerow_cli.flashing.contents import contents_of, place_of
from hedgerow_cli.flashing.flash import Firmware, Options, Report, flash_board
from hedgerow_cli.flashing.guard import Consent
from hedgerow_cli.flashing.side_channel import SideChannel
from hedgerow_cli.flashing.tables import pieces
from hedgerow_cli.logfile.fetch import fetch, save
from hedgerow_cli.logfile.image import custody, open_image

PROFILE = PROFILES["esp32c3"]
LOG = PROFILE.table[-1]
FILES_AT = 0x200000
TAIL_AT = 0x300000  # with the firmware among the files
SERIES = SensorSeries("celsius", [f"{20 + n}.5" for n in range(50)])


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Board]]:
    """A board as bought, on, whose flash can be written from outside."""
    made: list[tuple[Board, SideChannel]] = []

    def make(profile: str = "esp32c3", table: tuple[Partition, ...] = STOCK_TABLE) -> Board:
        board = Board("kept", tmp_path / "kept", profile=profile, sensor=SERIES, stock=True)
        channel = SideChannel(board)
        channel.__enter__()
        made.append((board, channel))
        board.write_flash(0x8000, pack(table, board.profile.flash_bytes))
        board.power_on()
        return board

    yield make
    for board, channel in made:
        channel.__exit__(None, None, None)
        board.close()


def flash(board: Board, firmware: Firmware, **options: object) -> Report:
    settings = {"name": "b1", "field": "celsius", "interval_ms": 50, "readings": 5}
    wanted = {"board": board.profile.name, "config": settings, "keep_table": True, "start": False, **options}
    return flash_board(board.port, Options(**wanted), lambda *step: None, firmware)  # type: ignore[arg-type]


def tail_of_flash(board: Board, at: int = TAIL_AT) -> bytes:
    return board.read_flash(at, PROFILE.flash_bytes - at)


def files_digest(board: Board) -> bytes:
    return hashlib.sha256(board.read_flash(FILES_AT, TAIL_AT - FILES_AT)).digest()


def write(board: Board, path: str, text: str) -> None:
    board.mpremote("exec", f"with open({path!r}, 'w') as file:\n    file.write({text!r})")


def test_it_records_through_power_cuts_and_keeps_table_and_files(
    make: Callable[..., Board], firmware: Firmware, tmp_path: Path
) -> None:
    board = make()
    write(board, "/notes.txt", "mine")
    report = flash(board, firmware)
    assert (report.files_renewed, report.table_written) == (True, False)
    assert board.partitions == STOCK_TABLE
    assert board.mpremote("cat", ":/notes.txt").stdout == "mine"
    front = files_digest(board)
    overwrites = board.counters.overwrites
    board.reset()
    board.wait_for("ack 2 ", 20)
    board.cut_power(after_bytes=20)
    board.wait_power_cut(20)
    board.power_on()
    since = board.console_count
    board.cut_power(after_bytes=70, model="bits")
    board.wait_power_cut(20)
    board.power_on()
    board.wait_for("ack 5 ", 20, since)
    board.power_off()
    assert board.counters.overwrites == overwrites
    assert files_digest(board) == front
    assert [author.readings for author in custody(open_image(tail_of_flash(board))).authors] == [5]
    # Our own table would have the log elsewhere.
    board.power_on()
    with pytest.raises(HedgerowError, match="5 readings") as caught:
        flash(board, firmware, keep_table=False)
    assert caught.value.code == "LOG_UNRECEIPTED"
    path = tmp_path / "export"
    data, note = fetch(board.port, lambda *step: None)
    save(path, data, note)
    assert (note.offset, custody(open_image(data)).readings) == (TAIL_AT, 5)
    report = flash(board, firmware, keep_table=False, consent=Consent(exported=path))
    assert (report.table_written, report.log_erased) == (True, False)
    assert board.partitions == PROFILE.table
    assert board.mpremote("cat", ":/notes.txt").stdout == "mine"
    assert "hedgerow" not in board.mpremote("ls", "/lib", check=False).stdout


def test_a_file_system_of_512_kib_puts_the_log_where_our_own_table_has_it() -> None:
    table = (*STOCK_TABLE, Partition("vfs", 1, 0x81, FILES_AT, 0x200000))
    head = bytearray(512)
    head[:1], head[54:57], head[510:] = b"\xeb", b"FAT", b"\x55\xaa"
    head[11:13], head[19:21] = (4096).to_bytes(2, "little"), (128).to_bytes(2, "little")
    contents = contents_of(table, (bytes(head), bytes(512)), (), PROFILE)
    assert contents.log == place_of(PROFILE.table, "hedgerow")
    assert contents.via == "vfs"
    assert [offset for offset, _ in pieces(contents, PROFILE)] == [0x8000, FILES_AT]


def test_flashing_again_sends_nothing(make: Callable[..., Board], firmware: Firmware) -> None:
    board = make()
    assert flash(board, firmware).sent > 80
    again = flash(board, firmware)
    assert (again.sent, again.files_renewed) == (0, False)


def test_half_a_firmware_starts_nothing(make: Callable[..., Board], firmware: Firmware) -> None:
    board = make()
    flash(board, firmware)
    write(board, "/lib/hedgerow/log.mpy", "of another version")
    board.mpremote("exec", "import os; os.remove('/lib/hedgerow/whole')")
    board.reset()
    board.wait_for("error FIRMWARE_INCOMPLETE", 10)
    report = flash(board, firmware)
    assert report.sent == 2
    board.reset()
    board.wait_for("ack 1 ", 20)


def test_a_board_with_a_rom_partition_has_its_firmware_there(
    make: Callable[..., Board], firmware: Firmware
) -> None:
    table = (
        *STOCK_TABLE,
        Partition("romfs", 1, 0x8F, 0x200000, 0x58000),
        Partition("vfs", 1, 0x81, 0x258000, 0x1A8000),
    )
    board = make("esp32", table)
    report = flash(board, firmware)
    assert report.files_renewed
    assert report.sent == 4
    assert board.partitions == table
    board.reset()
    board.wait_for("ack 5 ", 20)
    board.power_off()
    at = 0x258000 + 512 * 1024
    assert custody(open_image(board.read_flash(at, 0x400000 - at))).readings == 5


@pytest.mark.parametrize(
    ("profile", "table", "words"),
    [
        ("esp32", STOCK_TABLE, "72 KiB of heap"),
        ("esp32c3", (*STOCK_TABLE, Partition("vfs", 1, 0x81, 0x200000, 0x80000)), "partition vfs: 512 KiB"),
    ],
)
def test_what_cannot_keep_its_table_is_told_why(
    make: Callable[..., Board], firmware: Firmware, profile: str, table: tuple[Partition, ...], words: str
) -> None:
    board = make(profile, table)
    write(board, "/notes.txt", "mine")
    with pytest.raises(HedgerowError, match=words) as caught:
        flash(board, firmware)
    assert caught.value.code == "TABLE_NEEDED"
    assert board.mpremote("cat", ":/notes.txt").stdout == "mine"


def test_a_log_under_the_file_system_is_not_made_files_of(
    make: Callable[..., Board], firmware: Firmware
) -> None:
    board = make()
    board.power_off()
    board.write_flash(0x300000, b"Hg\x02\x00\x00\x00\x00\x09" + bytes(28))
    board.power_on()
    with pytest.raises(HedgerowError, match="at 0x300000") as caught:
        flash(board, firmware)
    assert caught.value.code == "LOG_UNRECEIPTED"
    assert flash(board, firmware, consent=Consent(discard=True)).files_renewed
    assert board.read_flash(0x300000, 4096) == b"\xff" * 4096


def test_a_cut_while_the_file_system_is_made_costs_no_files(
    make: Callable[..., Board], firmware: Firmware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(keep, "mpremote", functools.partial(keep.mpremote, seconds=5))
    board = make()
    write(board, "/notes.txt", "mine")
    board.cut_power(in_erase=4, model="none")
    with pytest.raises(HedgerowError, match="the board's own files are in") as caught:
        flash(board, firmware)
    folder = Path(caught.value.detail.rpartition(" ")[2])
    assert [file.read_text() for file in folder.iterdir() if file.stat().st_size == 4] == ["mine"]
    board.power_on()
    assert flash(board, firmware).files_renewed


def test_firmware_in_files_is_only_run_where_the_file_system_ends(
    make: Callable[..., Board], firmware: Firmware
) -> None:
    """With a littlefs over the whole partition there is no tail: nothing is guessed, nothing written."""
    board = make()
    flash(board, firmware)
    program = "from esp32 import Partition\nfrom hedgerow_device.tail import tail_of\n"
    program += "part = Partition.find(1, label='vfs')[0]\nprint(tail_of(part).info())\n"
    program += "part.ioctl(6, 0)\nprint(tail_of(part))"
    printed = board.mpremote("exec", program).stdout.split("\n")
    assert printed[0] == f"(1, 129, {TAIL_AT}, {PROFILE.flash_bytes - TAIL_AT}, 'vfs', False)"
    assert printed[1].strip() == "None"
