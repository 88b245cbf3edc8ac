"""Moving what is alive in the oldest sector on, frame by frame, so that the sector can go (SPEC 9.8, 9.13).

Each append pays a share: it looks at some of the oldest sector and moves at most one large frame or a few
small ones. `flashreclaim` does the rest at once where that was not enough.
"""

from hedgerow.codec.varint import write_uint
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT, stored_schema
from hedgerow.operation import CLOCK, decode_body

from . import flashframes as frames
from .flashbeside import MOVED, OF_RUN
from .flashframes import FORGOTTEN, REPLACED
from .flashindex import size_of
from .flashlog import schema_kind
from .flashring import HEADER
from .flashthin import drop_below, last_sector

# Bytes of small frames that are moved in one step.
MOST = const(512)
# What an entry's frame grows by when it is moved, besides its number: a slot, and a longer length.
_MORE = const(2)
# Authors without a younger frame that are named again in one step.
_NAMED = const(8)
# The greatest share of the ring, in tenths, that is taken up by what is moved on or will have to be.
_SHARE = const(7)


class Collector:
    """Where collecting has got to: `log.cursor` is an offset in the oldest sector, all before it is done.

    `why` is what is in the way, an operation as (author, number, whether it is open). `pending` are values
    that are about to be stored, whose receipts count already: (name, value, receipted number). `refused` is
    where the log stood when it was full last, how many sectors were to stay free, and for how many bytes.
    """

    def __init__(self, log: object):
        self.log = log
        self.ring = log.ring
        self.pending: list = []
        self.refused: tuple | None = None
        self.why: tuple = ()
        self.reader: object = None
        # The reader stands at a frame that is not done.
        self._waiting = False
        self._slot = 0
        self._credit = 0
        self._load = -1
        self._counted = -1
        self._forced = False

    def begin(self, forced: bool = False) -> None:
        """Begin to judge frames; if `forced`, what was judged to be alive is not refused any more."""
        self._load = -1
        self._forced = forced
        if not forced:
            self.why = ()

    # ---- pacing

    def share(self, size: int) -> None:
        """Do what an append of `size` bytes owes: the more, the less is free."""
        ring = self.ring
        above = max(1, (ring.free() - self.log.spare) * ring.size + ring.size - ring.end)
        band = self.log.band() * ring.size
        if above < band:
            # Steep enough to get through long stretches of which all is alive.
            self._credit = min(self._credit + size * band // above * band // above, 2 * ring.size)
            self._work(size)

    def idle(self) -> bool:
        """Do one step while there is time; say whether there was something to do."""
        ring = self.ring
        above = (ring.free() - self.log.spare) * ring.size + ring.size - ring.end
        if above >= self.log.band() * ring.size:
            return False
        before = (ring.tail, self.log.cursor)
        self._credit = MOST
        self._work(0)
        return (ring.tail, self.log.cursor) != before

    def _work(self, need: int) -> None:
        """Use up what is owed, as far as that can be done in one append of `need` bytes."""
        log = self.log
        ring = self.ring
        self.begin()
        moved = 0
        while self._credit > 0 and ring.tail < ring.seq:
            if not self.peek():
                if not self._end():
                    return
                continue
            size = self.judge(self.reader)
            if size < 0 or (moved and moved + size > MOST):
                return
            if size:
                room = size + frames.MAX_AUTHOR_FRAME
                if not log.fits(room):
                    if ring.free() - 1 < log.spare or (moved and HEADER + room + need > ring.size):
                        return
                    log.open_sector(0)
                moved += size
            self._credit -= self.take(size)

    def _end(self) -> bool:
        """Do what is left once all of the oldest sector was looked at; say whether that was all."""
        log = self.log
        self._credit -= HEADER
        if not log.fits(_NAMED * frames.MAX_AUTHOR_FRAME):
            if self.ring.free() - 1 < log.spare:
                return False
            log.open_sector(0)
        # Once it is gone it does not show any more what of it is lost.
        if not self.name_silent(_NAMED) or log.untold():
            return False
        self.give_up()
        return True

    # ---- one frame

    def peek(self) -> bool:
        """Go to the next frame of the oldest sector that is not done; False if there is none."""
        ring = self.ring
        if self.reader is None or self.reader.seq != ring.tail:
            self._waiting = False
            self._slot = 0
            self.reader = frames.Reader(ring, ring.tail, HEADER)
        while not self._waiting and self.reader.next():
            self._waiting = self.reader.start >= self.log.cursor
        return self._waiting

    def take(self, size: int) -> int:
        """Move the frame if `size` says that it is alive; it is done then. Return how long it was."""
        reader = self.reader
        if size:
            self.move(reader)
        log = self.log
        self._waiting = False
        length = reader.end - reader.start
        if reader.type in (frames.FILLED, frames.NOTE):
            log.beside().gone(reader, not size)
        log.cursor = reader.end
        return length

    def name_silent(self, most: int) -> bool:
        """Write author frames for those who have none in a younger sector; say whether those were all."""
        log = self.log
        while self._slot < len(log.slots):
            index = log.indexes.get(log.slots[self._slot])
            if index and last_sector(index) <= self.ring.tail:
                if not most:
                    return False
                most -= 1
                log.introduce(log.slots[self._slot], index.held)
            self._slot += 1
        return True

    def silent(self, seq: int) -> int:
        """Return how many authors have no frame in a sector younger than `seq`, but in this one or before."""
        return len([1 for index in self.log.indexes.values() if last_sector(index) <= seq])

    def give_up(self) -> None:
        """Say that the oldest sector is not in use any more."""
        log = self.log
        ring = self.ring
        log.look_now()
        ring.program(reclaimed_frame(ring.seq, ring.tail + 1))
        ring.tail += 1
        log.cursor = HEADER
        self.reader = None
        self._waiting = False
        self._slot = 0
        for index in log.indexes.values():
            drop_below(index, ring.tail)
        if log.has_beside():
            log.beside().reclaimed(ring.tail)

    # ---- what is alive

    def judge(self, reader: object) -> int:
        """Return how many bytes a frame takes to be moved, 0 if it is dead, -1 if it has to stay."""
        kind = reader.type
        log = self.log
        size = reader.end - reader.start
        more = _MORE + size_of(reader.first) + (0 if kind == ENTRY_OP else _MORE)
        if kind == frames.STATE:
            return size if alive(log, reader) else 0
        if kind > ENTRY_SKIP and kind not in (frames.FILLED, frames.NOTE):
            return 0
        author = reader.author
        if author not in log.indexes:
            # Its place is another's.
            return 0
        newest = self._newest_own(reader)
        if log.has_beside() and log.beside().void(reader):
            return size + more if newest and kind in (ENTRY_OP, frames.FILLED) else 0
        if kind == frames.NOTE and reader.kind == FORGOTTEN:
            return size if newest else 0
        if newest:
            return size + more
        # What was filled in above the run is nobody's to bring on.
        custody = kind != frames.FILLED or reader.kind & OF_RUN or reader.last <= log.held(author)
        is_open = custody and author not in log.locals and reader.last > self._receipted(author)
        if not is_open and not self._kept(reader):
            return 0
        if kind == frames.NOTE or (kind == frames.FILLED and reader.kind & MOVED):
            return size
        grown = more if is_open else size + more
        if not self._bears(grown):
            if not is_open and author not in log.own and not self._kept(reader, True):
                return 0
            if not self._forced:
                self.why = (author, reader.last, is_open)
                return -1
        self._load += grown
        self.why = self.why or (author, reader.last, is_open)
        return size + more

    def _bears(self, grown: int) -> bool:
        """Say whether so much more may be moved on."""
        log = self.log
        ring = self.ring
        most = self.most()
        if self._load < 0:
            self._load = self.load()
        if self._load + grown > most and log.has_beside():
            more = log.beside()
            now = ring.seq + more.changes
            if log.totals[1] and self._counted != now:
                self._counted = now
                self._count()
                self._load = self.load()
        return self._load + grown <= most

    def overdone(self) -> bool:
        """Say whether more than that is to be moved on."""
        return self._load > self.most()

    def most(self) -> int:
        """Return how many bytes what is moved on and the open entries of the runs may take together."""
        ring = self.ring
        return (ring.count - self.log.spare - 1) * (ring.size - HEADER) * _SHARE // 10

    def load(self) -> int:
        """Return the bytes of what was moved and is not known to be dead, and of open entries of the runs."""
        log = self.log
        stale = log.beside().stale if log.has_beside() else 0
        return max(0, log.totals[1] - stale) + open_bytes(log)

    def _count(self) -> None:
        """Count what was moved, and how much of it is dead."""
        log = self.log
        ring = self.ring
        more = log.beside()
        count = total = living = 0
        seq = ring.tail
        while seq <= ring.seq:
            reader = frames.Reader(ring, seq, HEADER)
            while reader.next():
                note = reader.type == frames.NOTE
                if not note and (reader.type != frames.FILLED or not reader.kind & MOVED):
                    continue
                if seq == ring.tail and reader.start < log.cursor:
                    continue
                count += 1
                total += reader.end - reader.start
                is_open = (note or reader.last <= log.held(reader.author)) and (
                    reader.last > self._receipted(reader.author)
                )
                here = reader.author in log.indexes and not more.void(reader)
                if here and (is_open or self._kept(reader)):
                    living += reader.end - reader.start
            seq += 1
        log.totals[0] = count
        log.totals[1] = total
        more.stale = total - living

    def _receipted(self, author: bytes) -> int:
        number = self.log.receipted(author)
        for name, _, receipted in self.pending:
            if name[0] == STATE_RECEIPT and name[1:9] == author:
                number = max(number, receipted)
        return number

    def _newest_own(self, reader: object) -> bool:
        """Say whether a frame is the newest operation or seal of our own: the next boot goes on from them."""
        author = reader.author
        if author not in self.log.own:
            return False
        index = self.log.indexes[author]
        if reader.type == ENTRY_SEAL or (reader.type == frames.NOTE and reader.kind == ENTRY_SEAL):
            return reader.last == index.sealed
        if reader.type == ENTRY_SKIP or (reader.type == frames.NOTE and reader.kind != FORGOTTEN):
            return False
        return reader.last == index.held

    def _kept(self, reader: object, tight: bool = False) -> bool:
        """Say whether an operation's document lives on; `tight` asks whether it has to be here, too."""
        log = self.log
        if reader.type not in (ENTRY_OP, frames.FILLED) or not (log.keeps or log.carrying):
            return False
        if log.keeps:
            return log.wants(reader, reader.body(), tight)
        if reader.author not in log.own:
            return False
        for change in decode_body(reader.body())[1]:
            if change[0] != CLOCK and not schema_kind(stored_schema(log, change[1])) & 1:
                return True
        return False

    # ---- copies

    def move(self, reader: object) -> None:
        """Write a frame once more behind the last one."""
        from .flashchange import write, write_note

        log = self.log
        kind = reader.type
        body = reader.body()
        if kind == frames.STATE:
            log.write_value(body[1 : 1 + body[0]], body[1 + body[0] :])
        elif kind in (ENTRY_OP, frames.FILLED):
            if self._newest_own(reader) and log.has_beside() and log.beside().void(reader):
                write_note(log, reader.author, FORGOTTEN, reader.last, reader.last, body)
                return
            flags = MOVED | OF_RUN if kind == ENTRY_OP else MOVED | reader.kind & OF_RUN
            write(log, reader.author, reader.last, flags, body)
        else:
            if kind == frames.NOTE:
                kind = ENTRY_SKIP if reader.kind == REPLACED else reader.kind
            write_note(log, reader.author, kind, reader.first, reader.last, body)


def open_bytes(log: object, moved: bool = False) -> int:
    """Return about how many bytes entries above receipts take: those of the runs, or with what was `moved`.

    Of each author that is the number of its operations times what one takes on average, with seals and all.
    """
    ring = log.ring
    used = (ring.seq - ring.tail) * ring.size + ring.end - log.cursor
    run = max(0, used - log.totals[1] - log.totals[3])
    here = 0
    counts = []
    for author, index in log.indexes.items():
        if not index.seqs:
            continue
        here += index.held - index.floors[0]
        if author in log.locals:
            continue
        low = log.receipted(author)
        if not moved:
            low = max(low, index.floors[0])
        over = index.held - low
        if over > 0:
            if log.has_beside():
                over = max(0, over - log.beside().hides(author, low, index.held))
            # A skip may stand for any number of operations, but not for more sectors.
            sectors = len([1 for floor in index.floors if floor >= low]) + 1
            counts.append((over, sectors * ring.size + (log.totals[1] if moved else 0)))
    size = max(log.mean, min(run // here, ring.size) if here > 0 else 0)
    total = sum([min(over * size, most) for over, most in counts])
    return min(total, run + log.totals[1] if moved else run)


def alive(log: object, reader: object) -> bool:
    """Say whether a control frame is a value that is still the current one."""
    if reader.type != frames.STATE:
        return False
    data = reader.ring.read(reader.seq, reader.at, 1)
    name = reader.ring.read(reader.seq, reader.at + 1, data[0])
    return log.values.get(name) == reader.seq * reader.ring.size + reader.start


def reclaimed_frame(seq: int, tail: int) -> bytearray:
    """Return the frame that says: sectors below `tail` are not needed any more."""
    body = bytearray()
    write_uint(body, tail)
    return frames.control_frame(seq, 2, body)
