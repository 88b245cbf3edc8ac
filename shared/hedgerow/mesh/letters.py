"""Letters: what does not fit a frame travels in up to 8 fragments of 16 bytes (SPEC 6.15).

A letter's *content* is a byte that says what it is, and that: an operation, a seal, a schema, ... Runs of
zeros, of which seals and receipts without signatures are full, travel as a zero and their length.
"""

from hashlib import sha256

from .. import limits
from ..codec.varint import read_uint, write_uint
from ..errors import HedgerowError

OPERATION = 1
SEAL = 2
SCHEMA = 3
RECEIPTS = 4
SKIP = 5
INTEREST = 6
FRONTIER = 7
SEAL_BRIEF = 8

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
    """Return the content of a letter with one operation."""
    content = bytearray((OPERATION,))
    content.extend(author)
    write_uint(content, number)
    content.extend(stored)
    return bytes(content)


def decode_operation(content: bytes) -> tuple:
    """Return (author, number, stored form, which may be anything); LETTER_INVALID."""
    if len(content) < 11 or content[0] != OPERATION:
        raise HedgerowError("LETTER_INVALID", "no operation")
    number, at = read_uint(content, 9)
    if not 1 <= number <= limits.MAX_NUMBER:
        raise HedgerowError("LETTER_INVALID", "number %d" % number)
    return content[1:9], number, content[at:]


class _Open:
    """A letter of which some fragments are here."""

    def __init__(self, name: bytes, total: int, now: int):
        self.name = name
        self.total = total
        self.missing = (1 << total) - 1
        self.data = bytearray(total * _DATA)
        self.size = 0
        self.progress = now


class Letters:
    """Letters that are being put together, `limit` at most: the one that got nothing for longest makes room.

    As many that are complete are remembered by name, so that none is given out twice meanwhile.
    """

    def __init__(self, limit: int = limits.MAX_LETTERS):
        self._limit = limit
        self._open: list = []
        self._done: list = []

    def take(self, frame: bytes, now: int) -> bytes | None:
        """Take in a LETTER frame; return the content when that makes it whole. BEACON_INVALID.

        What is whole and not what its name says is dropped, LETTER_INVALID.
        """
        name, index, total, data = decode_fragment(frame)
        if name in self._done:
            return None
        letter = self._find(name, total)
        if letter is None:
            if len(self._open) >= self._limit:
                self._open.remove(min(self._open, key=lambda one: one.progress))
            letter = _Open(name, total, now)
            self._open.append(letter)
        bit = 1 << index
        if not letter.missing & bit:
            return None
        letter.missing &= ~bit
        letter.progress = now
        at = index * _DATA
        letter.data[at : at + len(data)] = data
        if index + 1 == total:
            letter.size = at + len(data)
        if letter.missing:
            return None
        self._open.remove(letter)
        sent = bytes(letter.data[: letter.size])
        if letter_id(sent) != name:
            raise HedgerowError("LETTER_INVALID", "fragments of several")
        self._done.append(name)
        if len(self._done) > self._limit:
            self._done.pop(0)
        return _unsqueeze(sent)

    def missing(self, name: bytes) -> int:
        """Return the bitmap of the fragments that are not here; 0 for a letter of which nothing is."""
        for letter in self._open:
            if letter.name == name:
                return letter.missing
        return 0

    def open(self) -> list:
        """Return [(name, bitmap of missing fragments, moment of the last new one), ...]."""
        return [(letter.name, letter.missing, letter.progress) for letter in self._open]

    def done(self, name: bytes) -> bool:
        """Say whether a letter was given out and is remembered."""
        return name in self._done

    def forget(self, name: bytes) -> None:
        """Drop what is here of a letter, or that it was given out."""
        self._open = [letter for letter in self._open if letter.name != name]
        if name in self._done:
            self._done.remove(name)

    def _find(self, name: bytes, total: int) -> object:
        for letter in self._open:
            if letter.name == name and letter.total == total:
                return letter
        return None
