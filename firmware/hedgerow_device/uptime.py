"""Milliseconds since the board started, which do not wrap as ticks_ms does."""

import time


class Uptime:
    """Call it for the time; at least once in six days, so that no wrap is missed."""

    def __init__(self):
        self._ticks = time.ticks_ms()
        self._now = 0

    def resume(self, ms: int) -> None:
        """Go on from `ms`, as if the board had been awake while it slept."""
        self._now += ms

    def __call__(self) -> int:
        ticks = time.ticks_ms()
        self._now += time.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._now


now = Uptime()
