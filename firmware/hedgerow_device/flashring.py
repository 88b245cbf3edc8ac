"""The ring of NOR sectors under the log: headers, opening, erasing, reads through one window (SPEC 9.2).

A sector is found by its sequence number: sequence modulo the count of sectors. Sectors `tail` to `seq` are
in use, `seq` is the one that is written; what lies outside may be erased at any time.
"""

import struct
from binascii import crc32

from hedgerow.errors import HedgerowError
from hedgerow.limits import const

HEADER = const(36)
RECLAIMS = const(1)
PASSED = const(2)
WINDOW = const(512)

_FORMAT = ">2sBBIIIHHHH8sI"
_MAGIC = b"Hg"
_VERSION = const(2)
_COUNT = const(4)
_SIZE = const(5)
_ERASE = const(6)
_MIN_SECTORS = const(8)
_MIN_SIZE = const(512)
_MAX_SIZE = const(4096)
# Programs and erases in a row that did not take.
_MAX_FAILURES = const(6)
_BACK = const(64)


class NotTaken(Exception):
    """A program did not read back: the sector is closed, and the frame has to be made again for the next."""


class Header:
    """What a sector says of itself: `seq`, `flags`, the `tail` when it was opened, how often it was
    `erases`-d, where the frames of the sector before it end (`previous_end`) and its summary stands
    (`previous_summary`, 0 for none), how many sectors back the last whole checkpoint begins (`checkpoint`, 0
    for none), and whose log it is (`incarnation`, `author` 8 bytes)."""

    def __init__(self, fields: tuple):
        self.flags, self.seq, self.tail, self.erases = fields[:4]
        self.previous_end, self.previous_summary, self.checkpoint = fields[4:7]
        self.incarnation, self.author = fields[7:]

    def encode(self) -> bytes:
        """Return the 36 bytes."""
        data = struct.pack(
            _FORMAT, _MAGIC, _VERSION, self.flags, self.seq, self.tail, self.erases, self.previous_end,
            self.previous_summary, self.checkpoint, self.incarnation, self.author, 0,
        )[:-4]  # fmt: skip
        return data + struct.pack(">I", crc32(data))

    @staticmethod
    def decode(data: bytes) -> "Header | None":
        """Read 36 bytes; None if they are no header, LOG_VERSION if they are one of another version."""
        fields = struct.unpack(_FORMAT, data)
        if fields[0] != _MAGIC:
            return None
        # The first version had 4 bytes less.
        size = HEADER - 4 if fields[1] == 1 else HEADER
        view = memoryview(data)
        if crc32(view[: size - 4]) != struct.unpack(">I", view[size - 4 : size])[0]:
            return None
        if fields[1] != _VERSION:
            raise HedgerowError("LOG_VERSION", str(fields[1]))
        return Header(fields[2:-1])


