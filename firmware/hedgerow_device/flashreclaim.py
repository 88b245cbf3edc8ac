"""Taking the oldest sectors of the ring back (SPEC 9.8, 9.13).

A sector may go when every entry in it is receipted. What is alive all the same is copied forward: current
values, the newest operation and seal of the log's own author, the numbers of authors who have nothing in
younger sectors; and operations that are to be kept, as filled ones. A RECLAIMED frame ends the copies.
"""

import hashlib

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT, STATE_SCHEMA
from hedgerow.operation import CLOCK, decode_body

from . import flashframes as frames
from .flashindex import MAX_FRESH
from .flashlog import schema_kind
from .flashring import HEADER, RECLAIMS

# Sectors opened in one go to carry along what is kept, while there are free ones: it takes time.
_TURNS = const(8)
# What an operation's frame grows by when it is carried along.
_MORE = const(7)


def local_author(author: bytes) -> bytes:
    """Return under which author this log's author writes what never leaves it."""
    return hashlib.sha256(b"hedgerow local " + author).digest()[:8]


def advance(log: object, need: int, spare: int, pending: tuple | None) -> bool:
    """Open the next sector, take back as many of the oldest as are wanted; LOG_FULL if too few remain.

    `need` is the room that must be left in the newest sector. Says whether `pending` was written.
    """
    return Reclaim(log, need).advance(spare, pending)


