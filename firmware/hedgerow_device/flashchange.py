"""Filling in, dropping, replacing and giving up operations on flash (SPEC 9.11, 9.12)."""

from hedgerow import limits
from hedgerow.codec.varint import write_uint
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG

from . import flashframes as frames
from .flashbeside import MOVED
from .flashframes import REPLACED
from .flashring import HEADER
from .flashscan import fetch, run

# Ranges that were dropped or replaced, of all authors, and cuts of one.
MAX_RANGES = const(256)
MAX_CUTS = const(8)

_NUMBERS = const(4)
_NOTE = const(32)
_SKIPS = const(0x8000)


def fill(log: object, author: bytes, number: int, body: bytes) -> None:
    """See MemoryLog.fill; LOG_FULL too for more than a quarter of the ring."""
    if fetch(log, author, number) is not None:
        return
    if author not in log.indexes:
        log.place(True)
    if log.totals[3] + len(body) > log.ring.count * log.ring.size // 4:
        raise HedgerowError("LOG_FULL", "%d bytes are filled in" % log.totals[3])
    if author in log.indexes and log.cursor > HEADER and _any(log, author, number, number):
        # The dead one would be here twice if the next boot finds the cursor lower.
        drop(log, author, number, number)
    log.room(len(body) + frames.MAX_OVERHEAD, author, log.spare)
    write(log, author, number, 0, body)


def write(log: object, author: bytes, number: int, flags: int, body: bytes) -> None:
    """Program an operation beside the run, where there is room for it and for its author's frame.

    `flags` are MOVED and OF_RUN.
    """
    ring = log.ring
    if not log.is_here(author):
        log.introduce(author, log.held(author))
    index = log.indexes[author]
    frame = filled_frame(ring.seq, index.slot | flags << 6, number, body)
    at = ring.program(frame)
    log.beside().told(author, number, number, len(frame), flags & MOVED)
    log.hint(author, number, ring.seq * ring.size + at)
    log.arrived = ring.seq * ring.size + ring.end
    log.arrivals += 1


def write_note(log: object, author: bytes, kind: int, first: int, last: int, body: bytes) -> int:
    """Program a note, where there is room for it and for its author's frame; return its offset."""
    ring = log.ring
    if not log.is_here(author):
        log.introduce(author, log.held(author))
    frame = note_frame(ring.seq, log.indexes[author].slot, kind, first, last, body)
    at = ring.program(frame)
    log.beside().told(author, first, last, len(frame), True)
    return at


def drop(log: object, author: bytes, first: int, last: int) -> None:
    """See MemoryLog.drop; LOG_FULL too for more ranges than are kept in RAM."""
    if author not in log.indexes or not _any(log, author, first, last):
        return
    more = log.beside()
    # What was moved past is hidden too: a boot may find the cursor before it.
    more.whole = True
    last = min(last, max(log.held(author), more.seen(author)))
    more.whole = False
    ranges = more.ranges.get(author, b"")
    for i in range(0, len(ranges), _NUMBERS):
        low, high = ranges[i : i + 2]
        # A neighbour of which nothing has come back since is dropped once more: one range for both.
        if low <= last + 1 and high >= first - 1 and not (first <= low and high <= last):
            if not ranges[i + 3] & _SKIPS and not _any(log, author, low, high, (first, last)):
                first = min(first, low)
                last = max(last, high)
    _check_ranges(more)
    ring = log.ring
    log.room(_NOTE, None, log.last_spare)
    at = ring.program(dropped_frame(ring.seq, author, first, last, True))
    log.marks.noted()
    more.hide(author, first, last, ring.seq, at)


def replace(log: object, author: bytes, first: int, last: int, body: bytes) -> None:
    """See MemoryLog.replace; LOG_FULL too for more ranges than are kept in RAM."""
    own = author in log.own or author in log.locals or log.get(STATE_CONFIG, b"x" + author) is not None
    if not own or not 0 < first <= last <= log.held(author):
        raise HedgerowError("LOG_OUT_OF_ORDER", "%d-%d in %d" % (first, last, log.held(author)))
    more = log.beside()
    for edge in (first - 1, last):
        if _is_in_skip(more, author, edge):
            raise HedgerowError("LOG_OUT_OF_ORDER", "a skip reaches over %d" % edge)
    _check_ranges(more)
    log.room(len(body) + frames.MAX_OVERHEAD, author, log.last_spare)
    at = write_note(log, author, REPLACED, first, last, body)
    log.marks.noted()
    more.hide(author, first, last, log.ring.seq, at | _SKIPS)


