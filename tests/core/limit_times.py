"""Checks of the times of the mesh engine: nothing one before them, and something at them."""

from itertools import pairwise

import test_mesh_epochs as epochs
from limit_custody import NEVER, engine, least, most, op, op_of
from sync_kit import board, record

from hedgerow import limits
from hedgerow.crypto.rotation import take
from hedgerow.errors import HedgerowError
from hedgerow.mesh import asks, frames, letters, pace, tells
from hedgerow.mesh.custody import name_of
from hedgerow.mesh.epochs import BEFORE, STRANGE
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.speaker import FORWARD
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.sync.hello import RELAY


def kinds(mesh: Mesh, now: int) -> list[int]:
    """The kinds of all that an engine says now, as if each had been said in no time."""
    found = []
    while said := mesh.say(now):
        found.append(said[0][frames.find(said[0])] & 15)
        mesh.speaker.free_at = now
    return found


# ---- turns


def turn() -> None:
    """A wait is shorter than a turn for each in reach, and one for itself."""
    for neighbours in (0, 3):
        mesh = engine(random=most)
        for at in range(neighbours):
            mesh._around.add(at, 0)
        mesh._mode(0)
        assert mesh.spread() == (1 + neighbours) * pace.TURN_MS - 1


def most_turns() -> None:
    found = []
    for neighbours in (pace.MOST_TURNS, pace.MOST_TURNS + 1):
        mesh = engine(random=most)
        for at in range(neighbours):
            mesh._around.add(at, 0)
        mesh._mode(0)
        assert mesh.speaker.neighbours == neighbours
        found.append(mesh.spread())
    assert found == [(1 + pace.MOST_TURNS) * pace.TURN_MS - 1] * 2


def passed_on(neighbours: int, heard: bool = True) -> Mesh:
    """An engine that has passed on a frame that it heard, or said one of its own, and heard nobody do so."""
    mesh = engine()
    if heard:
        mesh.seen.note(name_of(op(1)), 1)
    mesh.speaker.neighbours = neighbours
    mesh._time_at = mesh.start_at = NEVER
    mesh.say_twice(0, FORWARD, name_of(op(1)), op(1))
    assert mesh.say(0) is not None
    return mesh


