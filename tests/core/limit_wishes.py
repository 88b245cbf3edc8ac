"""Checks of the limits of documents that come down by letter: to each, and one over it."""

from limit_custody import engine
from sync_kit import record

from hedgerow import limits
from hedgerow.errors import HedgerowError
from hedgerow.mesh import frames, letters, pace
from hedgerow.mesh.feed import letter_frames
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.wishes import Wishes, decode_wish, encode_wish
from hedgerow.sync.interest import Interest


def wanting(*names: str) -> tuple[Mesh, Wishes, list[bytes]]:
    """An engine whose peer wants these collections, and the letters that it says down from now on."""
    mesh = engine()
    for name in names:
        mesh.peer.down.subscriptions.subscribe(Interest(name, "", {}, 4))
    wishes = Wishes(mesh, 0)
    said: list[bytes] = []
    mesh.say_down = lambda content, at, hurry: said.append(content)  # type: ignore[method-assign]
    return mesh, wishes, said


def wish_again() -> None:
    """After the first ones, which may be missed, a wish is said at three quarters of that at the least."""
    _, wishes, said = wanting("readings")
    now = 0
    for _ in range(pace.PUSHES + 1):
        now = wishes.say_at
        wishes.step(now)
    assert len(said) == pace.PUSHES + 1
    wishes.step(now + pace.WISH_MS * 3 // 4 - 1)
    assert len(said) == pace.PUSHES + 1
    wishes.step(now + pace.WISH_MS * 3 // 4)
    assert len(said) == pace.PUSHES + 2


def wish_kept() -> None:
    """What others want is known for eight times that after they said so."""
    for moment, answers in ((8 * pace.WISH_MS - 1, 1), (8 * pace.WISH_MS, 0)):
        mesh, wishes, said = wanting()
        wishes.heard(encode_wish(Interest("readings", "", {}, 4), [], False), 0)
        record(mesh.peer, 1, 0)
        wishes.look(moment)
        assert len(said) == answers


def wishes_at_once() -> None:
    most = limits.MESH_WISHES
    _, wishes, said = wanting(*["c%d" % at for at in range(most + 1)])
    wishes.step(0)
    assert len(said) == most and len({decode_wish(content)[0].key for content in said}) == most


def marks() -> None:
    """Of the newest so many is told that they are here."""
    mesh, wishes, said = wanting("readings")
    record(mesh.peer, limits.MESH_MARKS, 0)
    wishes.step(0)
    assert len(decode_wish(said[0])[1]) == limits.MESH_MARKS
    first = decode_wish(said[0])[1]
    record(mesh.peer, 1, 60000)
    wishes.step(wishes.say_at)
    assert len(decode_wish(said[1])[1]) == limits.MESH_MARKS
    assert decode_wish(said[1])[1][:-1] == first[1:]


def answers() -> None:
    """So many operations, and before them how to read them."""
    most = limits.MESH_ANSWERS
    for count in (most, most + 1):
        mesh, wishes, said = wanting()
        record(mesh.peer, count, 0)
        wishes.heard(encode_wish(Interest("readings", "", {}, 4), [], False), 0)
        operations = [content for content in said if content[0] == letters.OPERATION]
        assert len(operations) == most


def waiting() -> None:
    """As many wait for a schema; one more takes the place of the first."""
    most = limits.MESH_ANSWERS
    other, _, _ = wanting()
    record(other.peer, most + 1, 0)
    author = other.peer.author
    log = other.peer.log
    contents = [
        letters.encode_operation(author, number, log.fetch(author, number))
        for number in range(log.held(author) - most, log.held(author) + 1)
    ]
    _, wishes, _ = wanting("readings")
    for content in contents[:-1]:
        wishes.heard(content, 0)
    assert wishes.waiting == contents[:-1]
    wishes.heard(contents[-1], 0)
    assert wishes.waiting == contents[1:]


def false_word() -> None:
    """After a revocation that nobody has signed none is looked at for that long."""
    mesh = engine()
    looked = []

    class Members:
        fresh = said = ()

        def take_brief(self, brief: bytes) -> None:
            looked.append(brief)
            raise HedgerowError("STATEMENT_INVALID")

    mesh.peer.members = Members()  # type: ignore[assignment]
    for at in (0, pace.FALSE_WORD_MS - 1, pace.FALSE_WORD_MS):
        content = bytes((letters.REVOKED,)) + at.to_bytes(4, "big")
        for frame in letter_frames(mesh.peer, content, mesh.key, frames.LETTER_DOWN):
            mesh.heard(b"anybody", -60, frames.advertise(frame), at)
    assert [int.from_bytes(brief, "big") for brief in looked] == [0, pace.FALSE_WORD_MS]