class Ring:
    """The sectors of a block device that has MicroPython's extended interface.

    `device` has readblocks(block, buffer, offset), writeblocks(block, buffer, offset), which only clears
    bits, and ioctl(4 count, 5 size, 6 erase). `end` is the offset behind the last frame of the sector
    that is written; `closed` says that nothing more may be programmed there; `quick` is up to where
    operations may go straight behind the last frame, which was one of the same author, 0 after any other;
    `summary` and `checkpoint` are what the next header is to say of it. `align` is what frames begin at and
    are padded to: 16 where the partition is encrypted, so that erased cells read as anything. `heal` is
    (offset, bytes) of the last frame before the boot: it is programmed again before anything else, and reads
    as these until then.
    """

    def __init__(self, device: object):
        self.device = device
        self.count = device.ioctl(_COUNT, 0)
        self.size = device.ioctl(_SIZE, 0)
        if self.count < _MIN_SECTORS or not _MIN_SIZE <= self.size <= _MAX_SIZE:
            raise HedgerowError("LOG_DEVICE", "%d sectors of %d bytes" % (self.count, self.size))
        self.seq = self.tail = self.end = self.erases = self.incarnation = 0
        self.author = b""
        # The greatest sequence of a sector that a mount found void.
        self.stale = self.programmed = 0
        self.summary = self.checkpoint = 0
        self.closed = True
        self.quick = 0
        self.window = memoryview(bytearray(WINDOW))
        self.take = WINDOW
        self._window_seq = -1
        self._window_at = 0
        self._window_end = 0
        # What was programmed is read back into this.
        self._back = memoryview(bytearray(_BACK))
        self._ready = 0
        self.ended = (0, 0)
        # flashrepair.survey, what it said, by position, and headers that cannot be read, by sequence.
        self.survey: object = None
        self._gaps: dict = {}
        self.mended: dict = {}
        self._failures = 0
        self.heal: tuple | None = None
        # esp32.Partition: (type, subtype, address, size, label, encrypted)
        self.align = 16 if hasattr(device, "info") and device.info()[5] else 1

    def up(self, at: int) -> int:
        """Return the next offset at which a frame may begin."""
        return at + -at % self.align

    # ---- damage

    def gap(self, reader: object) -> tuple:
        """Return where a reader goes on, as flashrepair.survey says; () if nowhere."""
        place = reader.seq * self.size + reader.end
        if place not in self._gaps:
            self._gaps[place] = ()
            if self.survey is not None:
                self._gaps[place] = self.survey(reader)
        return self._gaps[place]

    def forget_gaps(self, every: bool = False) -> None:
        """Forget where nothing is damaged: frames may be programmed there; or all that was said of damage."""
        self._gaps = {place: gap for place, gap in self._gaps.items() if gap and not every}

    # ---- headers

    def header(self, seq: int) -> Header | None:
        """Return the header of a sector, None if the sector is not there."""
        found = self.header_in(seq % self.count)
        if found and found.seq == seq:
            return found
        if not self.tail <= seq <= self.seq:
            return None
        if seq not in self.mended:
            # It is in use, and cannot be read any more.
            from .flashrepair import remedy

            self.mended[seq] = None
            self.mended[seq] = remedy(self, seq)
        return self.mended[seq]

    def header_in(self, slot: int) -> Header | None:
        """Return the header in a slot, of whatever sequence."""
        return Header.decode(self.read(slot, 0, HEADER))

    def blank(self, slot: int) -> bool:
        """Say whether nothing stands where a slot has its header."""
        return self.read(slot, 0, HEADER) == b"\xff" * HEADER

    def end_of(self, seq: int) -> int:
        """Return where the frames of a sector end: what lies behind that is torn, even if it reads as whole.

        Where the next header cannot be read, that is the end of the sector; nowhere if it was passed over.
        """
        if seq == self.seq:
            return self.end
        if self.ended[0] != seq:
            header = self.following(seq)
            end = header.previous_end if header else self.size
            if header and header.flags & PASSED and self.header(seq) is None:
                # It was passed over itself.
                end = HEADER
            self.ended = (seq, end)
        return self.ended[1]

    def following(self, seq: int) -> Header | None:
        """Return the header of the sector that was opened after one, None if it cannot be read."""
        header = self.header(seq + 1)
        step = seq + 2
        while header is None and step <= min(seq + 1 + _MAX_FAILURES, self.seq):
            header = self.header(step)
            if header and not header.flags & PASSED:
                return None
            step += 1
        return header

    def free(self) -> int:
        """Return how many sectors can be opened before the ring is full."""
        return self.count - 1 - self.seq + self.tail

    # ---- erase and program

    def prepare(self) -> bool:
        """Erase the next sector ahead of its use; say whether there was something to do."""
        seq = self.seq + 1
        while self.stale > seq:
            # What was void with the next sector would say where that ends, once it is used again.
            self.device.ioctl(_ERASE, self.stale % self.count)
            self.stale -= 1
        if self._ready == seq or self.free() < 1:
            return False
        self._mend()
        old = self.header_in(seq % self.count)
        self._next_erases = old.erases + 1 if old else max(1, self.erases)
        try:
            self.device.ioctl(_ERASE, seq % self.count)
        except OSError:
            # Its header will not take either.
            pass
        if seq == self._window_seq:
            self.forget()
        self._ready = seq
        return True

    def open(self, flags: int) -> None:
        """Begin the next sector: erase it, then program its header in one go.

        A sector that does not take it is passed over; LOG_WORN if too many in a row do not.
        """
        self._mend()
        self.closed = True
        self.quick = 0
        while True:
            if self.free() < 1:
                raise HedgerowError("LOG_WORN", "no sector is left")
            self.prepare()
            self._ready = 0
            self.seq += 1
            self.erases = self._next_erases
            fields = (
                flags, self.seq, self.tail, self.erases, self.end, self.summary, self.checkpoint,
                self.incarnation, self.author,
            )  # fmt: skip
            # Nothing is programmed where the erase did not take.
            erased = self.align > 1 or self.blank(self.seq % self.count)
            if erased and self._takes(self.padded(Header(fields).encode()), 0):
                break
            flags |= PASSED
            if self.checkpoint:
                self.checkpoint += 1
        self.end = self.up(HEADER)
        self.summary = 0
        self.closed = False

    def program(self, frame: bytes) -> int:
        """Program a frame behind the last one in one go; return its offset.

        NotTaken if it does not read back, LOG_WORN if that happens too often in a row.
        """
        if self.heal:
            self._mend()
        at = self.end
        self.quick = 0
        # Whatever happens on the way, these cells are spoken for.
        self.closed = True
        if self.align > 1:
            frame = self.padded(frame)
        if not self._takes(frame, at):
            raise NotTaken
        self.end = at + len(frame)
        self.closed = False
        return at

    def add(self, head: bytes, body: bytes, held: int) -> int:
        """Program the frame of an operation, less than 128 bytes up to `quick`; return where it ends, 0 if it
        did not take.

        These are flashframes.make(), program() and _takes() once more, in a third of their time: nearly every
        frame comes this way.
        """
        seq = self.seq
        block = seq % self.count
        at = self.end
        limit = self.quick
        frame = head + body
        frame += ((crc32(frame, seq) ^ held) & 0xFFFFFF).to_bytes(3, "big")
        size = len(frame)
        back = bytearray(size)
        self.closed = True
        self.quick = 0
        self.programmed += size
        if self._window_seq == seq:
            self._window_seq = -1
        device = self.device
        try:
            device.writeblocks(block, frame, at)
            device.readblocks(block, back, at)
            if back == frame:
                self.end = at = at + size
                self.quick = limit
                self.closed = False
                return at
        except OSError:
            pass
        self._failures += 1
        return 0

    def padded(self, frame: bytes) -> bytes:
        """Return a frame as long as the partition wants it."""
        return bytes(frame) + b"\xff" * (-len(frame) % self.align)

    def _takes(self, data: bytes, at: int) -> bool:
        """Program bytes in the newest sector and say whether they read back; LOG_WORN if none do any more."""
        if self._window_seq == self.seq:
            self.forget()
        self.programmed += len(data)
        try:
            self.device.writeblocks(self.seq % self.count, data, at)
            good = self._same(data, at)
        except OSError:
            good = False
        self._failures = 0 if good else self._failures + 1
        if self._failures >= _MAX_FAILURES:
            raise HedgerowError("LOG_WORN", "sector %d" % self.seq)
        return good

    def _same(self, data: bytes, at: int) -> bool:
        """Say whether the newest sector holds these bytes; the window stays where it is."""
        view = memoryview(data)
        for done in range(0, len(data), _BACK):
            part = view[done : done + _BACK]
            back = self._back[: len(part)]
            self.device.readblocks(self.seq % self.count, back, at + done)
            if back != part:
                return False
        return True

    def _mend(self) -> None:
        """Program the last frame once more, as it was read: a cut may have left it between one and nought.

        The next sector is erased first if the cut was in its header, which might read as one later.
        """
        if self.heal is None:
            return
        at, data = self.heal
        self.heal = None
        if self.align == 1 and self.free() > 0:
            slot = (self.seq + 1) % self.count
            if self.header_in(slot) is None and not self.blank(slot):
                self.prepare()
        if data and not self._takes(self.padded(data), at):
            self.closed = True

    # ---- reads

    def fetch(self, seq: int, at: int, count: int) -> int:
        """Bring `count` bytes (at most the window's size) into the window; return where they are in it."""
        if seq != self._window_seq or at < self._window_at or at + count > self._window_end:
            take = min(max(count, self.take), self.size - at)
            self._window_seq = -1
            self._load(seq, at, self.window[:take])
            self._window_seq = seq
            self._window_at = at
            self._window_end = at + take
        return at - self._window_at

    def forget(self) -> None:
        """Read anew what is asked for next."""
        self._window_seq = -1

    def read(self, seq: int, at: int, count: int) -> bytes:
        """Return `count` bytes of a sector."""
        data = bytearray(count)
        self._load(seq, at, data)
        return bytes(data)

    def _load(self, seq: int, at: int, view: memoryview) -> None:
        """Read from the device, but the frame that is to be programmed again as it was read before."""
        slot = seq % self.count
        self.device.readblocks(slot, view, at)
        if self.heal and slot == self.seq % self.count:
            start, data = self.heal
            low = max(start, at)
            high = min(start + len(data), at + len(view))
            if low < high:
                view[low - at : high - at] = data[low - start : high - start]

    def crc(self, seq: int, at: int, count: int, value: int) -> int:
        """Return the CRC-32 of `count` bytes of a sector, begun with `value`."""
        while count:
            take = min(count, len(self.window))
            start = self.fetch(seq, at, take)
            value = crc32(self.window[start : start + take], value)
            at += take
            count -= take
        return value