def again_soon() -> None:
    mesh = passed_on(2)
    assert not kinds(mesh, pace.AGAIN_SOON_MS - 1)
    assert kinds(mesh, pace.AGAIN_SOON_MS) == [frames.OP]
    # Of its own word it expects to be heard sooner.
    mesh = passed_on(2, False)
    assert not kinds(mesh, pace.AGAIN_SOON_MS // 2 - 1)
    assert kinds(mesh, pace.AGAIN_SOON_MS // 2) == [frames.OP]


def few() -> None:
    """Among few a frame is said again until two are known to have said it; among more, one will do."""
    for neighbours, again in ((pace.FEW, [frames.OP]), (pace.FEW + 1, [])):
        mesh = passed_on(neighbours)
        assert kinds(mesh, pace.AGAIN_SOON_MS + 10000) == again


def start() -> None:
    """Nobody waits longer than that before the first word of its own."""
    mesh = engine(random=most)
    record(mesh.peer, 1, 0)
    assert frames.OP not in kinds(mesh, pace.START_MS - 2)
    assert kinds(mesh, pace.START_MS - 1)


def gather() -> None:
    """An acknowledgement waits for others so long, and no longer."""
    for random, moment in ((most, 10 + pace.GATHER_MS - 1), (least, 10)):
        mesh = engine(keeper=True, random=random)
        mesh._time_at = NEVER
        assert mesh.heard(b"a", -50, frames.advertise(op_of(1)), 10)
        assert frames.ACK not in kinds(mesh, moment - 1)
        assert frames.ACK in kinds(mesh, moment)


# ---- own operations


def same_question() -> None:
    """So long a question without a flood is the one that was heard before."""
    mesh = engine()
    mesh.set_flood(False, 0)
    asked = frames.make(
        frames.WANT, b"ms", asks.encode_want(asks.WANT_OPERATIONS, [(b"aut", 1, 1)]), bytes(32)
    )
    assert [mesh.repair._again(asked, at) for at in (5, 4 + pace.SAME_MS, 5 + pace.SAME_MS)] == [
        False,
        True,
        False,
    ]


def seal() -> None:
    mesh = engine()
    mesh.start_at = NEVER
    now = record(mesh.peer, 1, 0)
    log = mesh.peer.log
    mesh.peer.seal(now)
    sealed = log.sealed(mesh.peer.author)
    record(mesh.peer, 1, now)
    mesh.say(now)
    mesh.say(now + pace.SEAL_MS - 1)
    assert log.sealed(mesh.peer.author) == sealed < log.held(mesh.peer.author)
    mesh.say(now + pace.SEAL_MS)
    assert log.sealed(mesh.peer.author) == log.held(mesh.peer.author)


def again() -> None:
    """What is sealed and not receipted is pushed again after that time."""
    mesh = engine()
    record(mesh.peer, 1, 0)
    mesh.peer.seal(1)
    for at in range(20):
        kinds(mesh, 1000 + 60000 * at)
    assert mesh.feed.idle() and not mesh.custody.flying()
    assert mesh.feed.due() == pace.AGAIN_MS
    kinds(mesh, pace.AGAIN_MS - 1)
    assert not mesh.custody.flying()
    kinds(mesh, pace.AGAIN_MS)
    assert mesh.custody.flying()


def route() -> None:
    """The way that operations went is known until a receipt has come, and not for ever."""
    for moment, brings in ((2 * pace.ROUTE_MS - 1, True), (2 * pace.ROUTE_MS, False)):
        mesh = engine()
        mesh.flood = False
        mesh.down.note_route(b"aut", 0)
        assert mesh.down.brings(b"author-1", moment) == brings


def receipt_again() -> None:
    """Once or twice that time after it was passed on a receipt from nearer a keeper counts anew."""
    for moment, passed in ((2 * pace.RECEIPT_MS - 1, True), (2 * pace.RECEIPT_MS, False)):
        down = engine().down
        down._note(7, 0)
        assert down.passed(7, 30, moment) == passed
        assert down.passed(7, frames.UNKNOWN, moment)


def waiting() -> None:
    """Until then what came too early waits for what comes before it."""
    mesh = engine()
    mesh.names.learn(b"aut-1234", 0)
    mesh.intake.take(op_of(3), 3, 0)
    for moment in (pace.WAITING_MS - 1, pace.WAITING_MS):
        assert len(mesh.intake.waiting) == 1
        mesh._mode(moment)
    assert not mesh.intake.waiting


def announce() -> None:
    """Between two of its announcements are three quarters of that to five."""
    for random, wait in (
        (least, pace.ANNOUNCE_MS * 3 // 4),
        (most, pace.ANNOUNCE_MS * 5 // 4 - 1),
    ):
        mesh = engine(random=random)
        mesh._time_at = NEVER
        mesh.announce_at = 0
        assert frames.ANNOUNCE in kinds(mesh, 0)
        assert frames.ANNOUNCE not in kinds(mesh, wait - 1)
        assert frames.ANNOUNCE in kinds(mesh, wait)


# ---- questions


def asking() -> tuple[Mesh, list[int]]:
    """The moments at which something is asked for that never comes."""
    mesh = engine()
    mesh._time_at = NEVER
    mesh.repair.want(asks.WANT_ANNOUNCES, b"aut", 0)
    found = []
    while (at := mesh.repair.due()) is not None:
        found += [at for kind in kinds(mesh, at) if kind == frames.WANT]
    return mesh, found


def asks_of_one() -> None:
    mesh, found = asking()
    assert len(found) == pace.ASKS
    mesh.repair.want(asks.WANT_ANNOUNCES, b"aut", 1 << 30)
    assert mesh.repair.due() is not None, "it is asked for anew when it is lacking again"


def ask_again() -> None:
    """It waits for half of twice that before it asks again, and longer each time."""
    found = asking()[1]
    assert found[1] - found[0] == pace.ASK_MS
    waits = [found[at + 1] - found[at] for at in range(len(found) - 1)]
    assert waits == sorted(waits) and max(waits) == 4 * pace.ASK_MS


def said_letter() -> None:
    mesh = engine()
    mesh.remember([op(1, kind=frames.LETTER_UP)], b"content", 5)
    assert mesh.said_lately(b"content", 5 + pace.LETTER_MS - 1)
    assert not mesh.said_lately(b"content", 5 + pace.LETTER_MS)


def state_times(authors: int = 1) -> list[int]:
    """When an engine that hears nobody says its STATE, where there are so many authors."""
    mesh = Mesh(board(mesh=b"msh"), 0, random=least, key=bytes(32))
    for number in range(authors):
        mesh._census.add(number, 0)
    mesh._time_at = mesh.announce_at = NEVER
    found: list[int] = []
    while len(found) < 12:
        at = mesh.due(found[-1] + 1 if found else 0)
        found += [at for kind in kinds(mesh, at) if kind == frames.STATE]
    return found


def state_least() -> None:
    """The first one is said in the second half of the shortest interval, here at its beginning."""
    assert state_times()[0] == pace.STATE_MIN_MS // 2


def state_most() -> None:
    found = state_times()
    waits = [found[at + 1] - found[at] for at in range(len(found) - 1)]
    assert max(waits) == pace.STATE_MAX_MS and waits[-3:] == [pace.STATE_MAX_MS] * 3


def state_calm() -> None:
    """So rarely where nothing floods."""
    found = state_times(2 * limits.FLOOD_AUTHORS)
    waits = [found[at + 1] - found[at] for at in range(len(found) - 1)]
    assert max(waits) == pace.STATE_CALM_MS and waits[-3:] == [pace.STATE_CALM_MS] * 3


def state_busy() -> None:
    """News make the interval as short as that again, and not shorter."""
    mesh = engine()
    mesh._mode(0)
    mesh._trickle.interval = pace.STATE_MAX_MS
    mesh._trickle.inconsistent(1000)
    assert mesh._trickle.interval == pace.STATE_BUSY_MS
    mesh._trickle.inconsistent(2000)
    assert mesh._trickle.due == 1000 + pace.STATE_BUSY_MS // 2


def state_settle() -> None:
    """What differs says nothing until what is on its way should have come."""
    mesh = engine()
    record(mesh.peer, 1, 0)
    mesh._look(1000)
    own = mesh.peer.author[0] & 7
    state = frames.State(b"ms", 1, own, b"digest", 5, 1, 0, RELAY, b"aut", 3)
    for moment, says in (
        (1000 + pace.STATE_SETTLE_MS - 1, False),
        (1000 + pace.STATE_SETTLE_MS, True),
    ):
        before = len(mesh.speaker)
        assert not mesh.repair.compare(state, {own: state.digest}, moment)
        assert (len(mesh.speaker) > before) == says


def full() -> None:
    """A log that had no room is taken to have none for so long: nothing is asked for."""
    mesh, writer = engine(), board()
    record(writer, 1, 0)
    author = writer.author
    content = letters.encode_operation(author, 1, writer.log.fetch(author, 1))

    def refuse(*_: object) -> int:
        raise HedgerowError("LOG_FULL", "")

    mesh.peer.ingest = refuse  # type: ignore[method-assign]
    mesh.intake.take(content, 1, 5000)
    assert not mesh.takes(author, 5000 + pace.FULL_MS - 1)
    assert mesh.takes(author, 5000 + pace.FULL_MS)


def look() -> None:
    """A log that is full is looked at so often whether others may have room again."""
    mesh = engine()
    looked: list[int] = []
    mesh.peer.takes = lambda author: False  # type: ignore[method-assign]
    mesh.peer.regain = lambda: bool(looked.append(1))  # type: ignore[method-assign, func-returns-value]
    for moment, times in ((5000, 1), (5000 + pace.LOOK_MS - 1, 1), (5000 + pace.LOOK_MS, 2)):
        assert not mesh.has_room(b"author-9", moment)
        assert len(looked) == times


def have_most() -> None:
    """What nothing comes of is told ever more rarely, down to that."""
    mesh = engine()
    record(mesh.peer, 1, 0)
    mesh._look(0)
    own = mesh.peer.author[0] & 7
    state = frames.State(b"ms", 1, own, b"digest", 5, 1, 0, RELAY, b"aut", 3)
    told = []
    for moment in range(100000, 2000000, 1000):
        if mesh.repair.compare(state, {own: state.digest}, moment) is False:
            told.append(moment)
    gaps = [later - before for before, later in pairwise(told)]
    assert gaps[0] <= 5000 and gaps[-2:] == [pace.HAVE_MAX_MS] * 2 and gaps == sorted(gaps)
    # News here is told as soon as before.
    mesh.repair.update(b"author-9", 2000000)
    record(mesh.peer, 2, 2000000)
    mesh._look(2000000)
    assert mesh.repair.compare(state, {own: state.digest}, 2000000 + pace.STATE_SETTLE_MS) is False


def time() -> None:
    """Whoever lacks the time shows that again after so long, where somebody has it."""
    mesh = engine()
    state = frames.State(b"ms", 1, 0, b"digest", 5, 1, frames.HAS_TIME, RELAY, b"aut", 3)
    mesh.visits.heard(b"a", state, -50, 0)
    start = mesh._time_at
    assert frames.STATE not in kinds(mesh, start - 1)
    assert frames.STATE in kinds(mesh, start)
    assert frames.STATE not in kinds(mesh, start + pace.TIME_MS - 1)
    assert frames.STATE in kinds(mesh, start + pace.TIME_MS)


def better_time() -> None:
    """Who has the time, but not well enough, asks ever more rarely, and shows only then that it does."""
    mesh = engine()
    mesh.random = lambda n: 0
    mesh.peer.set_time(849_000_000_000, 5000, 3, 0)
    state = frames.State(b"ms", 1, 0, b"digest", 5, 1, frames.HAS_TIME, RELAY, b"aut", 3)
    mesh.visits.heard(b"a", state, -50, 0)
    at, waits = mesh._time_at, []
    for _ in range(9):
        assert not frames.decode_state(mesh._say_state(0, at)).flags & frames.WANTS_TIME
        mesh._ask_time(at)
        assert frames.decode_state(mesh._say_state(0, at)).flags & frames.WANTS_TIME
        waits.append(mesh._time_at - at)
        at = mesh._time_at
    assert waits == [min(pace.TIME_MS << tries, pace.TIME_MOST_MS) for tries in range(9)]
    # One that is good is looked at with each STATE; who has none goes on asking.
    mesh.peer.set_time(849_000_000_000 + at, 100, 4, at)
    mesh._ask_time(at)
    for due in (at, at + 3 * pace.TIME_MS):
        mesh._trickle.due = due
        mesh._ask_time(at)
        assert mesh._time_at == max(due, at + pace.TIME_MS) and mesh._time_wait == pace.TIME_MS
    lost = engine()
    lost.random = lambda n: 0
    for at in (1000, 100000):
        lost._ask_time(at)
        assert lost._time_at == at + pace.TIME_MS
    assert frames.decode_state(lost._say_state(0, at)).flags & frames.WANTS_TIME


# ---- what is poor or late


def poor_time() -> None:
    """A time that was good is asked for again once it is so bad, not as soon as others would say a better."""
    mesh = engine()
    mesh.random = lambda n: 0
    mesh.peer.set_time(849_000_000_000, 100, 4, 0)
    drift = (pace.POOR_TIME_MS - 100) * (1000000 // limits.DRIFT_PPM)
    for at, poor in ((drift - 10000, False), (drift, True)):
        assert mesh.peer.wants_time(at)
        mesh._trickle.due = at + 3 * pace.TIME_MS
        mesh._ask_time(at)
        assert (mesh._time_at == at + pace.TIME_MS) == poor


def late() -> None:
    """Without a flood a gateway leaves it to custody for so long; in one it asks soon."""
    for flood, wait in ((True, 800), (False, pace.LATE_MS)):
        mesh = engine(keeper=True)
        mesh.flood = flood
        body = letters.split(bytes(range(1, 40)))[0]
        mesh.intake.letters.take(frames.make(frames.LETTER_UP, b"ms", body, bytes(32)), 0)
        mesh.repair.want(asks.WANT_LETTERS, body[:3], 0)
        assert mesh.repair.due() == wait
        assert kinds(mesh, wait) == [frames.WANT]
        assert mesh.repair.due() == wait + (pace.ASK_MS if flood else pace.LATE_MS)


def time_fresh() -> None:
    """So long after the question an answer is one."""
    author = bytes(8)
    assert tells.is_answer((5, 1000) * 2, author[:3], 5, author, 1000 + pace.TIME_FRESH_MS - 1)
    assert not tells.is_answer((5, 1000) * 2, author[:3], 5, author, 1000 + pace.TIME_FRESH_MS)


def askers() -> None:
    """As many wait for the time at once; one more takes a place."""
    mesh = engine(keeper=True)
    mesh.peer.set_time(1 << 40, 5, SOURCE_KEEPER, 0)
    for at in range(limits.MESH_ASKERS + 1):
        mesh.down.offer_time(bytes((9, 9, at)), at, 0)
        assert len(mesh.down._askers) == min(at + 1, limits.MESH_ASKERS)
    assert mesh.down._askers[-1][1] == limits.MESH_ASKERS


# ---- group keys


def handover() -> None:
    """So long who has a newer group key speaks under the one before."""
    made = epochs.group(1)
    mesh = epochs.relay(made)
    before = made.key
    take(made, epochs.Word(2))
    mesh.epochs.look(5)
    for at, key in ((4 + pace.HANDOVER_MS, before), (5 + pace.HANDOVER_MS, made.key)):
        mesh.epochs.look(at)
        assert mesh.key == key


def grace() -> None:
    """So long who speaks under a group key hears the one before it."""
    made = epochs.group(1, 2)
    mesh = epochs.relay(made)
    assert made.before is not None
    frame = epochs.op(made.before)
    for at, read in ((pace.GRACE_MS - 1, BEFORE), (pace.GRACE_MS, STRANGE)):
        mesh.epochs.look(at)
        assert made.reads(frame) == read
