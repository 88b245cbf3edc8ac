"""Many start at once: what keeps a gradient from being busy with itself. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, Air, check_air, gradient

from hedgerow import limits
from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_OP, MemoryLog, MemoryStore
from hedgerow.mesh import asks, frames, letters, tells
from hedgerow.mesh.custody import Custody, name_of
from hedgerow.mesh.down import proof_of
from hedgerow.mesh.mesh import Mesh
from hedgerow.operation import decode_body
from hedgerow.peer import Peer
from hedgerow.sync import hello

HEAP = "4m"
MESH = b"\x11\x22\x33"


def _engine(role: int = hello.RELAY, store: MemoryStore | None = None, keeper: bool = False) -> Mesh:
    peer = Peer(MemoryLog(store or MemoryStore(b"author-1")), 0, role=role, mesh=MESH, keeper=keeper)
    return Mesh(peer, 0, random=Random(1).below, role=role, key=KEY)


def _op(number: int, code: int, repeat: int = 0, author: bytes = b"aut") -> bytes:
    frame = frames.make(frames.OP, MESH, author + number.to_bytes(2, "big") + bytes(8), KEY)
    return frames.with_hop(frame, code, repeat)


def _gradient_relay(code: int) -> Mesh:
    mesh = _engine()
    mesh.set_flood(False, 0)
    mesh.code = mesh.custody.code = code
    mesh.peer.note_distance(code - 1, 0)
    return mesh


def _hear(mesh: Mesh, address: bytes, frame: bytes, now: int) -> None:
    assert mesh.heard(address, -60, frames.advertise(frame), now)


def test_who_has_no_turn_yet_leaves_it_to_others() -> None:
    mesh = _gradient_relay(3)
    mesh.speaker.free_at = 20000
    _hear(mesh, b"far", _op(1, 4), 1000)
    for now in range(1000, 19000, 500):
        mesh.say(now)
    assert not mesh.custody.count() and mesh.custody.has(name_of(_op(1, 4)))
    _hear(mesh, b"other", _op(1, 3), 19000)
    assert not mesh.custody.has(name_of(_op(1, 4)))
    # Others have it: whoever pushes it again is told, and it is not taken.
    _hear(mesh, b"far", _op(1, 4, 1), 19500)
    assert not mesh.custody.has(name_of(_op(1, 4))) and mesh._acks
    for now in range(20000, 30000, 500):
        mesh.say(now)
    assert not mesh.stats["custody"]


def test_a_full_table_is_not_offered_more_at_once() -> None:
    stats = dict.fromkeys(("refused", "custody", "acked", "left"), 0)
    held = Custody(MemoryLog(MemoryStore(b"author-1")), Random(1).below, stats, 0)
    for at in range(limits.MAX_CUSTODY):
        frame = _op(1, 4, 0, b"\1\2" + bytes((at,)))
        assert held.take(frame, name_of(frame), 0)
    assert not held.full(0)
    frame = _op(1, 4)
    held.offer(frame, name_of(frame), 0, 10)
    assert held.full(0) and not held.has(name_of(frame)) and stats["refused"] == 1
    held.offer(frame, name_of(frame), 1, 10)
    assert stats["refused"] == 1
    assert not held.full(held.patience)


def test_a_gateway_keeps_fragments_that_it_acknowledges() -> None:
    store = MemoryStore(b"author-1")
    mesh = _engine(hello.GATEWAY, store, True)
    other = _engine(store=MemoryStore(b"author-2")).peer
    content = letters.encode_operation(other.author, 1, other.log.fetch(other.author, 1))
    content = bytes((letters.OPERATION,)) + content[1:10] + other.log.fetch(other.author, 1)
    parts = [frames.make(frames.LETTER_UP, MESH, body, KEY, 3 << 3) for body in letters.split(content)]
    assert len(parts) > 1
    for part in parts[1:]:
        _hear(mesh, b"one", part, 1000)
    assert len(mesh._acks) == len(parts) - 1
    mesh.close()
    again = _engine(hello.GATEWAY, store, True)
    assert again.peer.log.held(other.author) == 0
    _hear(again, b"one", parts[0], 1000)
    assert again.peer.log.held(other.author) == 1
    again.close()
    # What is whole is not kept in parts.
    assert not _engine(hello.GATEWAY, store, True).intake.kept.parts


def _state(mesh: Mesh, counter: int, distance: int, now: int) -> None:
    well = b"\xff" * 6
    state = frames.State(MESH[:2], counter, 0, well, 0, distance, frames.GRADIENT, hello.RELAY, b"wea", 3)
    _hear(mesh, b"weak", frames.encode_state(state, KEY), now)


def test_a_lucky_packet_from_far_away_makes_no_way() -> None:
    mesh = _gradient_relay(6)
    for at in range(5):
        # One of twelve is heard.
        _state(mesh, 12 * at, 1, 60000 * at)
    assert mesh.peer.distance(300000) == 6
    for at in range(4):
        _state(mesh, 50 + at, 1, 300000 + 60000 * at)
    assert mesh.peer.distance(600000) == 2


def test_clock_records_are_brief() -> None:
    peer = _engine().peer
    peer.set_time(849000000000, 250, 4, 5000)
    sizes = []
    for number in (1, 2):
        stored = peer.log.fetch(peer.author, number)
        content = letters.encode_operation(peer.author, number, stored)
        assert content[0] == letters.CLOCK_BRIEF
        assert letters.decode_operation(content) == (peer.author, number, stored)
        sizes.append(len(letters.split(content)))
    assert sizes == [1, 2], sizes
    assert decode_body(peer.log.fetch(peer.author, 2))[1][0][5] == 849000000000
    peer.insert("readings", {"n": 1}, 6000)
    stored = peer.log.fetch(peer.author, 3)
    content = letters.encode_operation(peer.author, 3, stored)
    assert content[0] == letters.OPERATION and letters.decode_operation(content)[2] == stored


def test_a_receipt_that_came_too_early_is_no_echo() -> None:
    keeper = _engine(hello.GATEWAY, keeper=True)
    author = _engine(store=MemoryStore(b"author-2"))
    receipt = Receipt(keeper.peer.identity, 1, author.peer.author, 1)
    body = tells.encode_receipt(receipt.keeper[:4], 1, author.peer.author[:3], 1, proof_of(receipt))
    frame = frames.make(frames.RECEIPT, MESH, body, KEY)
    # The keeper's name comes later.
    _hear(author, b"one", frame, 1000)
    assert not author.peer.receipted(author.peer.author)
    author.names.learn(keeper.peer.identity, 2000)
    _hear(author, b"two", frame, 3000)
    assert author.peer.receipted(author.peer.author) == 1
    # Now it is one.
    _hear(author, b"three", frame, 4000)
    assert author.stats["echoes"] == 1


def test_a_schema_that_is_on_its_way_is_not_pushed_by_all() -> None:
    with gradient():
        air = Air(2, loss=0, duty=100)
        keeper = air.add("keeper", hello.GATEWAY, True)
        members = [air.add("m%d" % at) for at in range(6)]
        air.all([keeper] + members)
        air.run(30000)
        names: dict = {}

        def note(member: object, payload: bytes) -> None:
            if payload[4] & 15 == frames.LETTER_UP:
                names.setdefault(payload[8:11], {})[member.number] = 1

        air.on_sent = note
        for at in range(6):
            air.at(30000 + 5000 * at, air.reading, members[at])
        air.run(120000)
        air.settle([keeper], members, 60000)
        assert max([len(by) for by in names.values()]) <= 2, names
        check_air(air)


def test_a_flood_after_a_gradient_calms_down() -> None:
    """What was left open here and there is receipted, by receipts that all have heard before, when nothing
    of their authors was there; and nobody goes on asking."""
    air = Air(1, duty=100)
    keeper = air.add("keeper", hello.GATEWAY, True)
    members = [air.add("b%d" % at, seal_ms=60000) for at in range(9)]
    air.line(members[:4])
    air.all(members[5:])
    air.run(10000)
    air.readings(members, 20000, 50000)
    air.run(60000)
    for one, other in ((3, 4), (4, 5), (3, 5), (4, 6)):
        air.link(members[one], members[other])
    air.link(keeper, members[4])
    with gradient():
        air.run(300000)
        air.readings(members, 60000, 600000)
        air.run(600000)
        air.settle([keeper], members, 600000)
        air.run(air.now + 600000)
    assert sum([member.mesh.repair.open for member in members]) > 5
    for member in air.members:
        member.mesh._crowded = False
        member.mesh.visits.ways.gradient = lambda now, any_: False
    air.run(air.now + 300000)
    assert not [1 for member in air.members if not member.mesh.flood]
    kinds: dict = {}

    def note(member: object, payload: bytes) -> None:
        kind = payload[frames.find(payload)] & 15
        kinds[kind] = kinds.get(kind, 0) + 1

    air.on_sent = note
    air.run(air.now + 600000)
    assert not sum([member.mesh.repair.open for member in members])
    assert not [kind for kind in kinds if kind not in (frames.STATE, frames.ANNOUNCE)], kinds
    check_air(air)


def test_a_receipt_that_was_of_no_use_is_when_it_comes_again() -> None:
    """In a flood: of operations that have come since, and of those that are asked for."""
    for held in (True, False):
        mesh = _engine()
        keeper = Receipt(b"keeper-1", 1, b"bcd-1234", 3)
        for name in (keeper.keeper, keeper.author):
            mesh.names.learn(name, 0)
        body = tells.encode_receipt(b"keep", 1, b"bcd", 3, proof_of(keeper))
        frame = frames.make(frames.RECEIPT, MESH, body, KEY)
        mesh.set_flood(False, 0)
        _hear(mesh, b"one", frame, 1000)
        assert not mesh.peer.receipted(keeper.author)
        mesh.set_flood(True, 1000)
        _hear(mesh, b"two", frame, 1000)
        assert mesh.stats["echoes"] == 1 and not mesh.peer.receipted(keeper.author)
        if held:
            mesh.peer.log.append(ENTRY_OP, keeper.author, 1, 1, b"\x80")
        else:
            mesh.repair.want(asks.WANT_OPERATIONS, keeper.author, 1000)
        _hear(mesh, b"three", frame, 2000)
        assert mesh.peer.receipted(keeper.author) == 3
        assert not mesh.repair.asks_for(keeper.author)


def test_a_receipt_that_proves_nothing_is_no_answer() -> None:
    """Where receipts have to prove themselves, a made-up one must not end a question; elsewhere it does so
    though there be no room for it."""
    for members in (None, object()):
        mesh = _engine()
        mesh.peer.members = members
        mesh.peer.ingest_receipt = lambda *_: False
        made_up = Receipt(b"keeper-1", 1, b"bcd-1234", 3)
        for name in (made_up.keeper, made_up.author):
            mesh.names.learn(name, 0)
        mesh.repair.want(asks.WANT_OPERATIONS, made_up.author, 1000)
        body = tells.encode_receipt(b"keep", 1, b"bcd", 3, proof_of(made_up))
        _hear(mesh, b"one", frames.make(frames.RECEIPT, MESH, body, KEY), 2000)
        assert mesh.repair.asks_for(made_up.author) == bool(members)


def test_who_has_a_receipt_alone_neither_tells_nor_is_told() -> None:
    mesh = _engine()
    mesh.names.learn(b"bcd-1234", 0)
    mesh.names.learn(b"keeper-1", 0)
    mesh.peer.ingest_receipt(Receipt(b"keeper-1", 1, b"bcd-1234", 3))
    mesh.repair.update(b"bcd-1234", 0)
    bucket = b"b"[0] & 7
    assert mesh.repair._have(-16 - bucket, 0) is None
    for waits, told in ((0, 0), (1, 1)):
        body = asks.encode_have(3, bucket, [(b"bcd", 1, waits)])
        mesh.repair.heard_have(frames.make(frames.HAVE, MESH, body, KEY), b"one", 0)
        assert mesh.stats["receipts"] == told
