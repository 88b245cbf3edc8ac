"""Taking the oldest sectors back at once, where the reserve is reached (SPEC 9.8, 9.9).

What is alive in a sector is copied into one or two new ones that count for nothing before the reclaimed frame
that ends the copies: so a cut costs no sector, and what is left of the reserve is enough.
"""

from hedgerow.errors import HedgerowError
from hedgerow.limits import const

from . import flashframes as frames
from .flashindex import FORGONE
from .flashring import HEADER, RECLAIMS

# What was worked out may be wrong by so many sectors.
_LATE = const(2)
# Of a value's frame, beside its name and content.
_VALUE = frames.MAX_OVERHEAD
# Sectors that are looked through for each that is won, where more is alive than is good.
_TURNS = const(10)


def advance(log: object, need: int, spare: int, pending: tuple | None) -> bool:
    """Open the next sector, take back as many of the oldest as are wanted; LOG_FULL if too few remain.

    `need` is the room that must be left in the newest sector. Says whether `pending` was written.
    """
    collector = log.collector()
    stores = [(name, log.waiting[name][0], log.waiting[name][1]) for name in log.waiting]
    if pending and pending[0] not in log.waiting:
        stores.append(pending)
    collector.pending = stores
    try:
        Reclaim(log, collector, 0 if pending else need).advance(spare)
    finally:
        collector.pending = []
    return pending is not None


