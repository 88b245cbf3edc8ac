"""Mounting a ring that holds a log (SPEC 9.5). Done once, then unloaded.

Two ways lead to the same tables: by summaries and slices from where the last whole checkpoint began, or by
all frames from the tail on, where something there is missing or does not fit.
"""

from binascii import crc32

from hedgerow.codec.varint import read_uint
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP

from . import flashframes as frames
from .flashfind import erased, look, look_at_end, step_back
from .flashindex import MAX_INDEX, bound
from .flashring import HEADER, PASSED, RECLAIMS, WINDOW
from .flashsummary import BESIDE, ENDS, FLOOR, LIST, LISTS, plan
from .flashthin import fall, noted_beside, restore, state, tidy
from .flashthin import span as note_span

_SLOT = const(0x3F)
# A value is read in one go if it is no longer.
_TAKE = const(64)
_SUMMARY_HEAD = const(0xC7)


class Misfit(Exception):
    """The checkpoint cannot be used."""


def mount(log: object, checkpoint: bool = True) -> None:
    """Fill the tables of a FlashLog whose ring has found its newest sector. Nothing is programmed."""
    ring = log.ring
    # The newest sector is gone through more than once.
    look(ring, ring.size, ring.size)
    stepped = _find_tail(ring)
    # Before the authors were known little could be said of what is damaged there.
    ring.forget_gaps(True)
    log.damaged = 0
    try:
        if not checkpoint:
            raise Misfit
        reader, blank = Checkpoint(log).mount()
        log.scanned = False
    except Misfit:
        log.clear()
        reader, blank = _by_frames(log)
    ring.summary = reader.start if reader and reader.type == frames.SUMMARY else 0
    clean = reader is not None and reader.type == frames.CLEAN
    if clean:
        log.clean = ring.seq * ring.size + reader.end
    if ring.align > 1:
        # Erased cells read as anything: only a clean end is known to be one.
        blank = clean
    ring.end = reader.end if reader else 0
    ring.closed = stepped or ring.summary != 0 or not blank
    log.marks.plan = plan(log)
    log.marks.reserve += log.marks.plan
    look(ring, WINDOW, WINDOW)
    if not log.scanned and ring.count * len(log.slots) > MAX_INDEX:
        for index in log.indexes.values():
            index.thinned = True
    log.cursor = HEADER
    if log.has_beside():
        log.beside().reclaimed(ring.tail)
    if log.has_beside() or log.totals[0] or log.totals[2]:
        from .flashcursor import find_cursor

        find_cursor(log)


def _find_tail(ring: object) -> bool:
    """Learn from the newest sector where the ring begins; say whether that sector was void.

    It is void, and will be used again, if it did not finish reclaiming: its copies have their originals yet.
    So it is if its first frame was torn. Otherwise every cut there would cost a sector.
    """
    stepped = False
    while True:
        reader = frames.Reader(ring, ring.seq, HEADER)
        header = ring.header(ring.seq)
        # Where no frame follows, the header is the last that was programmed.
        ring.heal = (0, header.encode() if header else b"")
        reclaiming = header and header.flags & RECLAIMS
        while reader.next():
            if reader.type == frames.RECLAIMED:
                reclaiming = 0
                ring.tail = reader.last
        nothing = reader.start == 0 and (ring.align > 1 or not erased(ring, ring.seq, HEADER))
        # Of a log's only sector the header is all that names the author: it is not erased again.
        stays = stepped or not nothing or ring.seq == ring.tail
        if ring.seq < ring.tail or (header and not reclaiming and stays):
            return stepped
        ring.stale = max(ring.stale, ring.seq)
        step_back(ring)
        stepped = True


# ---- by frames


def _by_frames(log: object) -> tuple:
    """Read all frames; return the reader at the end of the newest sector, None if that has no header, and
    whether all behind it is erased."""
    ring = log.ring
    seq = ring.tail
    end = 0
    reader = None
    while seq <= ring.seq:
        header = ring.header(seq)
        following = None if header else ring.following(seq)
        if following is None or not following.flags & PASSED:
            if header is None or (end and header.previous_end > end):
                log.damaged += 1
            end = 0
        reader = _scan(log, seq, None) if header else None
        if reader:
            end = reader.end
        seq += 1
    return reader, end > 0 and look_at_end(ring, reader)


def _scan(log: object, seq: int, positions: list | None) -> object:
    """Take the frames of a sector into the tables; return the reader behind them."""
    reader = frames.Reader(log.ring, seq, HEADER)
    log.marks.begin(0)
    while reader.next():
        _note(log, reader, positions)
    bound(log.indexes, MAX_INDEX)
    return reader


