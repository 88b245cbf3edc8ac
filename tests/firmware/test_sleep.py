"""A leaf in deep sleep: what one wake leaves to the next, and what makes a wake a boot like any other."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from device_rig import SERIES, acks, errors, install, open_image, readings

from hedgerow.log import ENTRY_OP
from hedgerow.operation import CLOCK, decode_body
from hedgerow_boards.board import Board

Boards = Callable[..., list[Board]]
PERIOD_MS = 400


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def clock_records(board: Board) -> list[list[object]]:
    """The board's own clock records: [kind, boot, uptime, base, source, UTC, error]."""
    log = open_image(board)
    bodies = [body for kind, _, _, body in log.read(log.author, 0, 0, 1 << 30) if kind == ENTRY_OP]
    changes = [decode_body(body)[1][0] for body in bodies]
    return [change for change in changes if change[0] == CLOCK]


def began(board: Board) -> list[str]:
    return [line.text for line in board.console if line.text.startswith(("boot ", "wake "))]


def test_each_wake_records_once_and_goes_on_with_the_boot_before(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, role="leaf", sleep_ms=PERIOD_MS)
    board.wait_for("ack 6 ", 20)
    wait_until(lambda: board.sleeps >= 6)
    board.power_off()
    author = open_image(board).author.hex()
    assert began(board)[:3] == [
        f"boot 1 author={author}",
        f"wake 1 author={author}",
        f"wake 1 author={author}",
    ]
    assert set(errors(board)) <= {"BLE_UNAVAILABLE"}
    held = readings(open_image(board))
    assert [ack.n for ack in held] == list(range(1, len(held) + 1))
    assert len(clock_records(board)) == 1
    # Each wake is a turn of the grid later than the first, whatever the wakes took.
    log = open_image(board)
    stamps = []
    for kind, _, _, body in log.read(log.author, 1, 0, 1 << 30):
        if kind == ENTRY_OP:
            stamps.append(int.from_bytes(decode_body(body)[0][:6], "big"))
    turns = [(stamp - stamps[0]) / PERIOD_MS for stamp in stamps[1:]]
    assert turns == sorted(turns)
    assert len(turns) <= turns[-1] + 1, "more wakes than turns of the grid"
    assert turns[-1] <= board.sleeps * 3, "the uptime has run away"


def test_without_power_the_wake_is_a_boot_from_the_log(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, role="leaf", sleep_ms=PERIOD_MS)
    board.wait_for("ack 2 ", 20)
    board.reset()
    board.wait_for("boot 2 ", 10)
    count = acks(board)[-1].n
    board.wait_for(f"ack {count + 1} ", 10)


@pytest.mark.parametrize("damage", ["bit", "short", "foreign"])
def test_rtc_memory_that_is_not_whole_makes_a_boot(boards: Boards, firmware: Path, damage: str) -> None:
    (board,) = boards(sensor=SERIES)
    install(board, firmware, role="leaf", sleep_ms=PERIOD_MS, readings=1)
    board.wait_for("wake 1 ", 20)
    change = {
        "bit": "m = bytearray(r.memory()); m[40] ^= 1; r.memory(m)",
        "short": "r.memory(r.memory()[:30])",
        "foreign": "r.memory(b'of another program, whatever it is, long enough to be taken for it' * 2)",
    }[damage]
    # Before the firmware looks at it.
    line = f"import machine; r = machine.RTC()\nif machine.reset_cause() == 4: {change}\n"
    board.mpremote("exec", f"f = open('boot.py', 'a'); f.write({line!r}); f.close()")
    since = board.console_count
    board.mpremote("reset")
    board.wait_for("boot 2 ", 10, since)
    board.wait_for("boot 3 ", 10, since)
    assert not [line for line in board.console[since:] if line.text.startswith("wake ")]
