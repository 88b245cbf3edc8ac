"""Looking for operations on flash, in the runs of authors and beside them (see flashbeside)."""

from hedgerow.log import ENTRY_OP, ENTRY_SKIP

from . import flashframes as frames
from .flashframes import FORGOTTEN
from .flashring import HEADER


def run(log: object, author: bytes, number: int, seals: bool = True) -> object:
    """Yield a reader at each entry of the author's run, and at its author frames, that still counts.

    It begins in the sector in which what follows on `number` is. Without `seals`, sectors that have
    nothing else of the run may be left out.
    """
    ring = log.ring
    index = log.indexes.get(author)
    seq = index.start(number, ring.tail) if index else ring.seq + 1
    while seq <= ring.seq:
        if seals or _grows(index, seq):
            reader = frames.Reader(ring, seq, HEADER)
            while reader.next():
                if reader.type <= frames.AUTHOR and reader.author == author:
                    if reader.type == frames.AUTHOR or not _hidden(log, reader):
                        yield reader
        seq = index.after(seq)


def _hidden(log: object, reader: object) -> bool:
    """See Beside.hidden; where nothing is beside a run, what stands before the cursor is dead."""
    if log.has_beside():
        return log.beside().hidden(reader)
    return reader.seq == log.ring.tail and reader.start < log.cursor


def _doubtful(log: object, reader: object) -> bool:
    """Say whether what was filled in stands below a cut: it counts unless the run had come to it before.

    Beside.void tells, frame by frame.
    """
    if reader.type != frames.FILLED or not log.has_beside():
        return False
    return log.beside().cut_away(reader.author, reader.seq, reader.start, reader.last)


def _grows(index: object, seq: int) -> bool:
    """Say whether a sector may have operations or skips of an author's run."""
    if index.thinned:
        return True
    for i, known in enumerate(index.seqs):
        if known == seq:
            above = index.floors[i + 1] if i + 1 < len(index.floors) else index.held
            return above > index.floors[i]
    return False


def run_at(log: object, author: bytes, number: int) -> object:
    """Return a reader at an operation of the run, None if it has none of that number."""
    index = log.indexes.get(author)
    if index is None or number > index.held:
        return None
    if index.thinned or not index.floors or index.floors[0] < number:
        for reader in run(log, author, number - 1, False):
            if reader.type in (ENTRY_OP, ENTRY_SKIP) and reader.last >= number:
                return reader if reader.type == ENTRY_OP and reader.last == number else None
    return None


def _find(log: object, author: bytes, number: int) -> object:
    """Return a reader at an operation that is here, None if it is not."""
    found = run_at(log, author, number)
    if found is None and log.indexes[author].highest:
        for reader in log.beside().entries(author, number, number):
            if reader.type == frames.FILLED:
                return reader
    return found


def fetch(log: object, author: bytes, number: int) -> bytes | None:
    """See MemoryLog.fetch."""
    index = log.indexes.get(author)
    if index is None:
        return None
    place = log.hinted(author, number)
    if place:
        reader = frames.verify_at(log.ring, place, index.slot, number)
        if reader and reader.type in (ENTRY_OP, frames.FILLED):
            reader.author = author
            if not _hidden(log, reader) and not _doubtful(log, reader):
                return reader.body()
    reader = _find(log, author, number)
    if reader is None:
        return None
    log.hint(author, number, reader.seq * log.ring.size + reader.start)
    return reader.body()


def newest(log: object, author: bytes) -> bytes | None:
    """Return the newest own operation, also if it was dropped; None if it has gone."""
    number = log.held(author)
    body = fetch(log, author, number)
    if body is None and number:
        index = log.indexes[author]
        seq = log.ring.tail
        while seq <= log.ring.seq:
            reader = frames.Reader(log.ring, seq, HEADER)
            while reader.next():
                operation = reader.type in (ENTRY_OP, frames.FILLED)
                if operation or (reader.type == frames.NOTE and reader.kind == FORGOTTEN):
                    if reader.slot == index.slot and reader.last == number:
                        body = reader.body()
            seq += 1
    return body


def since(log: object, position: int, max_bytes: int, gone: bool) -> list:
    """See MemoryLog.since; a position is sector sequence * sector size + end of the frame."""
    ring = log.ring
    void = log.beside().void if log.has_beside() or log.totals[0] or log.totals[2] else None
    max_bytes = min(max_bytes, log.read_limit)
    found: list = []
    seq, behind = divmod(position, ring.size)
    if seq < ring.tail:
        seq = ring.tail
        behind = 0
    while seq <= ring.seq and position < log.arrived:
        reader = frames.Reader(ring, seq, HEADER)
        while reader.next():
            if reader.end <= behind or reader.type not in (ENTRY_OP, frames.FILLED):
                continue
            if reader.author not in log.indexes:
                # Its place is another's.
                continue
            if void(reader) if void else _hidden(log, reader):
                # A boot begins to collect its sector anew.
                if not (gone and seq == ring.tail and reader.start < log.cursor):
                    continue
            max_bytes -= reader.size
            if found and max_bytes < 0:
                return found
            end = seq * ring.size + reader.end
            log.hint(reader.author, reader.last, seq * ring.size + reader.start)
            found.append((end, reader.author, reader.last, reader.body()))
        seq += 1
        behind = 0
    return found
