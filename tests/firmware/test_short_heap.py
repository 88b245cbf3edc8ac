"""A board whose application takes the memory: sessions wait, and in the end the engine makes room."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from device_rig import SERIES, errors, install
from keeper import Keeper

from hedgerow_boards.air import Air
from hedgerow_boards.board import Board

Boards = Callable[..., list[Board]]
#: Takes memory in pieces until so much is left, and says so; holds it for some seconds, and with `more` takes
#: what others give back, as long as there is an engine.
APP = """
import asyncio, gc, sys
def take(held):
    gc.collect()
    try:
        while gc.mem_free() > %d:
            held = (held, bytearray(160))
    except MemoryError:
        pass
    return held
async def main(peer):
    for n in range(20):
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"n": n + 1})
    await asyncio.sleep_ms(1500)
    held = take(None)
    print("held")
    for _ in range(%d):
        await asyncio.sleep_ms(100)
        if "hedgerow.sync.session" in sys.modules:
            print("session")
        if %s and "hedgerow.mesh.mesh" in sys.modules:
            held = take(held)
    held = None
    print("let go", "hedgerow.mesh.mesh" in sys.modules)
    while True:
        await asyncio.sleep_ms(1000)
"""


def start(boards: Boards, firmware: Path, air: Air, left: int, turns: int, *, more: bool = False) -> Board:
    """A relay that leaves so many bytes for so many tenths of a second."""
    (board,) = boards(sensor=SERIES, air=air.path, profile="esp32c3")
    app = board.directory / "app.py"
    app.write_text(APP % (left, turns, more))
    install(board, firmware)
    board.mpremote("cp", str(app), ":/app.py", "+", "reset")
    return board


@pytest.mark.slow
def test_no_session_is_begun_for_which_there_is_no_room(boards: Boards, firmware: Path, air: Air) -> None:
    board = start(boards, firmware, air, 18_000, 60)
    board.wait_for("held", 20)
    time.sleep(1.5)
    with Keeper(air.path) as keeper:
        let_go = board.wait_for("let go", 20)
        lines = [line.text for line in board.console]
        assert "session" not in lines[: lines.index(let_go.text)]
        assert keeper.connections <= 1
        board.wait_for("receipt ", 20)
    assert errors(board) == []


@pytest.mark.slow
def test_an_engine_for_which_memory_fails_makes_room(boards: Boards, firmware: Path, air: Air) -> None:
    board = start(boards, firmware, air, 1500, 80, more=True)
    board.wait_for("held", 20)
    with Keeper(air.path):
        assert board.wait_for("let go", 30).text == "let go False"
        board.wait_for("receipt ", 20)
    assert 1 <= len(errors(board)) < 10
    assert set(errors(board)) == {"DEVICE_MEMORY"}
