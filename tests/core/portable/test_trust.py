"""Seals (SPEC 5.8)."""

from kit import raises

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.trust.seal import NO_SEAL, Seal, check_seal, make_seal, seal_hash

A = b"author-a"


def test_seal_is_for_these_operations_alone() -> None:
    marks = [bytes([n]) * 16 for n in range(5)]
    body = make_seal(A, 3, 7, marks, NO_SEAL)
    assert check_seal(A, body, marks)
    assert not check_seal(b"author-b", body, marks)
    assert not check_seal(A, body, marks[:4])
    assert not check_seal(A, body, marks + [bytes(16)])
    assert not check_seal(A, body, [marks[1], marks[0]] + marks[2:])
    assert not check_seal(A, make_seal(A, 3, 7, marks, bytes(15) + b"\1"), marks[:4] + [bytes(16)])
    parts = cbor.decode(body)
    for at, other in ((1, 4), (3, b"creden-1"), (4, bytes(15) + b"\1"), (6, bytes(64))):
        changed = list(parts)
        changed[at] = other
        if at == 1:
            changed[2] = 8
        assert not check_seal(A, cbor.encode(changed), marks), at


def test_seal_layout() -> None:
    body = make_seal(A, 1, 2, [bytes(16), bytes(16)], NO_SEAL)
    version, first, last, credential, previous, kind, signature = cbor.decode(body)
    assert (version, first, last, credential, previous, kind) == (1, 1, 2, bytes(8), NO_SEAL, 0)
    assert len(signature) == 64 and signature[32:] == bytes(32)
    assert len(seal_hash(body)) == 16 and seal_hash(body) != seal_hash(body + b"\0")
    seal = Seal.decode(body)
    assert (seal.first, seal.last, seal.signature) == (1, 2, signature)


def test_seals_refused() -> None:
    parts = cbor.decode(make_seal(A, 1, 2, [bytes(16), bytes(16)], NO_SEAL))
    for at, wrong in (
        (0, 2),
        (0, True),
        (0, Decimal(1)),
        (5, False),
        (1, 0),
        (1, 3),
        (2, 300),
        (2, 2**32),
        (3, bytes(7)),
        (4, bytes(15)),
        (5, 2),
        (6, bytes(63)),
        (1, True),
    ):
        changed = list(parts)
        changed[at] = wrong
        raises("SEAL_INVALID", Seal.decode, cbor.encode(changed))
    raises("SEAL_INVALID", Seal.decode, cbor.encode(parts[:6]))
