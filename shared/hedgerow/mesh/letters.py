"""Letters: what does not fit a frame travels in up to 8 fragments of 16 bytes (SPEC 6.15).

A letter's *content* is a byte that says what it is, and that: an operation, a seal, a schema, ... Runs of
zeros, of which seals and receipts without signatures are full, travel as a zero and their length.
"""

from hashlib import sha256

from .. import limits
from ..clock import hlc
from ..codec.varint import read_uint, write_uint
from ..errors import HedgerowError
from ..operation import CLOCK, SOURCE_KEEPER, decode_body, encode_body
from . import pace
from .seen import Recent

OPERATION = 1
SEAL = 2
SCHEMA = 3
REVOKED = 4
SKIP = 5
INTEREST = 6
SEAL_BRIEF = 8
CLOCK_BRIEF = 9
BATCH = 10
CREDENTIAL = 11
# Types of letters that are one operation.
OPERATIONS = (OPERATION, CLOCK_BRIEF)
# Of those that begin with their author, or its first 3 bytes.
OF_AUTHORS = (OPERATION, SEAL, SKIP, SEAL_BRIEF, CLOCK_BRIEF)

# Of a brief clock record: it has the time; the counter of its stamp is 1.
_TIMED = 0x80
_COUNTED = 0x40
_SQUEEZED = 0x80
_DATA = 16
_SHORTEST = 12


def split(content: bytes) -> list:
    """Return the bodies of a letter's frames; LETTER_TOO_LONG if it does not fit them."""
    if not 1 <= len(content) <= limits.MAX_LETTER:
        raise HedgerowError("LETTER_TOO_LONG", "%d bytes" % len(content))
    sent = _squeeze(content)
    if len(sent) >= len(content):
        sent = content
    total = (len(sent) + _DATA - 1) // _DATA
    if total > limits.MAX_FRAGMENTS:
        raise HedgerowError("LETTER_TOO_LONG", "%d fragments" % total)
    name = letter_id(sent)
    return [
        name + bytes((index << 4 | total,)) + sent[index * _DATA : (index + 1) * _DATA]
        for index in range(total)
    ]


def letter_id(sent: bytes) -> bytes:
    """Return the 3 bytes that name a letter: the first of the SHA-256 of what is sent."""
    return sha256(sent).digest()[:3]


def _squeeze(content: bytes) -> bytes:
    """Return the content with its zeros as (0, how many), and the first byte's top bit set."""
    sent = bytearray((content[0] | _SQUEEZED,))
    at = 1
    while at < len(content):
        start = at
        while at < len(content) and not content[at]:
            at += 1
        if at > start:
            sent.extend(bytes((0, at - start)))
        else:
            sent.append(content[at])
            at += 1
    return bytes(sent)


def _unsqueeze(sent: bytes) -> bytes:
    if not sent[0] & _SQUEEZED:
        return sent
    content = bytearray((sent[0] & 0x7F,))
    at = 1
    while at < len(sent):
        if sent[at]:
            content.append(sent[at])
            at += 1
            continue
        if at + 1 == len(sent) or not sent[at + 1] or len(content) + sent[at + 1] > limits.MAX_LETTER:
            raise HedgerowError("LETTER_INVALID", "zeros")
        content.extend(bytes(sent[at + 1]))
        at += 2
    return bytes(content)


def decode_fragment(frame: bytes) -> tuple:
    """Return (id of the letter, index, number of fragments, data) of a LETTER frame; BEACON_INVALID."""
    if len(frame) < _SHORTEST:
        raise HedgerowError("BEACON_INVALID", "%d bytes" % len(frame))
    data = frame[8:-3]
    index, total = frame[7] >> 4, frame[7] & 0x0F
    if not 1 <= total <= limits.MAX_FRAGMENTS or index >= total or len(data) > _DATA:
        raise HedgerowError("BEACON_INVALID", "fragment %d of %d" % (index, total))
    if index + 1 < total and len(data) < _DATA:
        raise HedgerowError("BEACON_INVALID", "a short fragment before the last")
    return frame[4:7], index, total, data


def encode_operation(author: bytes, number: int, stored: bytes) -> bytes:
    """Return the content of a letter with one operation: brief if it is a clock record as all are."""
    content = bytearray((OPERATION,))
    content.extend(author)
    write_uint(content, number)
    brief = _brief(stored)
    if brief is not None:
        content[0] = CLOCK_BRIEF
        content.extend(brief)
        if decode_operation(bytes(content)) == (author, number, bytes(stored)):
            return bytes(content)
        content = content[: len(content) - len(brief)]
        content[0] = OPERATION
    content.extend(stored)
    return bytes(content)


