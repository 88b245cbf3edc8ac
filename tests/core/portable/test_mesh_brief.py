"""Brief seals (SPEC 6.15.6): what is left out is put back from the operations."""

from kit import Random, raises
from samples import AUTHOR, SCHEMAS, random_operation, readings

from hedgerow.custody.skip import SUPERSEDED, Skip
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, MemoryLog
from hedgerow.mesh import brief, frames, letters, tag
from hedgerow.operation import h16
from hedgerow.trust.seal import NO_SEAL, Seal, bare_seals, make_seal, seal_hash

OTHER = AUTHOR[:3] + b"other"


def _log(bodies: list, author: bytes = AUTHOR) -> MemoryLog:
    log = MemoryLog()
    for number, body in enumerate(bodies, 1):
        log.append(ENTRY_OP, author, number, number, body)
    return log


def _seal(bodies: list, first: int, last: int, previous: bytes = NO_SEAL, author: bytes = AUTHOR) -> bytes:
    marks = [h16(author, number, bodies[number - 1], SCHEMAS) for number in range(first, last + 1)]
    return make_seal(author, first, last, marks, previous)


def test_a_seal_takes_two_fragments_and_comes_back() -> None:
    bodies = readings(Random(1), 70)
    log = _log(bodies)
    first = _seal(bodies, 1, 32)
    second = _seal(bodies, 33, 70, seal_hash(first))
    log.append(ENTRY_SEAL, AUTHOR, 1, 32, first)
    for body, most in ((first, 1), (second, 2)):
        content = brief.encode_seal(AUTHOR, body, log, SCHEMAS)
        parts = letters.split(content)
        assert len(content) == 29 and len(parts) == most
        table = letters.Letters()
        key = tag.mesh_key("shed")
        sent = [frames.make(frames.LETTER_UP, b"ms", part, key) for part in parts]
        assert [table.take(frame, 0) for frame in sent][-1] == content
        assert brief.unfold_seal(content, AUTHOR, log, SCHEMAS) == body
    assert brief.decode_seal(content)[:3] == (AUTHOR[:3], 33, 70)
    assert brief.decode_seal(content)[3] == seal_hash(first)


def test_it_stands_only_over_the_operations_that_it_was_made_of() -> None:
    bodies = readings(Random(2), 40)
    log = _log(bodies)
    content = brief.encode_seal(AUTHOR, _seal(bodies, 1, 40), log, SCHEMAS)
    others = _log(bodies[:39] + readings(Random(3), 1))
    assert brief.unfold_seal(content, AUTHOR, others, SCHEMAS) == b""
    # Of authors with one short name the right one is found.
    both = _log(bodies)
    for number, body in enumerate(bodies, 1):
        both.append(ENTRY_OP, OTHER, number, number, body)
    assert brief.unfold_seal(content, OTHER, both, SCHEMAS) == b""
    assert brief.unfold_seal(content, AUTHOR, both, SCHEMAS) == _seal(bodies, 1, 40)
    assert brief.unfold_seal(content, b"another.", both, SCHEMAS) is None
    raises("SYNC_GAP", brief.unfold_seal, content, AUTHOR, _log(bodies[:39]), SCHEMAS)
    raises("SCHEMA_UNKNOWN", brief.unfold_seal, content, AUTHOR, log, {})


def test_operations_of_every_kind() -> None:
    random = Random(4)
    bodies = [random_operation(random, 1000 + at) for at in range(30)]
    log = _log(bodies)
    for first, last in ((1, 1), (7, 7), (5, 30), (30, 30)):
        body = _seal(bodies, first, last, random.bytes(16))
        content = brief.encode_seal(AUTHOR, body, log, SCHEMAS)
        assert content[0] == letters.SEAL_BRIEF
        assert brief.unfold_seal(content, AUTHOR, log, SCHEMAS) == body


def test_what_cannot_be_put_back_goes_whole() -> None:
    bodies = readings(Random(5), 40)
    log = _log(bodies)
    good = _seal(bodies, 1, 30)
    seal = Seal.decode(good)
    whole = bytes((letters.SEAL,)) + AUTHOR
    ((_, _, bare),) = bare_seals(AUTHOR, 1, 30)
    assert brief.encode_seal(AUTHOR, bare, log, SCHEMAS) == whole + bare
    signed = good[: -len(seal.signature)] + b"signature" * 7 + b"!"
    assert brief.encode_seal(AUTHOR, signed, log, SCHEMAS) == whole + signed
    assert brief.encode_seal(AUTHOR, good, _log(bodies[:29]), SCHEMAS) == whole + good
    skipped = _log(bodies[:20])
    skipped.append(ENTRY_SKIP, AUTHOR, 21, 25, Skip(21, 25, SUPERSEDED, [AUTHOR, 40]).encode())
    for number in range(26, 41):
        skipped.append(ENTRY_OP, AUTHOR, number, number, bodies[number - 1])
    assert brief.encode_seal(AUTHOR, good, skipped, SCHEMAS) == whole + good
    content = brief.encode_seal(AUTHOR, good, log, SCHEMAS)
    assert brief.unfold_seal(content, AUTHOR, skipped, SCHEMAS) is None


def test_broken_ones_are_refused() -> None:
    bodies = readings(Random(6), 3)
    content = brief.encode_seal(AUTHOR, _seal(bodies, 1, 3), _log(bodies), SCHEMAS)
    assert content[:9] == b"\x08\x01\x23\x45\0\0\0\1\2"
    for broken in (
        b"",
        content[:-1],
        content + b"\0",
        b"\2" + content[1:],
        content[:4] + b"\0\0\0\0" + content[8:],
        content[:4] + b"\xff\xff\xff\xfe" + content[8:],
    ):
        raises("LETTER_INVALID", brief.decode_seal, broken)
    assert brief.decode_seal(content[:4] + b"\xff\xff\xff\xfd" + content[8:])[2] == (1 << 32) - 1
