"""Taking the oldest sectors back at once, where the reserve is reached (SPEC 9.8, 9.9).

What is alive in a sector is copied into one or two new ones that count for nothing before the reclaimed frame
that ends the copies: so a cut costs no sector, and what is left of the reserve is enough.
"""

from hedgerow.errors import HedgerowError
from hedgerow.log import local_author  # noqa: F401  (it was here first)

from . import flashframes as frames
from .flashring import HEADER, RECLAIMS


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

    def advance(self, spare: int) -> bool:
        log = self.log
        ring = self.ring
        collector = self.collector
        pending = collector.pending
        turns = 0
        while ring.free() < spare or not log.fits(self.need):
            turns += 1
            copies = self._weigh()
            # Where a receipt lets the sector go, it has to be durable before that.
            whole = copies + (self.need if pending else 0)
            sectors = 0 if log.fits(whole) else 1 if HEADER + whole <= log.end_limit() else 2
            if copies < 0 or ring.free() < sectors or turns > 2 * ring.count:
                raise HedgerowError("LOG_FULL", self._reason())
            if sectors:
                log.begin_sector(RECLAIMS)
            if pending:
                log.write_value(pending[0], pending[1])
            self._take_back()
            if pending:
                return True
        return False

    def _reason(self) -> str:
        ring = self.ring
        free = "%d of %d sectors are free" % (ring.free(), ring.count)
        return self.collector.why + ": " + free if self.collector.why else free

    def _weigh(self) -> int:
        """Return the bytes of copies that the oldest sector asks for, -1 if it may not go."""
        ring = self.ring
        collector = self.collector
        if ring.tail >= ring.seq:
            return -1
        collector.begin()
        copies = frames.MAX_RECLAIMED_FRAME + collector.silent() * frames.MAX_AUTHOR_FRAME
        authors = set()
        reader = frames.Reader(ring, ring.tail, HEADER)
        while ring.header(ring.tail) and reader.next():
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
        collector = self.collector
        collector.begin(True)
        while collector.peek():
            size = collector.judge(collector.reader)
            if size and not log.fits(size + frames.MAX_AUTHOR_FRAME):
                log.begin_sector(RECLAIMS)
            collector.take(size)
        while not collector.name_silent(0):
            if not log.fits(frames.MAX_AUTHOR_FRAME):
                log.begin_sector(RECLAIMS)
            collector.name_silent(1)
        collector.give_up()
