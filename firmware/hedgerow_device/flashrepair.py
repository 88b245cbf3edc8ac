"""What a damaged log still holds and what it has lost (SPEC 9.7); a new author. Loaded on demand.

A run frame's CRC is xor-ed with the author's number before it: so a whole frame behind a lost one says its
own number. It is believed if that is plausible and the frame after it fits as well.
"""

from binascii import crc32

from hedgerow import limits
from hedgerow.codec.varint import read_uint
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, local_author, new_author

from . import flashframes as frames
from .flashfind import erased
from .flashring import HEADER, PASSED, Header
from .flashthin import last_sector

_NOTE = const(32)
_CONTROL = const(3)
_LAST_CONTROL = const(9)
# The smallest frame of an operation: so many may have been lost with so many bytes.
_LEAST = const(12)
_MEAN = const(24)
_PASSED_MOST = const(8)
# How many numbers a gap may have swallowed where two frames in a row of one author say so; where they do not,
# as many as frames are lost.
_FAR = const(0x10000)


def renew(log: object) -> None:
    """Let new sectors carry a new author and incarnation; LOG_FULL if none can be opened."""
    ring = log.ring
    before = ring.author, ring.incarnation, ring.closed
    ring.author = log.namer(log) if log.namer else new_author()
    ring.incarnation = min(ring.incarnation + 1, 0xFFFF)
    try:
        if ring.free() - 1 >= log.last_spare:
            log.open_sector(0)
        else:
            ring.closed = True
            log.room(_NOTE, None, log.last_spare)
    except HedgerowError:
        ring.author, ring.incarnation, ring.closed = before
        raise
    log.author = ring.author
    log.incarnation = ring.incarnation
    log.own = (ring.author, local_author(ring.author))
    log.locals.append(log.own[1])


# ---- frames behind damage


def survey(log: object, reader: object) -> tuple:
    """Find where frames go on behind one that does not fit: (offset, {slot: author}, slot or -1, held, lost).

    `lost` is about how many frames are. The offset is the reader's limit if none follow; () if nothing is
    damaged: what does not fit is a torn program, or nothing was programmed there.
    """
    if reader is None:
        # A whole sector.
        log.damaged += 1
        return ()
    ring = reader.ring
    seq = reader.seq
    at = reader.end
    # What follows the last frame is known from the header of the next sector, if there is one.
    open_end = reader.limit == ring.size and (seq == ring.seq or ring.following(seq) is None)
    if open_end and ring.align == 1 and erased(ring, seq, at):
        return ()
    count = reader.limit - at
    if count <= len(ring.window):
        # What the reader saw: weak cells may read as something else the next time.
        where = ring.fetch(seq, at, count)
        data = bytes(ring.window[where : where + count])
    else:
        data = ring.read(seq, at, count)
    view = memoryview(data)
    if open_end and ring.align == 1:
        # The CRC of the last frame may end as an erased cell reads.
        view = view[: len(data.rstrip(b"\xff")) + 3]
    names: dict = {}
    known = _known(log, reader, names)
    found = _search(view, seq, known, open_end, (ring.align, reader.crossed))
    if found is None and open_end:
        return ()
    log.damaged += 1
    if found is None:
        return (reader.limit, names, -1, 0, 1)
    where, slot, held, lost = found
    return (at + where, names, slot, held, lost)


def meet(log: object, reader: object) -> bool:
    """While mounting, let an author come with a frame behind damage: the one that named it may be lost.

    Say whether it is known.
    """
    if reader.type > ENTRY_SKIP and reader.type not in (frames.FILLED, frames.NOTE):
        return True
    author = reader.author
    if not author:
        return False
    index = log.indexes.get(author)
    if index is None or last_sector(index) < reader.seq:
        held = index.held if index else 0
        if reader.type <= ENTRY_SKIP:
            held = reader.last if reader.type == ENTRY_SEAL else reader.first - 1
        index = log.enter(reader.seq, reader.slot, author, held)
        # Whoever writes there names it again.
        index.here = 0
        index.held = max(index.held, held)
    return True


def _known(log: object, reader: object, names: dict) -> dict:
    """Return slot -> the number held there as far as is known; put authors that come later in `names`."""
    known = dict(reader.held)
    coming: dict = {}
    ring = log.ring
    own = (ring.author, local_author(ring.author))
    full = len(log.slots) >= limits.MAX_AUTHORS
    for seq in range(reader.seq + 1, ring.seq + 1):
        later = frames.Reader(ring, seq, HEADER)
        while later.step():
            slot = later.slot
            full = full or (later.type == frames.AUTHOR and slot + 1 >= limits.MAX_AUTHORS)
            if later.type == frames.AUTHOR and slot not in names and slot not in coming:
                # Who begins with nothing may have come to another's place.
                coming[slot] = later.held[slot] == 0
                if not coming[slot]:
                    names[slot] = later.author
                    known.setdefault(slot, max(0, later.held[slot] - _FAR + 1))
    for slot, author in enumerate(log.slots):
        index = log.indexes.get(author)
        if index is None or (coming.get(slot) and (not index.seqs or index.seqs[0] > reader.seq)):
            continue
        if full and slot not in names and author not in own and index.held <= log.receipted(author):
            # The frame that is lost may have been that of who came in its place.
            continue
        names.setdefault(slot, author)
        if slot not in reader.held and names[slot] == author:
            known[slot] = index.held
            for i in range(len(index.seqs)):
                if index.seqs[i] >= reader.seq:
                    known[slot] = index.floors[i]
                    break
    if ring.author not in log.slots and 0 not in names and not log.slots[:1]:
        # Our own is the first to come, as a rule.
        names[0] = ring.author
        known.setdefault(0, 0)
    return known


