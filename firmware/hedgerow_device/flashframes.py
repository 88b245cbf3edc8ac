"""Frames in a sector: how they are made, and a reader that steps through them (SPEC 9.3).

A frame is a length (1 byte, or 2 from 128 on), a head (2 bits of type, 6 of the author's place in this
sector or of the control type), a body, and 3 bytes of CRC. An operation's number is not written: it follows
on the number before it, and the CRC covers it.
"""

from binascii import crc32

from hedgerow.codec.varint import read_uint, write_uint
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP

from .flashring import WINDOW

# Types as a reader shows them; the first three are those of the log's entries.
AUTHOR = const(3)
STATE = const(4)
RECLAIMED = const(5)
FILLED = const(6)
DROPPED = const(7)
CUT = const(8)

MAX_OVERHEAD = const(17)
MAX_AUTHOR_FRAME = const(23)
MAX_RECLAIMED_FRAME = const(10)

_CONTROL = const(3)
_MIN = const(5)
_PREFIX = const(16)


def make(seq: int, held: int, head: int, prefix: bytes, body: bytes) -> bytearray:
    """Return a frame for sector `seq`; `held` is the author's number before it, 0 for control frames."""
    size = 1 + len(prefix) + len(body)
    lead = 1 if size < 0x80 else 2
    frame = bytearray(lead + size + 3)
    if lead == 2:
        frame[0] = 0x80 | size >> 8
    frame[lead - 1] = size & 0xFF
    frame[lead] = head
    at = lead + 1 + len(prefix)
    frame[lead + 1 : at] = prefix
    end = lead + size
    frame[at:end] = body
    check = (crc32(memoryview(frame)[:end], seq) ^ held) & 0xFFFFFF
    frame[end] = check >> 16
    frame[end + 1] = check >> 8 & 0xFF
    frame[end + 2] = check & 0xFF
    return frame


def entry_frame(seq: int, held: int, place: int, kind: int, first: int, last: int, body: bytes) -> bytearray:
    """Return the frame of a log entry of the author at `place`, who has `held` operations before it."""
    prefix = bytearray()
    if kind == ENTRY_SEAL:
        write_uint(prefix, held - last)
    if kind != ENTRY_OP:
        write_uint(prefix, last - first)
    return make(seq, held, kind << 6 | place, prefix, body)


def author_frame(seq: int, author: bytes, held: int, sealed: int) -> bytearray:
    """Return the frame that gives an author the next place in this sector."""
    tail = bytearray()
    write_uint(tail, held)
    write_uint(tail, sealed)
    return make(seq, 0, _CONTROL << 6, author, tail)


def state_frame(seq: int, name: bytes, value: bytes) -> bytearray:
    """Return the frame of a durable value; `name` is a byte of kind and the key."""
    return make(seq, 0, _CONTROL << 6 | 1, bytes((len(name),)) + name, value)


def reclaimed_frame(seq: int, tail: int) -> bytearray:
    """Return the frame that says: sectors below `tail` are not needed any more."""
    body = bytearray()
    write_uint(body, tail)
    return make(seq, 0, _CONTROL << 6 | 2, b"", body)


class Reader:
    """Steps through the frames of one sector, up to its end or to the first that is not whole.

    After next() said True: `type`; `place`, `first` and `last` of entries and filled operations, and whether
    these are `carried`; `at` and `size` of the body in the sector; `start` of the frame. `authors`, `held`
    and `sealed` are by place. `end` is where the frames end so far.
    """

    def __init__(self, ring: object, seq: int, start: int):
        self.ring = ring
        self.seq = seq
        self.end = start
        self.authors: list = []
        self.held: list = []
        self.sealed: list = []
        self.carried = False
        self.start = self.type = self.place = self.first = self.last = self.at = self.size = 0

    def next(self) -> bool:
        """Go to the next frame; False if there is none."""
        ring = self.ring
        seq = self.seq
        at = self.end
        if at + _MIN > ring.size:
            return False
        window = ring.window
        where = ring.fetch(seq, at, 2)
        size = window[where]
        lead = 1
        if size >= 0x80:
            size = (size & 0x7F) << 8 | window[where + 1]
            lead = 2
        end = at + lead + size
        if end + 3 > ring.size or not size or (lead == 2 and size < 0x80):
            return False
        if end + 3 - at <= WINDOW:
            where = ring.fetch(seq, at, end + 3 - at)
            check = crc32(window[where : where + lead + size], seq)
        else:
            check = ring.crc(seq, at, lead + size, seq)
            where = ring.fetch(seq, at, _MIN)
        head = window[where + lead]
        kind = head >> 6
        place = head & 0x3F
        held = 0
        if kind != _CONTROL:
            if place >= len(self.authors):
                return False
            held = self.held[place]
        where = ring.fetch(seq, end, 3)
        if (check ^ held) & 0xFFFFFF != window[where] << 16 | window[where + 1] << 8 | window[where + 2]:
            return False
        self.start = at
        self.end = end + 3
        self.type = kind
        self.place = place
        self.at = at + lead + 1
        self.size = size - 1
        if kind == ENTRY_OP:
            self.first = self.last = held + 1
            self.held[place] = held + 1
        elif kind != _CONTROL or place != 1:
            return self._parse(kind, place, held)
        else:
            self.type = STATE
        return True

    def _parse(self, kind: int, place: int, held: int) -> bool:
        """Read the numbers that begin the body."""
        take = min(self.size, _PREFIX + 8)
        where = self.ring.fetch(self.seq, self.at, take)
        data = self.ring.window
        begin = where
        if kind == _CONTROL:
            if place == 0:
                self.type = AUTHOR
                self.authors.append(bytes(data[where : where + 8]))
                number, where = read_uint(data, where + 8)
                self.held.append(number)
                number, where = read_uint(data, where)
                self.sealed.append(number)
                self.place = len(self.authors) - 1
            elif place == 2:
                self.type = RECLAIMED
                self.last, where = read_uint(data, where)
            elif place == 3:
                self.type = FILLED
                self.place = data[where] & 0x3F
                self.carried = bool(data[where] & 0x40)
                self.last, where = read_uint(data, where + 1)
                self.first = self.last
                if self.place >= len(self.authors):
                    return False
            elif place <= 5:
                self.type = 3 + place
            else:
                return False
        else:
            if kind == ENTRY_SEAL:
                back, where = read_uint(data, where)
                self.last = held - back
            span, where = read_uint(data, where)
            if kind == ENTRY_SKIP:
                self.last = held + 1 + span
                self.held[place] = self.last
            self.first = self.last - span
            if kind == ENTRY_SEAL and self.last > self.sealed[place]:
                self.sealed[place] = self.last
        self.at += where - begin
        self.size -= where - begin
        return True

    def body(self) -> bytes:
        """Return the body of this frame."""
        return self.ring.read(self.seq, self.at, self.size)
