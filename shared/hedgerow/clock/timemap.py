"""From an author's stamps to real time, with an error bound (SPEC 2.6 to 2.10).

Each boot (epoch) of an author has bases, by which a stamp gives the uptime, and mappings, each of which
says that at some uptime it was some time, give or take an error. A boot without a mapping lies between
the last known moment before it and the first after it.
"""

from .. import limits
from .hlc import stamp_ms

# 2026-01-01T00:00:00Z: no peer ran before this software was written.
FLOOR_MS = 820540800000
# Both uptimes are whole milliseconds, and so is the drift: each may be one off.
_ROUNDING_MS = 2


class _Boot:
    """What is known about one boot; a record is (uptime, number, UTC ms, error ms, source)."""

    def __init__(self, epoch: int):
        self.epoch = epoch
        self.longest = 0
        self.mappings = []
        self._records = []

    def add(self, uptime: int, number: int, utc_ms: int, error_ms: int, source: int) -> None:
        """Take in a mapping, in the order of their numbers whatever the order of the calls."""
        self._records.append((uptime, number, utc_ms, error_ms, source))
        if len(self._records) > 1 and number < self._records[-2][1]:
            self._records.sort(key=lambda record: record[1])
            self.mappings = []
            for at in range(len(self._records)):
                self._take(at)
        else:
            self._take(len(self._records) - 1)

    def _take(self, at: int) -> None:
        """Use a mapping; one that contradicts the one before corrects all that went before."""
        record = self._records[at]
        if at:
            before = self._records[at - 1]
            apart = record[2] - before[2] - (record[0] - before[0])
            if abs(apart) > record[3] + _reach(before, record[0]):
                self.mappings = []
        self.mappings.insert(_after(self.mappings, record[0]), record)

    def resolve(self, uptime: int) -> tuple:
        """Return (UTC ms, error ms) of an uptime by the mapping with the least error there."""
        best, least = self.best(uptime)
        return best[2] + uptime - best[0], least

    def best(self, uptime: int) -> tuple:
        """Return the record of the mapping with the least error at an uptime, and that error."""
        best = self.mappings[0]
        least = _reach(best, uptime)
        middle = _after(self.mappings, uptime)
        for way in (range(middle - 1, -1, -1), range(middle, len(self.mappings))):
            for at in way:
                record = self.mappings[at]
                error = _reach(record, uptime)
                if error - record[3] > least:
                    break
                if error < least or (error == least and record[1] > best[1]):
                    best, least = record, error
        return best, least


def _reach(record: tuple, uptime: int) -> int:
    """Return the error of a mapping at another uptime of its boot."""
    return record[3] + abs(uptime - record[0]) * limits.DRIFT_PPM // 1000000 + _ROUNDING_MS


def _at_least(uptime: int) -> int:
    """Return the least real time that an uptime may stand for."""
    return uptime - uptime * limits.DRIFT_PPM // 1000000 - _ROUNDING_MS


class TimeMap:
    """The clock records of one author; resolves (operation number, stamp) to real time."""

    def __init__(self) -> None:
        self._bases = []
        self._boots = []

    def add(
        self, number: int, epoch: int, uptime: int, base: int, source: int, utc_ms: int | None, error_ms: int
    ) -> None:
        """Take in the clock record of operation `number` (ms, UTC since 2000); again is no change."""
        at = _after(self._bases, number)
        if at and self._bases[at - 1][0] == number:
            return
        boot = self._boot(epoch)
        self._bases.insert(at, (number, base, boot))
        boot.longest = max(boot.longest, uptime)
        if utc_ms is not None:
            boot.add(uptime, number, utc_ms, error_ms, source)

    def note(self, number: int, stamp: bytes) -> None:
        """Learn that an operation was written at its stamp: its boot lasted at least that long."""
        boot, uptime = self._place(number, stamp)
        if boot:
            boot.longest = max(boot.longest, uptime)

    def resolve(self, number: int, stamp: bytes) -> tuple | None:
        """Return (UTC ms since 2000, error ms) of an operation, or None while nothing bounds it.

        The real moment lies within the error of the time, given that clocks drift by at most
        `limits.DRIFT_PPM` and that every mapping was right within its own error.
        """
        boot, uptime = self._place(number, stamp)
        if boot is None:
            return None
        if boot.mappings:
            return boot.resolve(uptime)
        return self._between(boot, uptime)

    def source(self, number: int, stamp: bytes) -> int | None:
        """Return the source of the mapping that resolve() goes by, None where it lies between other boots."""
        boot, uptime = self._place(number, stamp)
        return boot.best(uptime)[0][4] if boot and boot.mappings else None

    def _place(self, number: int, stamp: bytes) -> tuple:
        """Return the boot of an operation and its uptime; (None, 0) if no record covers it."""
        at = _after(self._bases, number)
        if not at:
            return None, 0
        _, base, boot = self._bases[at - 1]
        uptime = stamp_ms(stamp) - base
        return (boot, uptime) if uptime >= 0 else (None, 0)

    def _boot(self, epoch: int) -> _Boot:
        at = len(self._boots)
        while at and self._boots[at - 1].epoch > epoch:
            at -= 1
        if not at or self._boots[at - 1].epoch != epoch:
            self._boots.insert(at, _Boot(epoch))
            return self._boots[at]
        return self._boots[at - 1]

    def _between(self, boot: _Boot, uptime: int) -> tuple | None:
        """Return the middle and half width of the time in which an uptime of an unmapped boot must lie."""
        at = self._boots.index(boot)
        high = None
        low = FLOOR_MS
        ran = _at_least(max(boot.longest - uptime, 0))
        for later in self._boots[at + 1 :]:
            if later.mappings:
                utc_ms, error = later.resolve(0)
                high = utc_ms + error - ran
                break
            ran += _at_least(later.longest)
        ran = _at_least(uptime)
        for earlier in reversed(self._boots[:at]):
            if earlier.mappings:
                utc_ms, error = earlier.resolve(earlier.longest)
                low = utc_ms - error + ran
                break
            ran += _at_least(earlier.longest)
        else:
            low += ran
        if high is None or high < low:
            return None
        return (low + high) // 2, (high - low + 1) // 2


def _after(entries: list, number: int) -> int:
    """Return how many entries, sorted by their first item, do not exceed a number."""
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        if entries[middle][0] <= number:
            low = middle + 1
        else:
            high = middle
    return low
