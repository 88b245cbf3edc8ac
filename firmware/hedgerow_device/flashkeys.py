"""The document index on flash: which operations name a document by its id (SPEC 9.16).

Entries lie in keys frames, each chained to the one before it in its bucket. In RAM there is where the chains
begin, and what is not written yet. It is filled from the log: what is lost with the power, or damaged, is
entered again. Loaded when somebody asks for documents.
"""

from array import array
from binascii import crc32

from hedgerow import limits
from hedgerow.codec.varint import read_uint
from hedgerow.documents import CLOCKS, index_key
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import stored_schema
from hedgerow.operation import CLOCK, decode_body

from .modules import unload

# Bytes of the ring for each chain, when there are most; chains in one array; bounds of the most.
_PER_CHAIN = const(512)
CHUNK = const(256)
_LEAST = const(64)
_MOST = const(2048)
# Beginnings of chains that a frame says beside its entries.
SLICE = const(16)
# Entries in one frame; the most bytes of one, and of a frame less its entries.
_BUFFER = const(20)
ENTRY = const(19)
OVERHEAD = const(96)
REMOVED = const(0x40)
# Places in the log are kept modulo 2**30, in small integers.
PLACE = const(0x3FFFFFFF)
# A chain is written anew if one look at it met so many entries that do not count any more.
_LONG = const(32)
# What has arrived behind the position on flash before that is written: while documents are open, and when
# they are closed. It is read again when they are opened.
_BEHIND = const(8192)
_CLOSE_BEHIND = const(2048)
# No more operations than the log remembers the places of.
_READ_BYTES = const(512)


