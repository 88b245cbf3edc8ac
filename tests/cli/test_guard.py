"""What flashing refuses, because readings would be lost by it: every way in which a log can be given up."""

import binascii
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hedgerow.codec.schema import STREAM
from hedgerow.errors import HedgerowError
from hedgerow.peer import Peer
from hedgerow_boards import flash as chip_image
from hedgerow_boards.board import Board
from hedgerow_boards.partition_table import FLAG_ENCRYPTED, Partition, pack
from hedgerow_boards.profiles import PROFILES, STOCK_TABLE
from hedgerow_boards.sensor import SensorSeries
from hedgerow_cli.flashing.flash import Firmware, Options, Report, flash_board
from hedgerow_cli.flashing.guard import Consent, check_chip
from hedgerow_cli.flashing.image import write_micropython
from hedgerow_cli.flashing.programmer import Piece
from hedgerow_cli.flashing.side_channel import SideChannel
from hedgerow_cli.logfile.image import ImageDevice, custody, open_image
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import HEADER

PROFILE = PROFILES["esp32"]
LOG = PROFILE.table[-1]
SHRUNK = (*PROFILE.table[:-1], dataclasses.replace(LOG, size=0x100000))
ENCRYPTED = (*PROFILE.table[:-1], dataclasses.replace(LOG, flags=FLAG_ENCRYPTED))


class Chip:
    """The flash of a chip that a programmer reads and writes, in memory."""

    def __init__(self, table: Sequence[Partition]) -> None:
        self.flash = bytearray(b"\xff" * PROFILE.flash_bytes)
        if table:
            self.flash[0x8000:0x8C00] = pack(table, PROFILE.flash_bytes)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.flash[offset : offset + length])

    def write(self, pieces: Sequence[Piece]) -> None:
        for offset, data in pieces:
            end = offset + len(data) + -len(data) % 4096
            self.flash[offset:end] = data.ljust(end - offset, b"\xff")

    def put(self, place: Partition, data: bytes) -> None:
        self.flash[place.offset : place.offset + len(data)] = data

    def log(self) -> bytes:
        return self.read(LOG.offset, LOG.size)


def a_log(size: int, readings: int) -> bytes:
    """The image of a log with so many readings."""
    device = ImageDevice(b"\xff" * size)
    peer = Peer(FlashLog(device), 0, kinds={"readings": STREAM})
    for n in range(readings):
        peer.insert("readings", {"n": n}, 1000 + n)
    return bytes(device.cells)


def sector_of_version(version: int) -> bytes:
    head = b"Hg" + bytes((version, 0)) + (1).to_bytes(4, "big")
    head = head.ljust(HEADER - 4, b"\0")
    return head + binascii.crc32(head).to_bytes(4, "big")


def micropython(tmp_path: Path) -> Path:
    path = tmp_path / "micropython.bin"
    path.write_bytes(b"\xe9boot".ljust(0xF000, b"\xff") + b"\xe9program")
    return path


def put_micropython(chip: Chip, tmp_path: Path, consent: Consent | None = None) -> None:
    write_micropython(micropython(tmp_path), PROFILE, chip, consent or Consent())


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(HedgerowError) as caught:
        call()
    assert caught.value.code == "LOG_UNRECEIPTED"
    return caught.value.detail


# ---- MicroPython written with esptool: nobody can be asked, so the flash itself is


def test_an_erased_chip_is_written(tmp_path: Path) -> None:
    chip = Chip(())
    put_micropython(chip, tmp_path)
    assert chip_image.parse(chip.read(0x8000, 0xC00)) == PROFILE.table


@pytest.mark.parametrize("table", [(), STOCK_TABLE], ids=["no table", "stock table written over ours"])
def test_a_log_that_no_table_names_stays_where_it_is(table: Sequence[Partition], tmp_path: Path) -> None:
    chip = Chip(table)
    log = a_log(LOG.size, 40)
    chip.put(LOG, log)
    put_micropython(chip, tmp_path)
    assert chip.log() == log
    assert chip_image.parse(chip.read(0x8000, 0xC00)) == PROFILE.table


