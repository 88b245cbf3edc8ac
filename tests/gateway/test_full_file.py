"""A program's peer on a file that is full: what goes, what is refused, and that it opens and is delivered."""

from pathlib import Path

import pytest
from full_kit import keeper
from sync_kit import sync

from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.errors import HedgerowError
from hedgerow_gateway import LocalPeer, limits, open_peer

KINDS = {"readings": STREAM}
SIZE = limits.LOG_BYTES_MIN


def fill(peer: LocalPeer, count: int) -> int:
    """Write readings of nearly two kilobytes; return how many were taken."""
    taken = 0
    for n in range(count):
        try:
            peer.insert("readings", {"n": n, "value": Decimal(n, -1), "text": "x" * 1800})
            taken += 1
        except HedgerowError as error:
            assert error.code == "LOG_FULL", error
    return taken


def test_a_full_file_refuses_opens_again_and_is_delivered(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    with open_peer(path, kinds=KINDS, log_bytes=SIZE) as peer:
        taken = fill(peer, 700)
        assert 200 < taken < 700
        report = peer.storage()
        assert report["refused"] == 700 - taken and report["capacity"] == SIZE
        assert report["used"] <= SIZE and report["open"] > SIZE // 3
    with open_peer(path, kinds=KINDS, log_bytes=SIZE) as peer:
        assert fill(peer, 1) == 0
        top = keeper()
        top.mesh = peer._core.mesh
        sync(peer._core, top, peer._clock.now())
        assert top.receipted(peer.author) >= taken
        # What is receipted makes room.
        assert fill(peer, 100) == 100 and peer.storage()["lost"] == 0


@pytest.mark.parametrize(("policy", "reason"), [("oldest", "dropped"), ("thin", "thinned")])
def test_a_full_file_makes_room(tmp_path: Path, policy: str, reason: str) -> None:
    with open_peer(tmp_path / "field.db", kinds=KINDS, log_bytes=SIZE, full={"readings": policy}) as peer:
        assert fill(peer, 1000) == 1000
        report = peer.storage()
        assert report["lost"] > 400 and report["used"] <= SIZE
        author = peer.author
        top = keeper()
        top.mesh = peer._core.mesh
        sync(peer._core, top, peer._clock.now())
        assert {row["reason"] for row in top.losses(author)} == {reason}
        assert peer.losses(author) == top.losses(author)
        rows = top.execute("SELECT * FROM readings").rows
        kept = sum(1 for row in rows if "_count" not in row)
        counted = sum(row.get("_count", 0) for row in rows)
        assert counted == (1000 - kept if policy == "thin" else 0)
        assert top.receipted(author) == peer._log.held(author)


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(HedgerowError, match="SETTING_INVALID"):
        open_peer(tmp_path / "a.db", full={"readings": "newest"})
    with pytest.raises(HedgerowError, match="SETTING_INVALID"):
        open_peer(tmp_path / "a.db", log_bytes=SIZE - 1)
    # Neither has left a lock behind.
    open_peer(tmp_path / "a.db").close()
