"""A board's saved log comes to a production app by who has an identity, and by nobody else."""

from pathlib import Path

import pytest
from farm_kit import running_farm
from log_writer import Writer

from hedgerow.errors import HedgerowError
from hedgerow_cli.logfile.deliver import deliver


def test_a_saved_log_comes_by_who_has_an_identity(tmp_path: Path) -> None:
    board = Writer("board")
    board.insert_many(5)
    board.peer.seal(board.now)
    log, author = board.peer.log, board.peer.author
    with running_farm(tmp_path / "farm") as farm:
        farm.enrol(tmp_path / "courier.json", "courier")
        with pytest.raises(HedgerowError, match="LOG_DELIVERY: .*SESSION_PLAIN"):
            deliver(log, farm.served.url, "farm", 0.0)
        assert farm.rows("SELECT COUNT(*) AS n FROM readings") == [{"n": 0}]
        log.author = author
        done = deliver(log, farm.served.url, "farm", 20.0, tmp_path / "courier.json")
        assert (done.readings_before, done.readings_after) == (5, 0)
        assert farm.rows("SELECT COUNT(*) AS n FROM readings") == [{"n": 5}]
