"""The map of peers, as the numbers of an SVG: no tiles, and nothing that is asked of others."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..health import Place, place_of

_MARGIN = 34.0
_METRES_OF_A_DEGREE = 111_320.0
_LEAST_METRES = 10.0
# What a label takes, in units of the drawing: a letter's width, a line's height, its distance from the dot.
_LETTER = 6.6
_LINE = 14.0
_AWAY = 13.0
_LABEL = 24


class Dot(NamedTuple):
    """A peer: where, how it fares, and its label, "" where there was no room for one, with its anchor."""

    x: float
    y: float
    author: str
    name: str
    state: str
    label: str
    label_x: float
    anchor: str


class Map(NamedTuple):
    """Everything that the template draws; `bar` is the length of the scale and `scale` what that is."""

    width: int
    height: int
    dots: list[Dot]
    columns: list[float]
    lines: list[float]
    bar: float
    scale: str


def state_of(row: dict[str, Any]) -> str:
    """Return how a peer fares: overdue, connected, refused, unknown (it never came), or well."""
    if row["overdue"]:
        return "overdue"
    if row["refused"]:
        return "refused"
    if row["connected"]:
        return "connected"
    return "well" if row["last_seen"] else "unknown"


def make_maps(rows: Sequence[dict[str, Any]], width: int, height: int) -> list[Map]:
    """Draw those who say where they are: one map of degrees, and one of metres, none where nobody is."""
    found = [(row, place) for row in rows if (place := place_of(row["place"])) is not None]
    return [
        _draw([(row, place) for row, place in found if place.on_earth == on_earth], width, height)
        for on_earth in (True, False)
        if any(place.on_earth == on_earth for _, place in found)
    ]


def _draw(found: list[tuple[dict[str, Any], Place]], width: int, height: int) -> Map:
    points = _metres([place for _, place in found])
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    across = max(high_x - low_x, _LEAST_METRES)
    along = max(high_y - low_y, _LEAST_METRES)
    unit = min((width - 2 * _MARGIN) / across, (height - 2 * _MARGIN) / along)
    middle_x, middle_y = (low_x + high_x) / 2, (low_y + high_y) / 2
    step = _round_length((width / unit) / 4)
    places = [(width / 2 + (x - middle_x) * unit, height / 2 - (y - middle_y) * unit) for x, y in points]
    return Map(
        width,
        height,
        _dots([row for row, _ in found], places, width),
        _grid(width / 2 - middle_x * unit, step * unit, width),
        _grid(height / 2 + middle_y * unit, step * unit, height),
        step * unit,
        f"{step / 1000:g} km" if step >= 1000 else f"{step:g} m",
    )


def _metres(places: list[Place]) -> list[tuple[float, float]]:
    if not places[0].on_earth:
        return [(place.x, place.y) for place in places]
    # From the first one, so that digits are not spent on where on Earth that is.
    first = places[0]
    narrow = math.cos(math.radians(first.y)) * _METRES_OF_A_DEGREE
    return [((place.x - first.x) * narrow, (place.y - first.y) * _METRES_OF_A_DEGREE) for place in places]


def _round_length(most: float) -> float:
    """Return the greatest of 1, 2, 5, 10, ... that is at most so long."""
    power: float = 10.0 ** math.floor(math.log10(most))
    return max(power * part for part in (1, 2, 5) if power * part <= most)


def _grid(zero: float, step: float, size: float) -> list[float]:
    return [round(zero % step + turn * step, 1) for turn in range(int((size - zero % step) // step) + 1)]


def _dots(rows: list[dict[str, Any]], places: list[tuple[float, float]], width: int) -> list[Dot]:
    """Give each dot its label where that covers neither another label nor another dot."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    dots = []
    for row, (x, y) in zip(rows, places, strict=True):
        name = row["name"] or row["author"]
        text = name if len(name) <= _LABEL else name[: _LABEL - 1] + "…"
        label, label_x, anchor = "", x, "start"
        for side, at in (("start", x + _AWAY), ("end", x - _AWAY)):
            left = at if side == "start" else at - len(text) * _LETTER
            box = (left, y - _LINE / 2, left + len(text) * _LETTER, y + _LINE / 2)
            if box[0] >= 0 and box[2] <= width and not any(_meet(box, other) for other in taken):
                taken.append(box)
                label, label_x, anchor = text, at, side
                break
        dots.append(
            Dot(
                round(x, 1), round(y, 1), row["author"], name, state_of(row), label, round(label_x, 1), anchor
            )
        )
    return dots


def _meet(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
