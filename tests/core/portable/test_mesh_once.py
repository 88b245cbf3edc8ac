"""What many say, or say again, is done once: questions, what comes back, and the time. Runs on both VMs."""

from mesh_kit import KEY, gradient
from sync_kit import board, record
from ways_kit import MESH, hear, op, relay, state, take

from hedgerow import limits
from hedgerow.mesh import asks, frames, pace
from hedgerow.mesh.mesh import Mesh
from hedgerow.operation import SOURCE_KEEPER

HEAP = "4m"


def question(mesh: Mesh, author: bytes, who: bytes, code: int, now: int) -> None:
    """Let it hear somebody with this distance code ask for the first operation of an author."""
    body = asks.encode_want(asks.WANT_OPERATIONS, [(author[:3], 1, 1)])
    hear(mesh, who, frames.with_hop(frames.make(frames.WANT, MESH, body, KEY), code, now & 7), now)


def kinds(mesh: Mesh, now: int, until: int) -> list:
    """What it says meanwhile: (kind, repeat)."""
    found = []
    for at in range(now, until, 100):
        said = mesh.say(at)
        if said is not None:
            frame = said[0][frames.find(said[0]) :]
            found.append((frame[0] & 0x0F, frame[3] & 7))
    return found


def test_a_question_that_many_pass_on_is_answered_once() -> None:
    with gradient():
        mesh = relay(author=b"relay--r")
        for at in range(3):
            record(mesh.peer, at, 0)
        take(mesh, 20000)
        author = mesh.peer.author
        held = mesh.peer.log.held(author)
        assert mesh.feed.pushed()[0] == held
        mesh.custody.clear()
        for at in range(4):
            question(mesh, author, b"w%d" % at, 2, 40000 + 700 * at)
        # That one alone is pushed again, not all that followed it too.
        assert mesh.feed.pushed()[0] == held and len(mesh.custody.flying()) == 1
        last = 40000 + pace.SAME_MS
        question(mesh, author, b"w8", 2, last - 1)
        assert mesh.feed.pushed()[0] == held
        # Asked anew it was of no use alone.
        question(mesh, author, b"w9", 2, last)
        assert mesh.feed.pushed()[0] == 0


def test_a_question_that_two_others_pass_on_need_not_be() -> None:
    for others, says in ((0, 1), (1, 1), (2, 0)):
        with gradient():
            mesh = relay(author=b"relay--r")
            mesh.down.note_route(b"aut", 30000)
            question(mesh, b"aut", b"near", 2, 40000)
            # Those nearer do not say that it is on its way down.
            question(mesh, b"aut", b"nea2", 2, 40001)
            for at in range(others):
                question(mesh, b"aut", b"w%d" % at, 3 + at, 40002 + at)
            found = [kind for kind, _ in kinds(mesh, 40010, 46000)]
            assert found.count(frames.WANT) == says
            # Nor is it passed on again when somebody nearer says it late.
            question(mesh, b"aut", b"nea3", 2, 47000)
            found = [kind for kind, _ in kinds(mesh, 47000, 55000)]
            assert frames.WANT not in found


def test_as_many_questions_are_remembered_as_wait_for_answers() -> None:
    with gradient():
        mesh = relay(author=b"relay--r")
        for at in range(3 * limits.MESH_WANTS):
            question(mesh, b"a" + at.to_bytes(2, "big"), b"near", 2, 40000 + at)
            assert len(mesh.repair._heard) == min(at + 1, limits.MESH_WANTS)


