"""A board that keeps its partition table, with the firmware in the heap: it records, and a keeper gets it."""

from pathlib import Path

import pytest
from device_rig import SERIES, acks, errors
from keeper import Keeper

from hedgerow_boards.air import Air
from hedgerow_boards.board import Board
from hedgerow_boards.partition_table import pack
from hedgerow_boards.profiles import STOCK_TABLE
from hedgerow_cli.flashing.flash import Options, build_firmware, flash_board


@pytest.mark.slow
def test_a_board_with_firmware_in_files_syncs(tmp_path: Path, air: Air) -> None:
    settings = {"name": "kept", "field": "temperature_f", "interval_ms": 100, "readings": 60, "seal_s": 2}
    with Board(
        "kept", tmp_path / "kept", profile="esp32c3", sensor=SERIES, stock=True, air=air.path
    ) as board:
        board.write_flash(0x8000, pack(STOCK_TABLE, board.profile.flash_bytes))
        board.power_on()
        flash_board(
            board.port,
            Options(board="esp32c3", config=settings, keep_table=True),
            lambda *step: None,
            build_firmware(tmp_path / "firmware"),
        )
        author = bytes.fromhex(board.wait_for("boot ", 20).text.split("=")[1])
        with Keeper(air.path) as keeper:
            board.wait_for("ack 60 ", 30)
            keeper.wait_for(author, acks(board)[-1].number, 40)
            board.wait_for("receipt ", 20)
            board.wait_for("time ", 20)
        assert errors(board) == []
        assert board.partitions == STOCK_TABLE