class Reclaim:
    """One call of advance(): first what waits to be stored, then the caller's own need."""

    def __init__(self, log: object, collector: object, need: int):
        self.log = log
        self.ring = log.ring
        self.collector = collector
        self.need = need
        self.stores = sum([len(store[0]) + len(store[1]) + _VALUE for store in collector.pending])
        # How many sectors are expected to go; the largest frame that was met in them, authors in the last.
        self.turns = self.largest = self.authors = 0

    def advance(self, spare: int) -> None:
        log = self.log
        ring = self.ring
        collector = self.collector
        done = bool(self.stores) and log.fits(self.stores)
        if done:
            self._store()
        if self._was_refused(spare) or not self._works_out(spare):
            if done and not self.need:
                return
            if not collector.pending:
                collector.refused = (self._state(), spare, self.need)
            raise HedgerowError("LOG_FULL", self._reason())
        while self.stores or ring.free() < spare or not log.fits(self.need):
            if ring.free() > spare:
                log.open_sector(0)
                if self.stores and log.fits(self.stores):
                    self._store()
                continue
            self.turns -= 1
            if self.turns < -_LATE:
                raise HedgerowError("LOG_FULL", self._reason())
            if not self.stores:
                self._fill_up()
            copies = self._weigh(ring.tail, True)
            # Where receipts let the sector go, they have to be durable before that.
            whole = copies + self.stores
            sectors = 0 if log.fits(whole) else self._sectors(whole)
            if copies < 0 or ring.free() < sectors:
                raise HedgerowError("LOG_FULL", self._reason())
            if sectors:
                self._open()
            self._store()
            self._take_back()

    def _open(self) -> None:
        """Begin a sector that is void until it holds all; it may be filled to its end, without a summary."""
        self.log.open_sector(RECLAIMS)
        self.log.marks.forgo()

    def _was_refused(self, spare: int) -> bool:
        """Say whether no more than this was in vain before, and the log has not moved on since."""
        collector = self.collector
        if collector.pending or not collector.refused or collector.refused[0] != self._state():
            return False
        return spare >= collector.refused[1] and self.need >= collector.refused[2]

    def _state(self) -> tuple:
        """Return what has to change before anything that was refused can be different."""
        ring = self.ring
        return (ring.seq * ring.size + ring.end, ring.tail * ring.size + self.log.cursor)

    def _sectors(self, size: int) -> int:
        """Return how many new sectors so many bytes of copies take: each has author frames of its own."""
        payload = self.ring.size - HEADER - FORGONE
        if size <= payload:
            return 1
        more = (self.authors + 1) * frames.MAX_AUTHOR_FRAME + max(self.largest, _VALUE)
        return 2 if size + more <= 2 * payload else 3

    def _works_out(self, spare: int) -> bool:
        """Say whether room can be made by moving on what is alive, as far as it is known beforehand.

        Operations grow when they are first moved: to go round for nothing would use up the reserve.
        """
        log = self.log
        ring = self.ring
        free = ring.free()
        payload = ring.size - HEADER - FORGONE
        rest = 0 if ring.closed else max(0, ring.size - log.marks.reserve - ring.end)
        need = self.need
        stores = self.stores
        seq = ring.tail
        self.collector.begin(True)
        if stores and free > spare:
            free -= 1
            rest = payload - stores
            stores = 0
        # Where nearly all is alive, room for an operation would cost many times its bytes.
        end = seq + (ring.count if spare <= log.last_spare + 1 else _TURNS * (spare - free + 1))
        while stores or free < spare or (rest < need and free == spare):
            copies = self._weigh(seq, None) if seq < ring.seq else -1
            if copies < 0 or (seq >= end and self.collector.overdone()):
                return False
            copies += stores
            stores = 0
            if copies > rest:
                # The end of a sector stays empty where a frame does not fit.
                copies -= max(0, rest - self.largest - frames.MAX_AUTHOR_FRAME)
                opened = self._sectors(copies)
                if opened > free:
                    return False
                free -= opened
                rest = opened * payload - (opened > 1) * (
                    self.authors * frames.MAX_AUTHOR_FRAME + self.largest
                )
            rest -= copies
            free += 1
            seq += 1
            self.turns += 1
        return True

    def _store(self) -> None:
        """Program the values that wait."""
        log = self.log
        for name, value, _ in self.collector.pending:
            if not log.fits(len(name) + len(value) + _VALUE):
                self._open()
            log.write_value(name, value)
            log.waiting.pop(name, None)
        self.collector.pending = []
        self.stores = 0

    def _fill_up(self) -> None:
        """Move on what still fits the newest sector: it counts at once."""
        log = self.log
        collector = self.collector
        collector.begin(True)
        while self.ring.tail < self.ring.seq and collector.peek():
            size = collector.judge(collector.reader)
            if size < 0 or (size and not log.fits(size + frames.MAX_AUTHOR_FRAME)):
                return
            collector.take(size)

    def _reason(self) -> str:
        ring = self.ring
        free = "%d of %d sectors are free" % (ring.free(), ring.count)
        if not self.collector.why:
            return free
        author, number, is_open = self.collector.why
        whose = "an own" if author in self.log.own else "another author's"
        return "%s operation %d is %s: %s" % (whose, number, "open" if is_open else "kept", free)

    def _weigh(self, seq: int, forced: bool | None) -> int:
        """Return the bytes of copies that one of the oldest sectors asks for, -1 if it may not go.

        With `forced` None, what was weighed before counts as moved.
        """
        ring = self.ring
        collector = self.collector
        if seq >= ring.seq:
            return -1
        if forced is not None:
            collector.begin(forced)
        copies = frames.MAX_RECLAIMED_FRAME + collector.silent(seq) * frames.MAX_AUTHOR_FRAME
        authors = set()
        reader = frames.Reader(ring, seq, HEADER)
        while reader.next():
            if seq == ring.tail and reader.start < self.log.cursor:
                continue
            size = collector.judge(reader)
            if size < 0:
                return -1
            copies += size
            self.largest = max(self.largest, size)
            if size and reader.type != frames.STATE:
                authors.add(reader.author)
        self.authors = len(authors)
        return copies + len(authors) * frames.MAX_AUTHOR_FRAME

    def _take_back(self) -> None:
        """Move what is alive in the oldest sector on, and give it up."""
        log = self.log
        try:
            self._move_all()
        except BaseException:
            # Nothing else may stand in a sector that does not count yet.
            log.ring.closed = True
            raise

    def _move_all(self) -> None:
        log = self.log
        collector = self.collector
        collector.begin(True)
        while collector.peek():
            size = collector.judge(collector.reader)
            if size and not log.fits(size + frames.MAX_AUTHOR_FRAME):
                self._open()
            collector.take(size)
        while not collector.name_silent(0):
            if not log.fits(frames.MAX_AUTHOR_FRAME):
                self._open()
            collector.name_silent(1)
        collector.give_up()
