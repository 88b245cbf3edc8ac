"""What a session has given somebody nearer a keeper is that one's to push (SPEC 6.25.5). Runs on both VMs."""

from sync_kit import record, sync
from ways_kit import relay, state

from hedgerow import limits
from hedgerow.mesh import pace
from hedgerow.sync.hello import LEAF

OPERATIONS = 40
NEAR, OTHER = b"nearer", b"other"
LATE = pace.AGAIN_MS + 20000


def carrying() -> object:
    """A relay with much to push, and two neighbours nearer a keeper than it."""
    mesh = relay(4)
    mesh.peer.seal(record(mesh.peer, OPERATIONS))
    mesh.say(15000)
    for counter in range(4):
        for address in (NEAR, OTHER):
            state(mesh, address, counter, 2, 15000 + counter)
    return mesh


def meet(mesh: object, other: object, address: bytes, now: int) -> int:
    """Hold a session of the relay with a nearer one; return how many operations it has brought there."""
    mesh.peer.note_distance(3, now)
    other.peer.note_distance(1, now)
    pipe = sync(mesh.peer, other.peer, now)
    mesh.synced(address, None, now, pipe.ends[0].told())
    other.synced(b"farther", None, now, pipe.ends[1].told())
    return pipe.ends[1].operations_in


def test_what_somebody_nearer_was_given_is_pushed() -> None:
    mesh, near = carrying(), relay(2)
    assert mesh.feed.backlog() >= OPERATIONS - limits.MESH_WINDOW
    assert meet(mesh, near, NEAR, 20000) >= OPERATIONS
    assert mesh.feed.backlog() == 0 and mesh.feed.idle()
    # It has taken our own: if no receipt comes it is no way (6.21.3).
    assert mesh.visits._table[NEAR].took_at == 20000
    near.say(21000)
    assert near.feed.backlog() > 0 and mesh.peer.author in near.feed.sources


def test_who_comes_later_is_not_given_it_as_well() -> None:
    mesh, near, other = carrying(), relay(2), relay(2)
    meet(mesh, near, NEAR, 20000)
    mesh.peer.seal(record(mesh.peer, 5, 30000))
    # It would have to be given all that comes before these.
    assert meet(mesh, other, OTHER, 40000) == 0
    assert 0 < mesh.feed.backlog() <= 6
    assert meet(mesh, near, NEAR, 50000) > 0
    assert mesh.feed.backlog() == 0


def test_without_a_receipt_all_of_it_goes_to_everybody_again() -> None:
    mesh, near, other = carrying(), relay(2), relay(2)
    meet(mesh, near, NEAR, 20000)
    mesh.say(LATE)
    mesh.peer.note_distance(3, LATE)
    # It has heard nobody for long.
    mesh.set_flood(False, LATE)
    mesh.say(LATE + 1)
    assert mesh.feed.backlog() > 0
    # Who has brought none takes it off nobody's hands a second time.
    mesh.peer.seal(record(mesh.peer, 5, LATE))
    assert meet(mesh, near, NEAR, LATE + 10000) > 0
    assert mesh.feed.backlog() > 0
    assert meet(mesh, other, OTHER, LATE + 20000) > OPERATIONS
    assert mesh.feed.backlog() == 0


def test_others_operations_wait_for_a_receipt_from_when_they_were_given_on_once() -> None:
    mesh, far, near = carrying(), relay(6), relay(2)
    far.peer.seal(record(far.peer, OPERATIONS))
    sync(far.peer, mesh.peer, 18000)
    mesh.say(19000)
    source = mesh.feed.sources[far.peer.author]
    assert source.again_at < 1000000 + pace.AGAIN_MS
    meet(mesh, near, NEAR, 1000000)
    assert source.again_at == 1000000 + pace.AGAIN_MS
    own = mesh.feed.sources[mesh.peer.author].again_at
    assert own < 1000000 + pace.AGAIN_MS
    # More of the same author, time and again, puts it off no further.
    far.peer.seal(record(far.peer, 2, 1100000))
    sync(far.peer, mesh.peer, 1200000)
    meet(mesh, near, NEAR, 1300000)
    assert source.again_at == 1000000 + pace.AGAIN_MS and source.handed > OPERATIONS


def test_who_is_barred_takes_nothing_over_and_who_holds_it_already_does() -> None:
    mesh, near = carrying(), relay(2)
    mesh.visits._table[NEAR].barred_until = 1 << 30
    before = mesh.feed.backlog()
    meet(mesh, near, NEAR, 20000)
    assert mesh.feed.backlog() == before > 0 and mesh.visits._table[NEAR].took_at < 0
    mesh.visits._table[NEAR].barred_until = 0
    assert meet(mesh, near, NEAR, 40000) == 0
    assert mesh.feed.backlog() == 0


def test_a_flood_and_who_is_farther_take_nothing_over() -> None:
    for code, flood in ((2, True), (6, False)):
        mesh, other = carrying(), relay(code)
        mesh.set_flood(flood, 19000)
        before = mesh.feed.backlog()
        mesh.peer.note_distance(3, 20000)
        other.peer.note_distance(code - 1, 20000)
        pipe = sync(mesh.peer, other.peer, 20000)
        mesh.synced(OTHER, None, 20000, pipe.ends[0].told())
        assert mesh.feed.backlog() == before > 0


def test_no_more_counts_than_is_here() -> None:
    mesh = carrying()
    author, most = mesh.peer.author, 1 << 30
    mesh.synced(NEAR, None, 20000, [(author, 0, most, most), (b"not here", 0, 9, 9)])
    source = mesh.feed.sources[author]
    held = mesh.peer.log.held(author)
    assert (source.number, source.sealed, source.handed) == (held, held, held)


def test_a_leaf_is_given_nothing_to_carry_on() -> None:
    mesh, leaf = carrying(), relay(2)
    leaf.peer.role = LEAF
    before = mesh.feed.backlog()
    meet(mesh, leaf, NEAR, 20000)
    assert mesh.feed.backlog() == before > 0


def test_what_needs_a_session_takes_with_it_what_was_given_to_others() -> None:
    mesh, near, other = carrying(), relay(2), relay(2)
    meet(mesh, near, NEAR, 20000)
    mesh.peer.insert("words", {"text": "x" * 2000}, 30000)
    mesh.peer.seal(30000)
    mesh.custody.clear()
    mesh.say(31000)
    assert mesh.feed.stuck
    assert meet(mesh, other, OTHER, 40000) > OPERATIONS
    assert mesh.feed.backlog() == 0
