"""The frame that ends a sector in good order: a summary of it, and a slice of the checkpoint (SPEC 9.5).

Who mounts a log reads summaries and slices back to where the last whole cycle of slices began, and of frames
only the newest sector and those of which nothing else tells. So who programs a frame says what a summary
needs to know of it:

- `log.marks.noted()`, of a control frame that a mount reads by itself: a value, a dropped, cut or replacing
  frame. Room is kept for its position then; those that still matter are named when the sector ends, and in
  slices later: `log.values`, and those that `log.beside().live()` gives as positions (sequence * sector size
  + offset of the frame).
- `flashthin.noted_beside(log, index, first, last)`, of an operation, seal or skip beside the run.
- `log.marks.touched(index, seq)`, where an author's frontiers change without a frame of its own: a cut.
- `log.totals`: [operations carried, their bytes, operations filled in, their bytes] as they are now.
- `log.cursor`, `log.newest_keys` and `log.arrived` as they are now.

A mount tells of each frame again, in `beside().note(reader)` by the order of positions.
"""

from binascii import crc32

from hedgerow.codec.varint import write_uint
from hedgerow.limits import const

from .flashframes import control_frame
from .flashindex import MAX_SUMMARY, MIN_SLICE
from .flashring import NotTaken

FLOOR = const(0x40)
BESIDE = const(0x80)
ENDS = const(1)
LIST = const(128)
LISTS = const(64)

_LEAST = const(44)
_FRAME = const(6)
# A tag and a count.
_COUNT = const(3)