def _is_in_skip(more: object, author: bytes, number: int) -> bool:
    """Say whether a skip has a number and the next one."""
    for reader in more.entries(author, number, number + 1):
        if reader.type == frames.NOTE and reader.kind in (ENTRY_SKIP, REPLACED):
            if reader.first <= number < reader.last:
                return True
    for reader in run(more.log, author, number):
        if reader.type <= ENTRY_SKIP and reader.last > number:
            if reader.type == ENTRY_SKIP:
                return reader.first <= number
            if reader.type == ENTRY_OP:
                break
    return False


def _check_ranges(more: object) -> None:
    if sum([len(ranges) for ranges in more.ranges.values()]) >= _NUMBERS * MAX_RANGES:
        raise HedgerowError("LOG_FULL", "%d ranges were dropped" % MAX_RANGES)


def _any(log: object, author: bytes, first: int, last: int, but: tuple = (1, 0)) -> bool:
    """Say whether an operation of a range is here, or may be after a boot; not counting those in `but`."""
    more = log.beside()
    more.whole = True
    try:
        for reader in run(more.log, author, first - 1):
            if reader.type == ENTRY_OP and first <= reader.last <= last:
                if not but[0] <= reader.last <= but[1]:
                    return True
            if reader.type in (ENTRY_OP, ENTRY_SKIP) and reader.last > last:
                break
        for reader in more.entries(author, first, last):
            if reader.type == frames.FILLED and not but[0] <= reader.last <= but[1]:
                return True
    finally:
        more.whole = False
    return False


def cut(log: object, author: bytes, held: int) -> None:
    """See MemoryLog.cut. A frontier may fall lower: to before a skip, and where cuts are too many."""
    if author in log.own:
        raise HedgerowError("LOG_OUT_OF_ORDER", "own operations are not given up")
    if held >= log.held(author):
        return
    more = log.beside()
    lower = [cut[1] for cut in more.cuts.get(author, ()) if cut[1] < held]
    held, sealed = _landing(more, author, lower[-1] if len(lower) >= MAX_CUTS else held)
    log.room(_NOTE, None, log.last_spare)
    ring = log.ring
    at = ring.program(cut_frame(ring.seq, author, held, sealed))
    log.marks.noted()
    log.marks.touched(log.indexes[author], ring.seq)
    more.fall(author, held, sealed, ring.seq * ring.size + at)


def _landing(more: object, author: bytes, held: int) -> tuple:
    """Return (held, sealed) after a fall to `held`: no skip and no seal is cut in two."""
    sealed = 0
    for reader in more.entries(author, 1, limits.MAX_NUMBER):
        if reader.type == frames.NOTE:
            if reader.kind == ENTRY_SEAL:
                sealed = max(sealed, reader.last if reader.last <= held else 0)
            elif reader.first <= held < reader.last:
                return _landing(more, author, reader.first - 1)
    for reader in run(more.log, author, held):
        if reader.type == ENTRY_SKIP and reader.first <= held < reader.last:
            return _landing(more, author, reader.first - 1)
        if reader.type == frames.AUTHOR:
            number = reader.sealed[reader.slot]
            if more.cut_away(author, reader.seq, reader.start, number):
                continue
        else:
            number = 0 if reader.type in (ENTRY_OP, ENTRY_SKIP) else reader.last
        if number <= held:
            sealed = max(sealed, number)
    return held, sealed


def filled_frame(seq: int, slot: int, number: int, body: bytes, carried: bool = False) -> bytearray:
    """Return the frame of an operation beside the run; `carried` if it was in the run and was moved."""
    prefix = bytearray((slot | frames.CARRIED if carried else slot,))
    write_uint(prefix, number)
    return frames.control_frame(seq, 3, prefix, body)


def note_frame(seq: int, slot: int, kind: int, first: int, last: int, body: bytes) -> bytearray:
    """Return the frame of a seal or a skip beside the run, by the `kind` of the entry."""
    prefix = bytearray((slot | kind << 6,))
    write_uint(prefix, first)
    write_uint(prefix, last - first)
    return frames.control_frame(seq, 6, prefix, body)


def dropped_frame(seq: int, author: bytes, first: int, last: int, hides: bool) -> bytearray:
    """Return the frame that forgets operations; `hides` says that there are some in the run."""
    body = bytearray(author)
    write_uint(body, first)
    write_uint(body, (last - first) << 1 | hides)
    return frames.control_frame(seq, 4, body)


def cut_frame(seq: int, author: bytes, held: int, sealed: int) -> bytearray:
    """Return the frame with which an author's frontiers fall."""
    body = bytearray(author)
    write_uint(body, held)
    write_uint(body, sealed)
    return frames.control_frame(seq, 5, body)
