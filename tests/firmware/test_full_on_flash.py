"""Full logs on flash, end to end: power cuts, a neighbour, kept documents, and a keeper at last."""

import pytest
from flash_full import Life, Rig, check_all_named, keeper, live, sync

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_each_reading_arrives_or_is_named(seed: int) -> None:
    live(seed, 24, 1024)


def test_a_ring_of_64_kib_gives_way_for_three_laps() -> None:
    life, gone = live(2, 16)
    assert life.rig.cuts and life.rig.nor.erases > 3 * 16 and gone


@pytest.mark.parametrize(("policy", "reason"), [("refuse", ""), ("oldest", "dropped"), ("thin", "thinned")])
def test_offline_for_several_laps(policy: str, reason: str) -> None:
    life = Life(1, 16, 4096, {"readings": policy})
    rig = life.rig
    rig.record(4000)
    assert (rig.refused > 0) == (policy == "refuse"), rig.refused
    gone = life.end()
    assert set(gone) == ({reason} if reason else set())
    assert sum(gone.values()) > (2000 if reason else -1)


def test_a_quarter_of_a_megabyte() -> None:
    life = Life(3, 64, 4096, {"readings": "thin"})
    life.rig.record(9000)
    assert not life.rig.refused and life.end()["thinned"] > 2000


@pytest.mark.parametrize("policy", ["oldest", "thin"])
def test_a_silent_author_in_front_stops_nothing(policy: str) -> None:
    life = Life(5, 16, 4096, {"readings": policy})
    rig = life.rig
    life.neighbour.record(700)
    life._meet(life.neighbour.peer)
    sync(rig.peer, life.neighbour.peer, rig.now)
    assert rig.peer.log.held(life.neighbour.peer.author) >= 700
    rig.record(3000)
    assert not rig.refused
    life.end()


def test_the_newest_stamp_stays_when_the_newest_operation_was_dropped() -> None:
    rig = Rig(1, None, 16)
    rig.record(20)
    log = rig.peer.log
    last = rig.peer.clock.last
    log.drop(log.author, log.held(log.author), log.held(log.author))
    assert log.fetch(log.author, log.held(log.author)) is None
    rig.before = rig.now = 0
    rig.open()
    assert rig.peer.clock.last > last, "what is written now would lose against what was dropped"


def test_what_is_open_is_what_was_refused() -> None:
    rig = Rig(1, None, 16)
    with pytest.raises(HedgerowError, match="LOG_FULL"):
        for _ in range(5000):
            rig.peer.insert("readings", {"n": 7}, 5000)
    report = rig.peer.storage()
    assert 95 <= report["open"] * 100 // report["capacity"] <= 102
    top = keeper()
    sync(rig.peer, top, rig.now)
    assert rig.peer.storage()["open"] < report["open"] // 50
    assert not check_all_named(rig, top, ())


def test_a_log_without_hope_is_asked_once() -> None:
    rig = Rig(1, None, 16)
    rig.record(1200)
    log = rig.peer.log
    held = log.held(log.author)
    with pytest.raises(HedgerowError):
        log.append(ENTRY_OP, log.author, held + 1, held + 1, bytes(600))
    read = rig.nor.read
    programs = rig.nor.programs
    for _ in range(20):
        with pytest.raises(HedgerowError, match="open: 7 of 16"):
            log.append(ENTRY_OP, log.author, held + 1, held + 1, bytes(600))
    assert rig.nor.programs == programs
    assert rig.nor.read - read < 20 * 1024, "the ring is read for nothing"
