"""How far a keeper is, and that a frame gets on once: neither taken twice nor given up. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, gradient
from sync_kit import board, gateway, keeper, operations, record, sync

from hedgerow import limits
from hedgerow.mesh import asks, frames, pace
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.mesh import Mesh
from hedgerow.presence import learnt
from hedgerow.sync.hello import LEAF, RELAY

HEAP = "4m"
MESH = b"\x11\x22\x33"


def relay(code: int = 3) -> Mesh:
    """A relay so far from a keeper, where nobody floods."""
    mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY)
    mesh.set_flood(False, 0)
    mesh.peer.note_distance(code - 1, 0)
    mesh.say(0)
    assert mesh.code == code
    return mesh


def op(code: int, repeat: int = 0, number: int = 1) -> bytes:
    frame = frames.make(frames.OP, MESH, b"aut" + number.to_bytes(2, "big") + bytes(8), KEY)
    return frames.with_hop(frame, code, repeat)


def hear(mesh: Mesh, address: bytes, frame: bytes, now: int) -> None:
    assert mesh.heard(address, -60, frames.advertise(frame), now)


def take(mesh: Mesh, now: int) -> None:
    """Let it take what it has decided to take."""
    for at in range(now, now + 12000, 200):
        mesh.say(at)


def state(mesh: Mesh, address: bytes, counter: int, distance: int, now: int, **more: object) -> None:
    fields = {"flags": frames.GRADIENT, "role": RELAY, "rssi": -60, "open": 0}
    fields.update(more)
    said = frames.State(
        MESH[:2], counter, 0, bytes(6), fields["open"], distance, fields["flags"], fields["role"], address, 3
    )
    payload = frames.advertise(frames.encode_state(said, KEY))
    assert mesh.heard(address, fields["rssi"], payload, now, True)


# ---- once


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
        # If it is that one who pushes it again and again it has found no way on.
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
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 1000)
        take(mesh, 1000)
        mesh.custody.move(5, 14000)
        pushed = [frame for at in range(14000, 60000, 500) for _, frame, _ in mesh.custody.step(at, 1)]
        assert pushed and pushed[0][3] & 7 == 7


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
        assert mesh.feed.pushed()[0] == number - 1
        mesh.feed.fill(8000)
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


# ---- how far


def test_the_nearest_of_those_who_are_well_heard_counts() -> None:
    with gradient():
        mesh = relay()
        for counter in range(1, 7):
            state(mesh, b"one", counter, 5, counter * 1000, rssi=-50)
            state(mesh, b"two", counter, 4, counter * 1000, rssi=-80)
            state(mesh, b"odd", 5 * counter, 1, counter * 1000, rssi=-40)
        assert mesh.peer.distance(7000) == 5
        # What is good stays so for a while: a way that is taken is not given up for a few that were missed.
        state(mesh, b"two", 9, 4, 9000)
        assert mesh.peer.distance(9000) == 5


def test_a_way_that_is_lost_is_unknown_before_it_is_longer() -> None:
    with gradient():
        mesh = relay()
        for counter in range(1, 7):
            state(mesh, b"one", counter, 1, counter * 1000)
            state(mesh, b"two", counter, 2, counter * 1000)
            state(mesh, b"far", counter, 3, counter * 1000)
        assert mesh.peer.distance(7000) == 2
        end = 6000 + pace.LOST_MS
        for counter, now in ((7, 60000), (8, end)):
            state(mesh, b"two", counter, 2, now)
            state(mesh, b"far", counter, 3, now)
        mesh.visits.ways.rank(end + 1000)
        assert mesh.peer.distance(end + 1000) == 3, "by one that was as near as this one"
        state(mesh, b"two", 9, 255, end + 2000)
        assert mesh.peer.distance(end + 2000) == 255, "the other had its way by us, maybe"


def test_who_does_not_hear_us_is_no_way() -> None:
    with gradient():
        mesh = relay()
        for counter in range(1, 7):
            state(mesh, b"dea", counter, 1, counter * 1000)
            state(mesh, b"two", counter, 2, counter * 1000)
        mesh.say(7000)
        assert mesh.peer.distance(7000) == 2
        mesh.custody.vain = 15
        mesh.say(7000)
        assert mesh.peer.distance(7000) == 2
        mesh.custody.vain = 1
        mesh.say(7100)
        assert mesh.peer.distance(8000) == 3
        # Until it has taken something.
        frame = op(5)
        mesh.custody.move(3, 8000)
        hear(mesh, b"far", frame, 9000)
        take(mesh, 9000)
        assert mesh.custody.count() == 1
        hear(mesh, b"dea", op(1), 22000)
        state(mesh, b"dea", 7, 1, 23000)
        assert mesh.peer.distance(23000) == 2


def test_a_push_in_vain_is_told() -> None:
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 1000)
        pushes = 0
        for at in range(1000, 90000, 500):
            pushes += len(mesh.custody.step(at, 1))
            assert mesh.custody.vain == (0, 0, 0, 1, 3, 6, 10)[pushes]
        assert pushes > 3


def test_leaves_are_no_way_and_take_whom_they_hear() -> None:
    with gradient():
        mesh = relay()
        for counter in range(1, 7):
            state(mesh, b"lea", counter, 1, counter * 1000, role=LEAF)
        assert mesh.peer.distance(7000) == 3
        leaf = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY, role=LEAF)
        state(leaf, b"rel", 1, 3, 1000)
        assert leaf.peer.distance(1000) == 4
        state(leaf, b"rel", 7, 6, 900000)
        assert leaf.peer.distance(900000) == 7


def test_a_full_table_keeps_those_who_are_near_and_a_way() -> None:
    mesh = relay()
    for counter in range(1, 4):
        state(mesh, b"way", counter, 1, counter * 1000, rssi=-90)
    for at in range(limits.MAX_NEIGHBOURS + 4):
        state(mesh, b"n%02d" % at, 1, 5, 4000, rssi=-60 - at)
    known = mesh.visits._table
    assert len(known) == limits.MAX_NEIGHBOURS and b"way" in known and b"n00" in known
    assert b"n%02d" % (limits.MAX_NEIGHBOURS + 1) not in known


def test_the_hops_by_way_of_another() -> None:
    found = [(0, 1), (14, 15), (15, 255), (99, 255), (100, 101), (114, 115), (115, 255), (255, 255)]
    for remote, hops in found:
        assert learnt(remote) == hops


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
