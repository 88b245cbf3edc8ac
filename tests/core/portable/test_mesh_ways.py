"""A frame gets on once: neither taken twice nor given up. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, gradient
from sync_kit import board, gateway, keeper, operations, record, sync
from ways_kit import MESH, hear, op, pushes, relay, state, take

from hedgerow import limits
from hedgerow.mesh import asks, frames, pace
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.tells import encode_receipt
from hedgerow.mesh.visits import BULK
from hedgerow.operation import SOURCE_KEEPER

HEAP = "4m"


def test_what_a_nearer_one_said_is_not_taken_afterwards() -> None:
    with gradient():
        mesh = relay()
        hear(mesh, b"nea", op(2), 1000)
        hear(mesh, b"far", op(4), 1100)
        hear(mesh, b"oth", op(5, 2), 1200)
        assert not mesh.custody.has(name_of(op(0))) and mesh._acks
        take(mesh, 1200)
        assert not mesh.stats["custody"]


def test_what_an_equal_one_said_is_left_to_it() -> None:
    with gradient():
        mesh = relay()
        hear(mesh, b"equ", op(3), 1000)
        hear(mesh, b"far", op(4), 1100)
        take(mesh, 1100)
        assert not mesh.stats["custody"]
        hear(mesh, b"far", op(4, 1), 14000)
        assert mesh._acks
        # If it is that one it has found no way on, and says so.
        hear(mesh, b"equ", op(4, 7), 20000)
        take(mesh, 20000)
        assert mesh.stats["custody"] == 1


def test_one_between_takes_it_and_it_still_gets_on() -> None:
    """Who is nearer than the sender but farther than this peer will push it here."""
    with gradient():
        mesh = relay()
        mesh.speaker.free_at = 5000
        hear(mesh, b"far", op(5), 1000)
        hear(mesh, b"mid", op(4), 1500)
        hear(mesh, b"mid", op(4, 1), 4500)
        assert not mesh._acks, "it is not here yet"
        take(mesh, 5000)
        assert mesh.stats["custody"] == 1


def test_what_comes_back_is_taken_again_once() -> None:
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 1000)
        take(mesh, 1000)
        assert mesh.stats["custody"] == 1
        hear(mesh, b"nea", op(2), 14000)
        assert not mesh.custody.count() and mesh.stats["acked"]
        # Whoever has taken it is farther now, and has nobody else.
        hear(mesh, b"nea", op(5, 6), 15000)
        assert mesh._acks
        take(mesh, 15000)
        hear(mesh, b"nea", op(5, 7), 30000)
        take(mesh, 30000)
        assert mesh.stats["custody"] == 2 and mesh.custody.count() == 1
        hear(mesh, b"nea", op(2, 1), 45000)
        mesh._acks.clear()
        hear(mesh, b"oth", op(6, 7), 46000)
        assert mesh._acks and not mesh.custody.count()


def test_who_has_become_farther_says_that_it_may_come_back() -> None:
    lost = frames.UNKNOWN
    for moves, repeats in (
        ((4,), (6,)),
        ((5,), (7,)),
        ((4, 5), (7,)),
        ((lost, 3), range(1, 6)),
        ((lost, 4), (6,)),
        ((2,), range(6)),
    ):
        with gradient():
            mesh = relay()
            hear(mesh, b"far", op(4), 1000)
            take(mesh, 1000)
            for code in moves:
                mesh.custody.move(code, 14000)
            said = pushes(mesh, 14000)
            assert said and all(frame[3] & 7 in repeats for frame in said), moves


def test_what_one_who_is_farther_by_a_hop_had_is_taken_once_and_pushed_as_any_other() -> None:
    for code, taken in ((4, True), (5, False)):
        with gradient():
            mesh = relay()
            hear(mesh, b"equ", op(3), 1000)
            hear(mesh, b"equ", op(code, 6), 20000)
            take(mesh, 20000)
            assert mesh.custody.count() == taken and bool(mesh.stats["acks"]) != taken
            said = pushes(mesh, 32000)
            assert all(frame[3] & 7 < 6 for frame in said) and bool(said) == taken
            mesh.custody.passed(op(3)[4:10], 2, asks.ACK_PASSED, 60000)
            hear(mesh, b"oth", op(4, 6), 61000)
            assert bool(mesh._acks) == taken and mesh.custody.has(name_of(op(3))) != taken


def test_a_first_push_is_taken_from_those_alone_who_are_well_heard() -> None:
    for gap, taken in ((1, True), (4, False)):
        with gradient():
            mesh = relay()
            for counter in range(1, 9):
                state(mesh, b"nea", counter, 2, counter * 1000)
                state(mesh, b"far", gap * counter, 4, counter * 1000)
            hear(mesh, b"far", op(4), 10000)
            take(mesh, 10000)
            assert mesh.custody.count() == taken
            # Nobody who hears it better has taken it.
            hear(mesh, b"far", op(4, 1), 24000)
            take(mesh, 24000)
            assert mesh.custody.count() == 1
    # Who is not among the many that are known is heard by luck.
    with gradient():
        mesh = relay()
        for at in range(limits.MAX_NEIGHBOURS):
            state(mesh, b"n%02d" % at, 1, 2, 1000)
        hear(mesh, b"far", op(4), 2000)
        take(mesh, 2000)
        assert not mesh.custody.count()
        hear(mesh, b"far", op(4, 1), 15000)
        take(mesh, 15000)
        assert mesh.custody.count() == 1


def test_who_is_nearer_by_more_takes_it_before_those_between() -> None:
    with gradient():
        waits = []
        for code in (4, 5):
            mesh = relay()
            mesh.random = mesh.custody._random = lambda n: n - 1
            mesh._turns = 4000
            hear(mesh, b"far", op(code), 1000)
            waits.append(mesh.custody._pending[name_of(op(0))][0] - 1000)
        assert waits == [20 + 3999, 20 + 999]


def test_who_has_come_nearer_does_not_vouch_for_what_those_between_had() -> None:
    """What it knows of a frame it may know from the very one who pushes it now."""
    for code, acks in ((5, False), (6, True)):
        with gradient():
            mesh = relay(5)
            hear(mesh, b"mid", op(4), 1000)
            mesh.custody.move(3, 2000)
            mesh.code = 3
            hear(mesh, b"mid", op(code, 1), 3000)
            assert bool(mesh._acks) == acks and mesh.custody.has(name_of(op(0))) != acks


def test_who_is_rid_of_a_frame_tells_those_who_are_about_to_take_it() -> None:
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 1000)
        take(mesh, 1000)
        mesh.visits.ways.nearer = 2
        hear(mesh, b"nea", op(2), 14000)
        assert list(mesh._acks) == [op(0)[4:10]]
        # Where there is one who may take it nobody has to be told.
        alone = relay()
        hear(alone, b"far", op(4), 1000)
        take(alone, 1000)
        alone.visits.ways.nearer = 1
        hear(alone, b"nea", op(2), 14000)
        assert not alone._acks
        other = relay()
        other.speaker.free_at = 5000
        hear(other, b"far", op(4), 1000)
        body = asks.encode_ack(asks.ACK_PASSED, [op(0)[4:10]])
        hear(other, b"far", frames.make(frames.ACK, MESH, body, KEY, 4 << 3), 2000)
        assert not other.custody.has(name_of(op(0)))
        # Nothing says that it has got as far as here: whoever has it may bring it.
        hear(other, b"mid", op(4, 1), 3000)
        assert other.custody.has(name_of(op(0))) and not other._acks


def test_what_is_asked_for_again_is_pushed_to_those_who_had_it_too() -> None:
    with gradient():
        mesh = relay()
        record(mesh.peer, 2)
        mesh._refresh(7000)
        mesh.feed.fill(7000)
        number = mesh.feed.pushed()[0]
        mesh.custody.clear()
        entry = (mesh.peer.author[:3], number, 1)
        want = frames.make(frames.WANT, MESH, asks.encode_want(asks.WANT_OPERATIONS, [entry]), KEY, 1 << 3)
        hear(mesh, b"nea", want, 8000)
        # It alone: those behind it got on.
        assert mesh.feed.pushed()[0] == number and len(mesh.custody.flying()) == 1
        said = [frame for at in range(8000, 12000, 200) for _, frame, own in mesh.custody.step(at, 1) if own]
        assert said and said[0][3] & 7 == 7
        # Whoever had it takes it, and says so likewise.
        other = relay(2)
        hear(other, b"far", frames.with_hop(said[0], 3, 1), 1000)
        take(other, 1000)
        other.custody.passed(said[0][4:10], 1, True, 15000)
        hear(other, b"far", frames.with_hop(said[0], 3, 7), 16000)
        pushed = []
        for at in range(16000, 30000, 200):
            sent = other.say(at)
            if sent and sent[0][4] & 15 == frames.OP:
                pushed.append(sent[0][7] & 7)
        assert pushed[:1] == [7]


def test_of_several_that_are_asked_for_all_from_there_on_are_pushed_at_once() -> None:
    with gradient():
        mesh = relay()
        record(mesh.peer, 3)
        mesh._refresh(7000)
        number = mesh.feed.pushed()[0]
        mesh.custody.clear()
        entry = (mesh.peer.author[:3], number - 1, 3)
        want = frames.make(frames.WANT, MESH, asks.encode_want(asks.WANT_OPERATIONS, [entry]), KEY, 1 << 3)
        hear(mesh, b"nea", want, 8000)
        assert mesh.feed.pushed()[0] == number - 2 and mesh.due(8000) == 8000
        mesh.say(8000)
        assert mesh.feed.pushed()[0] == number and len(mesh.custody.flying()) == 2


def test_a_question_goes_on_for_what_comes_before_that_which_is_here() -> None:
    for bits, goes_on in ((0b100, False), (0b101, True)):
        with gradient():
            mesh = relay()
            hear(mesh, b"far", op(4, number=5), 1000)
            take(mesh, 1000)
            entry = (b"aut", 3, bits)
            body = asks.encode_want(asks.WANT_OPERATIONS, [entry])
            hear(mesh, b"nea", frames.make(frames.WANT, MESH, body, KEY, 2 << 3), 14000)
            assert bool(mesh.stats["passed"]) == goes_on


def test_nothing_is_pushed_where_no_way_is_known() -> None:
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 1000)
        take(mesh, 1000)
        mesh.custody.move(frames.UNKNOWN, 14000)
        assert not [1 for at in range(14000, 200000, 500) for _ in mesh.custody.step(at, 1)]
        mesh.custody.move(3, 200000)
        due = mesh.custody.due()
        assert due is not None and due < 200000 + 4 * mesh.custody.patience
        assert mesh.custody.step(due, 1)


def test_what_was_held_in_a_flood_is_on_its_way_no_more_when_it_ends() -> None:
    mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY)
    mesh.custody.know(name_of(op(0)), 0)
    mesh.feed.fill(0)
    number = mesh.feed.pushed()[0]
    assert number and mesh.custody.knows(name_of(op(0)), 4, 1)
    before = limits.FLOOD_AUTHORS, limits.FLOOD_AGAIN_AUTHORS
    limits.FLOOD_AUTHORS = limits.FLOOD_AGAIN_AUTHORS = -1
    mesh._mode(1000)
    limits.FLOOD_AUTHORS, limits.FLOOD_AGAIN_AUTHORS = before
    assert not mesh.flood and not mesh.custody.knows(name_of(op(0)), 4, 1000)
    assert mesh.feed.pushed()[0] == 0


def test_a_new_peer_takes_part_in_a_flood_when_it_has_heard_somebody() -> None:
    """Where others do not flood it would take and pass on all that it hears."""
    for moment, waiting in ((pace.MEET_MS - 1, 0), (pace.MEET_MS, 1)):
        mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY)
        hear(mesh, b"far", op(4), moment)
        assert len(mesh.intake.waiting) == waiting
    mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY)
    hear(mesh, b"far", op(4), 900)
    state(mesh, b"one", 1, 2, 1000, flags=0)
    hear(mesh, b"far", op(4, 1), 1100)
    assert len(mesh.intake.waiting) == 1


def test_who_does_not_flood_tells_a_new_peer_so() -> None:
    with gradient():
        for flags, distance, told in (
            (0, 5, True),
            (frames.GRADIENT, 5, False),
            (frames.GRADIENT, 255, True),
        ):
            mesh = relay()
            for at in range(1000, 9000, 100):
                mesh.say(at)
            said = mesh.stats["states"]
            mesh._trickle.due = mesh._time_at = 10**9
            state(mesh, b"new", 1, distance, 10000, flags=flags)
            for at in range(10000, 11000, 50):
                mesh.say(at)
            assert (mesh.stats["states"] > said) == told


# ---- sessions


def test_without_a_flood_one_that_floods_is_no_reason_to_connect() -> None:
    mesh = relay()
    for flags, worth in ((frames.CONNECTABLE, 0), (frames.CONNECTABLE | frames.GRADIENT, 100)):
        state(mesh, b"you", 1 + worth, 5, 1000, flags=flags, open=100)
        neighbour = mesh.visits._table[b"you"]
        assert mesh.visits._gap(neighbour) == worth


def test_a_gateway_gets_from_the_keeper_what_another_brought_it() -> None:
    big, source = keeper(), board()
    one, two = gateway(), gateway()
    record(source, 3)
    for schema in source.schemas.values():
        one.ingest_schema(schema.encoded)
    one.ingest(source.author, 1, [body for _, body in operations(source.log, source.author)])
    one.commit()
    sync(one, big, 0)
    held = big.log.held(source.author)
    assert held == source.log.held(source.author) and not big.receipted(source.author)
    sync(two, big, 0)
    assert two.log.held(source.author) == held
    # A board has no use for it.
    other = board()
    sync(other, big, 0)
    assert not other.log.held(source.author)


class _Identity:
    fresh: tuple = ()
    said: tuple = ()


def test_a_relay_with_an_identity_wants_a_session_over_a_time_that_anybody_may_have_said() -> None:
    mesh = relay()

    def waits(now: int) -> bool:
        return bool(frames.decode_state(mesh._say_state(0, now)).flags & BULK)

    assert not waits(1000)
    mesh.peer.set_time(900000000000, 65, SOURCE_KEEPER, 2000)
    assert not waits(2000), "without one it can know no better"
    mesh.peer.members = _Identity()
    assert waits(3000)
    mesh.peer.set_time(900000100000, 65, SOURCE_KEEPER, 4000, True)
    assert not waits(4000) and mesh.peer.utc(4000)[0] == 900000100000


def test_who_brings_no_receipt_is_no_way_while_another_is() -> None:
    with gradient():
        mesh = relay(3)
        mesh.visits.ways.rank = lambda now: None
        ways = mesh.visits.ways
        for counter in range(1, 5):
            state(mesh, b"evi", counter, 0, 1000 * counter)
            state(mesh, b"hon", counter, 2, 1000 * counter)
        assert ways.find(5000) == 1
        ways.hears(b"evi", 10_000)
        for silent, alive, barren in ((None, 2_000_000, 0), (20_000, 2_000_000, 0), (5000, 600_000, 0)):
            # Nothing is late; it took nothing since; no keeper was heard of in time.
            mesh.feed.silent_since, ways.alive_at = silent, alive
            ways.judge(2_000_000)
            assert mesh.stats["barren"] == barren and mesh.feed.silent_since is None
        now = 2_000_000
        for bars, hours in enumerate((1, 2, 4, 8, 8, 1), 1):
            state(mesh, b"evi", 4 + bars, 0, now)
            state(mesh, b"hon", 4 + bars, 2, now)
            ways.hears(b"evi", now)
            mesh.feed.silent_since, ways.alive_at = now, now + pace.ROUTE_MS
            ways.judge(now)
            assert mesh.stats["barren"] == bars and ways.find(now) == 3
            # What it has written itself is no part of this.
            ways.alive_at = 0
            assert ways.barred(b"evi", mesh.code - 1, now) and not ways.barred(b"evi", mesh.code, now)
            assert not ways.barred(b"hon", 0, now) and not ways.barred(b"nob", 0, now)
            # What it says to have counts for nothing.
            hear(mesh, b"far", op(4, 1, bars), now)
            take(mesh, now)
            held = mesh.custody.count()
            ack = frames.make(frames.ACK, MESH, asks.encode_ack(asks.ACK_PASSED, [op(0, 0, bars)[4:10]]), KEY)
            hear(mesh, b"evi", frames.with_hop(ack, 1, bars), now + 12_000)
            hear(mesh, b"evi", op(1, 1, bars), now + 12_000)
            assert mesh.custody.count() == held > 0
            now += hours * 3_600_000 - 1
            assert ways.barred(b"evi", 0, now) and not ways.barred(b"evi", 0, now + 1)
            now += 1 + (pace.CROWD_MS if bars == 5 else 0)
        # Where nobody else is a way it is one as before.
        state(mesh, b"evi", 20, 0, now)
        ways.hears(b"evi", now)
        mesh.feed.silent_since, ways.alive_at = now, now + pace.ROUTE_MS
        ways.judge(now)
        assert ways.barred(b"evi", 0, now)
        now += pace.LOST_MS
        assert ways.find(now) == 1 and not ways.barred(b"evi", 0, now)


def test_a_receipt_that_says_more_shows_that_a_keeper_is_there() -> None:
    with gradient():
        mesh = relay(3)
        ways = mesh.visits.ways

        def word(author: bytes, number: int, now: int) -> bool:
            before = ways.alive_at
            body = encode_receipt(b"keep", 1, author, number, bytes(8))
            hear(mesh, b"nea", frames.make(frames.RECEIPT, MESH, body, KEY), now)
            return ways.alive_at != before

        assert not word(b"one", 5, 1000) and not word(b"two", 9, 2000) and not word(b"two", 10, 3000)
        assert not word(b"one", 4, 4000) and word(b"one", 6, 5000)
        late = 5000 + 9_000_000
        assert not word(b"two", 11, late - 1) and not word(b"two", 12, late) and word(b"two", 13, late + 1)
