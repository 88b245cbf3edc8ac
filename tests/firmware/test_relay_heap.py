"""A relay of the smallest chip at the load of the demo: four boards that record four times a second."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from device_rig import SERIES, install
from keeper import Keeper

from hedgerow_boards.air import Air
from hedgerow_boards.board import Board

Boards = Callable[..., list[Board]]
KEEPER_ADDRESS = "e0:00:00:00:00:01"
INTERVAL_MS = 250
BACKLOG, SECONDS = 40, 14
#: Bytes of the emulated heap, whose words are twice as long as those of the chip. A host with nothing else to
#: do leaves 14,000 to 17,000; on a busy one more comes at a time, and 9,900 were left.
LEAST_FREE = 8_000


@pytest.mark.slow
def test_memory_lasts_for_a_relay_of_others(boards: Boards, firmware: Path, air: Air) -> None:
    (near,) = boards(1, sensor=SERIES, air=air.path, profile="esp32c3")
    others = boards(3, sensor=SERIES, air=air.path, profile="esp32")
    # All goes through the relay; the last one hears nobody else.
    for board in others:
        air.block(KEEPER_ADDRESS, board.address)
    for board in others[:-1]:
        air.block(board.address, others[-1].address)
    install(near, firmware, interval_ms=INTERVAL_MS, seal_s=3)
    near.mpremote("cp", str(Path(__file__).with_name("relay_app.py")), ":/app.py", "+", "reset")
    for board in others:
        install(board, firmware, interval_ms=INTERVAL_MS, seal_s=3)
    # So much that the keeper connects for it: what comes bit by bit needs no session.
    near.wait_for(f"ack {BACKLOG}", 60)
    with Keeper(air.path) as keeper:
        time.sleep(SECONDS)
        # One that ran to its end, while all of them went on.
        near.wait_for("session", 90)
        near.wait_for("alone", 90)
    least = [int(line.text.split()[1]) for line in near.console if line.text.startswith("free ")][-1]
    print(f"\n{keeper.connections} sessions with the keeper; at least {least} bytes were free")
    assert not [line.text for line in near.console if line.text.startswith("error ")]
    assert least >= LEAST_FREE