class FlashIndex:
    """A document index (see hedgerow.index.RamIndex) in the ring of a FlashLog.

    It keeps up with the log by itself: before it answers, it enters what has arrived and nobody has told it
    of. While the log asks what it is to keep, nothing is written. Where there is no room on flash, entries
    stay in RAM. An author that the log does not know has its entries there too.
    """

    def __init__(self, log: object):
        self.log = log
        self.ring = log.ring
        most = _LEAST
        while most < _MOST and most * 2 * _PER_CHAIN <= log.ring.count * log.ring.size:
            most *= 2
        self.most = most
        self.room = min(_BUFFER, (log.ring.size // 2 - OVERHEAD) // ENTRY)
        self._data = memoryview(bytearray(ENTRY))
        self.busy = False
        # What _read() found: of the entry at a place.
        self.key = self.where = self.number = self.at = self._before = 0
        self._begin()
        if log.newest_keys:
            from .flashkeysload import load

            try:
                load(self, log)
            except HedgerowError:
                self._begin()
            unload("hedgerow_device.flashkeysload")

    def _begin(self) -> None:
        """Be empty."""
        self.count = SLICE
        self.heads = [array("I", bytes(4 * self.count))]
        # Of each entry that is not on flash: key, slot with the removed flag, number, place of the operation.
        self.buffer = array("I")
        self._others: object = None
        self.cursor = self.made = self.newest = 0
        self.long = self.refused = -1
        # Up to which position all is entered, what of that a frame says, and how much had arrived then.
        self.safe = self.durable = 0
        self._arrivals = -1

    # ---- places

    def full(self, place: int) -> int:
        """Return the sequence * sector size + offset of a place."""
        end = (self.ring.seq + 1) * self.ring.size
        return end - ((end - place) & PLACE)

    def alive(self, place: int) -> bool:
        """Say whether a place is one in a sector that is in use."""
        ring = self.ring
        end = ((ring.seq + 1) * ring.size) & PLACE
        return place > 0 and (end - place) & PLACE <= (ring.seq - ring.tail + 1) * ring.size

    def head(self, chain: int) -> int:
        """Return the place of a chain's newest entry, 0 for none."""
        place = self.heads[chain >> 8][chain & 0xFF]
        return place if self.alive(place) else 0

    # ---- the index

    @property
    def position(self) -> int:
        """See RamIndex; whoever asks for it lets the index catch up."""
        self._catch_up()
        return self.safe

    @position.setter
    def position(self, position: int) -> None:
        self.safe = position
        self._arrivals = self.log.arrivals
        self._keep_up()

    def noted(self) -> None:
        """See RamIndex.noted."""
        log = self.log
        if log.arrivals == self._arrivals + 1:
            self._arrivals += 1
            self.safe = log.arrived
        else:
            self._catch_up()
        self._keep_up()

    def get(self, key: int) -> list:
        """See RamIndex.get; the log is told where the operations are."""
        self._catch_up()
        try:
            return self._find(key)
        except HedgerowError:
            # Damaged: everything that counts is in the log.
            self.clear()
            self._catch_up()
            return self._find(key)

    def add(self, key: int, author: bytes, number: int) -> None:
        """See RamIndex.add."""
        self._note(key, author, number, 0)

    def remove(self, key: int, author: bytes, number: int) -> None:
        """See RamIndex.remove."""
        if self._others:
            self._others.remove(key, author, number)
        self._note(key, author, number, REMOVED)

    def clear(self) -> None:
        """See RamIndex.clear; it fills itself anew."""
        self._begin()

    def flush(self, behind: int = _CLOSE_BEHIND) -> None:
        """Write what is not on flash yet; nothing if that is less than `behind` bytes of the log."""
        ring = self.ring
        if self.log.collecting or self.busy or self.refused == ring.seq + ring.tail:
            return
        if not self.buffer and self.safe - self.durable < behind:
            return
        from .flashkeyswrite import write

        self.busy = True
        try:
            while write(self, min(len(self.buffer) // 4, self.room), -1):
                if not self.buffer:
                    return
        finally:
            self.busy = False

    # ---- keeping up

    def _keep_up(self) -> None:
        """Write where one would have to begin to catch up, if that has become much; rewrite a long chain."""
        if self.long >= 0:
            try:
                from .flashkeyswrite import renew

                renew(self, self.long)
            except HedgerowError:
                self.clear()
        if self.safe - self.durable >= _BEHIND:
            self.flush()
            # That is seldom.
            unload("hedgerow_device.flashkeyswrite")

    def _catch_up(self) -> None:
        """Enter what has arrived and was not told: it came without a word, or collection has moved it."""
        log = self.log
        if log.collecting and self._arrivals >= 0:
            # What has been moved is at its old place too, as yet.
            return
        while self._arrivals != log.arrivals:
            arrivals = log.arrivals
            position = log.arrived
            entries = log.since(self.safe, _READ_BYTES)
            while entries:
                for at, author, number, body in entries:
                    self._enter(author, number, body)
                    self.safe = at
                entries = log.since(self.safe, _READ_BYTES)
            self._arrivals = arrivals
            self.safe = max(self.safe, position)

    def _enter(self, author: bytes, number: int, body: bytes) -> None:
        for change in decode_body(body)[1]:
            if change[0] == CLOCK:
                self._note(CLOCKS, author, number, 0)
            elif change[2] is not None:
                self._note(index_key(self._collection(change[1]), change[2]), author, number, 0)

    def _collection(self, name: bytes) -> str:
        """Return the collection of a schema in the log."""
        from hedgerow.codec import cbor

        return cbor.decode(stored_schema(self.log, name))[1]

    def _note(self, key: int, author: bytes, number: int, removed: int) -> None:
        """Take an entry into the buffer, in the place of one that it makes void."""
        log = self.log
        index = log.indexes.get(author)
        if index is None:
            if not removed:
                self._known_by_name().add(key, author, number)
            return
        place = log.hinted(author, number) & PLACE
        buffer = self.buffer
        for i in range(max(0, len(buffer) - 4 * self.room), len(buffer), 4):
            if buffer[i] == key and buffer[i + 2] == number and buffer[i + 1] & 0x3F == index.slot:
                buffer[i + 1] = index.slot | removed
                # Nobody may remember it; where it was before it may not be any more.
                buffer[i + 3] = place
                return
        if len(buffer) >= 4 * self.room:
            self.flush()
            buffer = self.buffer
        buffer.extend(array("I", (key, index.slot | removed, number, place)))
        if number and not removed:
            self.made += 1

    def _known_by_name(self) -> object:
        if self._others is None:
            from hedgerow.index import RamIndex

            self._others = RamIndex()
        return self._others

    # ---- looking up

    def _find(self, key: int) -> list:
        known: dict = {}
        buffer = self.buffer
        for i in range(len(buffer) - 4, -1, -4):
            if buffer[i] == key:
                self._judge(known, buffer[i + 1], buffer[i + 2], buffer[i + 3])
        chain = key & (self.count - 1)
        place = self.head(chain)
        dead = 0
        while place:
            place = self.look_at(place)
            if self.key == key:
                dead += not self._judge(known, self.where, self.number, self.at)
        if dead > _LONG:
            self.long = chain
        found = self._others.get(key) if self._others else []
        return found + [dot for dot in known if known[dot] and dot not in found]

    def _judge(self, known: dict, where: int, number: int, place: int) -> bool:
        """Take an entry into account unless a newer one has been; say whether it counts."""
        log = self.log
        dot = (log.slots[where & 0x3F], number)
        if dot in known:
            return False
        known[dot] = not where & REMOVED
        if known[dot] and place:
            ring = self.ring
            full = self.full(place)
            # What collection has gone by is dead, or moved and entered again; not yet while it is at work.
            known[dot] = self.alive(place) and (log.collecting or full >= ring.tail * ring.size + log.cursor)
            if known[dot] and len(log.slots) >= limits.MAX_AUTHORS:
                from .flashplaces import is_named

                # It may be the operation of an author who had the slot before.
                known[dot] = is_named(log, dot[0], full // ring.size)
            if known[dot]:
                log.hint(dot[0], number, full)
        return known[dot]

    def look_at(self, place: int) -> int:
        """Read the entry at a place; return the place of the one before it, 0 for none.

        LOG_DAMAGED if there is none.
        """
        ring = self.ring
        seq, at = divmod(self.full(place), ring.size)
        data = self._data[: min(ENTRY, ring.size - at)]
        ring.device.readblocks(seq % ring.count, data, at)
        end = self.parse(data, 0, place)
        if data[0] != check(data[1:end], seq) or self.where & 0x3F >= len(self.log.slots):
            raise HedgerowError("LOG_DAMAGED", "the document index in sector %d" % seq)
        return self._before if self.alive(self._before) else 0

    def parse(self, data: memoryview, i: int, place: int) -> int:
        """Take an entry apart that begins at `i` and stands at `place`; return where it ends."""
        self.key = data[i + 1] << 24 | data[i + 2] << 16 | data[i + 3] << 8 | data[i + 4]
        self.where = data[i + 5]
        self.number, i = read_uint(data, i + 6)
        before, i = read_uint(data, i)
        at, i = read_uint(data, i)
        self._before = before and (place - before) & PLACE
        self.at = at and (place - at) & PLACE
        return i

    # ---- writing


def check(entry: memoryview, seq: int) -> int:
    """Return the byte that guards an entry: no single bit of it changes without it."""
    check = crc32(entry, seq) & 0xFFFFFF
    return (check ^ check >> 8 ^ check >> 16) & 0xFF
