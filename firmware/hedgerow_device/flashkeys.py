"""The document index on flash: which operations name a document by its id (SPEC 9.16).

Entries lie in keys frames, each chained to the one before it in its bucket. In RAM there is where the chains
begin, and what is not written yet. It is filled from the log: what is lost with the power, or damaged, is
entered again. Loaded when somebody asks for documents.
"""

from array import array
from binascii import crc32

from hedgerow.codec.varint import read_uint, write_uint
from hedgerow.documents import CLOCKS, index_key
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import STATE_SCHEMA
from hedgerow.operation import CLOCK, decode_body

from . import flashframes as frames
from .flashring import NotTaken
from .modules import unload

# Bytes of the ring for each chain, when there are most; chains in one array; bounds of the most.
_PER_CHAIN = const(512)
CHUNK = const(256)
_LEAST = const(64)
_MOST = const(2048)
# Once so many entries for each chain have been made, there become four times as many: each time, what a chain
# already holds gets into the way of all that come from it.
_LOAD = const(2)
_PARTS_LOG2 = const(2)
# Beginnings of chains that a frame says beside its entries.
SLICE = const(16)
# Entries in one frame; the most bytes of one, and of a frame less its entries.
_BUFFER = const(20)
_ENTRY = const(19)
_OVERHEAD = const(96)
_KEYS = const(8)
_SPARE = const(3)
_REMOVED = const(0x40)
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
        self._log = log
        self._ring = log.ring
        most = _LEAST
        while most < _MOST and most * 2 * _PER_CHAIN <= log.ring.count * log.ring.size:
            most *= 2
        self.most = most
        self._room = min(_BUFFER, (log.ring.size // 2 - _OVERHEAD) // _ENTRY)
        self._data = memoryview(bytearray(_ENTRY))
        self._busy = False
        # What _read() found: of the entry at a place.
        self.key = self._where = self._number = self._at = self._before = 0
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
        self._buffer = array("I")
        self._others: object = None
        self.cursor = self.made = self.newest = 0
        self._long = self._refused = -1
        # Up to which position all is entered, what of that a frame says, and how much had arrived then.
        self.safe = self.durable = 0
        self._arrivals = -1

    # ---- places

    def _full(self, place: int) -> int:
        """Return the sequence * sector size + offset of a place."""
        end = (self._ring.seq + 1) * self._ring.size
        return end - ((end - place) & PLACE)

    def _alive(self, place: int) -> bool:
        """Say whether a place is one in a sector that is in use."""
        ring = self._ring
        end = ((ring.seq + 1) * ring.size) & PLACE
        return place > 0 and (end - place) & PLACE <= (ring.seq - ring.tail + 1) * ring.size

    def _head(self, chain: int) -> int:
        """Return the place of a chain's newest entry, 0 for none."""
        place = self.heads[chain >> 8][chain & 0xFF]
        return place if self._alive(place) else 0

    # ---- the index

    @property
    def position(self) -> int:
        """See RamIndex; whoever asks for it lets the index catch up."""
        self._catch_up()
        return self.safe

    @position.setter
    def position(self, position: int) -> None:
        self.safe = position
        self._arrivals = self._log.arrivals
        self._keep_up()

    def noted(self) -> None:
        """See RamIndex.noted."""
        log = self._log
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
        self._note(key, author, number, _REMOVED)

    def clear(self) -> None:
        """See RamIndex.clear; it fills itself anew."""
        self._begin()

    def flush(self, behind: int = _CLOSE_BEHIND) -> None:
        """Write what is not on flash yet; nothing if that is less than `behind` bytes of the log."""
        ring = self._ring
        if self._log.collecting or self._busy or self._refused == ring.seq + ring.tail:
            return
        if not self._buffer and self.safe - self.durable < behind:
            return
        self._busy = True
        try:
            while self._write(min(len(self._buffer) // 4, self._room), -1):
                if not self._buffer:
                    return
        finally:
            self._busy = False

    # ---- keeping up

    def _keep_up(self) -> None:
        """Write where one would have to begin to catch up, if that has become much; rewrite a long chain."""
        if self._long >= 0:
            try:
                self._renew(self._long)
            except HedgerowError:
                self.clear()
        if self.safe - self.durable >= _BEHIND:
            self.flush()

    def _catch_up(self) -> None:
        """Enter what has arrived and was not told: it came without a word, or collection has moved it."""
        log = self._log
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

        return cbor.decode(self._log.get(STATE_SCHEMA, name))[1]

    def _note(self, key: int, author: bytes, number: int, removed: int) -> None:
        """Take an entry into the buffer, in the place of one that it makes void."""
        log = self._log
        index = log.indexes.get(author)
        if index is None:
            if not removed:
                self._known_by_name().add(key, author, number)
            return
        place = log.hinted(author, number) & PLACE
        buffer = self._buffer
        for i in range(max(0, len(buffer) - 4 * self._room), len(buffer), 4):
            if buffer[i] == key and buffer[i + 2] == number and buffer[i + 1] & 0x3F == index.slot:
                buffer[i + 1] = index.slot | removed
                if place:
                    buffer[i + 3] = place
                return
        if len(buffer) >= 4 * self._room:
            self.flush()
            buffer = self._buffer
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
        buffer = self._buffer
        for i in range(len(buffer) - 4, -1, -4):
            if buffer[i] == key:
                self._judge(known, buffer[i + 1], buffer[i + 2], buffer[i + 3])
        chain = key & (self.count - 1)
        place = self._head(chain)
        dead = 0
        while place:
            place = self._read(place)
            if self.key == key:
                dead += not self._judge(known, self._where, self._number, self._at)
        if dead > _LONG:
            self._long = chain
        found = self._others.get(key) if self._others else []
        return found + [dot for dot in known if known[dot] and dot not in found]

    def _judge(self, known: dict, where: int, number: int, place: int) -> bool:
        """Take an entry into account unless a newer one has been; say whether it counts."""
        log = self._log
        dot = (log.slots[where & 0x3F], number)
        if dot in known:
            return False
        known[dot] = not where & _REMOVED
        if known[dot] and place:
            ring = self._ring
            full = self._full(place)
            # What collection has gone by is dead, or moved and entered again; not yet while it is at work.
            known[dot] = self._alive(place) and (log.collecting or full >= ring.tail * ring.size + log.cursor)
            if known[dot]:
                log.hint(dot[0], number, full)
        return known[dot]

    def _read(self, place: int) -> int:
        """Read the entry at a place; return the place of the one before it, 0 for none.

        LOG_DAMAGED if there is none.
        """
        ring = self._ring
        seq, at = divmod(self._full(place), ring.size)
        data = self._data[: min(_ENTRY, ring.size - at)]
        ring.device.readblocks(seq % ring.count, data, at)
        end = self.parse(data, 0, place)
        if data[0] != _check(data[1:end], seq) or self._where & 0x3F >= len(self._log.slots):
            raise HedgerowError("LOG_DAMAGED", "the document index in sector %d" % seq)
        return self._before if self._alive(self._before) else 0

    def parse(self, data: memoryview, i: int, place: int) -> int:
        """Take an entry apart that begins at `i` and stands at `place`; return where it ends."""
        self.key = data[i + 1] << 24 | data[i + 2] << 16 | data[i + 3] << 8 | data[i + 4]
        self._where = data[i + 5]
        self._number, i = read_uint(data, i + 6)
        before, i = read_uint(data, i)
        at, i = read_uint(data, i)
        self._before = before and (place - before) & PLACE
        self._at = at and (place - at) & PLACE
        return i

    # ---- writing

    def _write(self, count: int, cut: int) -> bool:
        """Program a frame with the first entries of the buffer; False if that cannot be done now.

        They stay in the buffer if the sector does not take them: the next one may. `cut` is a chain that
        begins anew with them, -1 for none. The position goes with the last of them.
        """
        log = self._log
        ring = self._ring
        if cut < 0 and self.made > _LOAD * self.count and self.count < self.most:
            self._part()
        try:
            log.room(_OVERHEAD + count * _ENTRY, None, _SPARE)
        except HedgerowError:
            # Most likely LOG_FULL. The log says so to who writes what matters; it is not asked again soon.
            self._refused = ring.seq + ring.tail
            return False
        start = ring.seq * ring.size + ring.end
        position = self.safe if count * 4 == len(self._buffer) else self.durable
        lead = 2
        body, heads = self._body(start, lead, count, cut, position)
        if len(body) < 0x7F:
            lead = 1
            body, heads = self._body(start, lead, count, cut, position)
        try:
            ring.program(frames.control_frame(ring.seq, _KEYS, body))
        except NotTaken:
            return True
        except HedgerowError:
            return False
        for chain in heads:
            self.heads[chain >> 8][chain & 0xFF] = heads[chain] & PLACE
        self._buffer = self._buffer[4 * count :]
        self.durable = position
        self.newest = log.newest_keys = start
        self.cursor = (self.cursor + SLICE) & (self.count - 1)
        return True

    def _part(self) -> None:
        """Let each chain go on as several, which share what is there."""
        for _ in range(_PARTS_LOG2):
            if self.count < self.most:
                if self.count < CHUNK:
                    self.heads[0].extend(self.heads[0])
                else:
                    self.heads += [array("I", heads) for heads in self.heads]
                self.count *= 2

    def _body(self, start: int, lead: int, count: int, cut: int, position: int) -> tuple:
        """Return (body of the frame that begins at `start`, newest place of each chain in it)."""
        ring = self._ring
        body = bytearray()
        write_uint(body, self.count // SLICE)
        write_uint(body, self.cursor // SLICE)
        write_uint(body, max(0, start - position))
        write_uint(body, start - self.newest if self.newest else 0)
        write_uint(body, self.made)
        for chain in range(self.cursor, self.cursor + SLICE):
            head = self._head(chain)
            # What is dead would look young again after 2**30 bytes.
            self.heads[chain >> 8][chain & 0xFF] = head
            write_uint(body, start - self._full(head) if head else 0)
        heads: dict = {}
        buffer = self._buffer
        for i in range(0, 4 * count, 4):
            key, place = buffer[i], buffer[i + 3]
            chain = key & (self.count - 1)
            before = heads.get(chain, 0)
            if not before and chain != cut and self._head(chain):
                before = self._full(self._head(chain))
            here = start + lead + 1 + len(body)
            entry = bytearray((0, key >> 24, key >> 16 & 0xFF, key >> 8 & 0xFF, key & 0xFF, buffer[i + 1]))
            write_uint(entry, buffer[i + 2])
            write_uint(entry, here - before if before else 0)
            write_uint(entry, here - self._full(place) if place else 0)
            entry[0] = _check(memoryview(entry)[1:], ring.seq)
            body.extend(entry)
            heads[chain] = here
        return body, heads

    def _renew(self, chain: int) -> None:
        """Write the entries of a chain that count anew, as its only ones, if they fit one frame."""
        self._long = -1
        self.flush()
        if self._log.collecting or self._busy or self._buffer:
            return
        known: dict = {}
        live = array("I")
        place = self._head(chain)
        while place:
            place = self._read(place)
            name = (self.key, self._where & 0x3F, self._number)
            if name not in known:
                known[name] = True
                if not self._where & _REMOVED and (not self._at or self._alive(self._at)):
                    live.extend(array("I", (self.key, self._where, self._number, self._at)))
        if 0 < len(live) <= 4 * self._room:
            self._buffer = live
            self._busy = True
            try:
                self._write(len(live) // 4, chain)
            finally:
                self._busy = False


def _check(entry: memoryview, seq: int) -> int:
    """Return the byte that guards an entry: no single bit of it changes without it."""
    check = crc32(entry, seq) & 0xFFFFFF
    return (check ^ check >> 8 ^ check >> 16) & 0xFF
