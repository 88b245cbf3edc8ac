"""Boards whose clocks are wrong: their readings are there; what they write elsewhere waits (SPEC 10.12)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from bigpeer_harness import Local, local
from raw_author import YEAR, RawAuthor

from hedgerow.codec.schema import STREAM
from hedgerow.limits import AHEAD_MS
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.clock import Clock


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


# No stamp says 1970: such a clock is at the start of all stamps.
@pytest.mark.parametrize("year", [0, 0.5, 26.4, 43, 8000], ids=["1970", "2000", "2026", "2043", "end"])
def test_a_board_of_any_clock(served: Local, year: float) -> None:
    served.execute("INSERT INTO config DOCUMENTS ({'_id': 1, 'every': 5})")
    readings, config = RawAuthor(1, "readings", STREAM), RawAuthor(2, "config")
    at = int(year * YEAR)
    for n in range(3):
        readings.insert(at + n, None, n=n)
    config.update(at, 1, every=6)
    config.update(at, 1, note="x")
    for author in (readings, config):
        author.seal()
        served.run(served.peer.service.submit(author.take()))
        frontier = served.peer.service.frontier(author.author)
        assert frontier.held == frontier.receipted == author.number
    assert served.items("SELECT n FROM readings") == [{"n": 0}, {"n": 1}, {"n": 2}]
    ahead = year > 27
    expected = {"every": 5} if ahead else {"every": 5, "note": "x"}
    assert served.items("SELECT every, note FROM config") == [expected]
    # Nobody's clock is led by it: what is written here now wins over all that is not ahead.
    served.execute("UPDATE config SET every = 7, note = 'y' WHERE _id = 1")
    assert served.items("SELECT every, note FROM config") == [{"every": 7, "note": "y"}]


def test_what_waits_enters_by_itself(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLOCK_CHECK_MS", 20)
    served.execute("INSERT INTO config DOCUMENTS ({'_id': 1, 'every': 5})")
    service = served.peer.service
    late = RawAuthor(2, "config")
    soon = service.clock.utc() + AHEAD_MS + 60_000
    late.update(soon, 1, every=6)
    served.run(service.submit(late.take()))
    assert served.items("SELECT every FROM config") == [{"every": 5}]
    transaction = service.transaction
    real = Clock.utc
    monkeypatch.setattr(Clock, "utc", lambda clock: real(clock) + 60_000)
    served.run(service.reached(transaction + 1, 10))
    assert served.items("SELECT every FROM config") == [{"every": 6}]


def test_what_became_due_while_nobody_ran_is_there_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local(tmp_path) as served:
        served.execute("INSERT INTO config DOCUMENTS ({'_id': 1, 'every': 5})")
        late = RawAuthor(2, "config")
        late.update(served.peer.service.clock.utc() + AHEAD_MS + 60_000, 1, every=6)
        served.run(served.peer.service.submit(late.take()))
        assert served.items("SELECT every FROM config") == [{"every": 5}]
    real = Clock.utc
    monkeypatch.setattr(Clock, "utc", lambda clock: real(clock) + 60_000)
    with local(tmp_path) as served:
        assert served.items("SELECT every FROM config") == [{"every": 6}]


def test_a_time_says_by_whose_word_it_is_known(served: Local) -> None:
    served.execute("INSERT INTO plain DOCUMENTS ({'_id': 1})")
    own = RawAuthor(1, "readings", STREAM)
    own.clock(epoch=1, uptime=0, source=2, utc=served.peer.service.clock.utc(), error=9)
    own.insert(1000, None, n=1)
    own.clock(epoch=2, uptime=0, source=0, utc=None, error=0)
    own.insert(5_000, None, n=2)
    own.clock(epoch=3, uptime=0, source=4, utc=served.peer.service.clock.utc() + 60_000, error=9)
    own.insert(9_000, None, n=3)
    served.run(served.peer.service.submit(own.take()))
    rows = served.items("SELECT n, _time_source FROM readings ORDER BY n")
    assert [row.get("_time_source") for row in rows] == ["gateway", "between", "keeper"]
    assert served.items("SELECT _time_source FROM plain") == [{}]
