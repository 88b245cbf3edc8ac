"""After a mount: how far the oldest sector had been collected (SPEC 9.8)."""

from hedgerow.codec.varint import read_uint
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP

from . import flashframes as frames
from .flashbeside import MOVED
from .flashframes import REPLACED
from .flashring import HEADER


def find_cursor(log: object) -> None:
    """Set `log.cursor` after a mount: behind the frame of the oldest sector that was moved last.

    That is the last one moved behind the last reclaimed frame and the last summary, which names the cursor.
    What lies before it is taken off the counts.
    """
    ring = log.ring
    told = HEADER
    wanted = None
    reclaimed = False
    seq = ring.seq
    while seq >= ring.tail and not reclaimed:
        moved = None
        reader = frames.Reader(ring, seq, HEADER)
        while reader.next():
            if reader.type == frames.RECLAIMED:
                reclaimed = True
                moved = None
            elif (reader.type == frames.FILLED and reader.kind & MOVED) or (
                reader.type == frames.NOTE and reader.kind != REPLACED
            ):
                moved = _name(reader)
        wanted = wanted or moved
        header = ring.header(seq)
        if reclaimed or header is None or header.tail != ring.tail:
            break
        seq -= 1
        before = _summed(ring, seq, header.previous_summary)
        if before:
            told = before
            break
    log.cursor = found = told
    if wanted:
        reader = frames.Reader(ring, ring.tail, HEADER)
        while reader.next():
            if _name(reader) == wanted:
                found = max(found, reader.end)
    _take_off(log, told, found)
    log.cursor = found


def _summed(ring: object, seq: int, at: int) -> int:
    """Return the cursor that the summary of a sector names, 0 if it has none."""
    if not at or seq < ring.tail:
        return 0
    reader = frames.Reader(ring, seq, at)
    if not reader.next() or reader.type != frames.SUMMARY:
        return 0
    data = reader.body()
    cursor = at = 0
    for _ in range(3):
        cursor, at = read_uint(data, at)
    return cursor


def _take_off(log: object, begin: int, end: int) -> None:
    """Take the frames of the oldest sector between two offsets off the counts."""
    reader = frames.Reader(log.ring, log.ring.tail, HEADER)
    while reader.end < end and reader.next():
        if reader.start >= begin and reader.type in (frames.FILLED, frames.NOTE):
            log.beside().gone(reader, False)


def _name(reader: object) -> tuple:
    """Return what a frame and its moved copy have in common, () of one that is never moved so."""
    kind = reader.type
    if kind == frames.FILLED:
        kind = ENTRY_OP
    elif kind == frames.NOTE:
        kind = (ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, ENTRY_SKIP)[reader.kind]
    elif kind > ENTRY_SKIP:
        return ()
    return kind, reader.author, reader.first, reader.last
