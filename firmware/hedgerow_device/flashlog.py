"""The Log port on a raw ring of NOR flash (SPEC 9).

Every append and every put is one program of one frame and durable when it returns. Nothing is programmed
while mounting. RAM: a window of 512 bytes, per author two short arrays, per durable value its place.
`flashbeside` (what lies beside the runs) and `flashreclaim` (taking sectors back) are loaded on demand.
"""

from hedgerow import limits
from hedgerow.codec.schema import STREAM
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import (
    ENTRY_OP,
    ENTRY_SEAL,
    ENTRY_SKIP,
    STATE_CONFIG,
    STATE_RECEIPT,
    STATE_SCHEMA,
    check_entry,
    local_author,
    new_author,
)

from . import flashframes as frames
from .flashindex import MAX_INDEX, AuthorIndex, bound
from .flashring import HEADER, Ring

SPARE = const(5)

# Free sectors left by values, by others' seals, and by what makes room in the end: receipts, own seals.
_VALUE_SPARE = const(4)
_SEAL_SPARE = const(3)
_LAST_SPARE = const(2)
_HINTS = const(32)

_MAX_KEY = const(32)
_READ_LIMIT = const(0x3FFFFFFF)


class FlashLog:
    """A log on a block device (see Ring); formats it if it holds none.

    `author` is 8 bytes, `incarnation` a number. `spare` is how many free sectors operations leave to
    seals, receipts and boots, `read_limit` the most bytes that one read returns, `damaged` counts sectors in
    which committed frames could not be read. `keeps(author, number, body)` says whether a receipted operation
    is to be carried along; None: if it is of a keep collection and our own.

    What is no part of the Log port is for mounting and reclaiming: `indexes` by author, `slots` with the
    authors in the order of their coming, where the current `values` stand;
    `arrived` is the position of the newest arrival, `carrying` says that keep collections are known;
    `cursor` is an offset in the oldest sector: what stands before it was moved on or is dead. `own` are the
    log's author and its local one. `hints` say where some operations may stand: (author, number) -> sector *
    size + offset. While it is `urgent`, the core makes room: own operations and values may use the reserve.
    """

    urgent = False

    last_spare = _LAST_SPARE

    def __init__(self, device: object):
        self.spare = SPARE
        self.read_limit = _READ_LIMIT
        self.damaged = 0
        self._audited = 0
        self.ring = ring = Ring(device)
        ring.survey = self._survey
        self.indexes: dict = {}
        self.slots: list = []
        self.values: dict = {}
        self._receipts: dict = {}
        self.keeps: object = None
        self.carrying = False
        self.arrived = 0
        self.cursor = HEADER
        self.hints: dict = {}
        self._hinted: list = []
        self._more: object = None
        self._collector: object = None
        if ring.find() is None:
            ring.format(new_author())
        else:
            from .flashmount import mount

            mount(self)
            ring.forget_gaps()
        self.author = ring.author
        self.incarnation = ring.incarnation
        self.own = (ring.author, local_author(ring.author))
        # Those of former authors too: what is local waits for no receipt.
        self.locals = [local_author(author) for author in self.slots if author] + [self.own[1]]

    # ---- sectors and authors

    def settle(self, slot: int, author: bytes) -> AuthorIndex:
        """Return the index of an author, who gets the slot when it comes for the first time."""
        index = self.indexes.get(author)
        if index is None:
            index = self.indexes[author] = AuthorIndex(slot)
            while len(self.slots) <= slot:
                self.slots.append(b"")
            self.slots[slot] = author
        return index

    def introduce(self, author: bytes, held: int) -> AuthorIndex:
        """Begin the author's frames in the sector that is written."""
        ring = self.ring
        index = self.indexes.get(author)
        slot = index.slot if index else len(self.slots)
        ring.program(frames.author_frame(ring.seq, slot, author, held, index.sealed if index else 0))
        index = self.settle(slot, author)
        index.introduced(ring.seq, held)
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
            self._receipts[name] = _receipted_number(value)
        elif name[0] == STATE_SCHEMA and not schema_kind(value) & STREAM:
            self.carrying = True

    # ---- entries

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        """Add an entry; it is durable on return.

        Raises, before anything is programmed: LOG_OUT_OF_ORDER, AUTHORS_FULL, OPERATION_TOO_LARGE, LOG_FULL.
        """
        author = bytes(author)
        index = self.indexes.get(author)
        held = index.held if index else 0
        check_entry(kind, first, last, held)
        if index is None and len(self.indexes) >= limits.MAX_AUTHORS:
            raise HedgerowError("AUTHORS_FULL", str(limits.MAX_AUTHORS))
        spare = _SEAL_SPARE if self.urgent and author in self.own else self.spare
        if kind == ENTRY_SEAL:
            spare = _LAST_SPARE if author == self.author else _SEAL_SPARE
        self.room(len(body) + frames.MAX_OVERHEAD, author, spare)
        ring = self.ring
        if index is None or index.here != ring.seq:
            index = self.introduce(author, held)
        at = ring.program(frames.entry_frame(ring.seq, held, index.slot, kind, first, last, body))
        index.bytes += ring.end - at
        if kind == ENTRY_SEAL:
            index.sealed = max(index.sealed, last)
            return
        index.held = last
        if kind == ENTRY_OP:
            self.arrived = ring.seq * ring.size + ring.end
            self.hint(author, first, ring.seq * ring.size + at)

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
        if index is None:
            return found
        ring = self.ring
        max_bytes = min(max_bytes, self.read_limit)
        more = self._more
        if more and author in more.spans:
            from . import flashmoved

            if more.spans[author][1] > min(flashmoved.floors(self, author, held, sealed)):
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

    # ---- beside the run; MemoryLog says what these do

    def beside(self) -> object:
        """Return the tables of what lies beside the runs (flashbeside.Beside)."""
        if self._more is None:
            from .flashbeside import Beside

            self._more = Beside(self)
        return self._more

    def has_beside(self) -> bool:
        """Say whether there are such tables: without them nothing is filled, dropped or cut."""
        return self._more is not None

    def hint(self, author: bytes, number: int, place: int) -> None:
        """Note where an operation stands, in the place of the oldest hint."""
        name = (author, number)
        if name not in self.hints:
            self._hinted.append(name)
            if len(self._hinted) > _HINTS:
                self.hints.pop(self._hinted.pop(0), None)
        self.hints[name] = place

    def fill(self, author: bytes, number: int, body: bytes) -> None:
        from . import flashchange

        flashchange.fill(self, bytes(author), number, body)

    def fetch(self, author: bytes, number: int) -> bytes | None:
        return self.beside().fetch(author, number)

    def newest(self, author: bytes) -> bytes | None:
        """Return the newest operation of one of the log's own authors, also if it was dropped."""
        return self.beside().newest(author)

    def drop(self, author: bytes, first: int, last: int) -> None:
        from . import flashchange

        flashchange.drop(self, bytes(author), first, last)

    def replace(self, author: bytes, first: int, last: int, body: bytes) -> None:
        from . import flashchange

        flashchange.replace(self, bytes(author), first, last, body)

    def seen(self, author: bytes) -> int:
        return self.beside().seen(author) if self.has_beside() else self.held(author)

    def cut(self, author: bytes, held: int) -> None:
        from . import flashchange

        flashchange.cut(self, bytes(author), held)

    def missing(self, author: bytes) -> list:
        return self.beside().missing(author)

    def position(self) -> int:
        return self.arrived

    def since(self, position: int, max_bytes: int) -> list:
        return self.beside().since(position, max_bytes)

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
        pending = (name, value, _receipted_number(value) if kind == STATE_RECEIPT else 0)
        spare = _SEAL_SPARE if self.urgent else _VALUE_SPARE
        if kind == STATE_RECEIPT or (kind == STATE_CONFIG and (key == b"n" or key[:1] == b"x")):
            # What is counted is stored before the receipt that frees it.
            spare = _LAST_SPARE
        if not self.room(size, None, spare, pending):
            self.write_value(name, value)

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
        self.remember(name, value, ring.seq, at)

    # ---- space

    def receipted(self, author: bytes) -> int:
        """Return the greatest number that a stored receipt names."""
        return max([self._receipts[name] for name in self._receipts if name[1:9] == author] or [0])

    def prepare(self) -> bool:
        """Erase a sector ahead, or collect a little, while there is time; say whether there was need to."""
        if self.ring.prepare():
            return True
        return self.ring.free() - self.spare <= self.band() and self.collector().idle()

    def collector(self) -> object:
        """Return what moves on from the oldest sector what is alive there (flashcollect.Collector)."""
        if self._collector is None:
            from .flashcollect import Collector

            self._collector = Collector(self)
        return self._collector

    def band(self) -> int:
        """Return how many free sectors above the reserve are aimed at."""
        return max(2, self.ring.count // 10)

    def end_limit(self) -> int:
        """Return up to which offset of a sector frames may go."""
        return self.ring.size - frames.MAX_RECLAIMED_FRAME

    def fits(self, size: int) -> bool:
        """Say whether so many bytes fit the sector that is written."""
        return not self.ring.closed and self.ring.end + size <= self.end_limit()

    def begin_sector(self, flags: int) -> None:
        """Open the next sector."""
        self.ring.open(flags)

    def room(self, size: int, author: bytes | None, spare: int, pending: tuple | None = None) -> bool:
        """Make room for `size` bytes and, if needed, the author's introduction; LOG_FULL if there is none.

        Says whether `pending`, a value (name, value, receipted number), was written on the way.
        """
        ring = self.ring
        if HEADER + size + frames.MAX_AUTHOR_FRAME > self.end_limit():
            raise HedgerowError("OPERATION_TOO_LARGE", str(size))
        if ring.free() - self.spare <= self.band():
            self.collector().share(size)
        # A sector that was opened from the reserve is not for what must leave it alone.
        if self.fits(size + (author is not None and not self.is_here(author)) * frames.MAX_AUTHOR_FRAME):
            if ring.free() >= spare:
                return False
        if ring.free() - 1 < spare:
            from . import flashreclaim

            return flashreclaim.advance(self, size + frames.MAX_AUTHOR_FRAME, spare, pending)
        self.begin_sector(0)
        return False

    def renew(self) -> None:
        from .flashrepair import renew

        renew(self)

    def damage(self) -> list:
        if self.damaged == self._audited:
            return []
        from .flashrepair import audit

        lost = audit(self)
        # What the look itself has met is in its answer.
        self._audited = self.damaged
        return lost

    def meet(self, reader: object) -> None:
        """Take a frame behind damage into the tables."""
        from .flashrepair import meet

        meet(self, reader)

    def look_again(self) -> None:
        """Let damage() tell once more what it has told: nothing could be done about it."""
        self._audited = -1

    def _survey(self, reader: object) -> tuple:
        from .flashrepair import survey

        return survey(self, reader)

    def close(self) -> None:
        """Leave the flash as it is."""


def schema_kind(value: bytes) -> int:
    """Return the kind that a stored schema, CBOR [1, collection, kind, fields], says."""
    at = 4 + value[3] if value[2:3] == b"\x78" else 3 + (value[2] & 0x1F)
    return value[at] if at < len(value) else STREAM


def _receipted_number(value: bytes) -> int:
    """Return what a stored receipt frees, 0 if it is none that can be read."""
    try:
        return Receipt.decode(value).number
    except HedgerowError:
        return 0