def _note(log: object, reader: object, positions: list | None) -> None:
    """Take a frame into the tables, or into `positions` if it is given and the frame can be read later."""
    kind = reader.type
    if reader.crossed and not log.meet(reader):
        return
    seq = reader.seq
    position = seq * reader.ring.size + reader.start
    if kind <= ENTRY_SKIP:
        index = log.indexes[reader.author]
        index.used += reader.end - reader.start
        if kind == ENTRY_SEAL:
            index.sealed = max(index.sealed, reader.last)
        else:
            index.held = max(index.held, reader.last)
        if kind == ENTRY_OP:
            log.arrived = position + reader.end - reader.start
    elif kind == frames.AUTHOR:
        held = reader.held[reader.slot]
        before = log.indexes.get(reader.author)
        if before and before.held < held and before.seqs:
            log.damaged += 1
        index = log.enter(seq, reader.slot, reader.author, held)
        index.held = max(index.held, held)
        index.sealed = max(index.sealed, reader.sealed[reader.slot])
    elif kind == frames.SUMMARY:
        _tell(log, reader.body(), seq, position, None)
    elif kind == frames.KEYS:
        log.newest_keys = position
    elif kind != frames.RECLAIMED and kind != frames.CLEAN:
        _note_control(log, reader, positions, position)


def _note_control(log: object, reader: object, positions: list | None, position: int) -> None:
    kind = reader.type
    if kind in (frames.FILLED, frames.NOTE):
        index = log.indexes[reader.author]
        noted_beside(log, index, reader.first, reader.last)
        if kind == frames.FILLED:
            log.arrived = position + reader.end - reader.start
        at = 0 if kind == frames.NOTE or reader.carried else 2
        log.totals[at] += 1
        log.totals[at + 1] += reader.end - reader.start
    if kind not in (frames.FILLED, frames.NOTE) or (kind == frames.NOTE and reader.kind == frames.REPLACED):
        log.marks.noted()
        if positions is not None and kind != frames.STATE:
            positions.append(position)
    if kind == frames.CUT:
        _note_cut(log, reader)
    if kind == frames.STATE:
        remember(log, reader)
        return
    if positions is None or kind == frames.FILLED:
        log.beside().note(reader)


def _note_cut(log: object, reader: object) -> None:
    data = reader.body()
    held, at = read_uint(data, 8)
    index = log.indexes.get(data[:8])
    if index:
        log.marks.touched(index, reader.seq)
        fall(index, held, read_uint(data, at)[0])


def remember(log: object, reader: object) -> None:
    """Take a value into the tables, if it is the newest of its name."""
    data = reader.body()
    name = data[1 : 1 + data[0]]
    if log.values.get(name, -1) < reader.seq * reader.ring.size + reader.start:
        log.remember(name, data[1 + data[0] :], reader.seq, reader.start)


# ---- by summaries and slices


class Checkpoint:
    """One mount from a checkpoint: `positions` are those of control frames to be read one by one, `newest`
    those of values by the mark of their name."""

    def __init__(self, log: object):
        self.log = log
        self.ring = log.ring
        self.positions: list = []
        self.newest: dict = {}
        self.whole = False

    def mount(self) -> tuple:
        """Fill the tables; return what _by_frames() does. Raises Misfit."""
        log = self.log
        ring = self.ring
        header = ring.header(ring.seq)
        seq = ring.seq - header.checkpoint if header else ring.seq
        self.first = seq
        if seq >= ring.seq or seq < ring.tail:
            raise Misfit
        while seq < ring.seq:
            self._sector(seq)
            seq += 1
        if not self.whole or b"" in log.slots:
            raise Misfit
        reader = _scan(log, ring.seq, self.positions)
        if reader.crossed:
            # Whose frames those are that lost their author's is told by values, which are read last.
            raise Misfit
        blank = look_at_end(ring, reader)
        self._alone()
        self._tidy()
        return reader, blank

    def _sector(self, seq: int) -> None:
        """Take what a sector's summary says into the tables, or its frames where it has none."""
        ring = self.ring
        following = ring.following(seq)
        if following is None:
            raise Misfit
        if following.flags & PASSED and ring.header(seq) is None:
            return
        at = following.previous_summary
        if not at:
            if ring.header(seq) is None or _scan(self.log, seq, self.positions).end < following.previous_end:
                raise Misfit
            return
        data = ring.read(seq, at, following.previous_end - at)
        start = 1 if data[0] < 0x80 else 2
        end = start + (data[0] if start == 1 else (data[0] & 0x7F) << 8 | data[1])
        if crc32(data[:end], seq) & 0xFFFFFF != int.from_bytes(data[end : end + 3], "big"):
            raise Misfit
        if data[start] != _SUMMARY_HEAD:
            raise Misfit
        try:
            _tell(self.log, data[start + 1 : end], seq, seq * ring.size + at, self)
        except (HedgerowError, IndexError) as error:
            raise Misfit(str(error))
        if sum([len(index.seqs) for index in self.log.indexes.values()]) > MAX_INDEX:
            self._tidy()

    def _tidy(self) -> None:
        for index in self.log.indexes.values():
            tidy(index, self.ring.tail)
        bound(self.log.indexes, MAX_INDEX)

    def author(self, slot: int, author: bytes) -> object:
        """Return the index of an author that is named, in the place of who had its slot before."""
        index = self.log.indexes.get(author)
        if index and index.slot != slot:
            raise Misfit
        return self.log.settle(slot, author)

    def at(self, position: int, name: int) -> None:
        """Have a control frame read, unless a younger one with the same mark of a name makes it void."""
        if not name:
            self.positions.append(position)
        elif self.newest.get(name, 0) < position:
            self.newest[name] = position

    def known(self, slot: int) -> object:
        """Return the index of an author by its slot, None as long as no slice has named it."""
        slots = self.log.slots
        return self.log.indexes[slots[slot]] if slot < len(slots) and slots[slot] else None

    def _alone(self) -> None:
        """Read the control frames one by one, in the order of their positions."""
        log = self.log
        ring = self.ring
        look(ring, WINDOW, _TAKE)
        before = -1
        self.positions.extend(self.newest.values())
        for position in sorted(self.positions):
            seq, at = divmod(position, ring.size)
            if position == before or seq < ring.tail:
                continue
            before = position
            reader = frames.Reader(ring, seq, at, ring.size)
            if not reader.step():
                raise Misfit
            if reader.type == frames.STATE:
                remember(log, reader)
                continue
            reader.author = log.slots[reader.slot] if reader.type == frames.NOTE else b""
            kept = [(index, state(index)) for index in log.indexes.values()]
            log.beside().note(reader)
            for index, before in kept:
                restore(index, before)


