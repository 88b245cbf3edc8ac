"""Reading a ring that holds a log, from its tail to its newest frame (SPEC 9.5). Done once, then unloaded."""

from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP

from . import flashframes as frames
from .flashindex import MAX_INDEX, bound
from .flashring import HEADER, RECLAIMS


def mount(log: object) -> None:
    """Fill the tables of a FlashLog whose ring has found its newest sector. Nothing is programmed."""
    ring = log.ring
    stepped = _find_tail(ring)
    # Before the authors were known little could be said of what is damaged there.
    ring.forget_gaps(True)
    log.damaged = 0
    seq = ring.tail
    end = 0
    while seq <= ring.seq:
        header = ring.header(seq)
        if header is None or (end and header.previous_end > end):
            log.damaged += 1
        end = 0
        if header:
            reader = frames.Reader(ring, seq, HEADER)
            while reader.next():
                _note(log, reader)
            end = reader.end
            bound(log.indexes, MAX_INDEX)
        seq += 1
    ring.end = end
    ring.closed = stepped or not end or not ring.erased(ring.seq, end)
    if ring.tail < ring.seq and log.has_beside():
        from .flashcollect import find_cursor

        find_cursor(log)


def _find_tail(ring: object) -> bool:
    """Learn from the newest sector where the ring begins; say whether that sector was void.

    That sector is void, and will be used again, if it did not finish reclaiming: its copies have their
    originals yet. So it is if its first frame was torn. Otherwise every cut there would cost a sector.
    """
    stepped = False
    while True:
        reader = frames.Reader(ring, ring.seq, HEADER)
        header = ring.header(ring.seq)
        reclaiming = header and header.flags & RECLAIMS
        while reader.next():
            if reader.type == frames.RECLAIMED:
                reclaiming = 0
                ring.tail = reader.last
        torn = not stepped and reader.end == HEADER and not ring.erased(ring.seq, HEADER)
        if not reclaiming and not torn:
            return stepped
        ring.step_back()
        stepped = True


def _note(log: object, reader: object) -> None:
    """Take a frame into the tables."""
    kind = reader.type
    if reader.crossed:
        log.meet(reader)
    if kind == frames.STATE:
        data = reader.body()
        name = data[1 : 1 + data[0]]
        log.remember(name, data[1 + data[0] :], reader.seq, reader.start)
    elif kind == frames.AUTHOR:
        held = reader.held[reader.slot]
        index = log.settle(reader.slot, reader.author)
        if index.held < held and index.seqs:
            log.damaged += 1
        index.introduced(reader.seq, held)
        index.held = max(index.held, held)
        index.sealed = max(index.sealed, reader.sealed[reader.slot])
    elif kind <= ENTRY_SKIP:
        author = reader.author
        index = log.indexes[author]
        if kind == ENTRY_SEAL:
            index.sealed = max(index.sealed, reader.last)
        else:
            index.held = max(index.held, reader.last)
        index.bytes += reader.end - reader.start
    elif frames.FILLED <= kind <= frames.NOTE:
        log.beside().note(reader)
    if kind in (ENTRY_OP, frames.FILLED):
        log.arrived = reader.seq * reader.ring.size + reader.end
