"""Taking the oldest sectors of the ring back (SPEC 9.6).

A sector may go when every entry in it is receipted. What is alive all the same is copied into the sector
that is opened then: current values, the newest operation and seal of the log's own author, and the numbers
of authors who have nothing in younger sectors. A RECLAIMED frame ends the copies; without it the new sector
is void.
"""

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT

from . import flashframes as frames
from .flashring import HEADER, RECLAIMS


def advance(log: object, need: int, spare: int, pending: tuple | None) -> bool:
    """Open the next sector, take back as many of the oldest as are wanted; LOG_FULL if too few remain.

    `need` is the room that must be left in the new sector. Says whether `pending` was written.
    """
    ring = log.ring
    copies = _copies(log, ring.tail, pending)
    limit = ring.size - frames.MAX_RECLAIMED_FRAME
    if copies is None or HEADER + copies + need > limit:
        if ring.free() - 1 < spare:
            raise HedgerowError("LOG_FULL", "%d of %d sectors are free" % (ring.free(), ring.count))
        _open(log, 0)
        return False
    _open(log, RECLAIMS)
    if pending:
        log.write_value(pending[0], pending[1])
        need = 0
    while copies is not None and ring.end + copies + need <= limit:
        _reclaim(log)
        if ring.free() > log.spare + 1:
            break
        copies = _copies(log, ring.tail, None)
    return pending is not None


def _open(log: object, flags: int) -> None:
    log.ring.open(flags)
    log.begin_sector()


def _copies(log: object, seq: int, pending: tuple | None) -> int | None:
    """Return the bytes that copies of what is alive in a sector take; None if an entry is not receipted."""
    ring = log.ring
    if seq >= ring.seq:
        return None
    known = log.blocked
    if known and known[0] == seq and _receipted(log, known[1], pending) < known[2]:
        return None
    total = 0
    if ring.header(seq) is None:
        return total
    reader = frames.Reader(ring, seq, HEADER)
    while reader.next():
        if reader.type > ENTRY_SKIP:
            if _alive(log, reader):
                total += reader.end - reader.start
            continue
        author = reader.authors[reader.place]
        if reader.last > _receipted(log, author, pending):
            log.blocked = (seq, author, reader.last)
            return None
        if _newest_own(log, reader):
            total += reader.end - reader.start + 2 * frames.MAX_AUTHOR_FRAME
    silent = [1 for index in log.indexes.values() if index.last_sector() <= seq]
    return total + len(silent) * frames.MAX_AUTHOR_FRAME


def _receipted(log: object, author: bytes, pending: tuple | None) -> int:
    number = log.receipted(author)
    if pending and pending[0][0] == STATE_RECEIPT and pending[0][1:9] == author:
        number = max(number, pending[2])
    return number


def _alive(log: object, reader: object) -> bool:
    """Say whether a control frame is a value that is still the current one."""
    if reader.type != frames.STATE:
        return False
    data = reader.ring.read(reader.seq, reader.at, 1)
    name = reader.ring.read(reader.seq, reader.at + 1, data[0])
    return log.values.get(name) == reader.seq * reader.ring.size + reader.start


def _newest_own(log: object, reader: object) -> bool:
    """Say whether a frame is the newest own operation or seal: the next boot goes on from them."""
    if reader.authors[reader.place] != log.author:
        return False
    index = log.indexes[log.author]
    if reader.type == ENTRY_SEAL:
        return reader.last == index.sealed
    return reader.type == ENTRY_OP and reader.last == index.held


def _reclaim(log: object) -> None:
    """Copy what is alive in the oldest sector behind the last frame, then give that sector up."""
    ring = log.ring
    seq = ring.tail
    if ring.header(seq):
        reader = frames.Reader(ring, seq, HEADER)
        while reader.next():
            if reader.type == frames.STATE:
                if _alive(log, reader):
                    data = reader.body()
                    log.write_value(data[1 : 1 + data[0]], data[1 + data[0] :])
            elif reader.type <= ENTRY_SKIP and _newest_own(log, reader):
                _copy_own(log, reader)
    for author in log.order:
        index = log.indexes[author]
        if index.last_sector() <= seq:
            log.introduce(author, index.held)
    ring.program(frames.reclaimed_frame(ring.seq, seq + 1))
    ring.tail = seq + 1
    for index in log.indexes.values():
        index.drop_below(ring.tail)


def _copy_own(log: object, reader: object) -> None:
    """Copy the newest own operation or seal; both stand on the number before them."""
    ring = log.ring
    author = log.author
    index = log.indexes[author]
    held = index.held
    if reader.type == ENTRY_OP:
        held -= 1
        log.introduce(author, held)
    elif author not in log.places:
        log.introduce(author, held)
    body = reader.body()
    place = log.places[author]
    ring.program(frames.entry_frame(ring.seq, held, place, reader.type, reader.first, reader.last, body))
