"""HAVE, WANT and ACK: what peers say of what they hold, lack and have taken (SPEC 6.8 to 6.10).

The encoders return bodies; the decoders read whole frames of their kind and raise BEACON_INVALID.
"""

from .. import limits
from ..errors import HedgerowError

WANT_OPERATIONS = 0
WANT_LETTERS = 1
WANT_ANNOUNCES = 2
WANT_SCHEMAS = 3
WANT_WHOLE = 4
WANT_CREDENTIALS = 5

ACK_PASSED = 0
ACK_HELD = 1
ACK_UPTO = 2
ACK_ALL = 3

_HAVE_ENTRY = 6
_KEY = 6
# What an entry of a WANT takes, by what is wanted; MOST are how many fit one.
_SIZES = (7, 4, 3, 2, 5, 4)
MOST = (2, 4, 6, 9, 3, 4)
_MOST_HAVE = 3
_MOST_ACK = 3


def _invalid(frame: bytes) -> HedgerowError:
    return HedgerowError("BEACON_INVALID", "kind %d, %d bytes" % (frame[0] & 0x0F, len(frame)))


def hint(held: int, sealed: int, receipted: int) -> int:
    """Return how far `sealed` (high nibble) and `receipted` (low one) are behind `held`: 0 level, 15 far."""
    return _steps(held - sealed) << 4 | _steps(held - receipted)


def _steps(count: int) -> int:
    """Return 0 to 3 as they are, above that two steps for each doubling, 15 at most."""
    if count < 4:
        return max(count, 0)
    step = 4
    while count > 7:
        count >>= 1
        step += 2
    return min(step + (count >> 1 & 1), 15)


def most(steps: int) -> int:
    """Return the greatest count that a nibble of a hint stands for; of 15 more than there are."""
    if steps < 4:
        return steps
    return limits.MAX_NUMBER if steps == 15 else (6 + 2 * (steps & 1) << (steps - 4 >> 1)) - 1


def encode_have(log2: int, bucket: int, entries: list) -> bytes:
    """Return a HAVE about some authors of one bucket: 1 to 3 entries (author, held, hint)."""
    body = bytearray((log2 << 5 | bucket,))
    for author, held, hint in entries[:_MOST_HAVE]:
        body.extend(author[:3])
        body.extend(bytes((held >> 8 & 0xFF, held & 0xFF, hint)))
    return bytes(body)


def decode_have(frame: bytes) -> tuple:
    """Return (log2 of the number of buckets, bucket, [(author, held, hint), ...])."""
    count, rest = divmod(len(frame) - 8, _HAVE_ENTRY)
    log2, bucket = frame[4] >> 5, frame[4] & 0x1F
    if rest or not 1 <= count <= _MOST_HAVE or log2 > limits.MAX_BUCKETS_LOG2 or bucket >> log2:
        raise _invalid(frame)
    entries = []
    for at in range(5, len(frame) - 3, _HAVE_ENTRY):
        entries.append((frame[at : at + 3], frame[at + 3] << 8 | frame[at + 4], frame[at + 5]))
    return log2, bucket, entries


def encode_want(what: int, entries: list) -> bytes:
    """Return a WANT of the first MOST[what] entries.

    Of operations (author, first number, bitmap of the 16 from there), of letters (id, bitmap of fragments),
    of announcements authors, of schemas 2 bytes of their names, of operations that are to come whole, as
    letters, (author, number), of credentials (author, or cti of a delegation, number of a part). Bit i of a
    bitmap stands for the i-th.
    """
    body = bytearray((what,))
    for entry in entries[: MOST[what]]:
        if isinstance(entry, bytes):
            entry = (entry,)
        body.extend(entry[0][: min(_SIZES[what], 3)])
        for number in entry[1:]:
            if _SIZES[what] > 4:
                body.append(number >> 8 & 0xFF)
            body.append(number & 0xFF)
    return bytes(body)


def decode_want(frame: bytes) -> tuple:
    """Return (what, entries), both as `encode_want` takes them."""
    what = frame[4]
    if what > WANT_CREDENTIALS or len(frame) < 9 or (len(frame) - 8) % _SIZES[what]:
        raise _invalid(frame)
    size = _SIZES[what]
    entries: list = []
    for at in range(5, len(frame) - 3, size):
        entry = frame[at : at + 3]
        if size < 4:
            entries.append(entry[:size])
        elif size == 4:
            entries.append((entry, frame[at + 3]))
        else:
            numbers = [frame[index] << 8 | frame[index + 1] for index in range(at + 3, at + size, 2)]
            entries.append((entry,) + tuple(numbers))
    return what, entries


def encode_ack(what: int, keys: list) -> bytes:
    """Return an ACK of 1 to 3 frames, each named by its `ack_key`: PASSED by who had it, HELD by who keeps
    it: a gateway or a keeper; UPTO by such a one that keeps all of the author, or letter, up to it; ALL by
    one that floods and has all of the author up to it."""
    return bytes((what,)) + b"".join(keys[:_MOST_ACK])


def decode_ack(frame: bytes) -> tuple:
    """Return (what, keys)."""
    if frame[4] > ACK_ALL or len(frame) < 9 or (len(frame) - 8) % _KEY:
        raise _invalid(frame)
    return frame[4], [frame[at : at + _KEY] for at in range(5, len(frame) - 3, _KEY)]


def covers(key: bytes, other: bytes) -> bool:
    """Say whether the key of an ACK of all up to it covers the frame of another key: one of the same author,
    or letter, whose number is not above it."""
    return key[:3] == other[:3] and not (key[3] - other[3] << 8) + key[4] - other[4] & 0x8000
