"""HMAC (RFC 2104) and HKDF (RFC 5869) with SHA-256."""

from hashlib import sha256

_BLOCK = 64
# Whole blocks as integers: XOR of bytes one by one takes four times as long.
_INNER = int.from_bytes(b"\x36" * _BLOCK, "big")
_OUTER = int.from_bytes(b"\x5c" * _BLOCK, "big")


def hmac(key: bytes, data: bytes) -> bytes:
    """Return the 32 bytes of HMAC-SHA256."""
    if len(key) > _BLOCK:
        key = sha256(key).digest()
    number = int.from_bytes(key + bytes(_BLOCK - len(key)), "big")
    inner = sha256((number ^ _INNER).to_bytes(_BLOCK, "big"))
    inner.update(data)
    outer = sha256((number ^ _OUTER).to_bytes(_BLOCK, "big"))
    outer.update(inner.digest())
    return outer.digest()


def extract(salt: bytes, secret: bytes) -> bytes:
    """Return the pseudo-random key (32 bytes) of HKDF-Extract."""
    return hmac(salt, secret)


def expand(key: bytes, info: bytes, length: int) -> bytes:
    """Return `length` bytes (at most 8,160) of HKDF-Expand."""
    out = block = b""
    count = 1
    while len(out) < length:
        block = hmac(key, block + info + bytes((count,)))
        out += block
        count += 1
    return out[:length]


def same(one: bytes, two: bytes) -> bool:
    """Say whether two tags are equal, in a time that does not say where they differ."""
    difference = len(one) ^ len(two)
    for a, b in zip(one, two):
        difference |= a ^ b
    return not difference