def plan(log: object) -> int:
    """Return how many bytes of the tables go into the next slice: a twelfth."""
    ring = log.ring
    zones = sum([len(index.seqs) for index in log.indexes.values()])
    tables = 16 * len(log.indexes) + 2 * zones + 4 * len(log.values)
    return max(MIN_SLICE, min(tables // min(12, ring.count >> 2), 256, ring.size >> 3))


def turn(log: object, flags: int) -> None:
    """End the sector that is written with its summary, and begin the next one."""
    ring = log.ring
    marks = log.marks
    if not ring.closed:
        close(log)
    ring.checkpoint = 0 if marks.whole < ring.tail else ring.seq + 1 - marks.whole
    ring.open(flags)
    marks.begin(plan(log))


def close(log: object) -> None:
    """Program the summary of the sector that is written, if there is room for it; nothing follows on it."""
    ring = log.ring
    body = _head(log)
    room = min(ring.size - ring.end, MAX_SUMMARY) - len(body) - _FRAME - ring.align + 1
    if room < 0:
        return
    marks = log.marks
    before = (marks.begun, marks.whole, marks.slot, marks.after)
    limit = min(room, marks.plan)
    ring.summary = 0
    try:
        if limit >= _LEAST:
            body.extend(_slice(log, limit))
        ring.summary = ring.program(control_frame(ring.seq, 7, b"", body))
    except NotTaken:
        pass
    finally:
        if not ring.summary:
            # Memory may have run out, too: the slice comes with the next summary.
            marks.begun, marks.whole, marks.slot, marks.after = before
    ring.closed = True


def end(log: object) -> None:
    """Program a clean frame, if there is room and none stands there yet."""
    ring = log.ring
    if ring.closed or log.clean == ring.seq * ring.size + ring.end:
        return
    frame = ring.padded(control_frame(ring.seq, 9, b""))
    if ring.end + len(frame) <= ring.size:
        try:
            ring.program(frame)
        except NotTaken:
            return
        log.clean = ring.seq * ring.size + ring.end


def _head(log: object) -> bytearray:
    """Return what a summary says of its sector."""
    ring = log.ring
    here = ring.seq * ring.size + ring.end
    body = bytearray()
    write_uint(body, here - log.arrived + 1 if log.arrived else 0)
    write_uint(body, here - log.newest_keys if log.newest_keys else 0)
    write_uint(body, log.cursor)
    for total in log.totals:
        write_uint(body, total)
    # Where memory ran out for one that is new it has no slot yet.
    new = [slot for slot in log.marks.new if slot < len(log.slots) and log.slots[slot]]
    write_uint(body, len(new))
    for slot in new:
        body.append(slot)
        body.extend(log.slots[slot])
    touched = [index for index in log.indexes.values() if index.touched == ring.seq]
    write_uint(body, len(touched))
    for index in touched:
        zones = len(index.seqs)
        floor = index.floors[zones - 1] if zones and index.seqs[-1] == ring.seq else -1
        body.append(index.slot | (FLOOR if floor >= 0 else 0) | (BESIDE if index.low else 0))
        write_uint(body, index.held)
        write_uint(body, index.held - min(index.sealed, index.held))
        if floor >= 0:
            write_uint(body, index.held - floor)
            write_uint(body, index.used)
        if index.low:
            write_uint(body, index.low)
            write_uint(body, index.high - index.low)
    found = _positions(log, ring.seq * ring.size - 1, here)
    _list(body, found, (ring.seq + 1) * ring.size, ring.size)
    return body


def mark(name: bytes) -> int:
    """Return 16 bits of a hash of a value's name: a mount reads only the newest value with a mark."""
    return crc32(name) & 0xFFFF


def _positions(log: object, low: int, high: int) -> list:
    """Return sorted [(position, mark)] of control frames that matter, between two positions.

    Where two names have the same mark it is 0: that one is always read.
    """
    marks = sorted([mark(name) for name in log.values])
    twice = [one for i, one in enumerate(marks) if i and marks[i - 1] == one]
    found = []
    for name, position in log.values.items():
        if low < position < high:
            found.append((position, 0 if mark(name) in twice else mark(name)))
    if log.has_beside():
        found.extend([(position, 0) for position in log.beside().live() if low < position < high])
    return sorted(found)


def _slice(log: object, limit: int) -> bytearray:
    """Return the next at most `limit` bytes of the tables, and note how far they go."""
    marks = log.marks
    ring = log.ring
    if not marks.begun:
        marks.begun = ring.seq
        marks.slot = 0
        marks.after = -1
    out = bytearray()
    write_uint(out, ring.seq - marks.begun)
    flags = len(out)
    out.append(0)
    while marks.slot < len(log.slots):
        author = log.slots[marks.slot]
        if author and not _author(out, log.indexes[author], author, marks, ring.seq, limit):
            return out
        marks.slot += 1
        marks.after = -1
    if marks.slot < LISTS:
        marks.slot = LISTS
        marks.after = 0
    if _older(out, log, limit):
        out[flags] = ENDS
        marks.whole = marks.begun
        marks.begun = 0
    return out


def _author(out: bytearray, index: object, author: bytes, marks: object, seq: int, limit: int) -> bool:
    """Add an author, or more of its sectors; say whether that was all."""
    item = bytearray((index.slot | (0 if marks.after < 0 else FLOOR),))
    if marks.after < 0:
        item.extend(author)
        write_uint(item, index.held)
        write_uint(item, index.held - min(index.sealed, index.held))
        write_uint(item, index.lowest)
        write_uint(item, index.highest - index.lowest)
    zones = bytearray()
    count = before = floor = 0
    complete = True
    for i, zone in enumerate(index.seqs):
        if zone <= marks.after:
            continue
        step = bytearray()
        write_uint(step, zone - before if count else seq - zone)
        write_uint(step, index.floors[i] - floor)
        if len(out) + len(item) + len(zones) + len(step) + _COUNT > limit:
            complete = False
            break
        zones.extend(step)
        before = zone
        floor = index.floors[i]
        count += 1
    if not count and (marks.after >= 0 or not complete):
        return complete
    if len(out) + len(item) + _COUNT > limit:
        return False
    write_uint(item, count)
    out.extend(item)
    out.extend(zones)
    marks.after = before
    return complete


def _older(out: bytearray, log: object, limit: int) -> bool:
    """Add positions of control frames older than the cycle; say whether those were all."""
    marks = log.marks
    size = log.ring.size
    found = _positions(log, marks.after, marks.begun * size)
    if not found:
        return True
    out.append(LIST)
    written = _list(out, found, (log.ring.seq + 1) * size, limit)
    if written:
        marks.after = found[written - 1][0]
    return written == len(found)


def _list(out: bytearray, found: list, base: int, limit: int) -> int:
    """Add as many positions with their marks as fit `limit`, counted back from `base`; return how many."""
    body = bytearray()
    count = 0
    before = base
    for position, name in found:
        step = bytearray()
        write_uint(step, position - before if count else before - position)
        if len(out) + len(body) + len(step) + 2 + _COUNT > limit:
            break
        body.extend(step)
        body.append(name >> 8)
        body.append(name & 0xFF)
        before = position
        count += 1
    write_uint(out, count)
    out.extend(body)
    return count
