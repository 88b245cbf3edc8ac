"""What lies beside the runs of authors on flash, and what is void: dropped, given up (SPEC 9.11, 9.12).

Loaded when such a frame is met or made; where there is none, `flashscan` does without. Nothing here costs RAM
per operation: where one is, is found on flash. `flashchange` has the methods that write.
"""

from array import array

from hedgerow.codec.varint import read_uint
from hedgerow.limits import MAX_NUMBER, const
from hedgerow.log import ENTRY_OP, ENTRY_SEAL

from . import flashframes as frames
from .flashframes import FORGOTTEN, REPLACED
from .flashring import HEADER
from .flashscan import run_at

# In the kind of a filled frame: it was moved; it was in the run.
MOVED = const(1)
OF_RUN = const(2)

# What is known of a sector: nothing, that nothing there is beside a run; else a slot + 2, or several.
_UNKNOWN = const(0)
_NOBODY = const(1)
_SEVERAL = const(255)
# Of a summary's authors.
_SLOT = const(0x3F)
_FLOOR = const(0x40)
_BESIDE = const(0x80)
# In the fourth number of a range: skips that lie inside are void too.
_SKIPS = const(0x8000)
_NUMBERS = const(4)


class Beside:
    """The tables in RAM.

    `ranges`: author -> array of first, last, sector, offset | mark of what was dropped or replaced: what has
    these numbers that stand before that place are void. `cuts`: author -> [(position, held)]: what stands
    before the position and reaches above `held` was given up; both rise. `stale` is what is known to be dead
    of the bytes that were moved; `changes` counts what may have made room.
    """

    def __init__(self, log: object):
        self.log = log
        self.ranges: dict = {}
        self.cuts: dict = {}
        self.stale = 0
        self.changes = 0
        # What is dead before the cursor counts too: it is back if the next boot finds the cursor lower.
        self.whole = False
        # Whose frames sectors have beside the run, as far as is known, and of which numbers (see _rough).
        self._marks = bytearray(log.ring.count)
        self._lows = array("H", bytes(2 * log.ring.count))
        self._highs = array("H", bytes(2 * log.ring.count))

    # ---- what the mount and the run tell

    def note(self, reader: object) -> None:
        """Take a frame that makes others void into the tables."""
        if reader.type == frames.NOTE and reader.kind == REPLACED:
            self.hide(reader.author, reader.first, reader.last, reader.seq, reader.start | _SKIPS)
        elif reader.type in (frames.DROPPED, frames.CUT):
            data = reader.body()
            author = data[:8]
            first, at = read_uint(data, 8)
            second, _ = read_uint(data, at)
            if reader.type == frames.CUT:
                self.fall(author, first, second, reader.seq * reader.ring.size + reader.start)
            else:
                self.hide(author, first, first + (second >> 1), reader.seq, reader.start)

    def live(self) -> list:
        """Return the positions of the frames that make others void."""
        size = self.log.ring.size
        found = [cut[0] for cuts in self.cuts.values() for cut in cuts]
        for ranges in self.ranges.values():
            for i in range(0, len(ranges), _NUMBERS):
                found.append(ranges[i + 2] * size + (ranges[i + 3] & ~_SKIPS))
        return found

    def told(self, author: bytes, first: int, last: int, size: int, moved: bool) -> None:
        """Note a frame beside an author's run that was just written."""
        log = self.log
        index = log.indexes[author]
        from .flashthin import noted_beside

        noted_beside(log, index, first, last)
        totals = log.totals
        totals[0 if moved else 2] += 1
        totals[1 if moved else 3] += size
        place = log.ring.seq % len(self._marks)
        mark = self._marks[place]
        if mark:
            self._marks[place] = index.slot + 2 if mark in (_NOBODY, index.slot + 2) else _SEVERAL
            self._span(place, first, last, mark == _NOBODY)

    def _span(self, place: int, first: int, last: int, alone: bool) -> None:
        """Note that a sector has these numbers beside a run; `alone` says that it had none before."""
        low, high = _rough(first), _rough(last)
        self._lows[place] = low if alone else min(low, self._lows[place])
        self._highs[place] = high if alone else max(high, self._highs[place])

    def gone(self, reader: object, dead: bool) -> None:
        """Take a frame beside the run off the counts."""
        size = reader.end - reader.start
        totals = self.log.totals
        at = 0 if reader.type == frames.NOTE or reader.kind & MOVED else 2
        totals[at] = max(0, totals[at] - 1)
        totals[at + 1] = max(0, totals[at + 1] - size)
        if dead:
            self.stale = max(0, self.stale - size)

    def opened(self) -> None:
        """Note that a sector was begun: nothing is there yet."""
        self._marks[self.log.ring.seq % len(self._marks)] = _NOBODY

    def hide(self, author: bytes, first: int, last: int, seq: int, at: int) -> None:
        """Make void what stands before a place: it takes the place of the ranges inside."""
        self.changes += 1
        old = self.ranges.pop(author, b"")
        ranges = array("I")
        for i in range(0, len(old), _NUMBERS):
            if not (first <= old[i] and old[i + 1] <= last and at & _SKIPS >= old[i + 3] & _SKIPS):
                ranges.extend(old[i : i + _NUMBERS])
        ranges.extend(array("I", (first, last, seq, at)))
        self.ranges[author] = ranges

    def fall(self, author: bytes, held: int, sealed: int, position: int) -> None:
        """Let an author's frontiers fall: what stands before a position and reaches above is void."""
        self.changes += 1
        index = self.log.indexes.get(author)
        if index:
            from .flashthin import fall

            fall(index, held, sealed)
        self.cuts[author] = [cut for cut in self.cuts.get(author, ()) if cut[1] < held] + [(position, held)]

    def forget(self, author: bytes) -> None:
        """Forget what was dropped and given up of an author."""
        self.ranges.pop(author, None)
        self.cuts.pop(author, None)

    def reclaimed(self, tail: int) -> None:
        """Forget what makes nothing void any more: all that stood before it has gone."""
        ring = self.log.ring
        for author in list(self.ranges):
            old = self.ranges.pop(author)
            kept = array("I")
            for i in range(0, len(old), _NUMBERS):
                if old[i + 2] >= tail and self._matters(author, old[i + 1]):
                    kept.extend(old[i : i + _NUMBERS])
            if kept:
                self.ranges[author] = kept
        for author in list(self.cuts):
            left = [cut for cut in self.cuts[author] if cut[0] // ring.size >= tail]
            if left and author in self.log.indexes:
                self.cuts[author] = left
            else:
                del self.cuts[author]

    def _matters(self, author: bytes, last: int) -> bool:
        """Say whether numbers up to `last` may stand anywhere."""
        index = self.log.indexes.get(author)
        if index is None:
            return False
        if author in self.cuts or not index.seqs or index.floors[0] < last:
            return True
        return self.log.totals[0] + self.log.totals[2] > 0

    def hides(self, author: bytes, low: int, high: int) -> int:
        """Return how many numbers above `low` and up to `high` were dropped or replaced."""
        ranges = self.ranges.get(author, b"")
        total = 0
        for i in range(0, len(ranges), _NUMBERS):
            total += max(0, min(high, ranges[i + 1]) - max(low, ranges[i] - 1))
        return total

    # ---- what counts

    def hidden(self, reader: object) -> bool:
        """Say whether an entry, or what is beside the run, was moved on, dropped, replaced or given up."""
        log = self.log
        seq = reader.seq
        start = reader.start
        if seq == log.ring.tail and start < log.cursor and not self.whole:
            return True
        author = reader.author
        kind = reader.type
        if author in self.cuts and (kind != frames.FILLED or reader.kind & OF_RUN):
            if self.cut_away(author, seq, start, reader.last):
                return True
        ranges = self.ranges.get(author)
        return bool(ranges) and self._in_range(ranges, reader)

    def _in_range(self, ranges: object, reader: object) -> bool:
        """Say whether what lies in a range that was dropped or replaced stands before that."""
        kind = reader.type
        note = kind == frames.NOTE
        operation = kind in (ENTRY_OP, frames.FILLED) or (note and reader.kind == FORGOTTEN)
        # The next seal names the one that ends with a range: that stays.
        seal = kind == ENTRY_SEAL or (note and reader.kind == ENTRY_SEAL)
        for i in range(0, len(ranges), _NUMBERS):
            if ranges[i] <= reader.first and reader.last + seal <= ranges[i + 1]:
                at = ranges[i + 3]
                if operation or at & _SKIPS:
                    if (reader.seq, reader.start) < (ranges[i + 2], at & ~_SKIPS):
                        return True
        return False

    def cut_away(self, author: bytes, seq: int, start: int, number: int) -> bool:
        """Say whether what reaches up to `number` in this frame was given up."""
        position = seq * self.log.ring.size + start
        for cut, held in self.cuts.get(author, ()):
            if position < cut and number > held:
                return True
        return False

    def void(self, reader: object) -> bool:
        """Say whether an entry, or what is beside the run, does not count; the reader came frame by frame."""
        if self.hidden(reader):
            return True
        if reader.type != frames.FILLED or reader.kind & OF_RUN:
            return False
        # What was filled in yields to the run, if that has come to its number since.
        author = reader.author
        number = reader.last
        position = reader.seq * self.log.ring.size + reader.start
        if [1 for cut, held in self.cuts.get(author, ()) if position < cut and held < number]:
            return self._came(author, number, reader.seq)
        if not reader.held.get(reader.slot, 0) < number <= self.log.held(author):
            return False
        return run_at(self.log, author, number) is not None

    def _came(self, author: bytes, number: int, seq: int) -> bool:
        """Say whether the run has come to a number in a sector or later, also if it has fallen back since."""
        ring = self.log.ring
        while seq <= ring.seq:
            reader = frames.Reader(ring, seq, HEADER)
            while reader.next():
                if reader.type == ENTRY_OP and reader.last == number and reader.author == author:
                    return True
            seq += 1
        return False

    # ---- searches

    def entries(self, author: bytes, first: int, last: int) -> object:
        """Yield a reader at each frame beside the run with numbers in a range that counts, in log order."""
        index = self.log.indexes.get(author)
        if index is None or not index.lowest or index.lowest > last or index.highest < first:
            return
        ring = self.log.ring
        seq = max(ring.tail, 1)
        while seq <= ring.seq:
            if self._may_have(seq, index.slot, first, last):
                yield from self.entries_in(seq, index.slot, first, last)
            seq += 1

    def entries_in(self, seq: int, slot: int, first: int, last: int) -> object:
        """Yield what entries() does of one sector."""
        ring = self.log.ring
        place = seq % ring.count
        found = _NOBODY
        low, high = MAX_NUMBER, 0
        author = self.log.slots[slot]
        reader = frames.Reader(ring, seq, HEADER)
        while reader.next():
            if reader.type in (frames.FILLED, frames.NOTE):
                found = reader.slot + 2 if found in (_NOBODY, reader.slot + 2) else _SEVERAL
                low, high = min(low, reader.first), max(high, reader.last)
                if reader.author == author and reader.last >= first and reader.first <= last:
                    if not self.void(reader):
                        yield reader
        self._span(place, low, high, True)
        self._marks[place] = found

    def ascending(self, slot: int, first: int) -> list:
        """Return the sectors that may have numbers from `first` on beside the run of the author in a slot.

        Each is rough low number << 12 | offset from the tail; ascending.
        """
        ring = self.log.ring
        found = []
        for seq in range(max(ring.tail, 1), ring.seq + 1):
            if self._may_have(seq, slot, first, MAX_NUMBER):
                place = seq % ring.count
                low = self._lows[place] if self._marks[place] else 0
                found.append(low << 12 | seq - ring.tail)
        found.sort()
        return found

    def _may_have(self, seq: int, slot: int, first: int, last: int) -> bool:
        """Say whether a sector may have something in a range beside the run of the author in a slot."""
        place = seq % self.log.ring.count
        if self._marks[place] == _UNKNOWN and not self._ask(seq, place):
            return True
        if self._marks[place] not in (_SEVERAL, slot + 2):
            return False
        return self._lows[place] <= _rough(last) and self._highs[place] >= _rough(first)

    def _ask(self, seq: int, place: int) -> bool:
        """Learn from its summary what a sector has beside the runs; False if it has none."""
        ring = self.log.ring
        header = ring.header(seq + 1) if seq < ring.seq else None
        if header is None or not header.previous_summary:
            return False
        reader = frames.Reader(ring, seq, header.previous_summary)
        if not reader.next() or reader.type != frames.SUMMARY:
            return False
        data = reader.body()
        count = at = 0
        # Three places, four totals, and how many new authors.
        for _ in range(8):
            count, at = read_uint(data, at)
        count, at = read_uint(data, at + 9 * count)
        mark = _NOBODY
        for _ in range(count):
            tag = data[at]
            _, at = read_uint(data, at + 1)
            _, at = read_uint(data, at)
            if tag & _FLOOR:
                _, at = read_uint(data, at)
                _, at = read_uint(data, at)
            if tag & _BESIDE:
                low, at = read_uint(data, at)
                span, at = read_uint(data, at)
                self._span(place, low, low + span, mark == _NOBODY)
                mark = (tag & _SLOT) + 2 if mark == _NOBODY else _SEVERAL
        self._marks[place] = mark
        return True

    def seen(self, author: bytes) -> int:
        """Return the greatest number that is held or filled in."""
        high = self.log.held(author)
        for reader in self.entries(author, high + 1, MAX_NUMBER):
            high = max(high, reader.last)
        return high


def _rough(number: int) -> int:
    """Return a number of 16 bits that rises with a number."""
    return min(number >> 4, 0xFFFF)
