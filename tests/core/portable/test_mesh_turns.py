"""Whose turn it is to speak, and what is said again because nobody was heard to have it. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, Air, pair
from sync_kit import board

from hedgerow import limits
from hedgerow.mesh import asks, frames, tells
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.seen import who_of
from hedgerow.mesh.speaker import ANSWER, DOWN, FORWARD, OWN, REPAIR, STATUS, Speaker

HEAP = "2m"
MESH = b"\x11\x22\x33"


def count(air: Air, kind: int, member: object, until: int) -> int:
    """Return how often a member says frames of a kind until a moment."""
    found: list = []

    def sent(who: object, payload: bytes) -> None:
        if who is member and payload[frames.find(payload)] & 15 == kind:
            found.append(payload)

    air.on_sent = sent
    air.run(until)
    air.on_sent = None
    return len(found)


def test_nothing_waits_for_ever_behind_what_is_more_urgent() -> None:
    speaker = Speaker(Random(1).below, {"overflowed": 0, "suppressed": 0})
    speaker.add(0, STATUS, 1, b"time", 2)
    speaker.add(0, DOWN, 2, b"receipt", 2)
    said = []
    now = 0
    while len(said) < 2:
        assert now < 15000, said
        for at in range(4 if len(speaker) < limits.MAX_SAYINGS - 4 else 0):
            speaker.add(now, (ANSWER, OWN, FORWARD, FORWARD)[at], 100 + 4 * now + at, b"op", 2)
        saying = speaker.take(now)
        if saying is not None:
            if saying[3] != b"op":
                said.append(saying[3])
            speaker.said(2, saying[1], now)
        now += 100
    assert said == [b"receipt", b"time"]


def test_all_in_reach_who_always_have_something_to_say_share_the_channel() -> None:
    for neighbours in (12, 53, 500):
        speaker = Speaker(Random(1).below, {"overflowed": 0, "suppressed": 0})
        speaker.neighbours = neighbours
        events = now = 0
        while now < 3600000:
            speaker.add(now, REPAIR, 1, b"", 2)
            if speaker.take(now):
                events += 2
                speaker.said(2, REPAIR, now)
            now = max(now + 50, speaker.free_at)
        share = 3600 * limits.CHANNEL_EVENTS // (neighbours + 1)
        assert share * 9 // 10 < events <= share + 12, (neighbours, events, share)


def test_what_is_due_at_one_moment_goes_by_urgency() -> None:
    speaker = Speaker(Random(1).below, {"overflowed": 0, "suppressed": 0})
    for urgency in (STATUS, DOWN, ANSWER, FORWARD, OWN):
        speaker.add(0, urgency, 10 - urgency, b"", 2)
    assert [speaker.take(0)[1] for _ in range(5)] == [ANSWER, OWN, FORWARD, DOWN, STATUS]


def test_where_there_is_no_room_goes_what_may_wait_for_longest() -> None:
    speaker = Speaker(Random(1).below, {"overflowed": 0, "suppressed": 0}, 2)
    assert speaker.add(9000, OWN, 1, b"", 2) and speaker.add(0, STATUS, 2, b"", 2)
    assert speaker.add(0, FORWARD, 3, b"", 2)
    assert sorted(speaker.names) == [2, 3]
    assert not speaker.add(0, STATUS, 4, b"", 2)


def test_a_question_asks_for_what_is_lacking_when_it_is_said() -> None:
    air, one, other = pair(1, keeper=False)
    air.reading(one)
    air.run(20000)
    air.unlink(one, other)
    for _ in range(3):
        air.reading(one)
    now = other.now(air.now)
    other.mesh.repair.behind(one.author, one.peer.log.held(one.author) & 0xFFFF, now)
    other.mesh.repair.step(now + 1000)
    waits = [saying for saying in other.mesh.speaker.names.values() if callable(saying[3])]
    assert waits
    held = one.peer.log.held(one.author)
    for number in range(held - 2, held):
        other.peer.ingest(one.author, number, [one.peer.log.fetch(one.author, number)])
    frame = [saying[3](saying[2], now + 2000) for saying in waits][0]
    assert asks.decode_want(frame)[1] == [(one.author[:3], held, 1)]
    # When all has come it is not said at all.
    other.peer.ingest(one.author, held, [one.peer.log.fetch(one.author, held)])
    assert [saying[3](saying[2], now + 90000) for saying in waits] == [None]


def test_a_receipt_that_nobody_has_echoed_is_said_again() -> None:
    air, keeper, other = pair(2)
    air.run(20000)
    # It hears the other, which does not hear it.
    air.links[keeper].remove(other)
    air.reading(other)
    assert count(air, frames.RECEIPT, keeper, air.now + 12000) == 3


def test_a_receipt_that_was_echoed_is_said_once() -> None:
    air, keeper, other = pair(3)
    air.run(20000)
    air.reading(other)
    assert count(air, frames.RECEIPT, keeper, 40000) == 1
    assert other.peer.receipted(other.author) == other.peer.log.held(other.author)


def test_a_receipt_takes_three_seconds_at_most_where_nothing_is_lost() -> None:
    air, keeper, other = pair(4)
    busy = [air.add("b%d" % at) for at in range(2)]
    air.all([keeper] + busy)
    for one in busy:
        air.link(other, one)
    air.run(20000)
    air.readings(busy, 2500, 140000)
    air.readings([other], 10000, 140000)
    made: dict = {}
    slow = []
    while air.now < 150000:
        air.run(air.now + 100)
        number = keeper.peer.receipted(other.author)
        made.setdefault(number, air.now)
        if other.peer.receipted(other.author) < number and air.now - made[number] > 3000:
            slow.append((number, air.now))
    assert len(made) > 8 and not slow, slow


def test_who_collects_acknowledges_many_at_once() -> None:
    air, keeper, other = pair(7)
    other.mesh._seal_ms = 1 << 29
    air.run(20000)
    for at in range(60):
        air.at(20000 + 50 * at, air.reading, other)
    acks = count(air, frames.ACK, keeper, 80000)
    assert keeper.peer.log.held(other.author) == other.peer.log.held(other.author) > 60
    assert 3 <= acks <= 40, acks
    # Each of them stands for all before it, and none is pushed again.
    assert other.mesh.stats["acked"] >= 60


def test_an_ack_up_to_a_number_frees_what_is_before_it() -> None:
    held = pair(8)[1].mesh.custody
    held.code = 5
    sent = {}
    for author in (b"aut", b"oth"):
        for number in (65534, 65535, 0, 1, 2):
            body = author + number.to_bytes(2, "big") + bytes(6)
            frame = frames.make(frames.OP, b"\x11\x22\x33", body, KEY, 9 << 3)
            sent[author, number] = frame
            assert held.take(frame, int.from_bytes(frame[-3:], "big"), 0)
    assert held.count() == 10
    key = sent[b"aut", 0][4:10]
    # Of one that passed it on it says nothing of what was before it.
    held.passed(key, 0, asks.ACK_PASSED, 0)
    assert held.count() == 9
    held.passed(sent[b"aut", 1][4:9] + b"?", 0, asks.ACK_HELD, 0)
    assert held.count() == 9
    held.passed(sent[b"aut", 1][4:10], 31, asks.ACK_UPTO, 0)
    assert held.count() == 6
    held.passed(sent[b"aut", 2][4:10], 31, asks.ACK_UPTO, 0)
    assert held.count() == 5


def passed_on(codes: tuple, acked: bytes = b"", kind: int = frames.OP) -> int:
    """Return how often a relay three hops from a keeper, among many in a flood, says what it passes on
    and hears from others with these distance codes, then acknowledged by a gateway up to a key."""
    mesh = Mesh(board(mesh=MESH), 0, random=lambda _: 0, key=KEY)
    mesh.code = 3
    mesh.peer.note_distance(2, 0)
    mesh._time_at = mesh._trickle.due = mesh.announce_at = mesh._check_at = 10**9
    mesh.speaker.neighbours = 9
    frame = frames.make(kind, MESH, b"aut\0\5" + bytes(8 if kind == frames.OP else 15), KEY)
    # It came from the first of them.
    mesh.seen.note(name_of(frame), who_of(b"one0"))
    mesh.pass_on(
        frames.with_hop(frame, codes[0], 0), name_of(frame), 1000, FORWARD if kind == frames.OP else DOWN
    )
    for at in range(1, len(codes)):
        assert mesh.heard(
            b"one%d" % at, -60, frames.advertise(frames.with_hop(frame, codes[at], 0)), 1001 + at
        )
    found = 0
    for now in range(1010, 12000, 10):
        if now == 2000 and acked:
            body = asks.encode_ack(asks.ACK_UPTO, [acked])
            ack = frames.with_hop(frames.make(frames.ACK, MESH, body, KEY), 1, 0)
            assert mesh.heard(b"gate", -60, frames.advertise(ack), now)
        entry = mesh.say(now)
        found += bool(entry) and entry[0][frames.find(entry[0])] & 15 == kind
    return found


def test_what_nobody_nearer_is_heard_to_have_is_said_once_more() -> None:
    # Heard from one: it is said, and then once more, for nobody nearer did.
    assert passed_on((4,)) == 2
    assert passed_on((2,)) == 1
    # Two others have said it: it is left to them if one of them is nearer.
    assert passed_on((4, 3)) == 1
    assert passed_on((4, 2)) == passed_on((2, 4)) == 0
    # A gateway that has it says so.
    assert passed_on((4,), b"aut\0\6?") == 1 and passed_on((4, 3), b"aut\0\5?") == 0
    assert passed_on((4, 3), b"aut\0\4?") == 1


def test_who_collects_is_where_it_is_to_go() -> None:
    mesh = Mesh(board(mesh=MESH, keeper=True), 0, random=lambda _: 0, key=KEY)
    mesh.code = 0
    frame = frames.make(frames.OP, MESH, b"aut\0\5" + bytes(8), KEY, 3 << 3)
    mesh.pass_on(frame, name_of(frame), 1000, DOWN)
    assert mesh.speaker.names[name_of(frame)][5] == 2


def test_a_receipt_that_nobody_farther_is_heard_to_have_is_said_once_more() -> None:
    assert passed_on((2,), kind=frames.RECEIPT) == 2 and passed_on((4,), kind=frames.RECEIPT) == 1
    assert passed_on((2, 3), kind=frames.RECEIPT) == 1
    assert passed_on((2, 4), kind=frames.RECEIPT) == 0


def test_what_is_acknowledged_does_not_come_back() -> None:
    speaker = Speaker(Random(1).below, {"overflowed": 0, "suppressed": 0})
    keys = [b"aut" + bytes((0, number, 7)) for number in (3, 4, 5)]
    for number, key in enumerate(keys):
        speaker.add(0, FORWARD, number, b"\x21\x11\x22\0" + key + bytes(16), 2, 2, 1)
    # One that was not said yet, one that somebody asked for, and another's.
    speaker.add(0, FORWARD, 10, b"\x21\x11\x22\0" + keys[0] + bytes(16), 2, 2, 2)
    speaker.add(0, STATUS, 11, b"\x21\x11\x22\0" + keys[0] + bytes(16), 2, 1)
    speaker.add(0, FORWARD, 12, b"\x21\x11\x22\0oth" + keys[0][3:] + bytes(16), 2, 2, 1)
    speaker.held(keys[1])
    assert sorted(speaker.names) == [2, 10, 11, 12]


def test_a_receipt_takes_the_place_of_lower_ones() -> None:
    air, keeper, other = pair(9)
    air.run(20000)
    now = keeper.now(air.now)
    sent: list = []
    for number, keeper4, author in (
        (5, b"keep", b"aut"),
        (7, b"keep", b"aut"),
        (6, b"keep", b"oth"),
        (6, b"else", b"aut"),
    ):
        body = tells.encode_receipt(keeper4, 1, author, number)
        sent.append(frames.make(frames.RECEIPT, other.peer.mesh, body, KEY))
    speaker = keeper.mesh.speaker
    speaker.names.clear()
    for number, frame in enumerate(sent):
        assert not keeper.mesh.down._outdo(frame)
        keeper.mesh.say_twice(now, DOWN, number, frame)
    assert sorted(speaker.names) == [1, 2, 3]
    # Nobody needs to hear a lower one any more.
    assert keeper.mesh.down._outdo(sent[0]) and sorted(speaker.names) == [1, 2, 3]
