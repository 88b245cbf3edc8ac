"""Taking the oldest sectors back at once, where the reserve is reached (SPEC 9.8, 9.9).

What is alive in a sector is copied into one or two new ones that count for nothing before the reclaimed frame
that ends the copies: so a cut costs no sector, and what is left of the reserve is enough.
"""

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import local_author  # noqa: F401  (it was here first)

from . import flashframes as frames
from .flashindex import MAX_FRESH
from .flashring import HEADER, RECLAIMS

# Sectors that are taken back in one go for what is stored from the last of the reserve.
_TURNS = const(8)


def advance(log: object, need: int, spare: int, pending: tuple | None) -> bool:
    """Open the next sector, take back as many of the oldest as are wanted; LOG_FULL if too few remain.

    `need` is the room that must be left in the newest sector. Says whether `pending` was written.
    """
    collector = log.collector()
    collector.pending = pending
    try:
        return Reclaim(log, collector, need).advance(spare)
    finally:
        collector.pending = None


class Reclaim:
    """One call of advance()."""

    def __init__(self, log: object, collector: object, need: int):
        self.log = log
        self.ring = log.ring
        self.collector = collector
        self.need = need
        self.stored = False

    def advance(self, spare: int) -> bool:
        log = self.log
        ring = self.ring
        collector = self.collector
        if collector.pending and log.fits(self.need):
            self._store()
        turns = 0
        # Receipts wait for nothing that has to be kept, but need not go round all of it at once.
        most = _TURNS if spare <= log.last_spare else 2 * ring.count
        while ring.free() < spare or not log.fits(self.need):
            if ring.free() > spare:
                log.open_sector(0)
                break
            turns += 1
            waiting = collector.pending is not None
            if not waiting:
                self._fill_up()
            copies = self._weigh(spare <= log.last_spare)
            # Where a receipt lets the sector go, it has to be durable before that.
            whole = copies + (self.need if waiting else 0)
            sectors = 0 if log.fits(whole) else 1 if HEADER + whole <= ring.size - MAX_FRESH else 2
            # Operations grow when they are first moved, but what makes room needs the rest of the reserve.
            drains = sectors > 1 and spare > log.last_spare > ring.free() - 1
            if copies < 0 or drains or ring.free() < sectors or turns > most:
                raise HedgerowError("LOG_FULL", self._reason())
            if sectors:
                log.open_sector(RECLAIMS)
            if waiting:
                self._store()
            self._take_back()
        return self.stored

    def _store(self) -> None:
        """Program the pending value."""
        name, value, _ = self.collector.pending
        self.log.write_value(name, value)
        self.collector.pending = None
        self.stored = True
        self.need = 0

    def _fill_up(self) -> None:
        """Move on what still fits the newest sector: it counts at once."""
        log = self.log
        collector = self.collector
        collector.begin()
        while self.ring.tail < self.ring.seq and collector.peek():
            size = collector.judge(collector.reader)
            if size < 0 or (size and not log.fits(size + frames.MAX_AUTHOR_FRAME)):
                return
            collector.take(size)

    def _reason(self) -> str:
        ring = self.ring
        free = "%d of %d sectors are free" % (ring.free(), ring.count)
        return self.collector.why + ": " + free if self.collector.why else free

    def _weigh(self, forced: bool) -> int:
        """Return the bytes of copies that the oldest sector asks for, -1 if it may not go."""
        ring = self.ring
        collector = self.collector
        if ring.tail >= ring.seq:
            return -1
        collector.begin(forced)
        copies = frames.MAX_RECLAIMED_FRAME + collector.silent() * frames.MAX_AUTHOR_FRAME
        authors = set()
        reader = frames.Reader(ring, ring.tail, HEADER)
        while reader.next():
            if reader.start < self.log.cursor:
                continue
            size = collector.judge(reader)
            if size < 0:
                return -1
            copies += size
            if size and reader.type != frames.STATE:
                authors.add(reader.author)
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
                log.open_sector(RECLAIMS)
            collector.take(size)
        while not collector.name_silent(0):
            if not log.fits(frames.MAX_AUTHOR_FRAME):
                log.open_sector(RECLAIMS)
            collector.name_silent(1)
        collector.give_up()
