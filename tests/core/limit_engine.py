"""Checks of what the mesh engine holds: each table goes to its limit, then one over it (test_limits.py)."""

from kit import Random
from mesh_kit import KEY
from sync_kit import board

from hedgerow import limits
from hedgerow.log import MemoryLog
from hedgerow.mesh import frames, wishes
from hedgerow.mesh.custody import Custody, name_of
from hedgerow.mesh.intake import Intake
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.names import Names
from hedgerow.mesh.speaker import FORWARD, OWN, STATUS, Speaker
from hedgerow.sync import hello
from hedgerow.sync.interest import Interest

STATS = dict.fromkeys(
    ["overflowed", "suppressed", "refused", "custody", "acked", "left", "forgotten", "stored", "letters"], 0
)


def frame(author: int, number: int = 1) -> bytes:
    body = author.to_bytes(3, "big") + number.to_bytes(2, "big") + b"cc" + b"ss" + b"mms" + b"\2\2"
    return frames.make(frames.OP, b"ms", body, KEY, 31 << 3)


def custody(log: MemoryLog | None = None) -> Custody:
    return Custody(log or MemoryLog(), Random(1).below, dict(STATS), 0)


def engine(role: int = hello.RELAY) -> Mesh:
    return Mesh(board(role=role), 0, random=Random(1).below, role=role, key=KEY)


def sayings() -> None:
    """The least urgent makes room, or is not taken."""
    speaker = Speaker(Random(1).below, dict(STATS))
    for name in range(limits.MAX_SAYINGS):
        assert speaker.add(name, FORWARD, name, b"", 1)
    assert len(speaker) == limits.MAX_SAYINGS
    assert not speaker.add(0, STATUS, -1, b"", 1)
    assert speaker.add(0, OWN, -1, b"", 1) and len(speaker) == limits.MAX_SAYINGS


def places() -> None:
    table = custody()
    for author in range(limits.MAX_CUSTODY):
        assert table.take(frame(author), name_of(frame(author)), 0)
    assert not table.take(frame(999), name_of(frame(999)), 0)
    assert table.count() == limits.MAX_CUSTODY


def share() -> None:
    """One author's operations take so many places, those before them a few more."""
    table = custody()
    taken = [
        table.take(frame(5, 100 + at), name_of(frame(5, 100 + at)), 0) for at in range(limits.MESH_SHARE + 1)
    ]
    assert taken == [True] * limits.MESH_SHARE + [False]
    assert table.take(frame(6, 1), name_of(frame(6, 1)), 0)


def spare() -> None:
    table = custody()
    for at in range(limits.MESH_SHARE):
        table.take(frame(5, 100 + at), name_of(frame(5, 100 + at)), 0)
    earlier = [
        table.take(frame(5, 99 - at), name_of(frame(5, 99 - at)), 0) for at in range(limits.MESH_SPARE + 1)
    ]
    assert earlier == [True] * limits.MESH_SPARE + [False]


def window() -> None:
    table = custody()
    for author in range(limits.MESH_WINDOW + 1):
        assert table.room() == max(0, limits.MESH_WINDOW - author)
        table.push(frame(author), 0)
    assert len(table.flying()) == limits.MESH_WINDOW


def seen() -> None:
    """What was heard long ago counts as new: the table has a fixed size."""
    table = engine().seen
    for name in range(1, limits.MESH_SEEN + 1):
        assert table.note(name, 0) == 0
    assert [table.senders(name) for name in range(1, limits.MESH_SEEN + 1)] == [1] * limits.MESH_SEEN
    table.note(limits.MESH_SEEN + 1, 0)
    known = [1 for name in range(1, limits.MESH_SEEN + 2) if table.senders(name)]
    assert len(known) == limits.MESH_SEEN


def done() -> None:
    table = custody().done
    for name in range(1, limits.MESH_DONE + 2):
        table.note(name, 0)
    assert len([1 for name in range(1, limits.MESH_DONE + 2) if table.senders(name)]) == limits.MESH_DONE


def whole_letters() -> None:
    table = Intake(board(), Names(), dict(STATS))._whole
    for name in range(1, limits.MESH_LETTERS + 2):
        table.note(name, 0)
    known = [1 for name in range(1, limits.MESH_LETTERS + 2) if table.senders(name)]
    assert len(known) == limits.MESH_LETTERS


def route() -> None:
    table = engine().down.route
    for name in range(1, limits.MESH_ROUTE + 2):
        table.note(name, 0)
    assert len([1 for name in range(1, limits.MESH_ROUTE + 2) if table.senders(name)]) == limits.MESH_ROUTE