def test_what_comes_back_again_and_again_is_on_its_way() -> None:
    """Who pushes it has not heard that it was taken anew: that is what it has to be told."""
    with gradient():
        mesh = relay(author=b"relay--r")
        hear(mesh, b"far", op(4), 10000)
        take(mesh, 10000)
        hear(mesh, b"nea", op(2), 30000)
        mesh.down.note_route(b"aut", 30000)
        question(mesh, b"aut", b"near", 2, 35000)
        start = 40000
        hear(mesh, b"fa2", op(4, 7), start)
        assert (frames.OP, 7) in kinds(mesh, start, start + 5000)
        assert mesh.stats["custody"] == 2
        hear(mesh, b"ne2", op(2, 7), start + 5000)
        assert not mesh.custody.count()
        again = start + pace.SAME_MS - 1
        hear(mesh, b"fa3", op(4, 7), again)
        assert frames.ACK in [kind for kind, _ in kinds(mesh, again, again + 5000)]
        assert mesh.stats["custody"] == 2
        # As long after it as the next question may come it is lost once more.
        later = start + 2 * pace.SAME_MS + 5000
        hear(mesh, b"fa4", op(4, 7), later)
        take(mesh, later)
        assert mesh.stats["custody"] == 3


def test_those_who_hear_it_well_take_anew_first() -> None:
    waits = []
    for share in (100, 10):
        with gradient():
            mesh = relay(author=b"relay--r")
            hear(mesh, b"far", op(4), 10000)
            take(mesh, 10000)
            hear(mesh, b"nea", op(2), 30000)
            state(mesh, b"fa2", 1, 4, 39000)
            mesh.visits._table[b"fa2"].share = share
            mesh.random = lambda n: n - 1
            hear(mesh, b"fa2", op(4, 7), 40000)
            waits += [entry[0] - 40000 for entry in mesh.custody._pending.values()]
            full = mesh._turns
    # The luckiest of those who hear it badly comes later than the unluckiest of all who hear it best.
    assert waits[0] < full // 3 and waits[1] - waits[0] > full


def test_what_comes_back_and_finds_no_room_is_not_acknowledged() -> None:
    with gradient():
        mesh = relay(author=b"relay--r")
        hear(mesh, b"far", op(4), 10000)
        take(mesh, 10000)
        hear(mesh, b"nea", op(2), 30000)
        for at in range(limits.MESH_PENDING):
            mesh.custody.offer(op(4, 0, 9), at + 1, 39000, 20000)
        hear(mesh, b"fa2", op(4, 7), 40000)
        mesh.custody._pending.clear()
        hear(mesh, b"fa3", op(4, 7), 41000)
        found = kinds(mesh, 41000, 46000)
        assert (frames.OP, 7) in found and frames.ACK not in [kind for kind, _ in found]


def test_a_gateway_that_lacks_much_is_patient() -> None:
    """What is late for all is late because there is much to bring: questions would make it more."""
    mesh = Mesh(board(role=2, keeper=True, mesh=MESH), 0, random=lambda n: 0, role=2, key=KEY)
    waits = []
    for flood in (False, True):
        mesh.set_flood(flood, 0)
        mesh.repair._wants.clear()
        for at in range(limits.MESH_WANTS):
            mesh.repair.want(asks.WANT_OPERATIONS, b"author-" + bytes((at,)), 0)
        waits.append(sorted([want[0] for want in mesh.repair._wants.values()]))
    assert waits[0] == [pace.LATE_MS * (1 + at // 8) for at in range(limits.MESH_WANTS)]
    assert waits[1] == [800] * limits.MESH_WANTS


def test_who_knows_the_time_best_answers_first() -> None:
    """By a hop after the other it is worse by 60 ms: else it would go round by many who answer at once."""
    moments = []
    for error, chance in ((40, True), (240, False), (440, True), (640, False), (900, True)):
        mesh = Mesh(board(mesh=MESH), 0, random=lambda n, high=chance: n - 1 if high else 0, key=KEY)
        mesh.peer.set_time(1 << 40, error, SOURCE_KEEPER, 0)
        mesh.down.offer_time(b"ask", 7, 0)
        moments.append(mesh.speaker.due())
    # The luckiest of those who know it worse by 200 ms is no sooner than the unluckiest.
    assert moments[0] <= moments[1] < moments[2] and moments[2] <= moments[3] < moments[4]
    assert moments[0] >= 100 and moments[-1] < pace.TIME_FRESH_MS - 1000
