"""A radio that does not start with the board: it records, and the radio is started later."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from device_rig import SERIES, errors, install
from keeper import Keeper

from hedgerow_boards.air import Air
from hedgerow_boards.board import Board


def test_a_radio_that_did_not_start_is_started_later(
    boards: Callable[..., list[Board]], firmware: Path
) -> None:
    # Not under tmp_path: the name of a Unix socket may have only about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="air-") as folder:
        radio = Air(str(Path(folder, "air")))
        (board,) = boards(sensor=SERIES, air=radio.path)
        install(board, firmware)
        board.wait_for("BLE_UNAVAILABLE", 60)
        board.wait_for("ack 1 ", 60)
        radio.start()
        try:
            with Keeper(radio.path):
                board.wait_for("receipt ", 120)
        finally:
            radio.stop()
    assert set(errors(board)) == {"BLE_UNAVAILABLE"}