def decode_operation(content: bytes) -> tuple:
    """Return (author, number, stored form, which may be anything); LETTER_INVALID, or a varint code."""
    if len(content) < 11 or content[0] not in OPERATIONS:
        raise HedgerowError("LETTER_INVALID", "no operation")
    number, at = read_uint(content, 9)
    if not 1 <= number <= limits.MAX_NUMBER:
        raise HedgerowError("LETTER_INVALID", "number %d" % number)
    stored = content[at:] if content[0] == OPERATION else _unfold(content, at)
    return content[1:9], number, stored


def _brief(stored: bytes) -> bytes | None:
    """Return the one clock record of an operation without what follows from the rest of it, None if it is
    something else: its source and whether the time is in it, epoch, uptime, and base or time and error."""
    stamp, changes = decode_body(stored)
    if len(changes) != 1 or changes[0][0] != CLOCK:
        return None
    _, epoch, uptime, base, source, utc_ms, error_ms = changes[0]
    counted = _COUNTED if stamp[7] else 0
    brief = bytearray((source | counted | (0 if utc_ms is None else _TIMED),))
    write_uint(brief, epoch)
    write_uint(brief, uptime)
    write_uint(brief, base if utc_ms is None else utc_ms)
    write_uint(brief, error_ms)
    return bytes(brief)


def _unfold(content: bytes, at: int) -> bytes:
    """Return the stored form of a clock record: its stamp is the base and the uptime, the base of a record
    with the time what lies between that and the uptime."""
    head = content[at] if at < len(content) else 0xFF
    epoch, at = read_uint(content, at + 1)
    uptime, at = read_uint(content, at)
    moment, at = read_uint(content, at)
    error_ms, at = read_uint(content, at)
    base = moment - uptime if head & _TIMED else moment
    if head & 0x3F > SOURCE_KEEPER or at != len(content) or base < 0:
        raise HedgerowError("LETTER_INVALID", "clock record")
    utc_ms = moment if head & _TIMED else None
    record = [CLOCK, epoch, uptime, base, head & 0x3F, utc_ms, error_ms]
    return encode_body(hlc.pack(base + uptime, head >> 6 & 1), [record])


class Letters:
    """Letters that are being put together, `limit` at most: the one that got nothing for longest makes room.

    The ids of the last `known` that were whole, or more, are remembered for 3 minutes, so that none is given
    out twice meanwhile.
    """

    def __init__(self, limit: int = limits.MAX_LETTERS, known: int = limits.MESH_LETTERS):
        self._limit = limit
        self._known = known
        # By name and number of fragments, which only those of one letter share:
        # [moment of the last new fragment, bitmap of those that are missing, all their data, its size]
        self._open: dict = {}
        self.renew(0)

    def renew(self, now: int) -> None:
        """Remember none that was given out: each may come again."""
        self._done = Recent(self._known, pace.AROUND_MS, now)

    def spare(self) -> None:
        """Give up what is not whole."""
        self._open.clear()

    def take(self, frame: bytes, now: int) -> bytes | None:
        """Take in a LETTER frame; return the content when that makes it whole. BEACON_INVALID.

        What is whole and not what its name says is dropped, LETTER_INVALID.
        """
        name, index, total, data = decode_fragment(frame)
        if self.done(name, now):
            return None
        key = name + bytes((total,))
        letter = self._open.get(key)
        if letter is None:
            if len(self._open) >= self._limit:
                del self._open[min([(self._open[one][0], one) for one in self._open])[1]]
            letter = self._open[key] = [now, (1 << total) - 1, bytearray(total * _DATA), total * _DATA]
        bit = 1 << index
        if not letter[1] & bit:
            return None
        letter[0] = now
        letter[1] &= ~bit
        at = index * _DATA
        letter[2][at : at + len(data)] = data
        if index + 1 == total:
            letter[3] = at + len(data)
        if letter[1]:
            return None
        del self._open[key]
        sent = bytes(letter[2][: letter[3]])
        if letter_id(sent) != name:
            raise HedgerowError("LETTER_INVALID", "fragments of several")
        self._done.note(_number(name), now)
        return _unsqueeze(sent)

    def missing(self, name: bytes) -> int:
        """Return the bitmap of the fragments that are not here; 0 for a letter of which nothing is."""
        for key, letter in self._open.items():
            if key[:3] == name:
                return letter[1]
        return 0

    def done(self, name: bytes, now: int) -> bool:
        """Say whether a letter was given out and is remembered."""
        return self._done.has(_number(name), now)

    def forget(self, name: bytes) -> None:
        """Drop what is here of a letter, or that it was given out."""
        for key in [key for key in self._open if key[:3] == name]:
            del self._open[key]
        self._done.forget(_number(name))

    def oldest(self) -> tuple | None:
        """Return (name, moment of the last new fragment) of the one that got nothing for longest, if any."""
        found = [(letter[0], key[:3]) for key, letter in self._open.items()]
        return min(found)[::-1] if found else None


def _number(name: bytes) -> int:
    return int.from_bytes(name, "big") | 1
