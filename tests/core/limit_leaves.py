"""Checks of the times of leaves: nothing one before them, and something at them."""

from limit_custody import engine
from sync_kit import record

from hedgerow.mesh import pace
from hedgerow.sync.hello import LEAF


def leaf_window() -> None:
    mesh = engine(LEAF)
    assert (mesh.duty(pace.LEAF_WINDOW_MS - 1), mesh.duty(pace.LEAF_WINDOW_MS)) == (100, 0)


def leaf_most() -> None:
    """However much is said to it, a wake ends."""
    window = engine(LEAF).window
    for now in range(0, pace.LEAF_MOST_MS, 500):
        window.stir(now)
        assert window.until == min(now + pace.LEAF_WINDOW_MS, pace.LEAF_MOST_MS)
    window.stir(pace.LEAF_MOST_MS + 1)
    assert window.until == pace.LEAF_MOST_MS


def leaf_period() -> None:
    mesh = engine(LEAF)
    mesh._dirty = False
    assert mesh.sleep_until(pace.LEAF_PERIOD_MS - 1) == pace.LEAF_PERIOD_MS
    assert mesh.sleep_until(pace.LEAF_PERIOD_MS) == 2 * pace.LEAF_PERIOD_MS
    assert mesh.announcement(0).period_s == pace.LEAF_PERIOD_MS // 1000


def receipt_late() -> None:
    for since, found in ((pace.RECEIPT_LATE_MS, False), (pace.RECEIPT_LATE_MS + 1, True)):
        mesh = engine(LEAF)
        record(mesh.peer, 1, 0)
        mesh.peer.seal(2000)
        mesh.feed.resume(1, 1, pace.AGAIN_MS)
        assert mesh.feed.late(since) == found
