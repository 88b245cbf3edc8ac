"""Trickle (RFC 6206, section 4): say what did not change ever more rarely, and not if others have said it."""


class Trickle:
    """Intervals of `imin` to `imax` ms, one saying in each, and none once `k` consistent ones were heard.

    `due` is the moment of the next `tick`. `random(n)` gives an integer of 0 .. n-1. `floor`, in ms, may be
    raised where the channel is crowded: no interval is shorter.
    """

    def __init__(self, imin: int, imax: int, k: int, random: object, now: int):
        self._imin = imin
        self._imax = imax
        self._k = k
        self._random = random
        self.floor = 0
        self.interval = imin
        self._begin(now)

    def _begin(self, now: int) -> None:
        low = max(self._imin, self.floor)
        self.interval = min(max(self.interval, low), max(self._imax, low))
        self._heard = 0
        self._end = now + self.interval
        half = self.interval // 2
        self.due = now + half + self._random(self.interval - half)
        self._said = False

    def consistent(self) -> None:
        """Note that another said what we would say."""
        self._heard += 1

    def inconsistent(self, now: int) -> None:
        """Note that there is news: begin with the shortest interval, unless this is one."""
        low = max(self._imin, self.floor)
        if self.interval > low:
            self.interval = low
            self._begin(now)

    def tick(self, now: int) -> bool:
        """Go on if `due` has come; True if it is to be said now."""
        if now < self.due:
            return False
        say = False
        if not self._said:
            self._said = True
            say = self._heard < self._k
            self.due = self._end
            if self.interval >= self._imax and not self._heard and now < self._end:
                # Where nobody counts the next one, as long as this, need not begin at a moment of its own.
                self._begin(self._end)
        if now >= self._end:
            # After a sleep there is nothing to catch up with.
            start = self._end if now - self._end < self.interval else now
            self.interval *= 2
            self._begin(start)
        return say
