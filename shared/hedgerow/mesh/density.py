"""How many there are: distinct names counted in a bitmap of fixed size, and what that means for the channel.

Linear counting (Whang, Vander-Zanden and Taylor, 1990): m bits, of which z stay clear, stand for m ln(m/z).
"""

from math import log

from .. import limits
from . import pace


def number_of(short: bytes) -> int:
    """Return the number to count a short name by; its bytes are random already."""
    return short[0] << 16 | short[1] << 8 | short[2]


class Census:
    """Counts distinct numbers in `bits` (a power of two) bits; sees up to about 6 times as many."""

    def __init__(self, bits: int = 512):
        self._bits = bits
        self._map = bytearray(bits // 8)
        self._clear = bits

    def add(self, number: int) -> None:
        """Count a number; the low bits decide, and must be spread evenly."""
        number &= self._bits - 1
        bit = 1 << (number & 7)
        if not self._map[number >> 3] & bit:
            self._map[number >> 3] |= bit
            self._clear -= 1

    def estimate(self) -> int:
        """Return how many distinct numbers there were, as far as can be seen."""
        return int(self._bits * log(self._bits / max(self._clear, 1)) + 0.5)

    def clear(self) -> None:
        """Begin anew."""
        for at in range(len(self._map)):
            self._map[at] = 0
        self._clear = self._bits


class Window:
    """Counts distinct numbers in a period: the last whole one, or the one that runs if it has more."""

    def __init__(self, bits: int, period_ms: int, now: int):
        self._period = period_ms
        self._until = now + period_ms
        self._census = Census(bits)
        self._before = Census(bits)

    def add(self, number: int, now: int) -> None:
        """Count a number that was met now."""
        if now >= self._until:
            self._turn(now)
        self._census.add(number)

    def estimate(self, now: int) -> int:
        """Return about how many were met within a period."""
        if now >= self._until:
            self._turn(now)
        return max(self._census.estimate(), self._before.estimate())

    def whole(self, now: int) -> int:
        """Return about how many were met in the last whole period, 0 in the first one."""
        if now >= self._until:
            self._turn(now)
        return self._before.estimate()

    def _turn(self, now: int) -> None:
        if now - self._until >= self._period:
            self._census.clear()
            self._until = now
        self._census, self._before = self._before, self._census
        self._census.clear()
        self._until += self._period


class Steady(Window):
    """Counts those that were met in two slices of time: who comes in great number for a moment counts for
    nothing. At first all count, lest many who start together take each other for few.
    """

    def __init__(self, bits: int, period_ms: int, now: int):
        super().__init__(bits, period_ms, now)
        self._slice_at = now + pace.STEADY_MS
        self._sure_at = now + pace.STATE_MAX_MS
        self._mask = bits - 1
        # Bitmaps of who was met in this slice, and in others of this period and of the one before.
        self._fresh = bytearray(bits // 8)
        self._met = bytearray(bits // 8)
        self._old = bytearray(bits // 8)

    def add(self, number: int, now: int) -> None:
        """Count a number that was met now, if it was before."""
        if now >= self._until:
            self._turn(now)
        if now >= self._slice_at:
            self._slice_at = now + pace.STEADY_MS
            for at in range(len(self._fresh)):
                self._met[at] |= self._fresh[at]
                self._fresh[at] = 0
        at = (number & self._mask) >> 3
        bit = 1 << (number & 7)
        if now < self._sure_at or (self._met[at] | self._old[at]) & bit:
            super().add(number, now)
        self._fresh[at] |= bit

    def _turn(self, now: int) -> None:
        stale = now - self._until >= self._period
        super()._turn(now)
        for at in range(len(self._old)):
            self._old[at] = 0 if stale else self._met[at]
            self._met[at] = 0
            if stale:
                self._fresh[at] = 0


def interval_floor(neighbours: int, events: int) -> int:
    """Return the shortest interval in ms with which we and so many others, each saying something for so many
    advertising events in each interval, stay within what the channel carries."""
    return (neighbours + 1) * events * 1000 // limits.CHANNEL_EVENTS