def test_our_own_file_system_stays_under_a_stock_table(tmp_path: Path) -> None:
    chip = Chip(STOCK_TABLE)
    files = PROFILE.table[3]
    superblock = b"\xff" * 8 + b"littlefs" + bytes(4) + (0x20001).to_bytes(4, "little")
    superblock += (4096).to_bytes(4, "little") + (files.size // 4096).to_bytes(4, "little")
    chip.put(files, superblock)
    put_micropython(chip, tmp_path)
    assert chip.read(files.offset, len(superblock)) == superblock


def test_a_log_elsewhere_is_read_before_it_goes(tmp_path: Path) -> None:
    chip = Chip(SHRUNK)
    log = a_log(0x100000, 3)
    chip.put(LOG, log)
    assert "3 readings" in refused(lambda: put_micropython(chip, tmp_path))
    assert chip.read(LOG.offset, len(log)) == log
    path = tmp_path / "export"
    path.write_bytes(a_log(0x100000, 3))
    assert "not of this log" in refused(lambda: put_micropython(chip, tmp_path, Consent(exported=path)))
    path.write_bytes(log)
    put_micropython(chip, tmp_path, Consent(exported=path))
    assert chip.log() == b"\xff" * LOG.size


def test_a_log_elsewhere_without_readings_goes(tmp_path: Path) -> None:
    chip = Chip(SHRUNK)
    chip.put(LOG, a_log(0x100000, 0))
    put_micropython(chip, tmp_path)
    assert chip.log() == b"\xff" * LOG.size


def test_what_is_left_of_a_discarded_log_is_blanked(tmp_path: Path) -> None:
    """Else the next change of the table would find sectors that no partition names."""
    far = (*STOCK_TABLE, Partition("hedgerow", 1, 0x40, 0x220000, 0x10000))
    chip = Chip(far)
    chip.put(far[-1], a_log(0x10000, 2))
    put_micropython(chip, tmp_path, Consent(discard=True))
    assert b"Hg" not in {chip.read(at, 2) for at in range(0x220000, 0x230000, 4096)}


def test_sectors_that_fit_nowhere_are_not_written_over(tmp_path: Path) -> None:
    chip = Chip(STOCK_TABLE)
    chip.put(Partition("", 1, 0, 0x300000, 0), a_log(0x10000, 2))
    assert "0x301000" in refused(lambda: put_micropython(chip, tmp_path))
    put_micropython(chip, tmp_path, Consent(discard=True))


@pytest.mark.parametrize(
    "sector", [sector_of_version(9), b"Hg\x09\x00\x00\x00\x00\x01" + bytes(28)], ids=["whole", "unknown"]
)
def test_a_log_of_another_version_elsewhere_is_kept(sector: bytes, tmp_path: Path) -> None:
    chip = Chip(SHRUNK)
    chip.put(Partition("", 1, 0, LOG.offset + 4096, 0), sector)
    assert "cannot be read" in refused(lambda: put_micropython(chip, tmp_path))


def test_an_encrypted_log_is_kept_from_a_table_that_reads_it_plain() -> None:
    chip = Chip(ENCRYPTED)
    assert "cannot be read" in refused(lambda: check_chip(chip, PROFILE, Consent()))
    check_chip(chip, PROFILE, Consent(discard=True))


# ---- on a board that answers


def flash(board: Board, firmware: Firmware, consent: Consent | None = None) -> Report:
    settings = {"name": "b1", "field": "celsius", "interval_ms": 50, "readings": 2}
    options = Options(config=settings, consent=consent or Consent(), start=False)
    return flash_board(board.port, options, lambda *step: None, firmware)


def test_a_log_of_another_version_is_not_outgrown(tmp_path: Path, firmware: Firmware) -> None:
    """The partition stays where it is, but the firmware to come could not read it."""
    with Board("b1", tmp_path / "b1", sensor=SensorSeries("celsius", ["20.5"])) as board, SideChannel(board):
        board.write_flash(LOG.offset + 4096, sector_of_version(7))
        board.power_on()
        assert "another version" in refused(lambda: flash(board, firmware))
        path = tmp_path / "export"
        path.write_bytes(board.read_flash(LOG.offset, LOG.size))
        report = flash(board, firmware, Consent(exported=path))
        assert (report.log_erased, report.table_written) == (True, False)
        board.reset()
        board.wait_for("ack 2 ", 20)


def test_a_stock_image_written_over_it_costs_nothing(
    tmp_path: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Board("b1", tmp_path / "b1", sensor=SensorSeries("celsius", ["20.5"])) as board, SideChannel(board):
        board.power_on()
        flash(board, firmware)
        board.reset()
        board.wait_for("ack 2 ", 20)
        board.mpremote("exec", "open('/notes.txt', 'w').close()")
        board.power_off()
        held = custody(open_image(board.read_flash(LOG.offset, LOG.size)))
        # As `esptool write-flash 0x1000 ESP32_GENERIC.bin` leaves it: MicroPython cannot mount its files,
        # says so for ever, and mpremote gets no word in.
        board.write_flash(0x8000, pack(STOCK_TABLE, PROFILE.flash_bytes))
        board.power_on()
        monkeypatch.setattr("hedgerow_cli.flashing.mpremote.FIRST_WORD_SECONDS", 2.0)
        with pytest.raises(HedgerowError) as caught:
            flash(board, firmware)
        assert caught.value.code == "MICROPYTHON_MISSING"
        monkeypatch.undo()
        options = Options(micropython=micropython(tmp_path), start=False)
        flash_board(board.port, options, lambda *step: None, firmware)
        after = custody(open_image(board.read_flash(LOG.offset, LOG.size)))
        assert after.covers(held)
        assert (after.author, after.readings) == (held.author, 2)
        assert "notes.txt" in board.mpremote("ls").stdout


def test_a_torn_header_makes_no_other_version(tmp_path: Path) -> None:
    data = bytearray(a_log(0x10000, 2))
    data[5 * 4096 : 5 * 4096 + 6] = b"Hg\x0f\xff\xff\xff"
    assert custody(open_image(bytes(data))).readings == 2


def test_a_table_that_only_differs_in_encryption_is_another(tmp_path: Path, firmware: Firmware) -> None:
    with Board("b1", tmp_path / "b1", sensor=SensorSeries("celsius", ["20.5"])) as board, SideChannel(board):
        board.power_on()
        flash(board, firmware)
        board.reset()
        board.wait_for("ack 2 ", 20)
        board.power_off()
        board.write_flash(0x8000, pack(ENCRYPTED, PROFILE.flash_bytes))
        board.power_on()
        board.wait_for("ack ", 20, since=len(board.console))
        refused(lambda: flash(board, firmware))
