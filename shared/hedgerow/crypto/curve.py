"""P-256 for boards: keys, agreement (ECDH), ES256 signatures (FIPS 186-5, RFC 6979).

What takes long is a generator: each `next()` is a slice, between two of which the radio may have its turn.
Public keys are 32 bytes (the x coordinate alone, as EDHOC has it), 33 (compressed) or 65 (SEC 1, 2.3.3).
The walk over a scalar is the same sequence of operations for every scalar. Numbers modulo the order of the
curve, which signatures have, are plain integers, blinded where a secret is inverted (SECURITY.md).
"""

import sys
from hashlib import sha256

from ..errors import HedgerowError
from .kdf import hmac
from .programs import ADD, CURVE, DOUBLE, G_X, G_Y, INVERT, ROOT, TABLE, B, N, P

try:
    if sys.implementation.name != "micropython":
        raise ImportError
    from . import limbs as field
except (ImportError, SyntaxError, ValueError):
    # No native code here, or for another chip.
    from . import plain as field

_POWER_BITS = 16


class P256:
    """The curve, for one peer: `multiplications` counts what it did, a verification as two.

    `random(count)` returns that many unpredictable bytes.
    """

    def __init__(self, random: object):
        self.random = random
        self.multiplications = 0

    def make_key(self) -> object:
        """Make a key pair; the generator returns (private 32 bytes, public 33 bytes)."""
        while True:
            private = self.random(32)
            if is_scalar(private):
                return private, (yield from self.public_of(private))

    def public_of(self, private: bytes) -> object:
        """Return the public key of a private one, compressed."""
        x, y = yield from self._times(private, G_X, G_Y)
        return bytes((2 + (y & 1),)) + x.to_bytes(32, "big")

    def agree(self, private: bytes, public: bytes) -> object:
        """Return the 32 bytes that both sides share (SEC 1, 3.3.1); POINT_INVALID, KEY_INVALID."""
        x, y = point_of(public)
        yield
        return (yield from self._times(private, x, y))[0].to_bytes(32, "big")

    def sign(self, private: bytes, message: bytes) -> object:
        """Return the signature of a message: r and s, 32 bytes each, ever the same for it; KEY_INVALID."""
        _check(private)
        digest = int.from_bytes(sha256(message).digest(), "big")
        for nonce in _nonces(private, digest % N):
            r = (yield from self._times(nonce.to_bytes(32, "big"), G_X, G_Y))[0] % N
            blind = int.from_bytes(self.random(32), "big") % N or 1
            inverse = (yield from _inverse(nonce * blind % N)) * blind % N
            s = inverse * (digest + r * int.from_bytes(private, "big")) % N
            if r and s:
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def verify(self, public: bytes, message: bytes, signature: bytes) -> object:
        """Say whether a signature is of that message and key; POINT_INVALID."""
        x, y = point_of(public)
        self.multiplications += 2
        r = int.from_bytes(signature[:32], "big")
        s = int.from_bytes(signature[32:], "big")
        if len(signature) != 64 or not 0 < r < N or not 0 < s < N:
            return False
        yield
        inverse = yield from _inverse(s)
        one = int.from_bytes(sha256(message).digest(), "big") * inverse % N
        two = r * inverse % N
        work = _start()
        _table(work, 4, (G_X, G_Y), (x, y))
        yield
        # Two bits of each scalar at a time: entry 4 i + j of the table is i G + j Q.
        digits = bytes([(one >> at & 3) << 2 | two >> at & 3 for at in range(254, -2, -2)])
        yield from _walk(work, 2, digits)
        found = _affine(work)
        return found is not None and found[0] % N == r

    def _times(self, private: bytes, x: int, y: int) -> object:
        _check(private)
        self.multiplications += 1
        work = _start()
        _table(work, 1, None, (x, y))
        yield
        digits = bytearray(64)
        for at in range(32):
            digits[2 * at] = private[at] >> 4
            digits[2 * at + 1] = private[at] & 15
        yield from _walk(work, 4, digits)
        # A point of this curve times less than its order is never infinity.
        return _affine(work)


