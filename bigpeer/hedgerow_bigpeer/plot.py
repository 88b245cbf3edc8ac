"""The plot of the status page as the numbers of an inline SVG."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from . import limits
from .clock import rfc3339
from .status import Reading

WIDTH = 900
HEIGHT = 260
_LEFT = 52
_RIGHT = 8
_TOP = 10
_BOTTOM = 24
_GRID_LINES = 4
_DIGITS = 4


class Series(NamedTuple):
    """One polyline: `points` as SVG wants them; `last` is the newest value as text."""

    name: str
    number: int
    points: str
    last: str


class Label(NamedTuple):
    """A text at a place."""

    x: float
    y: float
    text: str


class Plot(NamedTuple):
    """Everything that the template draws."""

    width: int
    height: int
    left: int
    right: int
    series: list[Series]
    grid: list[Label]
    times: list[Label]


def make_plot(points: Sequence[Reading]) -> Plot | None:
    """Lay the points out, a line for each series; None without points."""
    if not points:
        return None
    low, high = _padded([point.value for point in points])
    begin = min(point.at for point in points)
    end = max(max(point.at for point in points), begin + 1)

    def x(at: int) -> float:
        return _LEFT + (at - begin) / (end - begin) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    lines: dict[str, list[Reading]] = {}
    for point in points:
        lines.setdefault(point.series, []).append(point)
    series = [
        Series(name, number, " ".join(f"{x(p.at):.1f},{y(p.value):.1f}" for p in line), line[-1].text)
        for number, (name, line) in enumerate(list(lines.items())[: limits.PLOT_SERIES])
    ]
    values = [low + (high - low) * step / _GRID_LINES for step in range(_GRID_LINES + 1)]
    digits = _digits(max(abs(low), abs(high)), (high - low) / _GRID_LINES)
    grid = [Label(_LEFT - 6, y(value), f"{value:.{digits}g}") for value in values]
    # To the second where that tells them apart.
    shown = 19 if rfc3339(begin)[:19] != rfc3339(end)[:19] else 23
    times = [Label(x(at), HEIGHT - 6, rfc3339(at)[:shown].replace("T", " ")) for at in (begin, end)]
    return Plot(WIDTH, HEIGHT, _LEFT, WIDTH - _RIGHT, series, grid, times)


def _digits(most: float, step: float) -> int:
    """Return with how many digits values up to `most` are told apart that are a step from each other."""
    return max(_DIGITS, math.floor(math.log10(most)) - math.floor(math.log10(step)) + 1)


def _padded(values: list[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = (high - low) * 0.05 or max(abs(high) * 0.05, 1.0)
    return low - pad, high + pad
