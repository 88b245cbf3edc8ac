"""pytest fixtures for firmware on emulated boards: `board`, `boards` and `air`.

Installed with the package, so a project's tests just name them:

    def test_blinks(board):
        board.mpremote("run", "blink.py")
        assert board.pin(2) == 1

The report of a test that fails has what its boards printed last. Nothing is imported for a test that names
none of them.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hedgerow_boards.air import Air
    from hedgerow_boards.board import Board

_MADE: pytest.StashKey[list[Board]] = pytest.StashKey()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what its boards printed to the report of a test that fails."""
    report = yield
    if report.when == "call" and report.failed:
        for board in item.stash.get(_MADE, []):
            report.sections.append((f"console of {board.name}", _printed(board)))
    return report


def _printed(board: Board) -> str:
    """Return the last lines of a board's console, with the time of day."""
    from hedgerow_boards.console import SHOWN

    return "\n".join(
        f"{time.strftime('%H:%M:%S', time.localtime(line.host_time))} {line.text}"
        for line in board.console[-SHOWN:]
    )


@pytest.fixture
def boards(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., list[Board]]]:
    """Factory of emulated boards: `boards(3, profile="esp32c3", air=air.path)` returns three that are on.

    Keyword arguments go to `Board`. Names, addresses (c0:00:00:00:00:01 upwards) and directories
    under `tmp_path` are given out in order; `on=False` leaves the power off. All are closed at the
    end of the test.
    """
    from hedgerow_boards.board import Board

    with contextlib.ExitStack() as stack:
        made: list[Board] = []
        request.node.stash[_MADE] = made

        def make(count: int = 1, *, on: bool = True, **options: Any) -> list[Board]:
            new = []
            for _ in range(count):
                number = len(made) + 1
                defaults: dict[str, Any] = {"address": f"c0:00:00:00:00:{number:02x}", "seed": number}
                board = Board(f"board{number}", tmp_path / f"board{number}", **(defaults | options))
                made.append(stack.enter_context(board))
                new.append(board)
                if on:
                    board.power_on()
            return new

        yield make


@pytest.fixture
def board(boards: Callable[..., list[Board]]) -> Board:
    """One emulated ESP32, on, without Bluetooth and sensor; its port is `board.port`."""
    return boards()[0]


@pytest.fixture
def air() -> Iterator[Air]:
    """A running air; give its `path` to the boards (and gateways) that are to hear one another."""
    from hedgerow_boards.air import Air

    # Not under tmp_path: the name of a Unix socket may have only about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="air-") as folder:
        radio = Air(str(Path(folder, "air")))
        radio.start()
        try:
            yield radio
        finally:
            radio.stop()