def _search(view: object, seq: int, known: dict, open_end: bool, so_far: tuple) -> tuple | None:
    """Return (offset, slot or -1, held, frames lost) of where it goes on, None if it does not.

    With the first frame only after others were lost, or with proof: its CRC may be what is damaged.
    """
    # Where the next frame would begin by the lengths of those that do not fit, and how many these are.
    align, crossed = so_far
    chained = links = 0
    for at in range(0, len(view), align):
        lost = at // _MEAN + 1 if at else 0
        if at == chained:
            lost = links
            links += 1
            chained = at + (_size(view, at, align) or len(view))
        found = _resumes(view, at, seq, known, open_end, (lost + crossed, align))
        if found:
            return found + (lost,)
    return None


def _size(view: object, at: int, align: int = 1) -> int:
    """Return the bytes of a frame by the length that it begins with, padded, 0 if that cannot be one."""
    if at + 5 > len(view):
        return 0
    size = view[at]
    lead = 1
    if size >= 0x80:
        size = (size & 0x7F) << 8 | view[at + 1]
        lead = 2
        if size < 0x80:
            return 0
    end = lead + size + 3
    return end + -end % align if size and at + end <= len(view) else 0


def _number(view: object, at: int, size: int, seq: int) -> int:
    """Return the number, modulo 2^24, that a whole frame was made with."""
    end = at + size - 3
    stored = view[end] << 16 | view[end + 1] << 8 | view[end + 2]
    return (crc32(view[at:end], seq) & 0xFFFFFF) ^ stored


def _held(number: int, low: int) -> int:
    """Return the least number from `low` on that is `number` modulo 2^24."""
    return low + ((number - low) & 0xFFFFFF)


def _resumes(view: object, at: int, seq: int, known: dict, open_end: bool, how: tuple) -> tuple | None:
    """Return (at, slot or -1, held) if a frame at `at` is whole, and so is what follows it.

    `how` is how many numbers it may be ahead, and what frames are padded to.
    """
    near, align = how
    size = _size(view, at)
    if not size:
        return None
    number = _number(view, at, size, seq)
    head = view[at + 1 if view[at] < 0x80 else at + 2]
    slot = head & 0x3F
    held = 0
    gap = 0
    if head >> 6 == _CONTROL:
        if number or slot > _LAST_CONTROL:
            return None
        slot = -1
    else:
        if slot not in known:
            return None
        held = _held(number, known[slot])
        gap = held - known[slot]
        if gap > _FAR:
            return None
    at_next = at + size + -size % align
    if not near and (gap or slot < 0):
        good = _follows(view, at_next, seq, {}, (head, slot, held, gap, at), 0)
        return (at, slot, held) if good else None
    if at_next == len(view):
        # It ends where frames end.
        good = not open_end and gap <= near
    elif open_end and _blank(view, at_next):
        good = gap <= near
    else:
        good = _follows(view, at_next, seq, known, (head, slot, held, gap, at), near)
    return (at, slot, held) if good else None


def _follows(view: object, at: int, seq: int, known: dict, before: tuple, near: int) -> bool:
    """Say whether a whole frame follows one that is believed to stand `before`."""
    head, slot, held, gap, start = before
    size = _size(view, at)
    if not size:
        return False
    number = _number(view, at, size, seq)
    following = view[at + 1 if view[at] < 0x80 else at + 2]
    if following >> 6 == _CONTROL:
        return bool(known) and not number and gap <= near
    body = start + 2 if view[start] < 0x80 else start + 3
    if slot < 0:
        if head & 0x3F == 0 and view[body] & 0x3F == following & 0x3F:
            return number == read_uint(view, body + 9)[0] & 0xFFFFFF
    elif following & 0x3F == slot:
        if head >> 6 == ENTRY_OP:
            held += 1
        elif head >> 6 == ENTRY_SKIP:
            held += 1 + read_uint(view, body)[0]
        return number == held & 0xFFFFFF
    low = known.get(following & 0x3F, -1)
    return low >= 0 and gap <= near and _held(number, low) - low <= near


def _blank(view: object, at: int) -> bool:
    for value in view[at:]:
        if value != 0xFF:
            return False
    return True


# ---- headers


def _flipped(ring: object, slot: int) -> Header | None:
    """Return the header in a slot if one bit of it has changed."""
    data = bytearray(HEADER)
    ring.device.readblocks(slot % ring.count, data, 0)
    for bit in range(8 * HEADER):
        data[bit >> 3] ^= 1 << (bit & 7)
        try:
            found = Header.decode(data)
        except HedgerowError:
            found = None
        if found and found.seq % ring.count == slot % ring.count:
            return found
        data[bit >> 3] ^= 1 << (bit & 7)
    return None


