"""The Log port on a raw ring of NOR flash (SPEC 9).

Every append and every put is one program of one frame and durable when it returns. Nothing is programmed
while mounting. RAM: a window of 512 bytes, per author two short arrays, per durable value its place.
`flashbeside` (what lies beside the runs) and `flashreclaim` (taking sectors back) are loaded on demand.
"""

from hedgerow.codec.schema import STREAM
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import (
    ENTRY_OP,
    ENTRY_SEAL,
    ENTRY_SKIP,
    STATE_CONFIG,
    STATE_PEER,
    STATE_RECEIPT,
    STATE_SCHEMA,
    check_entry,
    local_author,
    new_author,
)

from . import flashframes as frames
from .flashindex import MAX_FRESH, MAX_INDEX, MIN_SLICE, AuthorIndex, Marks, bound
from .flashloads import Loads
from .flashring import HEADER, NotTaken, Ring

SPARE = const(5)

# Free sectors left by values, by others' seals, by what makes room, and by what brings and takes receipts.
_VALUE_SPARE = const(4)
_SEAL_SPARE = const(3)
_RECEIPT_SPARE = const(2)
_LAST_SPARE = const(1)
# Receipts for which there was no room: together they may free what none of them does alone.
_MOST_WAITING = const(64)

# How many operations' places are kept, a power of two.
_HINTS = const(32)
# Of the frame of an operation that is shorter than 128 bytes.
_QUICK_OVERHEAD = const(5)
_MEAN = const(48)
_MAX_KEY = const(32)
_READ_LIMIT = const(0x3FFFFFFF)


