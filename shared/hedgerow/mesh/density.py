"""How many there are: distinct names counted in a bitmap of fixed size, and what that means for the channel.

Linear counting (Whang, Vander-Zanden and Taylor, 1990): m bits, of which z stay clear, stand for m ln(m/z).
"""

from math import log

from .. import limits


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


def interval_floor(neighbours: int, events: int) -> int:
    """Return the shortest interval in ms with which we and so many others, each saying something for so many
    advertising events in each interval, stay within what the channel carries."""
    return (neighbours + 1) * events * 1000 // limits.CHANNEL_EVENTS
