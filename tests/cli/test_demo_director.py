"""When the demo's power cuts begin: a busy machine may bring a board's first contact late."""

import time
from types import SimpleNamespace

import pytest

from hedgerow_cli.demo.director import Director
from hedgerow_cli.demo.options import READINGS_PER_CUT, DemoOptions


@pytest.mark.parametrize("cuts", [0, 8])
def test_power_cuts_begin_while_enough_is_left_to_record(cuts: int) -> None:
    options = DemoOptions(boards=1, readings=20, cuts=cuts, playground=True)
    armed: list[bool] = []
    board = SimpleNamespace(name="board1", power_cuts=0, cut_power=lambda **_: armed.append(True))
    acknowledged = range(options.readings_per_board - max(1, cuts * READINGS_PER_CUT))
    ledger = SimpleNamespace(board=board, met_time=False, acknowledged=acknowledged, reacknowledged=0)
    proxy = SimpleNamespace(connected=False)
    with Director(options, [ledger], proxy, lambda _: None):  # type: ignore[list-item, arg-type]
        until = time.monotonic() + 10
        while not armed and time.monotonic() < until:
            time.sleep(0.01)
    assert armed


def test_patience_is_how_much_longer_it_waits() -> None:
    assert DemoOptions(patience_s=60).limit_seconds == DemoOptions().limit_seconds + 60
