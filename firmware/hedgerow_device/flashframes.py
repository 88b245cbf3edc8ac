"""Frames in a sector: how they are made, and a reader that steps through them (SPEC 9.3).

A frame is a length (1 byte, or 2 from 128 on), a head (2 bits of type, 6 of the author's slot or of the
control type), a body, and 3 bytes of CRC. An operation's number is not written: it follows on the number
before it, and the CRC covers it. So an operation at a known place can be read alone by who knows its number,
a control frame by anybody.
"""

from binascii import crc32

from hedgerow.codec.varint import read_uint, write_uint
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP

from .flashring import HEADER

# Types as a reader shows them; the first three are those of the log's entries, the others 3 + control type.
AUTHOR = const(3)
STATE = const(4)
RECLAIMED = const(5)
FILLED = const(6)
DROPPED = const(7)
CUT = const(8)
NOTE = const(9)
SUMMARY = const(10)
KEYS = const(11)
CLEAN = const(12)

MAX_OVERHEAD = const(17)
MAX_AUTHOR_FRAME = const(24)
MAX_RECLAIMED_FRAME = const(10)

# In the first byte of a filled frame: the operation was in the run and was moved.
CARRIED = const(0x40)

# Kinds of notes besides those of entries (a seal or a skip that was moved): the newest own operation although
# it was dropped; a skip that was put in the place of operations.
FORGOTTEN = const(0)
REPLACED = const(3)

_CONTROL = const(3)
_MIN = const(5)
_PREFIX = const(24)
_LAST_CONTROL = const(9)
# Control types that begin with a slot or a number.
_WITH_NUMBERS = (0, 2, 3, 6)


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


def entry_frame(seq: int, held: int, slot: int, kind: int, first: int, last: int, body: bytes) -> bytearray:
    """Return the frame of a log entry of the author in `slot`, who has `held` operations before it."""
    prefix = bytearray()
    if kind == ENTRY_SEAL:
        write_uint(prefix, held - last)
    if kind != ENTRY_OP:
        write_uint(prefix, last - first)
    return make(seq, held, kind << 6 | slot, prefix, body)


def control_frame(seq: int, control: int, prefix: bytes, body: bytes = b"") -> bytearray:
    """Return the frame of a control type, 0 to 9."""
    return make(seq, 0, _CONTROL << 6 | control, prefix, body)


def author_frame(seq: int, slot: int, author: bytes, held: int, sealed: int) -> bytearray:
    """Return the frame with which an author's frames in this sector begin."""
    body = bytearray((slot,))
    body.extend(author)
    write_uint(body, held)
    write_uint(body, sealed)
    return control_frame(seq, 0, body)


def state_frame(seq: int, name: bytes, value: bytes) -> bytearray:
    """Return the frame of a durable value; `name` is a byte of kind and the key."""
    return control_frame(seq, 1, bytes((len(name),)) + name, value)


