"""A board's health document: on boards that stay awake and that sleep, over resets, in the flash log."""

import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from device_rig import SERIES, acks, errors, install, open_image

from hedgerow.codec.schema import HEALTH, Schema
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, STATE_SCHEMA
from hedgerow.operation import CLOCK, decode_body
from hedgerow_boards.board import Board
from hedgerow_device.config import check

Boards = Callable[..., list[Board]]
ROOT = Path(__file__).parents[2]


def health(board: Board) -> list[dict[str, object]]:
    """The health documents that the board has written, in order."""
    log = open_image(board)
    schemas = {key: Schema.decode(value) for key, value in log.items(STATE_SCHEMA)}
    found = []
    for kind, _, _, body in log.read(log.author, 0, 0, 1 << 30):
        change = decode_body(body)[1][0] if kind == ENTRY_OP else [CLOCK]
        if change[0] != CLOCK and schemas[change[1]].collection == HEALTH:
            assert change[2] == log.author
            found.append(schemas[change[1]].unpack(change[3]))
    return found


def written(board: Board, count: int) -> list[dict[str, object]]:
    """Wait until so many are in the flash; return them."""
    deadline = time.monotonic() + 40
    while len(found := health(board)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def test_a_board_tells_its_health_again_after_a_reset(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    board.set_analog(34, 32768)
    settings = {"health_s": 1, "place": "12.5,3", "voltage_pin": 34, "voltage_percent": 200}
    install(board, firmware, interval_ms=500, **settings)
    (first,) = written(board, 1)[:1]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    named = {"name": board.name, "firmware": version, "place": "12.5,3", "voltage_mv": 3300}
    assert named.items() <= first.items() and first["due_s"] == 1
    assert first["boots"] == 1 and first["reset"] in ("power-on", "soft", "hard")
    assert isinstance(first["heap_free"], int) and 10_000 < first["heap_free"] < 4_000_000
    assert first["log"] == 0 and isinstance(first["uptime_s"], int)
    before = len(health(board))
    board.reset()
    last = written(board, before + 1)[-1]
    assert (last["boots"], last["reset"]) == (2, "power-on")
    assert set(errors(board)) <= {"BLE_UNAVAILABLE"}


def test_a_board_that_sleeps_tells_it_once_a_turn(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, role="leaf", sleep_ms=400, health_s=4)
    told = written(board, 2)
    assert board.sleeps >= 8 * (len(told) - 1)
    assert told[-1]["due_s"] == 4 and told[-1]["reset"] == "deep-sleep"
    assert [int(str(row["uptime_s"])) // 4 for row in told] == list(range(1, len(told) + 1))


def test_a_pin_that_is_no_analogue_input_is_named_and_left_out(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, interval_ms=100, health_s=1, voltage_pin=63)
    told = written(board, 2)
    assert {"voltage_mv", "name", "boots"} & set(told[-1]) == {"name", "boots"}
    named = [line.text for line in board.console if line.text.startswith("error CONFIG_INVALID")]
    assert len(named) >= 2 and "voltage_pin 63" in named[0]
    since = acks(board)[-1].n
    board.wait_for(f"ack {since + 5} ", 20)
    assert set(errors(board)) <= {"CONFIG_INVALID", "BLE_UNAVAILABLE"}


#: Has what a board tells of itself, or how full its log is, fail in ways that nobody thinks of.
FAULTS = {
    "storage": ("DEVICE_FAULT TypeError", "peer.storage = None"),
    "voltage": (
        "DEVICE_FAULT TypeError",
        "peer.settings.update({'voltage_pin': 34, 'voltage_percent': peer})",
    ),
    "name": ("CBOR_TYPE", "peer.settings['name'] = peer"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_in_it_the_board_goes_on(boards: Boards, firmware: Path, fault: str) -> None:
    code, statement = FAULTS[fault]
    (board,) = boards()
    app = board.directory / "app.py"
    app.write_text(
        "import asyncio\n\nasync def main(peer):\n"
        f"    {statement}\n"
        "    for at in range(1000):\n"
        "        await asyncio.sleep_ms(500)\n"
        "        peer.execute('INSERT INTO readings DOCUMENTS (:r)', r={'n': at})\n"
        "        print('wrote', at)\n"
    )
    board.mpremote("cp", str(app), ":/app.py")
    install(board, firmware, health_s=2)
    since = 0
    # It is tried again in its turn, and fails again.
    for _ in range(2):
        board.wait_for(f"error {code}", 20, since)
        since = board.console_count
        board.wait_for("wrote ", 20, since)
    assert health(board) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"place": "x" * 65},
        {"health_s": -1},
        {"voltage_pin": 64},
        {"voltage_percent": 0},
        {"mesh": ":" + "s" * 20},
        {"mesh": "name:" + "s" * 19},
    ],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    assert check({"name": "fern", "place": "geo:48.2,16.3", "mesh": "n:" + "s" * 20})["health_s"] == 3600
    with pytest.raises(HedgerowError, match=f"CONFIG_INVALID.*{next(iter(wrong))}"):
        check({"name": "fern", **wrong})
