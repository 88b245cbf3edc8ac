"""`hedgerow flash` on emulated boards, through real mpremote."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import hedgerow

from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board
from hedgerow_boards.partition_table import Partition, pack
from hedgerow_boards.profiles import PROFILES, STOCK_TABLE
from hedgerow_boards.sensor import SensorSeries
from hedgerow_cli.flashing import probe
from hedgerow_cli.flashing.flash import Firmware, Options, Report, flash_board
from hedgerow_cli.flashing.guard import Consent
from hedgerow_cli.flashing.image import image_pieces
from hedgerow_cli.flashing.mpremote import restart
from hedgerow_cli.flashing.probe import open_readings
from hedgerow_cli.flashing.side_channel import SideChannel

PROFILE = PROFILES["esp32"]
LOADER = b"\xe9boot loader"
PROGRAM = b"\xe9program"


def image(loader: bytes = LOADER, program: bytes = PROGRAM) -> bytes:
    """What a MicroPython image for the ESP32 looks like from outside."""
    return loader.ljust(0x7000, b"\xff") + b"\x55" * 0x1000 + b"\xff" * 0x7000 + program


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[Board]:
    """A board as bought, with a sensor, whose flash can be written from outside."""
    series = SensorSeries("celsius", ["20.5", "20.75"])
    with Board("stock", tmp_path / "stock", stock=True, sensor=series) as board, SideChannel(board):
        board.power_on()
        yield board


def flash(board: Board, firmware: Firmware, **options: object) -> Report:
    steps: list[str] = []
    report = flash_board(
        board.port,
        Options(**options),
        lambda what, done, total: steps.append(what),
        firmware,  # type: ignore[arg-type]
    )
    assert steps[-1] == "done"
    return report


def write(board: Board, path: str, mode: str, text: str) -> None:
    board.mpremote("exec", f"with open({path!r}, {mode!r}) as file:\n    file.write({text!r})")


def settings(readings: int) -> dict[str, object]:
    return {"name": "b1", "field": "celsius", "interval_ms": 50, "readings": readings}


def test_a_board_as_bought_records_after_flashing(stock: Board, firmware: Firmware) -> None:
    stock.mpremote("exec", "import os; os.mkdir('/my')")
    write(stock, "/my/notes.txt", "w", "mine")
    report = flash(stock, firmware, config=settings(3), start=False)
    assert report.table_written
    assert report.sent == report.files == 4
    assert report.bytes_sent > firmware.rom.size > 100_000
    assert stock.partitions == PROFILE.table
    assert stock.mpremote("cat", ":/my/notes.txt").stdout == "mine"
    stock.reset()
    stock.wait_for("ack 3 ", 15)
    assert [line.text.split("value=")[1] for line in stock.console if line.text.startswith("ack ")] == [
        "20.5",
        "20.75",
        "20.5",
    ]


def test_flashing_again_sends_nothing_and_keeps_log_and_identity(stock: Board, firmware: Firmware) -> None:
    flash(stock, firmware, config=settings(2), start=False)
    stock.reset()
    boot = stock.wait_for("boot ", 15).text
    stock.wait_for("ack 2 ", 15)
    since = stock.console_count
    again = flash(stock, firmware)
    assert (again.sent, again.bytes_sent, again.table_written) == (0, 0, False)
    stock.reset()
    assert stock.wait_for("boot ", 15, since).text.split()[2] == boot.split()[2]


def test_only_what_differs_is_sent_and_what_is_gone_is_removed(
    stock: Board, firmware: Firmware, tmp_path: Path
) -> None:
    flash(stock, firmware, config=settings(1), start=False)
    stock.mpremote("mkdir", ":/lib", "+", "mkdir", ":/lib/hedgerow", "+", "mkdir", ":/lib/hedgerow/codec")
    write(stock, "/lib/hedgerow/codec/old.mpy", "w", "of a version that lay there")
    write(stock, "/lib/mine.py", "w", "mine")
    write(stock, "/main.py", "a", "# edited")
    report = flash(stock, firmware, name="renamed", start=False)
    assert report.sent == 2
    assert stock.mpremote("ls", "/lib").stdout.split() == ["ls", ":/lib", "4", "mine.py"]
    kept = json.loads(stock.mpremote("cat", ":/hedgerow.json").stdout)
    assert kept == {**settings(1), "name": "renamed"}


def test_a_table_of_a_former_version_leaves_the_log_where_it_is(stock: Board, firmware: Firmware) -> None:
    former = (
        *STOCK_TABLE,
        Partition("vfs", 1, 0x81, 0x200000, 0x80000),
        Partition("hedgerow", 1, 0x40, 0x280000, 0x180000),
    )
    stock.power_off()
    stock.write_flash(0x8000, pack(former, PROFILE.flash_bytes))
    stock.write_flash(0x200000, b"\xff" * 0x200000)
    stock.write_flash(0x280000, b"a log")
    stock.power_on()
    write(stock, "/notes.txt", "w", "mine")
    assert flash(stock, firmware, start=False).table_written
    assert stock.partitions == PROFILE.table
    assert stock.read_flash(0x280000, 5) == b"a log"
    assert stock.mpremote("cat", ":/notes.txt").stdout == "mine"


def test_a_smaller_partition_of_the_firmware_makes_way_and_the_log_goes_on(
    stock: Board, firmware: Firmware
) -> None:
    flash(stock, firmware, config=settings(2), start=False)
    stock.reset()
    boot = stock.wait_for("boot ", 15).text
    stock.wait_for("ack 2 ", 15)
    stock.power_off()
    held = stock.read_flash(0x280000, 0x180000)
    former = (
        *STOCK_TABLE,
        Partition("vfs", 1, 0x81, 0x200000, 0x40000),
        Partition("romfs", 1, 0x8F, 0x240000, 0x40000),
        PROFILE.table[-1],
    )
    stock.write_flash(0x8000, pack(former, PROFILE.flash_bytes))
    stock.write_flash(0x200000, b"\xff" * 0x80000)
    stock.power_on()
    room = (
        "with open('/my.bin', 'wb') as file:\n    for n in range(%d):\n        file.write(bytes([n]) * 1024)"
    )
    stock.mpremote("exec", room % 124)
    with pytest.raises(HedgerowError, match="1 files, 160 KiB") as caught:
        flash(stock, firmware, config=settings(3), start=False)
    assert caught.value.code == "FILES_TOO_LARGE"
    assert stock.partitions == former
    stock.mpremote("exec", room % 64)
    assert flash(stock, firmware, config=settings(3), start=False).table_written
    assert stock.partitions == PROFILE.table
    assert stock.read_flash(0x280000, 0x180000) == held
    there = stock.mpremote("exec", "d = open('/my.bin', 'rb').read(); print(len(d), d[-1])").stdout
    assert there.split() == [str(64 * 1024), "63"]
    since = stock.console_count
    stock.reset()
    assert stock.wait_for("boot ", 15, since).text.split()[2] == boot.split()[2]
    stock.wait_for("ack 3 ", 15, since)


def test_a_deploy_that_loses_power_is_named_and_mended(stock: Board, firmware: Firmware) -> None:
    flash(stock, firmware, config=settings(0), start=False)
    deploy = [
        sys.executable,
        "-m",
        "mpremote",
        "connect",
        stock.port,
        "romfs",
        "deploy",
        str(firmware.rom.local),
    ]
    for after in (1_000, 50_000, firmware.rom.size - 4):
        stock.cut_power(after_bytes=after, partition="romfs")
        with subprocess.Popen(deploy, stdout=subprocess.DEVNULL) as process:
            stock.wait_power_cut(20)
            process.kill()
        since = stock.console_count
        stock.power_on()
        stock.wait_for("error FIRMWARE_INCOMPLETE", 10, since)
    report = flash(stock, firmware, start=False)
    assert (report.sent, report.bytes_sent) == (1, firmware.rom.size)
    stock.reset()
    stock.wait_for("ack 3 ", 15)


def test_a_micropython_without_romfs_is_refused(
    stock: Board, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = probe.board_state
    monkeypatch.setattr(probe, "board_state", lambda *what: dataclasses.replace(asked(*what), has_rom=False))
    with pytest.raises(HedgerowError) as caught:
        flash(stock, firmware)
    assert caught.value.code == "MICROPYTHON_OLD"
    assert stock.partitions == STOCK_TABLE


def test_a_log_with_readings_is_not_moved(stock: Board, firmware: Firmware) -> None:
    flash(stock, firmware, config=settings(2), start=False)
    stock.reset()
    stock.wait_for("ack 2 ", 15)
    moved = (*PROFILE.table[:-1], Partition("hedgerow", 1, 0x40, 0x280000, 0x100000))
    stock.power_off()
    stock.write_flash(0x8000, pack(moved, PROFILE.flash_bytes))
    stock.power_on()
    with pytest.raises(HedgerowError) as caught:
        flash(stock, firmware)
    assert caught.value.code == "LOG_UNRECEIPTED"
    assert "2 readings" in caught.value.detail
    assert stock.partitions == moved
    assert open_readings(stock.port) == 2
    assert flash(stock, firmware, consent=Consent(discard=True)).table_written
    assert stock.partitions == PROFILE.table


def test_a_blank_log_may_move(stock: Board, firmware: Firmware) -> None:
    moved = (
        *STOCK_TABLE,
        Partition("vfs", 1, 0x81, 0x200000, 0x40000),
        Partition("hedgerow", 1, 0x40, 0x240000, 0x10000),
    )
    stock.power_off()
    stock.write_flash(0x8000, pack(moved, PROFILE.flash_bytes))
    stock.write_flash(0x200000, b"\xff" * 0x200000)
    stock.power_on()
    assert flash(stock, firmware).table_written


def test_a_table_with_other_programs_is_refused(stock: Board, firmware: Firmware) -> None:
    foreign = (
        *STOCK_TABLE[:2],
        Partition("ota_0", 0, 0x10, 0x10000, 0x180000),
        Partition("vfs", 1, 0x81, 0x200000, 0x80000),
    )
    stock.power_off()
    stock.write_flash(0x8000, pack(foreign, PROFILE.flash_bytes))
    stock.write_flash(0x200000, b"\xff" * 0x2000)
    stock.power_on()
    with pytest.raises(HedgerowError, match="ota_0 at 0x10000") as caught:
        flash(stock, firmware)
    assert caught.value.code == "TABLE_FOREIGN"
    assert stock.partitions == foreign


def test_micropython_is_written_around_the_keys(stock: Board, firmware: Firmware, tmp_path: Path) -> None:
    path = tmp_path / "micropython.bin"
    path.write_bytes(image())
    stock.power_off()
    stock.write_flash(0x9000, b"keys")
    stock.power_on()
    report = flash(stock, firmware, micropython=path, start=False)
    assert report.micropython_written
    assert stock.read_flash(0x1000, len(LOADER)) == LOADER
    assert stock.read_flash(0x10000, len(PROGRAM)) == PROGRAM
    assert stock.read_flash(0x9000, 4) == b"keys"
    assert stock.partitions == PROFILE.table


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\x7fELF" * 100,
        image(loader=b"x"),
        image(program=b"x"),
        image(program=PROGRAM + bytes(0x1F0000)),
    ],
    ids=["empty", "not an image", "no boot loader", "no program", "too long"],
)
def test_a_file_that_is_no_image_is_refused(broken: bytes) -> None:
    with pytest.raises(HedgerowError) as caught:
        image_pieces(broken, PROFILE)
    assert caught.value.code == "IMAGE_INVALID"


def test_an_image_for_another_chip_is_refused() -> None:
    with pytest.raises(HedgerowError, match="no boot loader at 0x0 or no program"):
        image_pieces(image(), PROFILES["esp32c3"])


def test_a_board_without_micropython_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hedgerow_cli.flashing.mpremote.FIRST_WORD_SECONDS", 2.0)
    master, slave = os.openpty()
    try:
        port = os.ttyname(slave)
        done = hedgerow("flash", "--port", port, status=1)
    finally:
        os.close(master)
        os.close(slave)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"MICROPYTHON_MISSING: {port}: ")
    assert "micropython.org/download" in line
    assert "--micropython IMAGE" in line


def test_esptools_failure_is_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "micropython.bin"
    path.write_bytes(image())
    done = hedgerow("flash", "--port", str(tmp_path / "no-port"), "--micropython", str(path), status=1)
    assert done.stderr.startswith("ESPTOOL_FAILED: ")
    assert "no-port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--port", "/dev/no-such-port"], "PORT_UNUSABLE"),
        (["--port", "/dev/no-such-port", "--board", "pico"], "PROFILE_UNKNOWN"),
    ],
)
def test_what_cannot_be_flashed_is_refused(arguments: list[str], code: str) -> None:
    assert hedgerow("flash", *arguments, status=1).stderr.startswith(f"{code}: ")


def test_a_configuration_that_is_no_json_is_refused(stock: Board, firmware: Firmware, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{")
    with pytest.raises(HedgerowError) as caught:
        flash(stock, firmware, config=path)
    assert caught.value.code == "CONFIG_INVALID"
    assert stock.partitions == STOCK_TABLE


def test_the_command_reports_as_json(stock: Board) -> None:
    report = json.loads(hedgerow("flash", "--port", stock.port, "--name", "x", "--json").stdout)
    assert report["sent"] == report["files"] == 4
    assert report["table_written"] is True
    assert report["started"] is True
    stock.wait_for("boot ", 15)


def test_a_board_is_through_its_reset_when_restart_returns(stock: Board) -> None:
    """What follows at once would meet its last tenth of a second, or be lost in it."""
    for _ in range(3):
        stock.mpremote("exec", "before = 1")
        restart(stock.port)
        assert stock.mpremote("resume", "exec", "print('before' in globals())").stdout == "False\n"
