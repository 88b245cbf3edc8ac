"""Much that is lacking: who connects at once, and what is known after a session. Runs on both VMs."""

from mesh_kit import KEY
from sync_kit import board

from hedgerow.mesh import frames, pace, tells
from hedgerow.mesh.mesh import Mesh
from hedgerow.sync.hello import LEAF, RELAY

HEAP = "4m"
MESH = b"\x11\x22\x33"
CAN = frames.CONNECTABLE


def engine(**options: object) -> Mesh:
    """A relay two hops from a keeper, whose waits have no random part."""
    mesh = Mesh(board(mesh=MESH), 0, random=lambda _: 0, key=KEY, **options)
    mesh.code = 2
    return mesh


def hear(mesh: Mesh, address: bytes, now: int, serial: int = 0, **fields: int) -> None:
    """Hear the STATE of a neighbour farther away."""
    state = {"open_count": 100, "distance": 3, "flags": CAN | frames.GRADIENT}
    state.update(fields)
    count, distance, flags = state["open_count"], state["distance"], state["flags"]
    said = frames.State(MESH[:2], serial, 0, b"dig%03d" % serial, count, distance, flags, RELAY, address, 3)
    mesh.visits.heard(address, said, -60, now)


def called_by(mesh: Mesh) -> object:
    """Return whom it calls: the short name in the CALL, or None."""
    for name in list(mesh.speaker.names):
        what = mesh.speaker.names[name][3]
        if isinstance(what, bytes) and what[0] & 15 == frames.CALL:
            mesh.speaker.drop(name)
            return tells.decode_call(what)[0]
    return None


def behind(mesh: Mesh, address: bytes, now: int, distance: int, count: int, flags: int) -> None:
    state = frames.State(MESH[:2], now & 0xFFFF, 0, bytes(6), count, distance, flags, RELAY, address, 3, 254)
    mesh.visits.heard(address, state, -60, now)


def test_who_says_to_be_behind_is_called_at_once_by_whoever_is_nearer() -> None:
    for distance, count, found in ((3, 0, b"you"), (2, 5, b"you"), (2, 0, None), (1, 5, None)):
        mesh = engine()
        behind(mesh, b"you", 0, distance, count, CAN)
        assert mesh.visit(0) is None
        assert called_by(mesh) == found, (distance, count)
    # Of two that are behind and as near neither helps the other.
    mesh = engine()
    mesh.many = True
    behind(mesh, b"you", 0, 2, 5, CAN)
    assert mesh.visit(0) is None and called_by(mesh) is None


def test_what_is_known_to_be_lacking_counts_though_receipts_come() -> None:
    mesh = engine()
    mesh.receipts_at = 0
    hear(mesh, b"you", 1, open_count=80, flags=CAN)
    neighbour = mesh.visits._table[b"you"]
    assert mesh.visits._gap(neighbour) == 0
    mesh.intake.note_height(b"author-x", 60)
    mesh.intake.note_height(b"author-y", 7)
    assert mesh.intake.lacking(1) == mesh.visits._gap(neighbour) == 67
    hear(mesh, b"you", 2, open_count=50, flags=CAN)
    assert mesh.visits._gap(neighbour) == 50
    # Who lacks some receipts may take a while to get them; who still has more then has more.
    hear(mesh, b"you", pace.AGAIN_MS // 2 - 1, open_count=80, flags=CAN)
    assert mesh.visits._gap(neighbour) == 67
    hear(mesh, b"you", pace.AGAIN_MS // 2, open_count=80, flags=CAN)
    assert mesh.visits._gap(neighbour) == 80 - mesh.repair.open > 67


def test_who_relays_nothing_lacks_nothing_of_others() -> None:
    for options, found in (({}, b"you"), ({"relays": False}, None), ({"role": LEAF}, None)):
        mesh = engine(**options)
        for now in (0, pace.VISIT_MS):
            hear(mesh, b"you", now, open_count=400, flags=CAN, serial=now & 1)
            assert mesh.visit(now) is None
        assert called_by(mesh) == found, options


def test_what_a_leaf_alone_may_have_is_nobody_elses_backlog() -> None:
    mesh = engine()
    mesh.names.learn(b"leaf-aut", 0)
    mesh.receipts_at = 1
    hear(mesh, b"you", 2, open_count=80, flags=CAN)
    shows = bytes(4) + (60).to_bytes(2, "big")
    leaf = frames.State(MESH[:2], 1, 0, shows, 60, 9, 0, LEAF, b"lea", 3, 15)
    assert mesh.heard(b"l", -60, frames.advertise(frames.encode_state(leaf, KEY)), 3)
    # It is asked for, of the leaf.
    assert mesh.intake.heights == {b"leaf-aut": 60} and mesh.repair.sought(0)
    neighbour = mesh.visits._table[b"you"]
    assert mesh.intake.lacking(3) == mesh.visits._gap(neighbour) == 0
    # It may be gone.
    assert mesh.intake.lacking(2 + pace.AGAIN_MS) == 0 and mesh.intake.lacking(3 + pace.AGAIN_MS) == 60
    # One that says that it has it, has it.
    mesh.visits.note_lag(b"you", 60)
    assert mesh.visits._gap(neighbour) == 60


def test_what_shrinks_fast_is_given_more_time() -> None:
    mesh = engine()
    hear(mesh, b"you", 0, open_count=200)
    assert mesh.visit(0) is None
    hear(mesh, b"you", pace.VISIT_MS, open_count=99, serial=1)
    assert mesh.visit(pace.VISIT_MS) is None and called_by(mesh) is None
    hear(mesh, b"you", 2 * pace.VISIT_MS, open_count=99, serial=2)
    assert mesh.visit(2 * pace.VISIT_MS) is None and called_by(mesh) == b"you"


def test_a_session_makes_old_what_was_known_of_others() -> None:
    mesh = engine()
    for address in (b"one", b"two"):
        hear(mesh, address, 0, flags=CAN)
        mesh.visits.note_lag(address, 90)
    assert mesh.visit(0) is None
    mesh.synced(b"one", None, pace.VISIT_MS)
    assert mesh.visits._table[b"two"].lag == 0
    hear(mesh, b"two", pace.VISIT_MS, flags=CAN, serial=1)
    assert mesh.visit(pace.VISIT_MS) is None and called_by(mesh) is None
    assert mesh.visit(2 * pace.VISIT_MS) is None and called_by(mesh) == b"two"


def test_a_call_is_over_with_the_session_that_it_asked_for() -> None:
    for end in (lambda mesh: mesh.synced(b"you", None, 20000), lambda mesh: mesh.failed(b"you", 20000)):
        mesh = engine()
        body = tells.encode_call(mesh.peer.author, b"sender-1", 10)
        mesh.heard(b"s", -50, frames.advertise(frames.make(frames.CALL, MESH, body, KEY)), 19000)
        assert mesh.called(20000)
        end(mesh)
        assert not mesh.called(20000)