def mend_newest(ring: object, newest: Header | None) -> Header | None:
    """Return the newest header, also where it is damaged; None if there is none on the device."""
    slots = range(newest.seq + 1, newest.seq + 2) if newest else range(ring.count)
    if newest:
        ring.seq = newest.seq
        ring.tail = newest.tail
    for slot in slots:
        found = _flipped(ring, slot)
        if newest and (found is None or found.seq != slot):
            found = None
            # What was opened to reclaim, and is being erased, has copies alone.
            reader = frames.Reader(ring, slot, HEADER)
            while found is None and reader.step():
                found = mend(ring, slot) if reader.type <= ENTRY_SKIP else None
        elif found is None or not _has_frame(ring, slot, found.seq):
            # Without a frame behind it, it is the header that was torn, and nothing is lost.
            found = None
        if found and (newest is None or found.seq > newest.seq):
            newest = found
    return newest


def remedy(ring: object, seq: int) -> Header | None:
    """Return the header of a sector in use that cannot be read, None if it is lost, or was passed over."""
    for following in range(seq + 1, min(seq + _PASSED_MOST, ring.seq) + 1):
        header = ring.header_in(following % ring.count)
        if header and header.seq == following:
            # Nothing was ever written behind a header that did not take.
            if header.flags & PASSED and not _has_frame(ring, seq, seq):
                return None
            break
    found = mend(ring, seq)
    if found is None and ring.survey is not None:
        ring.survey(None)
    return found


def _has_frame(ring: object, slot: int, seq: int) -> bool:
    """Say whether a whole control frame of sector `seq`, as one begins with, stands in a slot."""
    view = memoryview(ring.read(slot, ring.up(HEADER), ring.size - ring.up(HEADER)))
    size = _size(view, 0)
    return bool(size) and not _number(view, 0, size, seq)


def mend(ring: object, seq: int) -> Header | None:
    """Return the header that a sector in use must have had, None if the sector holds nothing.

    One bit that has changed is found; else the frames say that there was one.
    """
    found = _flipped(ring, seq)
    if found:
        return found if found.seq == seq else None
    view = memoryview(ring.read(seq, ring.up(HEADER), ring.size - ring.up(HEADER)))
    size = _size(view, 0)
    if not size or _number(view, 0, size, seq):
        return None
    before = ring.header(seq - 1)
    if before is None:
        return None
    fields = (0, seq, before.tail, before.erases, ring.size, 0, 0, before.incarnation, before.author)
    return Header(fields)


# ---- what is lost


def audit(log: object) -> list:
    """Return [(author, first, last)] of entries of the runs that are lost, by reading all that there is.

    Of the log's own author what may have been lost at the end is among them: nobody else knows.
    """
    ring = log.ring
    held: dict = {}
    lost: list = []
    unsure = 0
    for seq in range(ring.tail, ring.seq + 1):
        if ring.header(seq) is None:
            continue
        reader = frames.Reader(ring, seq, HEADER)
        end = reader.end
        while reader.next():
            gap = reader.start - end
            links = _links(ring, seq, end, reader.start) if gap > 0 else 0
            end = reader.end
            unsure += gap
            if reader.type > frames.AUTHOR or reader.type == ENTRY_SEAL:
                continue
            author = reader.author
            first = reader.first if reader.type != frames.AUTHOR else reader.held[reader.slot] + 1
            if author in log.indexes and held.get(author, first) + 1 < first:
                lost.append((author, held[author] + 1, first - 1))
                if links == first - 1 - held[author]:
                    # All that was lost there is accounted for.
                    unsure -= gap
            held[author] = first - 1 if reader.type == frames.AUTHOR else reader.last
            if author == log.author:
                unsure = 0
        if end < reader.limit and not (reader.limit == ring.size and erased(ring, seq, end)):
            unsure += reader.limit - end
    for author in log.slots:
        if author and held.get(author, 0) < log.held(author):
            lost.append((author, held.get(author, 0) + 1, log.held(author)))
    if unsure:
        number = log.held(log.author)
        lost.append((log.author, number + 1, number + unsure // _LEAST + 1))
    return [part for entry in lost for part in _absent(log, *entry)]


def _links(ring: object, seq: int, at: int, end: int) -> int:
    """Return how many frames lay in a gap, 0 if their lengths do not say."""
    view = memoryview(ring.read(seq, at, end - at))
    at = links = 0
    while at < len(view):
        size = _size(view, at, ring.align)
        if not size:
            return 0
        at += size
        links += 1
    return links


def _absent(log: object, author: bytes, first: int, last: int) -> list:
    """Return what of a range stands nowhere else."""
    held = log.held(author)
    found: list = []
    while first <= last:
        end = first
        if first > held:
            end = last
        elif log.fetch(author, first) is not None:
            first += 1
            continue
        else:
            while end < min(last, held) and log.fetch(author, end + 1) is None:
                end += 1
        found.append((author, first, end))
        first = end + 1
    return found
