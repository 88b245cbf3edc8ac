"""What the engine does not do too early, too often or for nothing. Runs on both VMs."""

from kit import Random
from mesh_kit import KEY, gradient
from sync_kit import board, record
from ways_kit import MESH, hear, op, relay, state, take

from hedgerow import limits
from hedgerow.mesh import asks, frames, letters, pace, tells
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.outcome import WHOLE
from hedgerow.presence import UNKNOWN_DISTANCE
from hedgerow.sync.hello import RELAY

HEAP = "4m"


def said_kinds(mesh: Mesh, start: int, until: int) -> list:
    kinds = []
    for now in range(start, until, 20):
        said = mesh.say(now)
        if said is not None:
            kinds.append((said[0][frames.find(said[0])] & 0x0F, now))
    return kinds


def test_what_is_asked_for_again_is_acknowledged_only_when_it_is_durable() -> None:
    """Both advertising events of one saying are heard; in between nothing is written yet."""
    with gradient():
        mesh = relay()
        hear(mesh, b"far", op(4), 20000)
        take(mesh, 20000)
        hear(mesh, b"nea", op(2), 33000)
        assert not mesh.custody.count()
        mesh.down.note_route(b"aut", 33000)
        body = asks.encode_want(asks.WANT_OPERATIONS, [(b"aut", 1, 1)])
        hear(mesh, b"ask", frames.with_hop(frames.make(frames.WANT, MESH, body, KEY), 2, 0), 40000)
        take(mesh, 40000)
        before = mesh.stats["acks"], mesh.stats["custody"]
        hear(mesh, b"fa2", op(4, 7), 60000)
        hear(mesh, b"fa2", op(4, 7), 60105)
        acked = []
        for now in range(60105, 66000, 20):
            mesh.say(now)
            acked.append((mesh.stats["acks"] - before[0], mesh.stats["custody"] - before[1]))
        assert acked[-1][1] == 1
        assert not [1 for acks, taken in acked if acks and not taken]


def test_who_knows_no_way_sleeps_until_there_is_something_to_do() -> None:
    """What has no receipt after half an hour is pushed again when somebody is known who takes it."""
    with gradient():
        mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY, role=RELAY)
        mesh.set_flood(False, 0)
        mesh.peer.note_distance(2, 0)
        record(mesh.peer, 1, 0)
        mesh.peer.seal(1)
        now = 0
        while now < pace.AGAIN_MS - 60000:
            mesh.say(now)
            now = max(now + 5, mesh.due(now))
        mesh.peer.way = UNKNOWN_DISTANCE
        mesh.tell_distance(now)
        late = pace.AGAIN_MS + 60000
        idle = turns = 0
        while now < late + 60000:
            mesh.say(now)
            following = mesh.due(now)
            if now >= late:
                turns += 1
                idle += following <= now
            now = max(now + 5, following)
        assert mesh.code == frames.UNKNOWN
        assert mesh.feed.due() is not None and mesh.feed.due() < now
        assert turns < 60 and not idle


def test_the_first_fragment_of_a_letter_of_an_author_tells_where_its_receipt_has_to_go() -> None:
    """An author that writes once an hour seals long after its operation went by; and one that pushes all of
    it again is told by whoever carries any of it."""
    with gradient():
        for kind in letters.OF_AUTHORS + (letters.SCHEMA,):
            mesh = relay()
            content = bytes((kind,)) + b"aut-hors" + bytes(range(1, 40))
            for at, body in enumerate(letters.split(content)[::-1]):
                frame = frames.with_hop(frames.make(frames.LETTER_UP, MESH, body, KEY), 4, 0)
                hear(mesh, b"far", frame, 20000 + 20000 * at)
                take(mesh, 20000 + 20000 * at)
                first = not body[3] >> 4
                assert mesh.down.brings(b"aut-hors", 40000 + 20000 * at) == (first and kind != letters.SCHEMA)
                # The second fragment of this one begins as a seal does.
                assert not mesh.down.brings(bytes((9, 10, 11)) + b"-hors", 40000 + 20000 * at)
            assert mesh.stats["custody"] == 3


def test_questions_by_turns_about_what_is_on_its_way_are_remembered_once() -> None:
    with gradient():
        mesh = relay(author=b"\x01\x23\x45\x67\x89\xab\xcd\xef")
        for at in range(2):
            record(mesh.peer, at + 1, 0)
        mesh.peer.seal(1)
        take(mesh, 20000)
        author = mesh.peer.author
        stored = [mesh.peer.log.fetch(author, number) for number in (3, 4)]
        assert mesh.feed.pushed()[0] == mesh.peer.log.held(author) == 4
        for at in range(100):
            assert mesh.feed.resend(author, 3 + at % 2, stored[at % 2], 40000 + at)
            assert len(mesh.feed._pushed) <= 2 * limits.MESH_WINDOW


def test_a_time_that_is_too_poor_for_who_asks_is_asked_for() -> None:
    """It would be told a better one, but asks for none while its own is good enough for itself."""
    with gradient():
        mesh = relay()
        error = (limits.GOOD_TIME_MS + pace.POOR_TIME_MS) // 2
        mesh.peer.set_time(1_790_000_000_000, error, 3, 1000)
        state(mesh, b"tim", 1, 1, 2000, flags=frames.GRADIENT | frames.HAS_TIME)

        def wants(start: int) -> bool:
            for now in range(start, start + 40000, 200):
                state(mesh, b"tim", now & 0xFFFF, 1, now, flags=frames.GRADIENT | frames.HAS_TIME)
                said = mesh.say(now)
                if said is not None and said[0][frames.find(said[0])] & 0x0F == frames.STATE:
                    frame = said[0][frames.find(said[0]) :]
                    if frames.decode_state(frame).flags & frames.WANTS_TIME:
                        return True
            return False

        assert not wants(3000)
        state(mesh, b"ask", 1, 4, 50000, flags=frames.GRADIENT | frames.WANTS_TIME)
        assert not mesh.stats["times"]
        assert wants(51000)


def test_the_next_turn_is_found_anew_where_the_flood_ends() -> None:
    mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY, role=RELAY)
    mesh.say(0)
    mesh.due(0)
    mesh.set_flood(False, 10)
    assert mesh._due_at is None and mesh._fill


def test_an_operation_that_fits_no_held_one_is_tried_again_under_another_name() -> None:
    """Two authors with one short name: what is taken for the known one's may be the other's."""
    mesh = Mesh(board(mesh=MESH), 0, random=Random(1).below, key=KEY, role=RELAY)
    mesh.say(0)
    tried = []
    mesh.intake.retry = lambda why, short, now: tried.append((why, short))
    body = tells.encode_announce(tells.Announce(b"aut-hors", 0, 0, 0))
    hear(mesh, b"far", frames.make(frames.ANNOUNCE, MESH, body, KEY), 1000)
    assert (WHOLE, b"aut") in tried
