"""Many start at once: what keeps a gradient from being busy with itself. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, Air, check_air, gradient

from hedgerow import limits
from hedgerow.custody.receipt import Receipt
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.mesh import frames, letters, tells
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