class Reclaim:
    """One call of advance()."""

    def __init__(self, log: object, need: int):
        self.log = log
        self.ring = log.ring
        self.need = need
        self.limit = self.ring.size - MAX_FRESH
        self.own = (log.author, local_author(log.author))
        self.pending: tuple | None = None
        # What the oldest sector asks for: bytes of copies, bytes of what is carried along.
        self.copies = 0
        self.carry = 0
        self.why = ""
        # Too much is kept: others' operations, which a keeper has, are not.
        self.tight = False

    def advance(self, spare: int, pending: tuple | None) -> bool:
        log = self.log
        ring = self.ring
        self.pending = pending
        turns = 0
        while True:
            ready = self._look(ring.tail) and (turns < _TURNS or ring.free() - 1 < spare)
            whole = HEADER + self.copies + self.carry
            # Where all but the caller's own bytes fit, those go to the sector after.
            left = self.need if self.pending or whole + self.need <= self.limit else 0
            if whole + left > self.limit:
                ready = ready and self.carry and ring.free() > 1
            if not ready or turns > ring.count:
                if pending and not self.pending:
                    return True
                if ring.free() - 1 < spare:
                    raise HedgerowError("LOG_FULL", self._reason())
                self._open(0)
                return False
            # Void without the frame that ends it, so that a cut costs nothing; but what does not fit one
            # sector is carried in parts, and those count.
            self._open(RECLAIMS if whole + left <= self.limit else 0)
            turns += 1
            if self.pending:
                log.write_value(pending[0], pending[1])
                self.pending = None
                self.need = left = 0
            self._take_back(left)
            if ring.free() >= spare and ring.end + self.need <= self.limit:
                return pending is not None

    def _reason(self) -> str:
        return self.why or "%d of %d sectors are free" % (self.ring.free(), self.ring.count)

    def _open(self, flags: int) -> None:
        self.log.open_sector(flags)

    def _take_back(self, left: int) -> None:
        """Reclaim sectors while they are wanted, and fit the newest one with `left` bytes to spare."""
        ring = self.ring
        while True:
            room = self.limit - left - self.copies
            if self.carry and not self._carry(ring.tail, room):
                return
            if ring.end > room:
                return
            self._reclaim()
            if ring.free() > self.log.target() + 1 or not self._look(ring.tail):
                return

    # ---- what a sector asks for

    def _look(self, seq: int) -> bool:
        """Find out what the oldest sector asks for; False if it may not go."""
        log = self.log
        self.why = ""
        if seq >= self.ring.seq:
            return False
        known = log.blocked
        if known and known[0] == seq and self._receipted(known[1]) < known[2]:
            return False
        self.tight = False
        more = self._weigh(seq)
        if more and not self._may_carry(more):
            self.tight = True
            more = self._weigh(seq)
            if more and not self._may_carry(more):
                self.why = "%d operations in %d bytes are kept" % log.beside().load(True)
                return False
        return more is not None

    def _weigh(self, seq: int) -> tuple | None:
        """Set `copies` and `carry`; return (count, bytes) of what is not carried yet, None if blocked."""
        log = self.log
        ring = self.ring
        self.copies = self.carry = 0
        count = carried = 0
        carrying = set()
        reader = frames.Reader(ring, seq, HEADER)
        while ring.header(seq) and reader.next():
            size = reader.end - reader.start
            kind = reader.type
            if kind > ENTRY_SKIP and kind != frames.FILLED:
                if _alive(log, reader):
                    self.copies += size
                continue
            if kind <= ENTRY_SKIP:
                hidden = _hidden(log, reader)
                author = reader.author
                if not hidden and author != self.own[1] and reader.last > self._receipted(author):
                    log.blocked = (seq, author, reader.last)
                    return None
                if self._newest_own(reader):
                    self.copies += size + (3 if hidden else 2) * frames.MAX_AUTHOR_FRAME
                    continue
            if self._kept(reader):
                if kind != frames.FILLED:
                    size += _MORE
                self.carry += size
                carrying.add(reader.author)
                if kind != frames.FILLED or not reader.carried:
                    count += 1
                    carried += size
        self.carry += len(carrying) * frames.MAX_AUTHOR_FRAME
        silent = [1 for index in log.indexes.values() if index.last_sector() <= seq]
        self.copies += len(silent) * frames.MAX_AUTHOR_FRAME
        return count, carried

    def _may_carry(self, more: tuple) -> bool:
        """Say whether (count, bytes) more may be carried along: at most half of what is used in turn."""
        if not more[0]:
            return True
        beside = self.log.beside()
        count, size = beside.load(True)
        most = (self.ring.count - self.log.spare - 1) // 2 * (self.ring.size - HEADER)
        return size + more[1] <= most and count + more[0] <= beside.limit

    def _receipted(self, author: bytes) -> int:
        number = self.log.receipted(author)
        pending = self.pending
        if pending and pending[0][0] == STATE_RECEIPT and pending[0][1:9] == author:
            number = max(number, pending[2])
        return number

    def _newest_own(self, reader: object) -> bool:
        """Say whether a frame is the newest operation or seal of our own: the next boot goes on from them."""
        author = reader.author
        if author not in self.own:
            return False
        index = self.log.indexes[author]
        if reader.type == ENTRY_SEAL:
            return reader.last == index.sealed
        return reader.type == ENTRY_OP and reader.last == index.held

    def _kept(self, reader: object) -> bool:
        """Say whether an operation is to be carried along: it is here, and its document lives on."""
        log = self.log
        if reader.type not in (ENTRY_OP, frames.FILLED) or not (log.keeps or log.carrying):
            return False
        if not log.beside().here(reader):
            return False
        author = reader.author
        if self.tight and author not in self.own:
            return False
        if log.keeps:
            return log.keeps(author, reader.last, reader.body())
        if author not in self.own:
            return False
        for change in decode_body(reader.body())[1]:
            if change[0] != CLOCK and not schema_kind(log.get(STATE_SCHEMA, change[1]) or b"") & 1:
                return True
        return False

    # ---- copies

    def _carry(self, seq: int, room: int) -> bool:
        """Carry operations of a sector along, up to offset `room` of the newest; say whether that was all."""
        ring = self.ring
        log = self.log
        beside = log.beside()
        reader = frames.Reader(ring, seq, HEADER)
        while reader.next():
            entry = reader.type <= ENTRY_SKIP
            if (entry and self._newest_own(reader)) or not self._kept(reader):
                continue
            author = reader.author
            size = reader.end - reader.start + (_MORE if entry else 0)
            if ring.end + size + (0 if log.is_here(author) else frames.MAX_AUTHOR_FRAME) > room:
                return False
            beside.write(author, reader.last, reader.body(), True)
        return True

    def _reclaim(self) -> None:
        """Copy what is alive in the oldest sector behind the last frame, then give that sector up."""
        log = self.log
        ring = self.ring
        seq = ring.tail
        gone: dict = {}
        if ring.header(seq):
            reader = frames.Reader(ring, seq, HEADER)
            while reader.next():
                self._leave(reader, gone)
        for author in log.slots:
            index = log.indexes.get(author)
            if index and index.last_sector() <= seq:
                log.introduce(author, index.held)
        ring.program(frames.reclaimed_frame(ring.seq, seq + 1))
        ring.tail = seq + 1
        for index in log.indexes.values():
            index.drop_below(ring.tail)
        if log.has_beside():
            log.beside().reclaimed(gone, ring.tail)

    def _leave(self, reader: object, gone: dict) -> None:
        """Copy a frame if it is alive, and note what goes with it."""
        log = self.log
        if reader.type == frames.STATE:
            if _alive(log, reader):
                data = reader.body()
                log.write_value(data[1 : 1 + data[0]], data[1 + data[0] :])
            return
        if reader.type == frames.FILLED:
            if log.beside().stands(reader):
                log.beside().remove(reader.author, reader.last, reader.last)
        elif reader.type <= ENTRY_SKIP:
            author = reader.author
            hidden = _hidden(log, reader)
            if reader.type == ENTRY_OP and not (
                hidden and log.beside().cut_away(author, reader, reader.last)
            ):
                gone[author] = reader.last
            if self._newest_own(reader):
                self._copy_own(reader)
                if hidden:
                    log.beside().write_drop(author, reader.last, reader.last, True)
                    gone[author] = reader.last - 1

    def _copy_own(self, reader: object) -> None:
        """Copy the newest own operation or seal; both stand on the number before them."""
        log = self.log
        ring = self.ring
        author = reader.author
        held = log.indexes[author].held
        if reader.type == ENTRY_OP:
            held -= 1
            log.introduce(author, held)
        elif not log.is_here(author):
            log.introduce(author, held)
        body = reader.body()
        slot = log.indexes[author].slot
        frame = frames.entry_frame(ring.seq, held, slot, reader.type, reader.first, reader.last, body)
        ring.program(frame)
        if reader.type == ENTRY_OP:
            log.arrived = ring.seq * ring.size + ring.end


def _hidden(log: object, reader: object) -> bool:
    """Say whether an entry was dropped or given up."""
    return log.has_beside() and log.beside().hides(reader.author, reader)


def _alive(log: object, reader: object) -> bool:
    """Say whether a control frame is a value that is still the current one."""
    if reader.type != frames.STATE:
        return False
    data = reader.ring.read(reader.seq, reader.at, 1)
    name = reader.ring.read(reader.seq, reader.at + 1, data[0])
    return log.values.get(name) == reader.seq * reader.ring.size + reader.start
