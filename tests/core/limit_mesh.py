"""Checks of the limits of the mesh's frames and tables: each goes to its limit, then one over it."""

from kit import raises
from sync_kit import gateway

from hedgerow import limits
from hedgerow.mesh import asks, frames, letters
from hedgerow.mesh.density import interval_floor
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.names import Names
from hedgerow.sync.hello import GATEWAY, RELAY

KEY = bytes(32)


def letter(content: bytes) -> list[bytes]:
    return [frames.make(frames.LETTER_UP, b"ms", body, KEY) for body in letters.split(content)]


def buckets(code: str) -> None:
    def state(log2: int) -> bytes:
        return frames.encode_state(
            frames.State(b"ms", 1, (1 << log2) - 1, b"digest", 0, 1, 0, 1, b"aut", log2=log2), KEY
        )

    assert frames.decode_state(state(limits.MAX_BUCKETS_LOG2)).bucket == 7
    raises(code, frames.decode_state, state(limits.MAX_BUCKETS_LOG2 + 1))

    def have(log2: int) -> bytes:
        return frames.make(frames.HAVE, b"ms", asks.encode_have(log2, 0, [(b"aut", 1, 0)]), KEY)

    assert asks.decode_have(have(limits.MAX_BUCKETS_LOG2))[0] == limits.MAX_BUCKETS_LOG2
    raises(code, asks.decode_have, have(limits.MAX_BUCKETS_LOG2 + 1))


def fragments(refused: str, too_long: str) -> None:
    most = limits.MAX_FRAGMENTS
    dense = bytes(1 + at % 255 for at in range(16 * most))
    assert len(letters.split(dense)) == most
    raises(too_long, letters.split, dense + b"x")
    last = letter(dense)[-1]
    assert letters.decode_fragment(last)[1:3] == (most - 1, most)
    raises(refused, letters.decode_fragment, last[:7] + bytes((most + 1,)) + last[8:])


def content(too_long: str, invalid: str) -> None:
    at = b"\1" + bytes(limits.MAX_LETTER - 1)
    assert letters.Letters().take(letter(at)[0], 0) == at
    raises(too_long, letters.split, at + b"\0")
    sent = b"\x81\0\xff"
    frame = frames.make(frames.LETTER_UP, b"ms", letters.letter_id(sent) + b"\x01" + sent, KEY)
    raises(invalid, letters.Letters().take, frame, 0)


def open_letters() -> None:
    """One letter more makes the one without progress for longest go."""
    most = limits.MAX_LETTERS
    table = letters.Letters()
    firsts = [letter(bytes((at,)) + bytes(range(1, 30)))[0] for at in range(most + 1)]
    for moment, frame in enumerate(firsts[:-1]):
        table.take(frame, moment)
    assert len(table._open) == most
    table.take(firsts[-1], most)
    assert len(table._open) == most and not table.missing(firsts[0][4:7])


def names() -> None:
    """One author more makes the one unheard of for longest go."""
    most = limits.MAX_NAMES
    table = Names()
    authors = [b"abc" + at.to_bytes(5, "big") for at in range(most + 1)]
    for moment, author in enumerate(authors[:-1]):
        table.learn(author, moment)
    assert table.find(b"abc") == tuple(authors[:-1])
    table.learn(authors[-1], most)
    assert table.find(b"abc") == tuple(authors[1:])


def channel() -> None:
    """So many a second, and none more."""
    most = limits.CHANNEL_EVENTS
    assert interval_floor(most - 1, 1) == 1000
    assert interval_floor(most, 1) > 1000


def visitor(**options: int) -> Mesh:
    """A gateway without a voice, which connects for what it hears; its waits have no random part."""
    mesh = Mesh(gateway(), 0, random=lambda _: 0, role=GATEWAY, **options)
    mesh.visits.mute = True
    mesh.code = 0
    return mesh


def hear(mesh: Mesh, address: object, now: int) -> None:
    state = frames.State(b"ms", 1, 0, b"digest", 5, 200, frames.CONNECTABLE, RELAY, b"aut", 3)
    mesh.visits.heard(address, state, -50, now)


def neighbours() -> None:
    """One address more makes the one unheard of for longest go."""
    mesh = visitor()
    for at in range(limits.MAX_NEIGHBOURS):
        hear(mesh, at, at)
    hear(mesh, 0, 100)
    hear(mesh, "more", 101)
    assert len(mesh.neighbours(101)) == limits.MAX_NEIGHBOURS
    assert mesh.visits.shown(0) and mesh.visits.shown("more") and 1 not in mesh.visits._table


def neighbour_fresh() -> None:
    mesh = visitor()
    hear(mesh, "a", 5)
    assert mesh.visit(5 + limits.NEIGHBOUR_FRESH_MS) == "a"
    assert mesh.visit(6 + limits.NEIGHBOUR_FRESH_MS) is None


def backoff() -> None:
    mesh = visitor(hold_off_ms=10)
    for failures in range(1, limits.MAX_BACKOFF_DOUBLINGS + 2):
        mesh.failed("a", 0)
        wait = 10 << min(failures, limits.MAX_BACKOFF_DOUBLINGS)
        for moment, found in ((wait - 1, None), (wait, "a")):
            hear(mesh, "a", moment)
            assert mesh.visit(moment) == found