def _tell(log: object, data: bytes, seq: int, position: int, into: Checkpoint | None) -> None:
    """Read a summary; its tables go `into` a mount from a checkpoint, otherwise the frames told them."""
    back, at = read_uint(data, 0)
    keys, at = read_uint(data, at)
    log.cursor, at = read_uint(data, at)
    log.arrived = position - back + 1 if back else 0
    log.newest_keys = position - keys if keys else 0
    for i in range(4):
        log.totals[i], at = read_uint(data, at)
    count, at = read_uint(data, at)
    for _ in range(count):
        if into:
            into.author(data[at], data[at + 1 : at + 9])
        at += 9
    at = _tell_authors(data, at, seq, into)
    _, at = _tell_positions(log, data, at, seq, into)
    if at < len(data):
        _tell_slice(log, data, at, seq, into)


def _tell_authors(data: bytes, at: int, seq: int, into: Checkpoint | None) -> int:
    """Read what a summary says of authors; return the offset behind it."""
    count, at = read_uint(data, at)
    for _ in range(count):
        slot = data[at]
        index = into.known(slot & _SLOT) if into else None
        held, at = read_uint(data, at + 1)
        back, at = read_uint(data, at)
        if index:
            index.held = held
            index.sealed = held - back
        if slot & FLOOR:
            depth, at = read_uint(data, at)
            _, at = read_uint(data, at)
            if index:
                index.introduced(seq, held - depth)
        if slot & BESIDE:
            low, at = read_uint(data, at)
            width, at = read_uint(data, at)
            if index:
                note_span(index, low, low + width)
    return at


def _tell_slice(log: object, data: bytes, at: int, seq: int, into: Checkpoint | None) -> None:
    """Read a slice of the tables, and note how far the checkpoint has come with it."""
    marks = log.marks
    back, at = read_uint(data, at)
    marks.begun = seq - back
    ends = data[at] & ENDS
    at += 1
    if not back:
        marks.slot = 0
        marks.after = -1
    while at < len(data):
        tag = data[at]
        at += 1
        if tag == LIST:
            last, at = _tell_positions(log, data, at, seq, into)
            marks.slot = LISTS
            marks.after = max(last, marks.after, 0)
            continue
        index = into.known(tag & _SLOT) if into else None
        if not tag & FLOOR:
            if into:
                index = into.author(tag, data[at : at + 8])
            held, at = read_uint(data, at + 8)
            sealed, at = read_uint(data, at)
            low, at = read_uint(data, at)
            span, at = read_uint(data, at)
            if index:
                index.held = held
                index.sealed = held - sealed
                index.lowest = low
                index.highest = low + span
        marks.slot = tag & _SLOT
        at = _tell_zones(marks, data, at, seq, index)
    if ends:
        marks.whole = marks.begun
        marks.begun = 0
        if into and marks.whole == into.first:
            into.whole = True


def _tell_zones(marks: object, data: bytes, at: int, seq: int, index: object) -> int:
    """Read sectors of an author; return the offset behind them."""
    count, at = read_uint(data, at)
    zone = floor = 0
    for i in range(count):
        step, at = read_uint(data, at)
        rise, at = read_uint(data, at)
        zone = zone + step if i else seq - step
        floor += rise
        if index:
            index.seqs.append(zone)
            index.floors.append(floor)
    marks.after = zone
    return at


def _tell_positions(log: object, data: bytes, at: int, seq: int, into: Checkpoint | None) -> tuple:
    """Read positions of control frames; return (the last one, 0 for none, the offset behind them)."""
    count, at = read_uint(data, at)
    position = (seq + 1) * log.ring.size if count else 0
    for i in range(count):
        step, at = read_uint(data, at)
        position = position + step if i else position - step
        if into:
            into.at(position, data[at] << 8 | data[at + 1])
        at += 2
    return position, at