def is_scalar(private: bytes) -> bool:
    """Say whether these are 32 bytes of a number from 1 to the order of the curve less 1."""
    return len(private) == 32 and bytes(32) < bytes(private) < N.to_bytes(32, "big")


def _check(private: bytes) -> None:
    if not is_scalar(private):
        raise HedgerowError("KEY_INVALID", "%d bytes" % len(private))


def point_of(public: bytes) -> tuple:
    """Return (x, y) of a public key that is a point of the curve and not infinity; POINT_INVALID."""
    size = len(public)
    if size == 32:
        public = b"\2" + public
    first = public[0] if size in (32, 33, 65) else 0
    x = int.from_bytes(public[1:33], "big")
    y = int.from_bytes(public[33:], "big")
    if first not in ((4,) if size == 65 else (2, 3)) or x >= P or y >= P:
        raise HedgerowError("POINT_INVALID", "%d bytes" % size)
    work = _start()
    field.put(work, 5, x)
    field.run(work, CURVE, len(CURVE))
    square = field.take(work, 11, 12)
    if size != 65:
        field.run(work, ROOT, len(ROOT))
        y = field.take(work, 6, 12)
        if y & 1 != first & 1:
            y = (P - y) % P
    field.put(work, 6, y)
    field.run(work, b"\2\6\6\6", 4)
    if field.take(work, 6, 12) != square:
        raise HedgerowError("POINT_INVALID", "not on the curve")
    return x, y


def _start() -> object:
    work = field.make()
    field.put(work, 3, B)
    field.put(work, 4, 1)
    return work


def _infinity(work: object) -> None:
    field.put(work, 5, 0)
    field.put(work, 6, 1)
    field.put(work, 7, 0)


def _set(work: object, point: tuple) -> None:
    """Set point 2."""
    field.put(work, 8, point[0])
    field.put(work, 9, point[1])
    field.copy(work, 10, 4, 1)


def _table(work: object, rows: int, outer: tuple | None, inner: tuple) -> None:
    """Fill the table of 16 points: row i, column j is i times `outer` plus j times `inner`."""
    columns = 16 // rows
    _infinity(work)
    for row in range(rows):
        _set(work, inner)
        for column in range(columns):
            field.copy(work, TABLE + 3 * (row * columns + column), 5, 3)
            field.run(work, ADD, len(ADD))
        if outer is not None:
            field.copy(work, 5, TABLE + 3 * row * columns, 3)
            _set(work, outer)
            field.run(work, ADD, len(ADD))


def _walk(work: object, doublings: int, digits: bytes) -> object:
    """Make point 1 the sum of table[digit] over the digits, each doubled so often for every one behind it."""
    _infinity(work)
    for digit in digits:
        for _ in range(doublings):
            field.run(work, DOUBLE, len(DOUBLE))
        field.pick(work, 8, TABLE, digit)
        field.run(work, ADD, len(ADD))
        yield


def _affine(work: object) -> tuple | None:
    """Return (x, y) of point 1, None for infinity."""
    if not field.take(work, 7, 11):
        return None
    field.run(work, INVERT, len(INVERT))
    return field.take(work, 5, 11), field.take(work, 6, 11)


def _inverse(number: int) -> object:
    """Return 1 / number modulo the order, by Fermat: the exponent is no secret."""
    result = 1
    for at in range(255, -1, -1):
        result = result * result % N
        if N - 2 >> at & 1:
            result = result * number % N
        if at % _POWER_BITS == 0:
            yield
    return result


def _nonces(private: bytes, digest: int) -> object:
    """Yield the nonces of RFC 6979, 3.2 for a key and a digest (below the order); one does but never."""
    seed = bytes(private) + digest.to_bytes(32, "big")
    value = b"\1" * 32
    key = hmac(bytes(32), value + b"\0" + seed)
    value = hmac(key, value)
    key = hmac(key, value + b"\1" + seed)
    value = hmac(key, value)
    while True:
        value = hmac(key, value)
        if is_scalar(value):
            yield int.from_bytes(value, "big")
        key = hmac(key, value + b"\0")
        value = hmac(key, value)
