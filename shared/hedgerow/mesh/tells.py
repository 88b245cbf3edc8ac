"""RECEIPT, TIME, ANNOUNCE and CALL (SPEC 6.11 to 6.14).

The encoders return bodies; the decoders read whole frames of their kind and raise BEACON_INVALID.
"""

import struct

from ..errors import HedgerowError
from ..operation import SOURCE_KEEPER
from . import pace

NO_PROOF = bytes(8)

_RECEIPT = ">4sB3sI8s"
_TIME = ">HIHBB3sH"
_ANNOUNCE = ">8sHBHBHBHB"
_CALL = ">3s3sB"
_ROLE_SHIFT = 6


def _body(frame: bytes, layout: str) -> tuple:
    if len(frame) - 7 != struct.calcsize(layout):
        raise HedgerowError("BEACON_INVALID", "kind %d, %d bytes" % (frame[0] & 0x0F, len(frame)))
    return struct.unpack(layout, frame[4:-3])


def encode_receipt(
    keeper: bytes, incarnation: int, author: bytes, number: int, proof: bytes = NO_PROOF
) -> bytes:
    """Return a keeper's word that it holds an author up to a number; no proof yet."""
    return struct.pack(_RECEIPT, keeper[:4], incarnation & 0xFF, author[:3], number, proof)


def decode_receipt(frame: bytes) -> tuple:
    """Return (4 bytes of the keeper, low 8 bits of its incarnation, 3 of the author, number, proof)."""
    return _body(frame, _RECEIPT)


def encode_time(
    utc_ms: int, error_ms: int, source: int, hops: int, asker: bytes = bytes(3), counter: int = 0
) -> bytes:
    """Return the time at the moment when the frame is first sent; an error of 65535 ms is that or more.

    It answers the STATE with this counter of the asker, whose author's first 3 bytes are named.
    """
    high, low = utc_ms >> 32, utc_ms & 0xFFFFFFFF
    return struct.pack(
        _TIME, high & 0xFFFF, low, min(error_ms, 0xFFFF), source, min(hops, 255), asker[:3], counter & 0xFFFF
    )


def decode_time(frame: bytes) -> tuple:
    """Return (UTC, error, source as in a clock record, hops from who said it first, asker, counter of its
    STATE); times in ms.
    """
    high, low, error_ms, source, hops, asker, counter = _body(frame, _TIME)
    if source > SOURCE_KEEPER:
        raise HedgerowError("BEACON_INVALID", "source %d" % source)
    return high << 32 | low, error_ms, source, hops, asker, counter


def ask(asked: tuple, counter: int, now: int) -> tuple:
    """Return what is_answer goes by once a STATE asks for the time: its counter and moment, and those of the
    first before it to which an answer may be on its way.
    """
    last, at, first, since = asked
    if now - since >= pace.TIME_FRESH_MS:
        first, since = last, at
    return counter & 0xFFFF, now, first, since


def is_answer(asked: tuple, asker: bytes, counter: int, author: bytes, now: int) -> bool:
    """Say whether a TIME answers a STATE of ours that is young: one that was said before does not."""
    last, at, first, since = asked
    if counter != last:
        if last - counter & 0xFFFF > last - first & 0xFFFF:
            return False
        at = since
    return asker == author[:3] and 0 <= now - at < pace.TIME_FRESH_MS


class Announce:
    """An author in full: its 8 bytes; of its last operation the high 16 bits of the number, 24 of the ms.

    A leaf adds its plan: it wakes every `period_s` seconds (0: no leaf), next `due_ms` milliseconds after the
    frame was sent, and then listens for `window` tenths of a second. `flags` has 6 bits.
    """

    def __init__(
        self,
        author: bytes,
        number_high: int,
        ms_high: int,
        role: int,
        flags: int = 0,
        period_s: int = 0,
        due_ms: int = 0,
        window: int = 0,
    ):
        self.author = author
        self.number_high = number_high
        self.ms_high = ms_high
        self.role = role
        self.flags = flags
        self.period_s = period_s
        self.due_ms = due_ms
        self.window = window


def encode_announce(announce: Announce) -> bytes:
    """Return the body; what is over its field's greatest value is said as that."""
    due = min(max(announce.due_ms, 0), 0xFFFFFF)
    return struct.pack(
        _ANNOUNCE,
        announce.author,
        announce.number_high,
        announce.ms_high >> 16,
        announce.ms_high & 0xFFFF,
        announce.role << _ROLE_SHIFT | announce.flags & 0x3F,
        min(announce.period_s, 0xFFFF),
        due >> 16,
        due & 0xFFFF,
        min(announce.window, 255),
    )


def decode_announce(frame: bytes) -> Announce:
    """Return the announcement as it was sent: `due_ms` counts from the frame."""
    author, number, high, low, flags, period, due_high, due, window = _body(frame, _ANNOUNCE)
    return Announce(
        author,
        number,
        high << 16 | low,
        flags >> _ROLE_SHIFT,
        flags & 0x3F,
        period,
        due_high << 16 | due,
        window,
    )


def encode_call(target: bytes, sender: bytes, seconds: int) -> bytes:
    """Return a CALL: the target (3 bytes of its author) may be connected to for so many seconds, please."""
    return struct.pack(_CALL, target[:3], sender[:3], min(seconds, 255))


def decode_call(frame: bytes) -> tuple:
    """Return (target, sender, seconds)."""
    return _body(frame, _CALL)