class Reader:
    """Steps through the frames of one sector, up to where they end or to the first that is not whole.

    After next() said True: `type`; `slot` and `author`, `first` and `last` of entries and of what is beside
    the run, whether that was `carried`, and the `kind` of a note; `at` and `size` of the body in the sector;
    `start` of the frame. `authors`, `held` and `sealed` are by slot, of those who came in this sector. `end`
    is where the frames end so far, `limit` where they end in all.
    """

    # Set by who crosses damage alone. The table of 17 names is as large a piece of the heap as one can
    # count on where memory is short.
    crossed = 0

    def __init__(self, ring: object, seq: int, start: int, limit: int = 0):
        self.ring = ring
        self.seq = seq
        self.end = ring.up(start)
        self.limit = limit or ring.end_of(seq)
        self._whole = start == HEADER and not limit
        self.authors: dict = {}
        self.held: dict = {}
        self.sealed: dict = {}
        self.author = b""
        self._mark = self.start = self.type = self.slot = self.first = self.last = self.at = self.size = 0

    @property
    def carried(self) -> bool:
        return bool(self._mark & CARRIED)

    @property
    def kind(self) -> int:
        return self._mark >> 6

    def next(self) -> bool:
        """Go to the next frame, over what is damaged; False if there is none."""
        before = -1
        while not self.step():
            # Who reads from within a sector looks for one frame alone.
            if self.end >= self.limit or not self._whole:
                return False
            gap = self.ring.gap(self)
            # Weak cells may read as whole to who looks for damage only.
            if not gap or gap[0] == before:
                return False
            before, names, slot, held, lost = gap
            self.end = before
            self.crossed += lost
            for other in names:
                self.authors.setdefault(other, names[other])
            if slot >= 0:
                self.held[slot] = held
        return True

    def step(self) -> bool:
        """Go to the frame that follows at once; False if none does."""
        ring = self.ring
        seq = self.seq
        at = self.end
        if at + _MIN > self.limit:
            return False
        window = ring.window
        where = ring.fetch(seq, at, 2)
        size = window[where]
        lead = 1
        if size >= 0x80:
            size = (size & 0x7F) << 8 | window[where + 1]
            lead = 2
        end = at + lead + size
        if end + 3 > self.limit or not size or (lead == 2 and size < 0x80):
            return False
        if end + 3 - at <= len(window):
            where = ring.fetch(seq, at, end + 3 - at)
            check = crc32(window[where : where + lead + size], seq)
        else:
            check = ring.crc(seq, at, lead + size, seq)
            where = ring.fetch(seq, at, _MIN)
        head = window[where + lead]
        kind = head >> 6
        slot = head & 0x3F
        held = 0
        if kind != _CONTROL:
            held = self.held.get(slot, -1)
            if held < 0:
                return False
        where = ring.fetch(seq, end, 3)
        if (check ^ held) & 0xFFFFFF != window[where] << 16 | window[where + 1] << 8 | window[where + 2]:
            return False
        self.start = at
        self.end = ring.up(end + 3)
        self.at = at + lead + 1
        self.size = size - 1
        if kind == _CONTROL:
            self.type = AUTHOR + slot
            if slot > _LAST_CONTROL:
                return False
            if slot in _WITH_NUMBERS:
                self._parse_control(slot)
            return True
        self.type = kind
        self.slot = slot
        self.author = self.authors.get(slot, b"")
        if kind == ENTRY_OP:
            self.first = self.last = held + 1
            self.held[slot] = held + 1
        else:
            self._parse_entry(kind, slot, held)
        return True

    def _parse_entry(self, kind: int, slot: int, held: int) -> None:
        """Read the numbers that begin the body of a seal or a skip."""
        data = self.ring.window
        begin = where = self.ring.fetch(self.seq, self.at, min(self.size, _PREFIX))
        if kind == ENTRY_SEAL:
            back, where = read_uint(data, where)
            self.last = held - back
        span, where = read_uint(data, where)
        if kind == ENTRY_SKIP:
            self.last = held + 1 + span
            self.held[slot] = self.last
        self.first = self.last - span
        if kind == ENTRY_SEAL and self.last > self.sealed.get(slot, 0):
            self.sealed[slot] = self.last
        self._cut_off(where - begin)

    def _parse_control(self, control: int) -> None:
        """Read the numbers that begin the body of a control frame."""
        data = self.ring.window
        begin = where = self.ring.fetch(self.seq, self.at, min(self.size, _PREFIX))
        if control == 2:
            self.last, where = read_uint(data, where)
        else:
            slot = self.slot = data[where] & 0x3F
            self._mark = data[where]
            where += 1
            if control == 0:
                self.authors[slot] = bytes(data[where : where + 8])
                self.held[slot], where = read_uint(data, where + 8)
                self.sealed[slot], where = read_uint(data, where)
            else:
                self.first, where = read_uint(data, where)
                self.last = self.first
                if control == 6:
                    span, where = read_uint(data, where)
                    self.last += span
            self.author = self.authors.get(slot, b"")
        self._cut_off(where - begin)

    def _cut_off(self, count: int) -> None:
        self.at += count
        self.size -= count

    def body(self) -> bytes:
        """Return the body of this frame."""
        ring = self.ring
        if self.size > len(ring.window):
            return ring.read(self.seq, self.at, self.size)
        where = ring.fetch(self.seq, self.at, self.size)
        return bytes(ring.window[where : where + self.size])


def verify_at(ring: object, lsn: int, slot: int, number: int) -> Reader | None:
    """Return a reader at the operation, or the skip that begins with `number`, that stands at `lsn` (sequence
    * sector size + offset of the frame), in the run or beside it; None if it is not there.

    The reader's `author` is not known; it may be dropped or cut away all the same.
    """
    seq, at = divmod(lsn, ring.size)
    if not ring.tail <= seq <= ring.seq or at < HEADER:
        return None
    reader = Reader(ring, seq, at)
    reader.held[slot] = number - 1
    if not reader.step() or reader.slot != slot or reader.first != number:
        return None
    if reader.type in (ENTRY_OP, ENTRY_SKIP, FILLED) or (reader.type == NOTE and reader.kind == ENTRY_SKIP):
        return reader
    return None
