"""What a session has brought to somebody nearer a keeper is not pushed as well. Runs on both VMs."""

from mesh_kit import gradient
from sync_kit import board, record, sync
from ways_kit import MESH, relay, state

from hedgerow.mesh import pace

OPERATIONS = 40


def carrying(now: int = 0) -> tuple:
    """A relay, and who has brought it what it is to push; a neighbour on each side."""
    mesh = relay()
    other = board("other", mesh=MESH)
    other.seal(record(other, OPERATIONS))
    mesh.peer.seal(record(mesh.peer, OPERATIONS))
    sync(mesh.peer, other, now)
    mesh.say(now)
    mesh.peer.note_distance(2, now)
    for counter in range(4):
        state(mesh, b"nearer", counter, 1, now + counter)
        state(mesh, b"farther", counter, 4, now + counter)
    assert mesh.feed.backlog() > OPERATIONS
    return mesh, other.author


def told(mesh: object, *authors: bytes) -> list:
    log = mesh.peer.log
    return [(author, 0, log.held(author), log.sealed(author)) for author in authors]


def test_what_somebody_nearer_holds_after_a_session_is_pushed() -> None:
    with gradient():
        mesh, other = carrying()
        own = mesh.peer.author
        again = [mesh.feed.sources[author].again_at for author in (own, other)]
        mesh.synced(b"nearer", None, 60000, told(mesh, own, other))
        assert mesh.feed.idle() and mesh.feed.backlog() == 0
        # Own ones are pushed again at their time all the same: so it shows who brings no receipt.
        assert mesh.feed.sources[own].again_at == again[0]
        assert mesh.feed.sources[other].again_at == 60000 + pace.AGAIN_MS > again[1]
        assert mesh.visits._table[b"nearer"].took_at == 60000


def test_only_what_is_here_counts_and_only_what_is_there() -> None:
    with gradient():
        mesh, other = carrying()
        log = mesh.peer.log
        most = 1 << 30
        mesh.synced(
            b"nearer", None, 60000, [(mesh.peer.author, 0, most, most), (other, 0, OPERATIONS - 5, 0)]
        )
        source = mesh.feed.sources[mesh.peer.author]
        assert (source.number, source.sealed) == (log.held(mesh.peer.author), log.sealed(mesh.peer.author))
        assert mesh.feed.sources[other].number == OPERATIONS - 5 and mesh.feed.sources[other].sealed == 0


def test_somebody_farther_or_that_brings_no_receipts_takes_nothing_over() -> None:
    with gradient():
        for address in (b"farther", b"nearer"):
            mesh, other = carrying()
            mesh.visits._table[b"nearer"].barred_until = 1 << 30
            before = mesh.feed.backlog()
            mesh.synced(address, None, 60000, told(mesh, mesh.peer.author, other))
            assert mesh.feed.backlog() == before and mesh.visits._table[address].took_at < 0


def test_what_somebody_farther_has_handed_over_is_to_be_pushed_whatever_brought_it() -> None:
    with gradient():
        mesh, other = carrying()
        del mesh.feed.sources[other]
        mesh.synced(b"farther", None, 60000, [(other, 0, 0, 0), (b"not here", 0, 9, 9)])
        assert list(mesh.feed.sources) == [mesh.peer.author]
        mesh.synced(b"farther", None, 60000, told(mesh, other))
        assert mesh.feed.sources[other].number == 0
        assert mesh.due(60000) == 60000
        for _ in range(OPERATIONS):
            mesh.custody.clear()
            mesh.say(60000)
        assert mesh.feed.idle()


def test_a_flood_pushes_what_it_pushes() -> None:
    mesh, other = carrying()
    mesh.set_flood(True, 0)
    before = mesh.feed.backlog()
    mesh.synced(b"nearer", None, 60000, told(mesh, mesh.peer.author, other))
    assert mesh.feed.backlog() == before
