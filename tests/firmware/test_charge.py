"""What a configuration says of a board's radio, on the real VM: how long a leaf listens, what a day takes."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from device_rig import SERIES, acks, check_log, errors, install
from keeper import Keeper

from hedgerow.mesh import frames
from hedgerow_boards.air import Air
from hedgerow_boards.board import Board

Boards = Callable[..., list[Board]]


def states(air: Air, board: Board) -> list[frames.State]:
    """The STATEs that a board has said."""
    found = []
    for frame in air.frames:
        if frame["kind"] == "adv" and frame["from"] == board.address:
            data = bytes.fromhex(frame["data"])
            at = frames.find(data)
            if at and data[at] & 15 == frames.STATE:
                found.append(frames.decode_state(data[at : frames.end(data, at)]))
    return found


@pytest.mark.slow
def test_a_leaf_listens_for_as_long_as_it_was_told(boards: Boards, firmware: Path, air: Air) -> None:
    made = boards(2, sensor=SERIES, air=air.path)
    windows = [300, 2000]
    for board, window in zip(made, windows, strict=True):
        install(board, firmware, role="leaf", sleep_ms=3000, window_ms=window, readings=1, seal_s=1)
    with Keeper(air.path):
        for board in made:
            board.wait_for("receipt ", 25)
    # Nothing is left to say now but that it is there.
    since = [board.console_count for board in made]
    for board, first in zip(made, since, strict=True):
        board.wait_for("wake ", 10, first)
    time.sleep(7)
    told = [{state.window for state in states(air, board)[-3:]} for board in made]
    print("\nwindows told, in tenths of a second:", told)
    assert max(told[0]) <= 3 and 15 <= min(told[1]) <= max(told[1]) <= 20
    for board, first, window in zip(made, since, windows, strict=True):
        woke = None
        for line in board.console[first:]:
            if line.text.startswith("wake "):
                woke = line.host_time
            elif line.text.startswith("sleep ") and woke is not None:
                assert line.host_time - woke >= window * 0.9 / 1000


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["esp32", "esp32c3"])
def test_a_board_listens_and_says_less_where_the_day_may_take_little(
    boards: Boards, firmware: Path, air: Air, profile: str
) -> None:
    made = boards(2, sensor=SERIES, air=air.path, profile=profile)
    for board, budget in zip(made, (0, 601), strict=True):
        install(board, firmware, interval_ms=200, readings=40, budget_mah=budget)
    for board in made:
        board.wait_for("ack 40 ", 25)
    time.sleep(3)
    free, bound = [air.stats()[board.address]["charge"] for board in made]
    print(f"\nmAh without and with a bound: {free}, {bound}")
    assert free["rx"] > 0.03
    # Beside being awake a day may take 1 mAh, and no more than an hour's part of it ahead.
    assert bound["rx"] + bound["tx"] < 1 / 24
    for board in made:
        assert len(acks(board)) == 40
        assert errors(board) == []
        board.power_off()
        assert len(check_log(board)) == 40
