"""Checks of the limits of custody, the queue and the tables of the mesh engine: to each, and one over it."""

from collections.abc import Callable

from sync_kit import board, record

from hedgerow import limits
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.mesh import frames, letters, pace
from hedgerow.mesh.custody import Custody, name_of
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.seen import Marks, Seen
from hedgerow.mesh.speaker import FORWARD, OWN, STATUS, Speaker
from hedgerow.sync.hello import LEAF, RELAY

KEY = bytes(32)
NEVER = 1 << 40


def least(_: int) -> int:
    return 0


def most(below: int) -> int:
    return below - 1


def engine(role: int = RELAY, keeper: bool = False, random: Callable[[int], int] = least) -> Mesh:
    """An engine whose waits are their shortest, and which says no STATE or ANNOUNCE of itself."""
    mesh = Mesh(board(role=role, keeper=keeper, mesh=b"msh"), 0, random=random, role=role, key=KEY)
    mesh._trickle.due = mesh.announce_at = NEVER
    return mesh


def op(number: int, author: bytes = b"aut", kind: int = frames.OP) -> bytes:
    """A frame that custody, to which all but its head is opaque, can hold."""
    return frames.make(kind, b"ms", author + number.to_bytes(2, "big") + bytes(6), KEY, frames.UNKNOWN << 3)


def custody(store: MemoryStore | None = None) -> Custody:
    stats = dict.fromkeys(("refused", "custody", "acked", "left"), 0)
    return Custody(MemoryLog(store or MemoryStore(b"author-1")), least, stats, 0)


def take(place: Custody, number: int, author: bytes = b"aut") -> bool:
    frame = op(number, author)
    return place.take(frame, name_of(frame), 0)


def others(count: int) -> list[bytes]:
    return [b"\1\2" + bytes((at,)) for at in range(count)]


# ---- custody


def places() -> None:
    held = custody()
    assert all(take(held, 1, author) for author in others(limits.MAX_CUSTODY))
    assert not take(held, 1)
    assert held.count() == limits.MAX_CUSTODY


def share() -> None:
    held = custody()
    assert all(take(held, 100 + at) for at in range(limits.MESH_SHARE))
    assert not take(held, 100 + limits.MESH_SHARE)
    assert take(held, 1, b"oth")


def spare() -> None:
    """What comes before the rest of its author has some places more, of its share and of all."""
    held = custody()
    assert all(take(held, 100 + at) for at in range(limits.MESH_SHARE))
    assert [take(held, 99 - at) for at in range(limits.MESH_SPARE + 1)] == [True] * limits.MESH_SPARE + [
        False
    ]
    held = custody()
    for author in others(limits.MAX_CUSTODY - limits.MESH_SPARE - 2):
        assert take(held, 1, author)
    assert take(held, 50) and take(held, 51)
    assert not take(held, 52)
    assert take(held, 49) and take(held, 1, b"oth")


def own_window() -> None:
    mesh = engine()
    now = record(mesh.peer, limits.MESH_WINDOW + 4)
    mesh.say(now)
    assert len(mesh.custody.flying()) == limits.MESH_WINDOW and not mesh.custody.room()
    extra = op(1)
    mesh.custody.push(extra, now)
    assert not mesh.custody.has(name_of(extra))


def pending() -> None:
    held = custody()
    names = [name_of(op(at)) for at in range(limits.MESH_PENDING + 1)]
    for at, name in enumerate(names):
        held.offer(op(at), name, 0, 100)
    assert [held.has(name) for name in names] == [True] * limits.MESH_PENDING + [False]


def note() -> None:
    """What was passed on is noted so long after; until then a boot pushes it again."""
    store = MemoryStore(b"author-1")
    held = custody(store)
    frame = op(1)
    take(held, 1)
    held.passed(frames.ack_key(frame), 0, True, 0)
    assert held.count() == 0 and held.due() == pace.NOTE_MS
    held.step(pace.NOTE_MS - 1, 4)
    assert custody(store).count() == 1
    held.step(pace.NOTE_MS, 4)
    assert custody(store).count() == 0


