"""What lies beside the runs of authors on flash: filled, dropped and given-up operations (SPEC 9.11, 9.12).

Loaded when such a frame is met or such a method called; a board that only records has no need of it.
"""

from array import array

from hedgerow import limits
from hedgerow.codec.varint import read_uint
from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import ENTRY_OP, ENTRY_SKIP

from . import flashframes as frames
from .flashring import HEADER

MAX_FILLED = const(512)
MAX_DROPPED = const(128)
MAX_CUTS = const(8)

_NOTE = const(32)
_NOTE_SPARE = const(3)
# Of a table's third number.
_CARRIED_SIZE = const(0x8000)


class Beside:
    """The tables in RAM, and the methods of the log that need them.

    `filled`: author -> array of (number, sector, offset << 16 | carried << 15 | size) of each one. `dropped`:
    author -> array of first, last of the ranges that hide operations of the run. `cuts`: author ->
    [(position, held)]: what stands before the position and reaches above `held` was given up; both rise.
    `limit` is how many operations may be filled in, and how many carried along.
    """

    def __init__(self, log: object):
        self.log = log
        self.limit = MAX_FILLED
        self.filled: dict = {}
        self.dropped: dict = {}
        self.cuts: dict = {}

    def any(self) -> bool:
        """Say whether there is anything in the tables: a mount reads all frames then."""
        return bool(self.filled or self.dropped or self.cuts)

    # ---- what the mount and the run tell

    def note(self, reader: object) -> None:
        """Take a frame of one of the three types into the tables."""
        if reader.type == frames.FILLED:
            self._put(
                reader.author,
                reader.last,
                reader.seq,
                reader.start,
                reader.end,
                reader.carried,
            )
            return
        data = reader.body()
        author = data[:8]
        first, at = read_uint(data, 8)
        second, _ = read_uint(data, at)
        if reader.type == frames.DROPPED:
            self._forget(author, first, first + (second >> 1), second & 1)
        else:
            self._fall(author, first, second, reader.seq * reader.ring.size + reader.start)

    def appended(self, author: bytes, number: int) -> None:
        """Let the run take the place of what was filled."""
        if author in self.filled:
            self.remove(author, number, number)

    # ---- filled operations

    def find(self, author: bytes, number: int) -> int:
        """Return where in its table a filled operation is, -1 if it is not."""
        table = self.filled.get(author, b"")
        for i in range(0, len(table), 3):
            if table[i] == number:
                return i
        return -1

    def seen(self, author: bytes) -> int:
        """Return the greatest number that is held or filled in."""
        table = self.filled.get(author, b"")
        return max([self.log.held(author)] + [table[i] for i in range(0, len(table), 3)])

    def _put(self, author: bytes, number: int, seq: int, start: int, end: int, carried: bool) -> None:
        """Note where a filled operation stands now."""
        i = self.find(author, number)
        place = start << 16 | end - start | (_CARRIED_SIZE if carried else 0)
        if i >= 0:
            self.filled[author][i + 1] = seq
            self.filled[author][i + 2] = place
            return
        if author not in self.filled:
            self.filled[author] = array("I")
        self.filled[author].extend(array("I", (number, seq, place)))

    def remove(self, author: bytes, first: int, last: int) -> bool:
        """Forget filled operations; say whether there were any."""
        table = self.filled.get(author, b"")
        kept = array("I")
        for i in range(0, len(table), 3):
            if not first <= table[i] <= last:
                kept.extend(table[i : i + 3])
        if len(kept) == len(table):
            return False
        if kept:
            self.filled[author] = kept
        else:
            del self.filled[author]
        return True

    def stands(self, reader: object) -> bool:
        """Say whether a frame is where a filled operation stands now."""
        author = reader.author
        i = self.find(author, reader.last)
        if i < 0:
            return False
        table = self.filled[author]
        return table[i + 1] == reader.seq and table[i + 2] >> 16 == reader.start

    def load(self, carried: bool) -> tuple:
        """Return how many operations are carried along, or filled in, and what their frames take."""
        count = size = 0
        for table in self.filled.values():
            for i in range(2, len(table), 3):
                if bool(table[i] & _CARRIED_SIZE) == carried:
                    count += 1
                    size += table[i] & (_CARRIED_SIZE - 1)
        return count, size

    def write(self, author: bytes, number: int, body: bytes, carried: bool) -> None:
        """Program a filled operation; there is room for it and for its author's frame."""
        log = self.log
        ring = log.ring
        if not log.is_here(author):
            log.introduce(author, log.held(author))
        slot = log.indexes[author].slot
        at = ring.program(frames.filled_frame(ring.seq, slot, number, body, carried))
        self._put(author, number, ring.seq, at, ring.end, carried)
        log.arrived = ring.seq * ring.size + ring.end

    def fill(self, author: bytes, number: int, body: bytes) -> None:
        """See MemoryLog.fill; LOG_FULL too for more than are kept in RAM, or a quarter of the ring."""
        if self.fetch(author, number) is not None:
            return
        log = self.log
        if author not in log.indexes and len(log.indexes) >= limits.MAX_AUTHORS:
            raise HedgerowError("AUTHORS_FULL", str(limits.MAX_AUTHORS))
        count, size = self.load(False)
        if count >= self.limit or size > log.ring.count * log.ring.size // 4:
            raise HedgerowError("LOG_FULL", "%d operations are filled in" % count)
        log.room(len(body) + frames.MAX_OVERHEAD, author, log.spare)
        self.write(author, number, body, False)

    # ---- the run

    def hides(self, author: bytes, reader: object) -> bool:
        """Say whether an entry of the run was dropped or given up."""
        if self.cut_away(author, reader, reader.last):
            return True
        if reader.type == ENTRY_OP:
            ranges = self.dropped.get(author, b"")
            for i in range(0, len(ranges), 2):
                if ranges[i] <= reader.last <= ranges[i + 1]:
                    return True
        return False

    def cut_away(self, author: bytes, reader: object, number: int) -> bool:
        """Say whether what reaches up to `number` in this frame was given up."""
        position = reader.seq * reader.ring.size + reader.start
        for cut, held in self.cuts.get(author, ()):
            if position < cut and number > held:
                return True
        return False

    def _run(self, author: bytes, number: int) -> object:
        """Yield a reader at each entry of the author's run, and at its author frames, that still counts.

        It begins in the sector in which what follows on `number` is.
        """
        log = self.log
        ring = log.ring
        index = log.indexes.get(author)
        seq = index.start(number, ring.tail) if index else ring.seq + 1
        while seq <= ring.seq:
            reader = frames.Reader(ring, seq, HEADER) if ring.header(seq) else None
            while reader and reader.next():
                if reader.type <= frames.AUTHOR and reader.author == author:
                    if reader.type == frames.AUTHOR or not self.hides(author, reader):
                        yield reader
            seq += 1

    def fetch(self, author: bytes, number: int) -> bytes | None:
        """See MemoryLog.fetch."""
        i = self.find(author, number)
        if i >= 0:
            table = self.filled[author]
            place = table[i + 2]
            return self._body(table[i + 1], place >> 16, place & (_CARRIED_SIZE - 1))
        if number <= self.log.held(author):
            for reader in self._run(author, number - 1):
                if reader.type == ENTRY_OP and reader.last == number:
                    return reader.body()
                if reader.type in (ENTRY_OP, ENTRY_SKIP) and reader.last > number:
                    break
        return None

    def _body(self, seq: int, start: int, size: int) -> bytes:
        """Return the stored form in a filled frame."""
        frame = self.log.ring.read(seq, start, size)
        _, at = read_uint(frame, 4 if frame[0] & 0x80 else 3)
        return frame[at:-3]

    def missing(self, author: bytes) -> list:
        """See MemoryLog.missing. It reads the author's whole run."""
        number = 1
        found: list = []
        for reader in self._run(author, 0):
            kind = reader.type
            if kind in (ENTRY_OP, ENTRY_SKIP) and reader.last >= number:
                self._gap(found, author, number, reader.first - 1, RECEIPTED)
                if kind == ENTRY_SKIP:
                    reason = Skip.decode(reader.body()).kind
                    self._gap(found, author, max(number, reader.first), reader.last, reason)
                number = reader.last + 1
        self._gap(found, author, number, self.log.held(author), RECEIPTED)
        return found

    def _gap(self, found: list, author: bytes, number: int, last: int, kind: int) -> None:
        """Add a range, less what is filled in it."""
        table = self.filled.get(author, b"")
        filled = sorted([table[i] for i in range(0, len(table), 3) if number <= table[i] <= last])
        for present in filled + [last + 1]:
            if number < present:
                if found and found[-1][2] == kind and found[-1][1] == number - 1:
                    number = found.pop()[0]
                found.append((number, present - 1, kind))
            number = present + 1

    # ---- dropping and cutting

    def drop(self, author: bytes, first: int, last: int) -> None:
        """See MemoryLog.drop; LOG_FULL too for more ranges than are kept in RAM."""
        log = self.log
        hides = self._any(author, first, last)
        table = self.filled.get(author, b"")
        if not hides and not [1 for i in range(0, len(table), 3) if first <= table[i] <= last]:
            return
        if hides and sum([len(ranges) for ranges in self.dropped.values()]) >= 2 * MAX_DROPPED:
            raise HedgerowError("LOG_FULL", "%d ranges were dropped" % MAX_DROPPED)
        log.room(_NOTE, None, _NOTE_SPARE)
        self.write_drop(author, first, last, hides)
        self._forget(author, first, last, hides)

    def write_drop(self, author: bytes, first: int, last: int, hides: bool) -> None:
        """Program a dropped frame."""
        ring = self.log.ring
        ring.program(frames.dropped_frame(ring.seq, author, first, last, hides))

    def _any(self, author: bytes, first: int, last: int) -> bool:
        """Say whether the run has an operation in a range."""
        for reader in self._run(author, first - 1):
            if reader.type == ENTRY_OP and first <= reader.last <= last:
                return True
            if reader.type in (ENTRY_OP, ENTRY_SKIP) and reader.last > last:
                break
        return False

    def _forget(self, author: bytes, first: int, last: int, hides: int) -> None:
        self.remove(author, first, last)
        self.log.blocked = None
        if hides:
            # What is appended later is not meant.
            last = min(last, self.log.held(author))
            self._keep_ranges(author, [(first, last)])

    def _keep_ranges(
        self, author: bytes, more: list, floor: int = 0, ceiling: int = limits.MAX_NUMBER
    ) -> None:
        """Join `more` to the ranges of an author, and leave what is not above `floor` and up to `ceiling`."""
        old = self.dropped.pop(author, b"")
        pairs = sorted([(old[i], old[i + 1]) for i in range(0, len(old), 2)] + more)
        ranges = array("I")
        for first, last in pairs:
            last = min(last, ceiling)
            if last <= floor or first > last:
                continue
            if ranges and first <= ranges[-1] + 1:
                ranges[-1] = max(ranges[-1], last)
            else:
                ranges.extend(array("I", (first, last)))
        if ranges:
            self.dropped[author] = ranges

    def cut(self, author: bytes, held: int) -> None:
        """See MemoryLog.cut. A frontier may fall lower: to before a skip, and where cuts are too many."""
        log = self.log
        if author == log.author:
            raise HedgerowError("LOG_OUT_OF_ORDER", "own operations are not given up")
        if held >= log.held(author):
            return
        lower = [cut[1] for cut in self.cuts.get(author, ()) if cut[1] < held]
        held, sealed = self._landing(author, lower[-1] if len(lower) >= MAX_CUTS else held)
        log.room(_NOTE, None, _NOTE_SPARE)
        ring = log.ring
        at = ring.program(frames.cut_frame(ring.seq, author, held, sealed))
        self._fall(author, held, sealed, ring.seq * ring.size + at)

    def _landing(self, author: bytes, held: int) -> tuple:
        """Return (held, sealed) after a fall to `held`: no skip and no seal is cut in two."""
        sealed = 0
        for reader in self._run(author, held):
            if reader.type == ENTRY_SKIP and reader.first <= held < reader.last:
                return self._landing(author, reader.first - 1)
            if reader.type == frames.AUTHOR:
                number = reader.sealed[reader.slot]
                if self.cut_away(author, reader, number):
                    continue
            else:
                number = 0 if reader.type in (ENTRY_OP, ENTRY_SKIP) else reader.last
            if number <= held:
                sealed = max(sealed, number)
        return held, sealed

    def _fall(self, author: bytes, held: int, sealed: int, position: int) -> None:
        log = self.log
        index = log.indexes.get(author)
        if index:
            index.fall(held, sealed)
        log.blocked = None
        self._keep_ranges(author, [], 0, held)
        self.cuts[author] = [cut for cut in self.cuts.get(author, ()) if cut[1] < held] + [(position, held)]

    def reclaimed(self, gone: dict, tail: int) -> None:
        """Forget what no longer hides anything: `gone` is author -> number up to which the run has left."""
        for author in list(self.dropped):
            if author in gone:
                self._keep_ranges(author, [], gone[author])
        for author in list(self.cuts):
            left = [cut for cut in self.cuts[author] if cut[0] // self.log.ring.size >= tail]
            if left:
                self.cuts[author] = left
            else:
                del self.cuts[author]

    # ---- arrivals

    def here(self, reader: object) -> bool:
        """Say whether a frame is that of an operation that is here, and stands nowhere else."""
        if reader.type == frames.FILLED:
            return self.stands(reader)
        if reader.type != ENTRY_OP:
            return False
        author = reader.author
        return self.find(author, reader.last) < 0 and not self.hides(author, reader)

    def since(self, position: int, max_bytes: int) -> list:
        """See MemoryLog.since; a position is sector sequence * sector size + end of the frame."""
        log = self.log
        ring = log.ring
        max_bytes = min(max_bytes, log.read_limit)
        found: list = []
        seq, behind = divmod(position, ring.size)
        if seq < ring.tail:
            seq = ring.tail
            behind = 0
        while seq <= ring.seq and position < log.arrived:
            reader = frames.Reader(ring, seq, HEADER) if ring.header(seq) else None
            while reader and reader.next():
                if reader.end <= behind or not self.here(reader):
                    continue
                max_bytes -= reader.size
                if found and max_bytes < 0:
                    return found
                end = seq * ring.size + reader.end
                found.append((end, reader.author, reader.last, reader.body()))
            seq += 1
            behind = 0
        return found
