"""What a session has given somebody nearer a keeper is that one's to push (SPEC 6.25.5). Runs on both VMs."""

from sync_kit import Pipe, record, sync
from ways_kit import relay, state

from hedgerow import limits
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL
from hedgerow.mesh import frames, pace
from hedgerow.presence import UNKNOWN_DISTANCE
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import GATEWAY, LEAF

HEAP = "4m"
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


def brings(mesh: object, sealed: int) -> object:
    """Have one that is farther away bring what it has recorded, sealed or not."""
    far = relay(6)
    at = record(far.peer, OPERATIONS)
    if sealed:
        far.peer.seal(at)
    far.peer.log.commit()
    number = 0
    for entry in far.peer.log.read(far.peer.author, 0, 0, 1 << 30):
        if entry[0] == ENTRY_OP:
            number += mesh.peer.ingest(far.peer.author, entry[1], [entry[3]])
        elif entry[0] == ENTRY_SEAL and sealed:
            mesh.peer.ingest_seal(far.peer.author, entry[3])
    mesh.peer.commit()
    assert number > OPERATIONS
    mesh.say(19000)
    assert far.peer.author in mesh.feed.sources
    return far


def test_what_somebody_nearer_was_given_is_pushed() -> None:
    mesh, near = carrying(), relay(2)
    assert mesh.feed.backlog() >= OPERATIONS - limits.MESH_WINDOW and mesh.many
    assert meet(mesh, near, NEAR, 20000) >= OPERATIONS
    assert mesh.feed.backlog() == 0 and mesh.feed.idle()
    mesh.say(20500)
    assert not mesh.many
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
    for counter, at in enumerate(range(20000, LATE, 60000)):
        for address in (NEAR, OTHER):
            state(mesh, address, 4 + counter, 2, at)
        mesh.set_flood(False, at)
        mesh.say(at)
    mesh.say(LATE)
    assert mesh.code < frames.UNKNOWN
    assert mesh.feed.backlog() > 0
    # Who has brought none takes it off nobody's hands a second time.
    mesh.peer.seal(record(mesh.peer, 5, LATE))
    assert meet(mesh, near, NEAR, LATE + 10000) > 0
    assert mesh.feed.backlog() > 0
    assert meet(mesh, other, OTHER, LATE + 20000) > OPERATIONS
    assert mesh.feed.backlog() == 0


def test_to_hand_it_over_puts_nothing_off() -> None:
    mesh, near = carrying(), relay(2)
    far = brings(mesh, 1)
    before = [mesh.feed.sources[author].again_at for author in (mesh.peer.author, far.peer.author)]
    meet(mesh, near, NEAR, 1000000)
    assert [mesh.feed.sources[author].again_at for author in (mesh.peer.author, far.peer.author)] == before


def test_what_is_not_sealed_may_go_by_others_as_well() -> None:
    for sealed, times in ((1, 1), (0, 2)):
        mesh, near, other = carrying(), relay(2), relay(2)
        far = brings(mesh, sealed)
        for one, address, at in ((near, NEAR, 20000), (other, OTHER, 40000)):
            meet(mesh, one, address, at)
            assert mesh.feed.backlog() == 0
        held = [one.peer.log.held(far.peer.author) for one in (near, other)]
        assert len([1 for count in held if count > OPERATIONS]) == times


def test_a_gateway_is_given_what_a_relay_was_given() -> None:
    mesh, near, other = carrying(), relay(2), relay(2)
    meet(mesh, near, NEAR, 20000)
    other.peer.role = GATEWAY
    assert meet(mesh, other, OTHER, 40000) > OPERATIONS


def test_where_no_way_is_known_whoever_comes_is_given_it() -> None:
    mesh, near, other = carrying(), relay(2), relay(2)
    meet(mesh, near, NEAR, 20000)
    mesh.peer.way = UNKNOWN_DISTANCE
    mesh.say(21000)
    assert mesh.code == frames.UNKNOWN
    assert meet(mesh, other, OTHER, 40000) > OPERATIONS


def test_who_has_no_room_takes_nothing_over() -> None:
    mesh, near, other = carrying(), relay(2), relay(2)
    before = mesh.feed.backlog()

    def full(*_: object) -> int:
        raise HedgerowError("AUTHORS_FULL", "here")

    near.peer.ingest = full
    assert meet(mesh, near, NEAR, 20000) == 0
    assert mesh.feed.backlog() == before > 0 and mesh.visits._table[NEAR].took_at < 0
    assert meet(mesh, other, OTHER, 40000) > OPERATIONS
    assert mesh.feed.backlog() == 0


def test_who_is_nearer_no_more_gives_it_back() -> None:
    mesh, near = carrying(), relay(2)
    meet(mesh, near, NEAR, 20000)
    assert mesh.feed.backlog() == 0
    mesh.synced(OTHER, None, 30000, [(mesh.peer.author, 0, 0, 0)])
    assert mesh.feed.backlog() == 0
    near.peer.way = 9
    assert meet(mesh, near, NEAR, 40000) == 0
    assert mesh.feed.backlog() > OPERATIONS // 2


def test_who_is_asked_for_it_gives_it_to_anybody() -> None:
    mesh, near, other = carrying(), relay(2), relay(2)
    meet(mesh, near, NEAR, 20000)
    mesh.feed.rewind(mesh.peer.author, 0, 30000)
    assert meet(mesh, other, OTHER, 40000) > OPERATIONS


def test_what_is_receipted_was_not_taken() -> None:
    mesh = carrying()
    author = mesh.peer.author
    mesh.peer.receipted = lambda _: OPERATIONS
    mesh.synced(NEAR, None, 20000, [(author, OPERATIONS, OPERATIONS, OPERATIONS)])
    assert mesh.visits._table[NEAR].took_at < 0
    mesh.synced(NEAR, None, 20000, [(author, OPERATIONS, OPERATIONS + 1, OPERATIONS + 1)])
    assert mesh.visits._table[NEAR].took_at == 20000


def test_more_is_handed_over_in_the_same_round_also_after_one_in_vain() -> None:
    mesh, near = carrying(), relay(2)
    source = mesh.feed.sources[mesh.peer.author]
    source.tries = 1
    for at in (20000, 40000):
        mesh.peer.seal(record(mesh.peer, 5, at))
        meet(mesh, near, NEAR, at + 5000)
        assert mesh.feed.backlog() == 0


def test_what_ends_otherwise_hands_nothing_over() -> None:
    mesh, near = carrying(), relay(2)
    mesh.peer.note_distance(3, 20000)
    near.peer.note_distance(1, 20000)
    pipe = Pipe(
        Exchange(mesh.peer, 20000, central=True), Exchange(near.peer, 20000), 20000, cut={0: 300}
    ).run()
    assert (
        pipe.broken and not pipe.ends[0].settled and pipe.ends[0].operations_out > pipe.ends[1].operations_in
    )
    assert [entry[2:] for entry in pipe.ends[0].told()] == [(0, 0)] * len(pipe.ends[0].told()) != []


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
    mesh.custody.freed = False
    mesh.synced(NEAR, None, 20000, [(author, 0, most, most), (b"not here", 0, 9, 9)])
    source = mesh.feed.sources[author]
    held = mesh.peer.log.held(author)
    assert (source.number, source.sealed, source.handed) == (held, held, held)
    assert mesh.custody.freed


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