def backoff() -> None:
    """The wait before the second push is half of it to one and a half."""
    held = custody()
    take(held, 1)
    assert len(held.step(0, 4)) == 1
    assert not held.step(pace.BACKOFF_MS // 2 - 1, 4)
    assert len(held.step(pace.BACKOFF_MS // 2, 4)) == 1


def leaf_backoff() -> None:
    held = custody()
    held.patient = True
    take(held, 1)
    for push in range(6):
        moment = push * (pace.LEAF_BACKOFF_MS // 2)
        assert push == 0 or not held.step(moment - 1, 4)
        assert len(held.step(moment, 4)) == 1


def pushes_of(held: Custody) -> int:
    """How often what is there is pushed, 50 times at most."""
    count = now = 0
    while held.due() is not None and count < 50:
        now = max(now, held.due() or 0)
        count += len(held.step(now, 4))
        if not len(held):
            break
    return count


def known_as_passed_on() -> None:
    """So long at least, and not for twice as long: then it must be taken again, if it is pushed again."""
    done = custody().done
    done.note(7, 1)
    assert done.has(7, pace.DONE_MS) and done.has(7, 2 * pace.DONE_MS - 1)
    assert not done.has(7, 2 * pace.DONE_MS)
    assert 2 * pace.DONE_MS < pace.AGAIN_MS


def pushes() -> None:
    held = custody()
    held.push(op(1), 0)
    assert pushes_of(held) == pace.PUSHES
    held.flood = False
    held.push(op(2), 0)
    # Not while no way to a keeper is known.
    assert pushes_of(held) == 0
    held.move(2, 0)
    assert pushes_of(held) == 50


# ---- the queue


def sayings() -> None:
    """One saying more makes the least urgent one go."""
    stats = {"overflowed": 0, "suppressed": 0}
    queue = Speaker(least, stats)
    for name in range(1, limits.MAX_SAYINGS + 1):
        assert queue.add(name, FORWARD, name, b"", 1)
    assert not stats["overflowed"] and not queue.add(0, STATUS, 99, b"", 1)
    assert queue.add(0, OWN, 100, b"", 1)
    assert len(queue) == limits.MAX_SAYINGS and stats["overflowed"] == 2
    queue.drop(limits.MAX_SAYINGS)
    assert len(queue) == limits.MAX_SAYINGS, "this one had to go"


def events() -> None:
    mesh = engine()
    mesh.pass_on(op(1), name_of(op(1)), 0, FORWARD)
    said = mesh.say(1000)
    assert said is not None and said[2] == pace.EVENTS


def quiet() -> None:
    queue = engine().speaker
    name = name_of(op(1))
    queue.add(0, FORWARD, name, op(1), 1, pace.QUIET)
    queue.echo(name, pace.QUIET - 1)
    assert len(queue) == 1
    queue.echo(name, pace.QUIET)
    assert len(queue) == 0


def passed_on_needs_so_many() -> None:
    mesh = engine()
    name = name_of(op(1))
    mesh.pass_on(op(1), name, 0, FORWARD)
    before = len(mesh.speaker)
    mesh.speaker.echo(name, pace.QUIET - 1)
    assert len(mesh.speaker) == before
    mesh.speaker.echo(name, pace.QUIET)
    assert len(mesh.speaker) == before - 1


# ---- tables that forget the oldest


def table(seen: Seen, size: int) -> None:
    """Identities that fall evenly fill it; one more takes the place of the first in its set."""
    for at in range(1, size + 1):
        assert seen.note(at, 0) == 0
    assert all(seen.senders(at) for at in range(1, size + 1))
    assert seen.note(size + 1, 0) == 0
    assert [at for at in range(1, size + 2) if not seen.senders(at)] == [1]


def marks(known: Marks, size: int) -> None:
    """The same of what is known by less."""
    for at in range(1, size + 1):
        assert not known.has(at)
        known.note(at)
    assert all(known.has(at) for at in range(1, size + 1))
    known.note(size + 1)
    assert [at for at in range(1, size + 2) if not known.has(at)] == [1]


def seen() -> None:
    table(engine().seen, limits.MESH_SEEN)


def done() -> None:
    held = custody().done
    for at in range(1, limits.MESH_DONE + 1):
        held.note(at, 0)
    assert all(held.has(at, 0) for at in range(1, limits.MESH_DONE + 1))
    held.note(limits.MESH_DONE + 1, 0)
    assert not held.has(1, 0)


def whole_letters() -> None:
    """A letter that was whole is put together again only when so many others came after it."""
    known = engine().intake.letters._done
    marks(known._now, limits.MESH_LETTERS)
    mesh = engine()
    body = letters.split(bytes((letters.SCHEMA,)) + b"no schema, but as long as two")
    sent = [frames.make(frames.LETTER_UP, b"ms", part, KEY) for part in body]
    mesh.intake.letters._done.note(int.from_bytes(sent[0][4:7], "big") | 1, 0)
    for fragment in sent:
        mesh.intake.take_fragment(fragment, 0)
    assert not mesh.stats["letters"]


def route() -> None:
    down = engine().down
    assert down.route is None, "where nothing is carried nobody has to be found again"
    down.note_route(b"aut", 0)
    route = down.route
    assert route is not None and route._now.size == limits.MESH_ROUTE
    marks(type(route._now)(limits.MESH_ROUTE), limits.MESH_ROUTE)


def lately() -> None:
    down = engine().down
    assert down._lately is None, "who passes nothing on remembers nothing"
    down._note(7, 0)
    assert down._lately is not None and down._lately._now.size == limits.MESH_LATELY
    assert down.passed(7, 0, 0)


def waiting() -> None:
    """Where no more may wait for what is missing, what is farthest ahead makes room, be it the newest."""
    mesh = engine()
    mesh.names.learn(b"aut-hors", 0)

    def op_of(number: int) -> bytes:
        body = frames.encode_op(frames.Op(b"aut", number, b"ch", b"sc", 1000 + number, [1, 2]))
        return frames.make(frames.OP, b"ms", body, KEY, 0)

    order = [50 + at for at in range(limits.MESH_WAITING)]
    for at in order:
        mesh.intake.take(op_of(at), name_of(op_of(at)), at)
    assert len(mesh.intake.waiting) == limits.MESH_WAITING and not mesh.stats["forgotten"]
    for number, waits in ((90, False), (40, True)):
        before = mesh.stats["forgotten"]
        mesh.intake.take(op_of(number), name_of(op_of(number)), 99)
        assert len(mesh.intake.waiting) == limits.MESH_WAITING and mesh.stats["forgotten"] == before + 1
        assert (name_of(op_of(number)) in mesh.intake.waiting) == waits
    assert name_of(op_of(order[-1])) not in mesh.intake.waiting
    assert name_of(op_of(order[0])) in mesh.intake.waiting


def gateway_waiting() -> None:
    """What a gateway has acknowledged stays: of one author no more waits, and nobody has to go for it."""
    mesh = engine(keeper=True)
    waiting = mesh.intake.waiting
    sent = [op_of(at, b"aut") for at in range(limits.MESH_WAITING + 1)]
    for frame in sent:
        mesh.intake.take(frame, name_of(frame), 0)
    assert [name_of(frame) in waiting for frame in sent] == [True] * limits.MESH_WAITING + [False]
    for known, most in ((False, 8), (True, 32)):
        for at in range(31 * limits.MESH_WAITING + 1):
            short = (at << 1 | known).to_bytes(3, "big")
            if known:
                mesh.names.learn(short + b"-name", 0)
            mesh.intake.take(op_of(9, short), name_of(op_of(9, short)), 0)
        assert len(waiting) == most * limits.MESH_WAITING and name_of(sent[0]) in waiting


def acknowledgements() -> None:
    """As many gather to be said; whoever pushes one more pushes it again."""
    mesh = engine()
    for at in range(limits.MESH_WAITING + 1):
        mesh._acknowledge(op_of(at)[4:10], 0, 10)
    assert len(mesh._acks) == limits.MESH_WAITING


def pushes_noted() -> None:
    """How far the log was pushed before each push is known of as many as may be on their way."""
    mesh = engine()
    mesh.custody.flood = mesh.flood = False
    record(mesh.peer, limits.MESH_WINDOW + 4, 0)
    known = []
    for now in range(0, 20000, 1000):
        mesh.feed.fill(now)
        known.append(len(mesh.feed._pushed))
        mesh.custody.clear()
    # Of more those are forgotten that are not on their way; how many follow after that is chance.
    assert mesh.feed.idle() and max(known) == limits.MESH_WINDOW


def op_of(at: int, author: bytes = b"") -> bytes:
    """An OP of an author who is not known here."""
    body = frames.encode_op(frames.Op(author or b"\1\2" + bytes((at,)), 9, b"ch", b"sc", 1000 + at, [1, 2]))
    return frames.make(frames.OP, b"ms", body, KEY, 0)


def wants() -> None:
    """What has no room is asked for later."""
    mesh = engine()
    shorts = others(limits.MESH_WANTS + 1)
    for short in shorts:
        mesh.repair.want(2, short, 0)
    assert [(2, short) in mesh.repair._wants for short in shorts] == [True] * limits.MESH_WANTS + [False]


def addresses() -> None:
    """One more makes all be forgotten: what they say again costs a look at it, and no more."""
    mesh = engine()
    payload = frames.advertise(op_of(1))
    for address in range(limits.MESH_ADDRESSES):
        mesh.heard(address, -50, payload, 10)
    mesh.heard(0, -50, payload, 10)
    assert mesh.stats["duplicates"] == 1 and len(mesh._last) == limits.MESH_ADDRESSES
    mesh.heard(limits.MESH_ADDRESSES, -50, payload, 10)
    mesh.heard(0, -50, payload, 10)
    assert mesh.stats["duplicates"] == 1 and len(mesh._last) <= limits.MESH_ADDRESSES


def said_letters() -> None:
    mesh = engine()
    contents = [b"\1letter" + bytes((at,)) for at in range(limits.MESH_SAID_LETTERS + 1)]
    parts = [[frames.make(7, b"ms", body, KEY) for body in letters.split(item)] for item in contents]
    for at, item in enumerate(contents[:-1]):
        mesh.remember(parts[at], item, at)
    assert [mesh.letter(part[0][4:7]) for part in parts[:-1]] == [
        (item, frames.LETTER_UP) for item in contents[:-1]
    ]
    mesh.remember(parts[-1], contents[-1], 99)
    assert mesh.letter(parts[0][0][4:7]) is None and mesh.letter(parts[1][0][4:7]) is not None
    assert mesh.letter(parts[-1][0][4:7]) == (contents[-1], frames.LETTER_UP)


def leaves() -> None:
    """One leaf more makes the one unheard of for longest go, and what was held for it."""
    mesh = engine()
    shorts = others(limits.MAX_LEAVES + 1)
    for at, short in enumerate(shorts[:-1]):
        mesh.leaves.heard(leaf(short), at)
    mesh.leaves.heard(leaf(shorts[0]), 90)
    for short in shorts:
        mesh.leaves.hold(short, receipt(short))
    mesh.leaves.heard(leaf(shorts[-1]), 99)
    mesh.speaker = Speaker(least, mesh.stats)
    given = []
    for short in shorts:
        mesh.leaves.heard(leaf(short), 100)
        given.append(len(mesh.speaker) > 0)
        mesh.speaker = Speaker(least, mesh.stats)
    # The second had to go for the last one, and each that had gone took the place of another.
    assert given[0] and not given[1] and not given[-1]


def leaf(short: bytes) -> frames.State:
    return frames.State(b"ms", 1, 0, bytes(6), 0, 0, 0, LEAF, short, 3)


def receipt(short: bytes) -> bytes:
    return frames.make(frames.RECEIPT, b"ms", b"keep\1" + short + b"\0\0\0\5" + bytes(8), KEY)
