"""What cannot work is refused before anything is started or written."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board
from hedgerow_boards.profiles import PROFILES
from hedgerow_cli.emulation import load_series
from hedgerow_cli.flashing import side_channel
from hedgerow_cli.flashing.flash import Options, flash_board
from hedgerow_cli.flashing.guard import Consent
from hedgerow_cli.flashing.image import write_micropython
from hedgerow_cli.flashing.programmer import Programmer
from hedgerow_cli.flashing.side_channel import SideChannel


def _code(call: Callable[[], object]) -> str:
    with pytest.raises(HedgerowError) as refused:
        call()
    return refused.value.code


@pytest.mark.parametrize("name", ["n", "board", "_time", "x" * 65])
def test_a_series_whose_name_a_reading_cannot_carry(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data.csv"
    data.write_text(f"time,{name}\n1,2.5\n")
    assert _code(lambda: load_series(data)) == "SERIES_INVALID"
    data.write_text("time,level\n1,2.5\n")
    assert load_series(data).name == "level"


def test_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    tool = cast(Programmer, None)
    image = tmp_path / "none.bin"
    profile = PROFILES["esp32"]
    assert _code(lambda: write_micropython(image, profile, tool, Consent())) == "IMAGE_INVALID"


def test_a_write_beyond_the_flash_writes_nothing(board: Board) -> None:
    with SideChannel(board):
        path = side_channel.socket_of(board.port)
        before = board.image.read_bytes()
        pieces = [(0x8000, b"\0" * 4096), (board.profile.flash_bytes, b"\0")]
        assert _code(lambda: side_channel.write(path, pieces)) == "FLASH_RANGE"
        assert board.image.read_bytes() == before


def test_a_configuration_that_the_board_would_refuse(board: Board) -> None:
    with SideChannel(board):
        wrong = Options(config={"name": "y", "interval_ms": 1})
        assert (
            _code(lambda: flash_board(board.port, wrong, lambda what, done, total: None)) == "CONFIG_INVALID"
        )
        assert "/main.py" not in board.mpremote("fs", "ls", ":/").stdout
