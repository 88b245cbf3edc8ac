"""Whom to connect to (SPEC 6.5)."""

from sync_kit import UTC, board, gateway, keeper, record, sync

from hedgerow.sync import beacon
from hedgerow.sync.neighbours import Neighbours


def _hear(table: Neighbours, address: str, peer: object, now: int) -> None:
    """Hear all four buckets of a peer, as they go over the air."""
    for counter in range(4):
        table.heard(address, beacon.decode(beacon.encode_state(peer.state_beacon(counter, now))), -60, now)


def test_a_beacon_says_what_its_peer_has() -> None:
    leaf = board()
    record(leaf, 3)
    states = [leaf.state_beacon(counter, 5000) for counter in range(5)]
    assert [state.bucket for state in states] == [0, 1, 2, 3, 0]
    assert states[0].digest == states[4].digest and states[0].open_count == 4
    assert [state.digest != bytes(6) for state in states[:4]].count(True) == 1
    assert states[0].flags == beacon.WANTS_TIME | beacon.CONNECTABLE and states[0].distance == 255
    top = keeper().state_beacon(0, 0)
    assert (top.flags, top.distance, top.open_count) == (beacon.HAS_TIME | beacon.CONNECTABLE, 0, 0)


def test_connects_for_news_once() -> None:
    table = Neighbours()
    middle, leaf = gateway(), board()
    middle.set_time(UTC, 5, 2, 0)
    record(leaf, 3)
    _hear(table, "leaf", leaf, 5000)
    assert table.candidate(middle, 5000) == "leaf"
    pipe = sync(middle, leaf, 5000)
    table.synced("leaf", pipe.ends[0].summary, pipe.now, pipe.ends[0].told())
    _hear(table, "leaf", leaf, pipe.now + 2000)
    assert table.candidate(middle, pipe.now + 2000) is None, "nothing new"
    record(leaf, 1, 8000)
    _hear(table, "leaf", leaf, pipe.now + 1000)
    assert table.candidate(middle, pipe.now + 1000) is None, "held off"
    _hear(table, "leaf", leaf, pipe.now + 2000)
    assert table.candidate(middle, pipe.now + 2000) == "leaf"


def test_connects_to_bring_receipts_down() -> None:
    table = Neighbours()
    middle, leaf, top = gateway(), board(), keeper()
    middle.set_time(UTC, 5, 2, 0)
    record(leaf, 3)
    pipe = sync(middle, leaf, 5000)
    table.synced("leaf", pipe.ends[0].summary, pipe.now, pipe.ends[0].told())
    now = pipe.now + 2000
    _hear(table, "leaf", leaf, now)
    assert table.candidate(middle, now) is None
    now = sync(middle, top, now).now
    _hear(table, "leaf", leaf, now)
    assert table.candidate(middle, now) == "leaf"
    pipe = sync(middle, leaf, now)
    table.synced("leaf", pipe.ends[0].summary, pipe.now, pipe.ends[0].told())
    now = pipe.now + 2000
    _hear(table, "leaf", leaf, now)
    assert table.candidate(middle, now) is None


def test_connects_to_give_time() -> None:
    table = Neighbours()
    near, far = board(distance=1), board(distance=1)
    far.log.commit()
    _hear(table, "far", far, 0)
    assert table.candidate(near, 0) is None, "nobody has time"
    near.set_time(UTC, 900, 3, 0)
    assert table.candidate(near, 0) == "far"
    far.set_time(UTC, 900, 3, 0)
    _hear(table, "far", far, 0)
    assert table.candidate(near, 0) is None


def test_never_connects_to_who_is_nearer_or_strange_or_gone() -> None:
    middle, leaf = board(distance=3), board()
    record(leaf, 3)
    for distance, mesh, age, flags, open_count, wanted in (
        (4, bytes(3), 0, beacon.CONNECTABLE, 1, "x"),
        (3, bytes(3), 0, beacon.CONNECTABLE, 1, None),
        (2, bytes(3), 0, beacon.CONNECTABLE, 1, None),
        (4, b"xxx", 0, beacon.CONNECTABLE, 1, None),
        (4, bytes(3), 10001, beacon.CONNECTABLE, 1, None),
        (4, bytes(3), 0, 0, 1, None),
        (4, bytes(3), 0, beacon.CONNECTABLE, 0, None),
    ):
        table = Neighbours()
        table.heard("x", beacon.State(mesh, 0, 0, b"digest", open_count, distance, flags, 1, b"aut"), -60, 0)
        assert table.candidate(middle, age) == wanted, (distance, mesh, age, flags, open_count)


def test_failures_back_off_and_are_forgotten() -> None:
    table = Neighbours(hold_off_ms=1000)
    middle, leaf = board(distance=3), board()
    now = 0
    waits = []
    for _ in range(8):
        _hear(table, "leaf", leaf, now)
        assert table.candidate(middle, now) == "leaf"
        table.failed("leaf", now)
        start = now
        while True:
            _hear(table, "leaf", leaf, now)
            if table.candidate(middle, now):
                break
            now += 500
        waits.append(now - start)
    assert waits == [2000, 4000, 8000, 16000, 32000, 32000, 32000, 32000]
    table.synced("leaf", [0] + [bytes(6)] * 4, now)
    record(leaf, 1)
    _hear(table, "leaf", leaf, now + 1000)
    assert table.candidate(middle, now + 1000) == "leaf"


def test_the_table_is_bounded_and_fair() -> None:
    table = Neighbours(limit=3)
    middle, leaf = board(distance=3), board()
    for at in range(6):
        _hear(table, "leaf%d" % at, leaf, at * 100)
        assert len(table) == min(at + 1, 3)
    order = []
    for now in (1000, 1001, 1002):
        found = table.candidate(middle, now)
        order.append(found)
        table.synced(found, None, now)
    assert sorted(order) == ["leaf3", "leaf4", "leaf5"]
    for at in (3, 4, 5):
        _hear(table, "leaf%d" % at, leaf, 4000)
    assert table.candidate(middle, 4000) == order[0]


def test_distance_is_learnt_from_beacons() -> None:
    table = Neighbours()
    leaf, near = board(), board(distance=2)
    _hear(table, "near", near, 0)
    table.candidate(leaf, 0)
    assert leaf.distance(0) == 3


def test_who_is_forgotten_makes_room_and_starts_anew() -> None:
    table = Neighbours(limit=2)
    middle, leaf, other = gateway(), board(), board()
    record(leaf, 1)
    record(other, 1)
    _hear(table, "leaf", leaf, 5000)
    _hear(table, "other", other, 5100)
    table.forget("other")
    table.forget("never heard of")
    assert len(table) == 1
    assert table.candidate(middle, 5200) == "leaf"
    _hear(table, "third", other, 5200)
    assert len(table) == 2, "nobody had to make room"


def test_who_is_busy_is_passed_over() -> None:
    table = Neighbours()
    middle = board(distance=3)
    for address in ("one", "two"):
        _hear(table, address, board(), 0)
    assert table.candidate(middle, 0, {"one"}) == "two" and table.candidate(middle, 0, {"two"}) == "one"
    assert table.candidate(middle, 0, ["one", "two"]) is None


def test_what_was_said_before_a_session_brings_no_other() -> None:
    table = Neighbours(hold_off_ms=1000)
    near, far = board(distance=1), board()
    near.set_time(UTC, 5, 3, 0)
    _hear(table, "far", far, 0)
    assert table.candidate(near, 0) == "far", "it wants the time"
    table.synced("far", None, 100)
    assert table.candidate(near, 2000) is None
    _hear(table, "far", far, 2000)
    assert table.candidate(near, 2000) == "far"
