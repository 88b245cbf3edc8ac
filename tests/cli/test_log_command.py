"""`hedgerow log`: the log of an emulated board fetched by real mpremote, looked into, and delivered."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_kit import first_json, hedgerow, interrupt, running

from hedgerow.application import ReadyPeer
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP
from hedgerow_boards.board import Board
from hedgerow_boards.partition_table import Partition, pack
from hedgerow_boards.profiles import PROFILES
from hedgerow_boards.sensor import SensorSeries
from hedgerow_cli.big_peer_http import execute
from hedgerow_cli.flashing.flash import Firmware, Options, Report, flash_board
from hedgerow_cli.flashing.guard import Consent
from hedgerow_cli.flashing.side_channel import SideChannel
from hedgerow_cli.logfile import fetch as fetching
from hedgerow_cli.logfile.image import ImageDevice, custody, open_image
from hedgerow_device.flashlog import FlashLog

PROFILE = PROFILES["esp32"]
LOG = PROFILE.table[-1]
SECRET = "twenty-characters-at-least"
VALUES = [f"{20 + n}.5" for n in range(50)]
MOVED = (*PROFILE.table[:-1], Partition("hedgerow", 1, 0x40, 0x280000, 0x100000))


@pytest.fixture
def board(tmp_path: Path, firmware: Firmware) -> Iterator[Board]:
    """A board that has recorded four readings, at its REPL."""
    sensor = SensorSeries("celsius", VALUES)
    with Board("b1", tmp_path / "b1", sensor=sensor) as board, SideChannel(board):
        board.power_on()
        flash(board, firmware, 4)
        record(board, 4)
        yield board


def flash(board: Board, firmware: Firmware, readings: int, **options: object) -> Report:
    settings = {
        "name": "b1",
        "field": "celsius",
        "interval_ms": 50,
        "readings": readings,
        "mesh": "north:" + SECRET,
    }
    wanted = Options(config=settings, start=False, **options)  # type: ignore[arg-type]
    return flash_board(board.port, wanted, lambda *step: None, firmware)


def record(board: Board, count: int) -> None:
    since = board.console_count
    board.reset()
    board.wait_for(f"ack {count} ", 20, since)
    board.mpremote("exec", "pass")


def export(board: Board, path: Path, *options: str) -> dict[str, object]:
    done = hedgerow("log", "export", str(path), "--port", board.port, "--no-start", "--json", *options)
    note: dict[str, object] = json.loads(done.stdout)
    return note


def move(board: Board) -> None:
    """Another table, under which the log is shorter than ours would have it."""
    board.power_off()
    board.write_flash(0x8000, pack(MOVED, PROFILE.flash_bytes))
    board.power_on()


def test_an_export_is_the_log_bit_by_bit_and_says_what_it_is(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "b1.log"
    note = export(board, path)
    data = board.read_flash(LOG.offset, LOG.size)
    assert path.read_bytes() == data
    assert note["sha256"] == hashlib.sha256(data).hexdigest()
    assert (note["board"], note["mesh"], note["offset"]) == ("b1", "north", LOG.offset)
    assert SECRET not in fetching.note_of(path).read_text()
    # What was written last is sealed: a keeper can receipt all of it.
    (author,) = custody(open_image(data)).authors
    assert author.sealed == author.held == 5
    assert hedgerow("log", "export", str(path), "--port", board.port, status=1).stderr.startswith("LOG_IMAGE")


def test_an_export_without_seal_writes_nothing(board: Board, tmp_path: Path) -> None:
    before = board.read_flash(LOG.offset, LOG.size)
    export(board, tmp_path / "b1.log", "--no-seal")
    assert board.read_flash(LOG.offset, LOG.size) == before == (tmp_path / "b1.log").read_bytes()


def test_a_log_comes_out_of_an_image_of_the_flash_too(board: Board, tmp_path: Path) -> None:
    board.power_off()
    whole = tmp_path / "flash.bin"
    whole.write_bytes(board.read_flash(0, PROFILE.flash_bytes))
    done = hedgerow("log", "export", str(tmp_path / "log"), "--image", str(whole), "--json")
    assert json.loads(done.stdout)["offset"] == LOG.offset
    assert (tmp_path / "log").read_bytes() == board.read_flash(LOG.offset, LOG.size)


def test_show_and_read_say_what_lies_in_it(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "b1.log"
    export(board, path)
    shown = json.loads(hedgerow("log", "show", str(path), "--json").stdout)
    assert shown["sectors"] == LOG.size // 4096
    assert 0 < shown["open"] < shown["capacity"] < LOG.size
    assert shown["damaged"] == 0
    assert shown["authors"] == [
        {"author": shown["author"], "held": 5, "sealed": 5, "receipted": 0, "open_readings": 4}
    ]
    assert json.loads(hedgerow("log", "show", "--port", board.port, "--json").stdout) == shown
    text = hedgerow("log", "show", str(path)).stdout
    assert "open readings" in text
    rows = [json.loads(line) for line in hedgerow("log", "read", str(path)).stdout.splitlines()]
    assert [(row["number"], row["n"], row["celsius"]) for row in rows] == [
        (2 + n, 1 + n, float(VALUES[n])) for n in range(4)
    ]
    assert rows[0]["_id"] == [shown["author"], 2]
    table = list(csv.DictReader(io.StringIO(hedgerow("log", "read", str(path), "--csv").stdout)))
    assert [row["celsius"] for row in table] == VALUES[:4]


def test_ranges_that_are_missing_are_named(tmp_path: Path) -> None:
    device = ImageDevice(b"\xff" * 65536)
    log = FlashLog(device)
    other = b"elsewhen"
    for number in range(1, 6):
        log.append(ENTRY_OP, other, number, number, b"\x82\x46\0\0\0\0\0\1\x83\x03\x44abcd\x01")
    log.drop(other, 4, 5)
    path = tmp_path / "log"
    path.write_bytes(device.cells)
    rows = [json.loads(line) for line in hedgerow("log", "read", str(path)).stdout.splitlines()]
    assert [row.get("number") for row in rows] == [1, 2, 3, None]
    assert (rows[3]["first"], rows[3]["last"]) == (4, 5)
    assert rows[3]["missing"] == "dropped by this board to make room"


def test_what_is_confidential_is_named_and_not_read(tmp_path: Path) -> None:
    """SPEC 11.17."""
    device = ImageDevice(b"\xff" * 65536)
    log = FlashLog(device)
    author = ReadyPeer(log, lambda: 1000)
    author.collection_keys = CollectionKeys(author.author, [["visits", 1, bytes(32)]])
    author.insert("visits", {"who": "Ada"}, 1000)
    path = tmp_path / "log"
    path.write_bytes(device.cells)
    assert b"Ada" not in device.cells
    (row,) = [json.loads(line) for line in hedgerow("log", "read", str(path)).stdout.splitlines()]
    assert (row["collection"], row["confidential"], row["number"]) == ("visits", True, 2)
    assert "who" not in row


def test_every_reading_of_an_export_arrives_once(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "b1.log"
    export(board, path)
    before = path.read_bytes()
    arguments = [
        "bigpeer",
        "run",
        "--data",
        str(tmp_path / "big"),
        "--port",
        "0",
        "--json",
        "--mesh",
        "north",
    ]
    with running(*arguments, log=tmp_path / "log-of-big") as process:
        url = first_json(process)["ready"]
        for sent in (5, 0):
            done = json.loads(hedgerow("log", "deliver", str(path), url, "--json").stdout)
            assert (done["readings_before"], done["operations_sent"]) == (4, sent)
            assert (done["readings_after"], done["unsealed"]) == (0, 0)
            answer = execute(url, "SELECT celsius FROM readings ORDER BY celsius", {}, 10)
            assert [str(item["celsius"]) for item in answer["items"]] == VALUES[:4]
        assert interrupt(process) == 0
    assert path.read_bytes() == before


def test_a_delivery_to_nobody_says_what_is_left(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "b1.log"
    export(board, path)
    done = hedgerow("log", "deliver", str(path), "http://127.0.0.1:1", "--patience", "0", status=1)
    assert done.stderr.startswith("LOG_DELIVERY: 4 readings are open: ")
    done = hedgerow("log", "deliver", str(path), "ftp://x", status=1)
    assert done.stderr.startswith("ARGUMENTS_INVALID")


def test_an_export_lets_the_log_move(board: Board, firmware: Firmware, tmp_path: Path) -> None:
    move(board)
    path = tmp_path / "b1.log"
    export(board, path)
    since = board.console_count
    report = flash(board, firmware, 4, consent=Consent(exported=path))
    assert report.table_written
    assert board.partitions == PROFILE.table
    # The board begins a new log there, under a new name; its first boot may be cut off by the reset.
    board.reset()
    board.wait_for("boot ", 60, since)
    fresh, saved = (
        custody(open_image(data)) for data in (board.read_flash(LOG.offset, LOG.size), path.read_bytes())
    )
    assert fresh.author != saved.author


def test_an_older_export_does_not(board: Board, firmware: Firmware, tmp_path: Path) -> None:
    move(board)
    path = tmp_path / "b1.log"
    export(board, path)
    board.mpremote("exec", "import json; s = json.load(open('/hedgerow.json')); s['readings'] = 6\n"
                   "with open('/hedgerow.json', 'w') as file:\n    json.dump(s, file)")  # fmt: skip
    record(board, 6)
    with pytest.raises(HedgerowError, match="older than its newest readings") as caught:
        flash(board, firmware, 6, consent=Consent(exported=path))
    assert caught.value.code == "LOG_UNRECEIPTED"
    assert board.partitions == MOVED


def test_an_export_of_another_board_does_not(board: Board, firmware: Firmware, tmp_path: Path) -> None:
    device = ImageDevice(b"\xff" * 65536)
    FlashLog(device)
    (tmp_path / "other").write_bytes(device.cells)
    move(board)
    with pytest.raises(HedgerowError, match="not of this log"):
        flash(board, firmware, 4, consent=Consent(exported=tmp_path / "other"))


def test_more_clock_records_do_not_make_an_export_too_old(
    board: Board, firmware: Firmware, tmp_path: Path
) -> None:
    move(board)
    path = tmp_path / "b1.log"
    export(board, path)
    since = board.console_count
    board.reset()
    board.wait_for("boot ", 10, since)
    assert flash(board, firmware, 4, consent=Consent(exported=path)).table_written


def test_a_line_that_arrives_broken_is_noticed(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_sector", lambda line: b"\xff" * 4096)
    with pytest.raises(HedgerowError) as caught:
        fetching.fetch(board.port, lambda *step: None)
    assert caught.value.code == "LOG_FETCH"


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff" * 65536)
    for command in ("show", "read"):
        assert hedgerow("log", command, str(path), status=1).stderr.startswith("LOG_IMAGE")
    fetching.note_of(path).write_text('{"board": "b"}')
    assert hedgerow("log", "show", str(path), status=1).stderr.startswith("LOG_IMAGE")
    assert hedgerow("log", "show", str(tmp_path / "none"), status=1).stderr.startswith("LOG_IMAGE")