def pending() -> None:
    table = custody()
    for author in range(limits.MESH_PENDING + 1):
        table.offer(frame(author), name_of(frame(author)), 0, 100)
        assert table.has(name_of(frame(author))) == (author < limits.MESH_PENDING)


def waiting() -> None:
    """Who has waited for longest makes room; at a gateway, which has acknowledged it, nobody does."""
    peer = board()
    table = Intake(peer, Names(), dict(STATS))
    for author in range(limits.MESH_WAITING + 1):
        table.take(frame(author), name_of(frame(author)), author)
    assert len(table.waiting) == limits.MESH_WAITING and name_of(frame(0)) not in table.waiting
    table = Intake(peer, Names(), dict(STATS), True)
    for number in range(1, limits.MESH_WAITING + 2):
        table.take(frame(7, number), name_of(frame(7, number)), number)
    assert len(table.waiting) == limits.MESH_WAITING and name_of(frame(7, 1)) in table.waiting


def wants() -> None:
    mesh = engine()
    for at in range(limits.MESH_WANTS + 1):
        mesh.repair.want(3, at.to_bytes(2, "big"), 0)
    assert len(mesh.repair._wants) == limits.MESH_WANTS


def addresses() -> None:
    mesh = engine()
    payload = frames.advertise(frames.make(frames.ACK, mesh.peer.mesh, bytes(7), KEY))
    for at in range(limits.MESH_ADDRESSES * 2 + 1):
        assert mesh.heard(at.to_bytes(6, "big"), -50, payload, at)
        assert len(mesh._last) <= limits.MESH_ADDRESSES and len(mesh._whos) <= limits.MESH_ADDRESSES


def said_letters() -> None:
    mesh = engine()
    for at in range(limits.MESH_SAID_LETTERS + 1):
        mesh.remember([bytes(4) + at.to_bytes(3, "big")], bytes((at,)), at)
    assert mesh.letter(bytes(3)) is None
    assert mesh.letter((1).to_bytes(3, "big")) is not None


def leaves() -> None:
    mesh = engine()
    for at in range(limits.MAX_LEAVES + 1):
        state = frames.State(b"ms", 1, 0, bytes(6), 0, 1, 0, hello.LEAF, at.to_bytes(3, "big"))
        mesh.leaves.heard(state, at)
    assert len(mesh.leaves._known) == limits.MAX_LEAVES and bytes(3) not in mesh.leaves._known


def wishes_said() -> None:
    mesh = engine()
    for at in range(limits.MESH_WISHES + 1):
        mesh.peer.down.subscriptions.subscribe(Interest("c%d" % at))
    table = wishes.Wishes(mesh, 0)
    table.step(table.say_at)
    assert mesh.stats["wishes"] == limits.MESH_WISHES


def _documents(count: int) -> tuple[Mesh, wishes.Wishes]:
    mesh = engine()
    mesh.peer.down.subscriptions.subscribe(Interest("notes"))
    for at in range(count):
        mesh.peer.insert("notes", {"n": at}, at)
    table = wishes.Wishes(mesh, 0)
    while table.look(0):
        pass
    return mesh, table


def marks() -> None:
    _, table = _documents(limits.MESH_MARKS + 1)
    assert len(table._held["notes"]) == limits.MESH_MARKS


def answers() -> None:
    mesh, table = _documents(limits.MESH_ANSWERS + 1)
    said: list[int] = []
    table._say = lambda author, number, at, urgency: said.append(number)  # type: ignore[method-assign]
    held = table._held["notes"]
    table._asked[Interest("notes").key] = [Interest("notes"), 1 << 40]
    table.heard(wishes.encode_wish(Interest("notes"), [], False), 0)
    assert len(held) == limits.MESH_ANSWERS + 1 and len(said) == limits.MESH_ANSWERS
    assert mesh.role == hello.RELAY


CHECKS = {
    "MAX_SAYINGS": (sayings,),
    "MAX_CUSTODY": (places,),
    "MESH_SHARE": (share,),
    "MESH_SPARE": (spare,),
    "MESH_WINDOW": (window,),
    "MESH_SEEN": (seen,),
    "MESH_DONE": (done,),
    "MESH_ROUTE": (route,),
    "MESH_LETTERS": (whole_letters,),
    "MESH_PENDING": (pending,),
    "MESH_WAITING": (waiting,),
    "MESH_WANTS": (wants,),
    "MESH_ADDRESSES": (addresses,),
    "MESH_SAID_LETTERS": (said_letters,),
    "MAX_LEAVES": (leaves,),
    "MESH_WISHES": (wishes_said,),
    "MESH_MARKS": (marks,),
    "MESH_ANSWERS": (answers,),
}
