"""Interference: other users of the band, that come and go in bursts."""

import math
import random
from bisect import bisect_right
from typing import NamedTuple

_EPOCH_CYCLES = 64
_EPOCHS_KEPT = 4


class Interference(NamedTuple):
    """A two-state source (Gilbert 1960): silence and bursts of exponential length, with these means.

    Each of its advertising channels (0 to 2 for 37 to 39) has bursts of its own. `level`: dBm at every
    receiver within `radius_m` of (x, y), everywhere if that is None; a packet survives it like a rival's.
    A Wi-Fi access point under load is about (idle_ms=10, busy_ms=3), a microwave oven (10, 10).
    """

    idle_ms: float
    busy_ms: float
    level: float = -40.0
    channels: tuple[int, ...] = (0, 1, 2)
    x: float = 0.0
    y: float = 0.0
    radius_m: float | None = None

    def covers(self, x: float, y: float) -> bool:
        """Whether a receiver there is disturbed."""
        return self.radius_m is None or math.hypot(x - self.x, y - self.y) <= self.radius_m


class Bursts:
    """The bursts of one source on one channel: the same whatever is asked, and in whatever order."""

    def __init__(self, seed: str, source: Interference) -> None:
        self._seed = seed
        self._idle = source.idle_ms * 1000
        self._busy = source.busy_ms * 1000
        self._epoch_us = max(1_000_000, round(_EPOCH_CYCLES * (self._idle + self._busy)))
        self._edges: dict[int, list[int]] = {}
        self._asked = (0, 0)
        self._hit = False

    def hits(self, start: int, end: int) -> bool:
        """Whether a burst is on at any time from `start` to `end`, in microseconds."""
        if self._asked != (start, end):  # all receivers of a packet ask the same
            self._asked = (start, end)
            first, last = start // self._epoch_us, (end - 1) // self._epoch_us
            self._hit = any(self._in_epoch(epoch, start, end) for epoch in range(first, last + 1))
        return self._hit

    def _in_epoch(self, epoch: int, start: int, end: int) -> bool:
        edges = self._edges.get(epoch)
        if edges is None:
            edges = self._edges[epoch] = self._draw(epoch)
            if len(self._edges) > _EPOCHS_KEPT:
                del self._edges[next(iter(self._edges))]
        place = bisect_right(edges, start)  # odd: within a burst
        return bool(place & 1) or (place < len(edges) and edges[place] < end)

    def _draw(self, epoch: int) -> list[int]:
        """Begin and end, in turns, of an epoch's bursts; at its beginning it is as on average."""
        rng = random.Random(f"{self._seed} {epoch}")
        at = float(epoch * self._epoch_us)
        end = at + self._epoch_us
        edges = []
        busy = rng.random() * (self._idle + self._busy) < self._busy
        if busy:
            edges.append(int(at))
        while True:
            at += rng.expovariate(1 / (self._busy if busy else self._idle))
            if at >= end:
                break
            edges.append(int(at))
            busy = not busy
        if busy:
            edges.append(int(end))
        return edges


class Band:
    """All sources over an area."""

    def __init__(self, seed: int, sources: tuple[Interference, ...]) -> None:
        self._bursts = [
            (source, {channel: Bursts(f"{seed} {place} {channel}", source) for channel in source.channels})
            for place, source in enumerate(sources)
        ]

    def level(self, channel: int, start: int, end: int, x: float, y: float) -> float | None:
        """Of the strongest burst over a packet at a receiver, None where there is none."""
        strongest: float | None = None
        for source, channels in self._bursts:
            bursts = channels.get(channel)
            if bursts and source.covers(x, y) and bursts.hits(start, end):
                strongest = source.level if strongest is None else max(strongest, source.level)
        return strongest
