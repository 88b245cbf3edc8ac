"""The table of frames that were heard (SPEC 6.4)."""

from kit import Random

from hedgerow.mesh import frames
from hedgerow.mesh.seen import Seen, who_of

try:
    from micropython import heap_lock, heap_unlock
except ImportError:

    def heap_lock() -> None:
        pass

    heap_unlock = heap_lock


def test_new_then_known_by_senders() -> None:
    seen = Seen(16)
    assert seen.note(1000, 1) == 0
    assert seen.note(1000, 1) == 1
    assert seen.note(1000, 9) == 1
    assert seen.note(1000, 2) == 2
    assert seen.senders(1000) == 2 and seen.senders(1001) == 0
    for who in range(8):
        seen.note(1000, who)
    assert seen.note(1000, 0) == 8 and seen.senders(1000) == 8
    seen.forget(1000)
    seen.forget(1001)
    assert seen.senders(1000) == 0 and seen.note(1000, 3) == 0 and seen.note(1000, 3) == 1


def test_the_oldest_of_a_set_makes_room() -> None:
    seen = Seen(8)
    same = [2 * at + 1 for at in range(6)]
    for identity in same[:4]:
        assert seen.note(identity, 0) == 0
    assert seen.note(4, 0) == 0
    assert seen.note(same[0], 1) == 2
    assert seen.note(same[4], 0) == 0
    assert [seen.senders(identity) for identity in same] == [0, 1, 1, 1, 1, 0]
    assert seen.senders(4) == 1


def test_no_frame_is_taken_for_the_empty_place() -> None:
    seen = Seen(8)
    assert seen.senders(0) == 0 and seen.note(0, 0) == 0 and seen.note(0, 1) == 2 and seen.senders(0) == 2
    seen.forget(0)
    assert seen.senders(0) == 0


def test_against_a_plain_set() -> None:
    """Never a frame that is new taken for known; of the last quarter of the table nearly all are known."""
    random = Random(3)
    seen = Seen(256)
    known = []
    missed = 0
    for _ in range(3000):
        identity = random.below(1 << 30)
        assert seen.note(identity, 0) == 0
        known.append(identity)
        if not seen.senders(random.choice(known[-64:])):
            missed += 1
    assert missed < 60
    assert sum([1 for identity in known if seen.senders(identity)]) == 256


def test_addresses_spread() -> None:
    assert who_of(0x1234) == who_of(0x1234) and who_of(b"abc") == who_of("abc")
    random = Random(4)
    for make in (random.bits, lambda: b"\x01" + random.bytes(6)):
        counts = [0] * 8
        for _ in range(800):
            counts[who_of(make()) & 7] += 1
        assert min(counts) > 60, counts
    assert len({who_of(b"\x01\xc0\xff\xee\0\0" + bytes((at,))) & 7 for at in range(8)}) >= 4


def test_a_frame_that_is_known_costs_no_memory() -> None:
    """Boards hear each frame many times. (CPython cannot lock its heap: there the result alone is shown.)"""
    frame = frames.make(frames.OP, b"ms", bytes(12) + b"\x80\x08", bytes(32))
    payload = memoryview(frames.advertise(frame))
    seen = Seen()
    assert _hear(seen, payload, 1) == 0
    heap_lock()
    try:
        known = _hear(seen, payload, 2)
    finally:
        heap_unlock()
    assert known == 2


def _hear(seen: Seen, payload: memoryview, who: int) -> int:
    at = frames.find(payload)
    return seen.note(frames.identity(payload, at, frames.end(payload, at)), who)