class FlashLog(Loads):
    """A log on a block device (see Ring); formats it if it holds none.

    `author` is 8 bytes, `incarnation` a number. `spare` is how many free sectors operations leave to
    seals, receipts and boots, `read_limit` the most bytes that one read returns, `damaged` counts sectors in
    which committed frames could not be read. `keeps(author, number, body)` says whether a receipted operation
    is to be moved on, and with True behind whether it is still where room is short; None: if it is of a keep
    collection and our own. While it is `urgent`, own operations and values may use the reserve.

    What is no part of the Log port is for mounting and reclaiming: `indexes` by author, `slots` with the
    authors in the order of their coming, where the current `values` stand; `arrived` is the position of the
    newest arrival, `carrying` says that keep collections are known, `scanned` that the mount had to read all
    frames. What stands in the oldest sector before the offset `cursor` was moved on or is dead. `own` are the
    log's author and its local one, `receipts` the numbers by the names of their values, `mean` what an
    operation's frame takes; `arrivals` counts what comes or is moved on.
    """

    urgent = False
    last_spare = _LAST_SPARE

    def __init__(self, device: object, namer: object = None):
        self.namer = namer
        self.spare = SPARE
        self.read_limit = _READ_LIMIT
        self.ring = ring = Ring(device)
        ring.survey = self._survey
        self.gathering: object = None
        self.clear()
        from .flashfind import begin, find

        if find(ring) is None:
            begin(ring, namer() if namer else new_author())
            self.marks.begin(MIN_SLICE)
        else:
            from .flashmount import mount

            mount(self)
            ring.forget_gaps()
        self.author = ring.author
        self.incarnation = ring.incarnation
        self.own = (ring.author, local_author(ring.author))
        # Those of former authors too: what is local waits for no receipt.
        self.locals = [local_author(author) for author in self.slots if author] + [self.own[1]]

    def clear(self) -> None:
        """Forget all that a mount learns."""
        self.damaged = self._audited = 0
        self._lost = ()
        self.ring.forget_gaps(True)
        self.scanned = True
        self.indexes: dict = {}
        self.slots: list = []
        self.values: dict = {}
        self.receipts: dict = {}
        self.waiting: dict = {}
        self._kinds: dict = {}
        self.carrying = False
        self.arrived = self.newest_keys = self.clean = 0
        self.cursor = HEADER
        self._hinted = [0] * _HINTS
        self._hints = [0] * _HINTS
        self._quick_author = b""
        self._quick_index: object = None
        self.mean = _MEAN
        self.totals = [0, 0, 0, 0]
        self.marks = Marks()
        self.arrivals = 0
        self._index: object = None
        self.more: object = None

    # ---- sectors and authors

    def open_sector(self, flags: int) -> None:
        """End the sector that is written with its summary, and begin the next one."""
        from . import flashsummary

        flashsummary.turn(self, flags)
        if self.more:
            self.more.opened()

    def enter(self, seq: int, slot: int, author: bytes, held: int) -> AuthorIndex:
        """Note that the author's frames begin in sector `seq`, the last one so far, behind number `held`."""
        index = self.indexes.get(author)
        if index is None or index.slot != slot:
            self.marks.came(slot)
        index = self.settle(slot, author)
        self.marks.touched(index, seq)
        index.introduced(seq, held)
        return index

    def introduce(self, author: bytes, held: int) -> AuthorIndex:
        """Begin the author's frames in the sector that is written."""
        ring = self.ring
        index = self.indexes.get(author)
        slot = index.slot if index else self.place()
        ring.program(frames.author_frame(ring.seq, slot, author, held, index.sealed if index else 0))
        index = self.enter(ring.seq, slot, author, held)
        bound(self.indexes, MAX_INDEX)
        return index

    def is_here(self, author: bytes) -> bool:
        """Say whether frames of the author may follow in the sector that is written."""
        index = self.indexes.get(author)
        return index is not None and index.here == self.ring.seq

    def remember(self, name: bytes, value: bytes, seq: int, at: int) -> None:
        """Note where the current value of a name stands."""
        self.values[name] = seq * self.ring.size + at
        if name[0] == STATE_RECEIPT:
            self.receipts[name] = _receipted_number(value)
        elif name[0] == STATE_SCHEMA:
            self._kinds[name] = schema_kind(value) & STREAM
            self.carrying = 0 in self._kinds.values()

    # ---- entries

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        """Add an entry; it is durable on return.

        Raises, before anything is programmed: LOG_OUT_OF_ORDER, AUTHORS_FULL, OPERATION_TOO_LARGE, LOG_FULL;
        and LOG_WORN.
        """
        if kind == ENTRY_OP and author == self._quick_author:
            # One more behind its last, and nothing else is due: _append() says when.
            index = self._quick_index
            ring = self.ring
            size = len(body) + _QUICK_OVERHEAD
            if first == last == index.held + 1 and ring.end + size <= ring.quick and size < 0x80:
                slot = index.slot
                at = ring.add(bytes((size - 4, slot)), body, last - 1)
                if at:
                    index.held = last
                    index.used += size
                    self.arrivals += 1
                    self.arrived = at = ring.seq * ring.size + at
                    turn = (last + slot) & (_HINTS - 1)
                    if not turn:
                        # It is a mean by samples.
                        self.mean += (size - self.mean) // 8
                    self._hinted[turn] = last << 6 | slot
                    self._hints[turn] = at - size
                    return
        author = bytes(author)
        while True:
            try:
                return self._append(kind, author, first, last, body)
            except NotTaken:
                # The sector is closed now; what was done so far is done once more in the next.
                pass

    def again(self, method: object, *args: object) -> object:
        """Call a method that programs frames, and again in the next sector as long as one does not take."""
        while True:
            try:
                return method(*args)
            except NotTaken:
                pass

    def _append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        index = self.indexes.get(author)
        held = index.held if index else 0
        check_entry(kind, first, last, held)
        if index is None:
            # Before anything is programmed; who goes is chosen where it does.
            self.place(True)
        spare = _SEAL_SPARE if self.urgent and author in self.own else self.spare
        if kind == ENTRY_SEAL:
            spare = _LAST_SPARE if author == self.author else _SEAL_SPARE
        self.room(len(body) + frames.MAX_OVERHEAD, author, spare)
        ring = self.ring
        if index is None or index.here != ring.seq:
            index = self.introduce(author, held)
        at = ring.program(frames.entry_frame(ring.seq, held, index.slot, kind, first, last, body))
        size = ring.end - at
        index.used += size
        if kind == ENTRY_SEAL:
            index.sealed = max(index.sealed, last)
            return
        index.held = last
        if kind == ENTRY_OP:
            self.arrived = ring.seq * ring.size + ring.end
            self.arrivals += 1
            self.mean += (size - self.mean) // 8
            self.hint(author, first, ring.seq * ring.size + at)
            if ring.align == 1 and ring.free() - self.spare >= self.band():
                # Nothing is collected, and the sector is open to all.
                self._quick_author = author
                self._quick_index = index
                ring.quick = ring.size - self.marks.reserve - frames.MAX_OVERHEAD + _QUICK_OVERHEAD

    def forget_hints(self) -> None:
        """Forget where operations stand."""
        for turn in range(_HINTS):
            self._hinted[turn] = 0

    def hint(self, author: bytes, number: int, place: int) -> None:
        """Note where an operation stands, in the place of another hint."""
        slot = self.indexes[author].slot
        turn = (number + slot) & (_HINTS - 1)
        self._hinted[turn] = number << 6 | slot
        self._hints[turn] = place

    def hinted(self, author: bytes, number: int) -> int:
        """Return where an operation may stand, sector * size + offset; 0 if nobody knows."""
        slot = self.indexes[author].slot
        turn = (number + slot) & (_HINTS - 1)
        return self._hints[turn] if self._hinted[turn] == number << 6 | slot else 0

    def commit(self) -> None:
        """Nothing is left to do: what was appended and put is durable."""

    def authors(self) -> list:
        """Return the authors with entries, in the order in which they came."""
        return [author for author in self.slots if author and self.indexes[author].held]

    def held(self, author: bytes) -> int:
        """Return the number up to which every operation is held or skipped, 0 for none."""
        index = self.indexes.get(author)
        return index.held if index else 0

    def sealed(self, author: bytes) -> int:
        """Return the greatest number that a seal covers, 0 for none."""
        index = self.indexes.get(author)
        return index.sealed if index else 0

    def read(self, author: bytes, held: int, sealed: int, max_bytes: int) -> list:
        """Return [(kind, first, last, body)] in log order: what a holder of (held, sealed) lacks.

        At least one entry if there is any, then no more than fit `max_bytes` of bodies. What was receipted
        may be gone: the first entry then lies higher.
        """
        found: list = []
        index = self.indexes.get(author)
        ring = self.ring
        max_bytes = min(max_bytes, self.read_limit)
        if index is None:
            return found
        more = self.more
        if index.highest:
            from . import flashmoved

            if index.highest > min(flashmoved.floors(self, author, held, sealed)):
                return flashmoved.read(self, author, held, sealed, max_bytes)
        seq = index.start(min(held, sealed) if sealed < index.sealed else held, ring.tail)
        while seq <= ring.seq and (held < index.held or sealed < index.sealed):
            reader = frames.Reader(ring, seq, HEADER)
            while reader.next():
                kind = reader.type
                if kind > ENTRY_SKIP or reader.author != author:
                    continue
                if reader.last <= (sealed if kind == ENTRY_SEAL else held):
                    continue
                if more and more.hidden(reader):
                    continue
                max_bytes -= reader.size
                if found and max_bytes < 0:
                    return found
                found.append((kind, reader.first, reader.last, reader.body()))
                if kind == ENTRY_SEAL:
                    sealed = reader.last
                else:
                    held = reader.last
            seq = index.after(seq)
        return found

    # ---- durable values

    def put(self, kind: int, key: bytes, value: bytes) -> None:
        """Set a small durable value; LOG_FULL or STATE_TOO_LARGE before anything is programmed."""
        name = bytes((kind,)) + bytes(key)
        value = bytes(value)
        if self.get(kind, key) == value:
            return
        size = len(name) + len(value) + frames.MAX_OVERHEAD
        if len(key) > _MAX_KEY or size > self.ring.size // 2:
            raise HedgerowError("STATE_TOO_LARGE", "%d and %d bytes" % (len(key), len(value)))
        self.again(self._put, name, value, size)

    def _put(self, name: bytes, value: bytes, size: int) -> None:
        kind = name[0]
        pending = (name, value, _receipted_number(value) if kind == STATE_RECEIPT else 0)
        spare = _SEAL_SPARE if self.urgent else _VALUE_SPARE
        # Before a receipt frees anything, its keeper is known, and what is counted is stored.
        if kind in (STATE_RECEIPT, STATE_PEER) or (kind == STATE_CONFIG and _comes_first(name)):
            spare = _RECEIPT_SPARE
        if kind == STATE_RECEIPT and len(self.waiting) < _MOST_WAITING:
            self.waiting[name] = pending[1:]
        if not self.room(size, None, spare, pending):
            self.write_value(name, value)
        self.waiting.pop(name, None)

    def get(self, kind: int, key: bytes) -> bytes | None:
        """Return a value, or None."""
        place = self.values.get(bytes((kind,)) + bytes(key))
        return None if place is None else self._value(place)

    def items(self, kind: int) -> list:
        """Return [(key, value)] of a kind, ordered by key."""
        names = sorted([name for name in self.values if name[0] == kind])
        return [(name[1:], self._value(self.values[name])) for name in names]

    def _value(self, place: int) -> bytes:
        ring = self.ring
        seq, at = divmod(place, ring.size)
        reader = frames.Reader(ring, seq, at)
        if not reader.step():
            raise HedgerowError("LOG_DAMAGED", "a value in sector %d" % seq)
        data = reader.body()
        return data[1 + data[0] :]

    def write_value(self, name: bytes, value: bytes) -> None:
        """Program a value where there is room for it."""
        ring = self.ring
        at = ring.program(frames.state_frame(ring.seq, name, value))
        self.marks.noted()
        self.remember(name, value, ring.seq, at)

    # ---- space

    def receipted(self, author: bytes) -> int:
        """Return the greatest number that a stored receipt names."""
        return max([self.receipts[name] for name in self.receipts if name[1:9] == author] or [0])

    def prepare(self) -> bool:
        """Erase a sector ahead, or collect a little, while there is time; say whether there was need to."""
        if self.ring.prepare():
            return True
        return self.ring.free() - self.spare <= self.band() and self.again(self.collector().idle)

    def collector(self) -> object:
        """Return what moves on from the oldest sector what is alive there (flashcollect.Collector)."""
        if self.gathering is None:
            from .flashcollect import Collector

            self.gathering = Collector(self)
        return self.gathering

    def band(self) -> int:
        """Return how many free sectors above the reserve are aimed at."""
        return max(2, self.ring.count // 10)

    def fits(self, size: int) -> bool:
        """Say whether so many bytes fit the sector that is written, and its summary behind them."""
        return not self.ring.closed and self.ring.end + size <= self.ring.size - self.marks.reserve

    def room(self, size: int, author: bytes | None, spare: int, pending: tuple | None = None) -> bool:
        """Make room for `size` bytes and, if needed, the author's introduction; LOG_FULL if there is none.

        Says whether `pending`, a value (name, value, receipted number), was written on the way.
        """
        ring = self.ring
        size += 2 * (ring.align - 1)
        if HEADER + size + frames.MAX_AUTHOR_FRAME > ring.size - MAX_FRESH:
            raise HedgerowError("OPERATION_TOO_LARGE", str(size))
        if ring.free() - self.spare < self.band():
            self.collector().share(size)
        # A sector that was opened from the reserve is not for what must leave it alone.
        stranger = author is not None and not self.is_here(author)
        if ring.free() >= spare and self.fits(size + stranger * frames.MAX_AUTHOR_FRAME):
            return False
        if ring.free() - 1 < spare:
            from . import flashreclaim

            return flashreclaim.advance(self, size + frames.MAX_AUTHOR_FRAME, spare, pending)
        self.open_sector(0)
        return False


def _comes_first(name: bytes) -> bool:
    """Say whether a setting comes before receipts: counts, and whose receipts an author requires."""
    return name[1:] == b"n" or name[1:2] in (b"x", b"r")


def schema_kind(value: bytes) -> int:
    """Return the kind that a stored schema, CBOR [1, collection, kind, fields], says; STREAM for none."""
    if not value:
        return STREAM
    at = 4 + value[3] if value[2:3] == b"\x78" else 3 + (value[2] & 0x1F)
    return value[at] if at < len(value) else STREAM


def _receipted_number(value: bytes) -> int:
    """Return what a stored receipt frees, 0 if it is none that can be read."""
    try:
        return Receipt.decode(value).number
    except HedgerowError:
        return 0
