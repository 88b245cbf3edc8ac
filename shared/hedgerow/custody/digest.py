"""Bucket digests: sums by which two peers see that their open operations differ (SPEC 5.7)."""

from hashlib import sha256

BUCKETS = 4


def digest(key: bytes, entries: list, buckets: int = BUCKETS) -> list:
    """Return one 6-byte sum for each bucket over entries (author, held, receipted).

    An author's bucket is its first byte modulo `buckets`, a power of two. A sum is modulo 2^48 and does
    not depend on the order; an empty bucket is six zero bytes.
    """
    sums = [0] * buckets
    for author, held, receipted in entries:
        data = key + author + held.to_bytes(4, "big") + receipted.to_bytes(4, "big")
        bucket = author[0] & buckets - 1
        sums[bucket] = sums[bucket] + int.from_bytes(sha256(data).digest()[:6], "big") & 0xFFFFFFFFFFFF
    return [number.to_bytes(6, "big") for number in sums]
