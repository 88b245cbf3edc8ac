"""Vectors, receipts, skips and digests (SPEC 5)."""

from kit import Random, raises

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.custody import vectors
from hedgerow.custody.digest import digest
from hedgerow.custody.frontier import Frontier
from hedgerow.custody.receipt import PROOF_MAC, Receipt
from hedgerow.custody.skip import LOST, RECEIPTED, SUPERSEDED, Skip
from hedgerow.limits import MAX_NUMBER

A = b"author-a"
B = b"author-b"


def test_vectors_round_trip() -> None:
    random = Random(3)
    for count in (0, 1, 5, 64):
        entries = []
        for _ in range(count):
            held = random.below(MAX_NUMBER + 1)
            entries.append((random.bytes(8), held, random.between(0, held), random.below(MAX_NUMBER + 1)))
        assert vectors.unpack(vectors.pack(entries)) == entries


def test_vector_bytes() -> None:
    # SPEC 5.3: author, held, held - sealed, receipted
    assert vectors.pack([(A, 300, 299, 128)]) == A + b"\xac\x02\x01\x80\x01"


def test_vectors_refused() -> None:
    raises("VECTOR_INVALID", vectors.unpack, A + b"\x01\x02\x00")
    raises("VECTOR_INVALID", vectors.unpack, A + b"\xff\xff\xff\xff\x1f\x00\x00")
    raises("VECTOR_INVALID", vectors.unpack, vectors.pack([(A, 1, 1, 1)] * 65))
    for cut in (1, 8, 9, 10):
        raises("VARINT_TRUNCATED", vectors.unpack, vectors.pack([(A, 1, 1, 1)])[:cut])


def test_receipts() -> None:
    receipt = Receipt(b"keeper-1", 3, A, 1000)
    data = receipt.encode()
    again = Receipt.decode(data)
    assert (again.keeper, again.incarnation, again.author, again.number) == (b"keeper-1", 3, A, 1000)
    assert (again.proof_kind, again.proof) == (0, bytes(8))
    assert again.encode() == data and len(data) == 34
    for at, wrong in (
        (0, 2),
        (0, True),
        (0, Decimal(1)),
        (5, False),
        (1, b"short"),
        (2, 0),
        (3, None),
        (4, 0),
        (4, MAX_NUMBER + 1),
        (4, True),
        (5, 2),
        (5, Decimal(1)),
        (6, b"01234567"),
    ):
        parts = cbor.decode(data)
        parts[at] = wrong
        raises("RECEIPT_INVALID", Receipt.decode, cbor.encode(parts))
    proven = Receipt(b"keeper-1", 3, A, 1000, PROOF_MAC, b"01234567").encode()
    again = Receipt.decode(proven)
    assert (again.proof_kind, again.proof) == (PROOF_MAC, b"01234567") and len(proven) == len(data)
    raises("RECEIPT_INVALID", Receipt.decode, cbor.encode([1]))
    raises("CBOR_TRUNCATED", Receipt.decode, data[:-1])


def test_skips() -> None:
    for kind, detail in (
        (SUPERSEDED, [B, 7]),
        (LOST, [1, b"012345"]),
        (LOST, ["flash", b"01234567"]),
        (RECEIPTED, None),
    ):
        skip = Skip(4, 9, kind, detail)
        again = Skip.decode(skip.encode())
        assert (again.first, again.last, again.kind, again.detail) == (4, 9, kind, detail)
    for parts in (
        [1, 4, 9, LOST],
        [2, 4, 9, RECEIPTED, None],
        [1, 0, 9, RECEIPTED, None],
        [1, 4, 3, RECEIPTED, None],
        [1, 4, MAX_NUMBER + 1, RECEIPTED, None],
        [1, 4, 9, 3, None],
        [1, 4, 9, LOST, None],
        [1, 4, 9, RECEIPTED, [1, 2]],
        [1, True, 9, RECEIPTED, None],
        [1, 4, 9, True, [1, b"012345"]],
        [1, 4, 9, False, [B, 7]],
        [1, 4, 9, SUPERSEDED, [B[:7], 7]],
        [1, 4, 9, SUPERSEDED, ["author-b", 7]],
        [1, 4, 9, SUPERSEDED, [B, 0]],
        [1, 4, 9, SUPERSEDED, [B, MAX_NUMBER + 1]],
        [1, 4, 9, SUPERSEDED, [B, 7, 8]],
        [1, 4, 9, LOST, [1, b"01234"]],
        [1, 4, 9, LOST, [1, "012345"]],
        [1, 4, 9, LOST, [256, b"012345"]],
        [1, 4, 9, LOST, [-1, b"012345"]],
        [1, 4, 9, LOST, [None, b"012345"]],
        [1, 4, 9, LOST, ["", b"012345"]],
        [1, 4, 9, LOST, ["x" * 33, b"012345"]],
        [True, 4, 9, RECEIPTED, None],
        [Decimal(1), 4, 9, RECEIPTED, None],
        [1, 4, 9, True, [1, 2]],
    ):
        raises("SKIP_INVALID", Skip.decode, cbor.encode(parts))


def test_digests() -> None:
    random = Random(9)
    entries = [(random.bytes(8), random.below(1000), random.below(100)) for _ in range(30)]
    sums = digest(b"key", entries)
    assert len(sums) == 4 and {len(part) for part in sums} == {6}
    assert digest(b"key", random.shuffle(list(entries))) == sums
    assert digest(b"other", entries) != sums
    assert digest(b"key", []) == [bytes(6)] * 4
    author, held, receipted = entries[0]
    for changed in ((author, held + 1, receipted), (author, held, receipted + 1)):
        others = digest(b"key", [changed] + entries[1:])
        assert [at for at in range(4) if others[at] != sums[at]] == [author[0] & 3]
    # The sum of SPEC 5.7, worked by hand for one entry: SHA-256("k" | "author-a" | 2 | 1)
    assert digest(b"k", [(A, 2, 1)], 1) == [_by_hand(b"k" + A + b"\0\0\0\2" + b"\0\0\0\1")]


def _by_hand(data: bytes) -> bytes:
    from hashlib import sha256

    return sha256(data).digest()[:6]


def test_frontiers_of_one_keeper_are_ordered() -> None:
    one = Frontier(b"keeper-1", 1, 9, {A: 3})
    assert one.later(None) and one.covers(A, 3) and not one.covers(A, 4) and not one.covers(B, 1)
    assert Frontier(b"keeper-1", 1, 10, {}).later(one) and Frontier(b"keeper-1", 2, 0, {}).later(one)
    assert not one.later(one) and not Frontier(b"keeper-1", 1, 8, {}).later(one)
    # Another keeper's positions mean something else.
    assert not Frontier(b"keeper-2", 5, 99, {}).later(one)
