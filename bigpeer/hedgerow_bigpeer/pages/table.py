"""Rows of an answer as a table and a plot."""

import json
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from hedgerow.query.values import is_number, to_float

from .. import limits
from ..clock import EPOCH
from ..http.json_text import render
from ..status import DEVICE_FIELD
from ..view import TIME, TIME_ERROR, TIME_SOURCE

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", re.ASCII)
_GREATEST = 1e300
_LAST = (TIME_ERROR, TIME_SOURCE)


class Cell(NamedTuple):
    """A value as text, and its kind: text, number, null, other; "" where the row has none."""

    text: str
    kind: str


class Table(NamedTuple):
    """`rows` are (whether it is new, cells); `total` is how many rows the answer has."""

    columns: list[str]
    rows: list[tuple[bool, list[Cell]]]
    total: int
    plot: str


def make_table(rows: Sequence[dict[str, Any]], new: Collection[int] = ()) -> Table:
    """Lay out the first rows of an answer; those at the places `new` are marked."""
    shown = rows[: limits.SHOWN_ROWS]
    found = dict.fromkeys(name for row in shown for name in row)
    columns = sorted(found, key=lambda name: (name != "_id", name in _LAST, list(found).index(name)))
    columns = columns[: limits.SHOWN_COLUMNS]
    cells = [(at in new, [_cell(row, name) for name in columns]) for at, row in enumerate(shown)]
    return Table(columns, cells, len(rows), plot_of(shown))


def _cell(row: dict[str, Any], name: str) -> Cell:
    if name not in row:
        return Cell("", "")
    value = row[name]
    text = value if isinstance(value, str) else render(value)
    if len(text) > limits.SHOWN_CHARACTERS:
        text = text[: limits.SHOWN_CHARACTERS] + "…"
    if isinstance(value, str):
        return Cell(text, "text")
    return Cell(text, "null" if value is None else "number" if is_number(value) else "other")


def plot_of(rows: Sequence[dict[str, Any]]) -> str:
    """Return as JSON what the first column of numbers is over `_time`, a line for each device; "" for less
    than two points.
    """
    points = []
    field = _plotted(rows)
    for row in rows:
        at, value = row.get(TIME), row.get(field)
        if (
            isinstance(at, str)
            and _TIME.fullmatch(at)
            and is_number(value)
            and abs(to_float(value)) < _GREATEST
        ):
            device = row.get(DEVICE_FIELD)
            name = device if isinstance(device, str) else field
            points.append((name[: limits.SHOWN_NAME], _seconds(at), to_float(value)))
    return plot_json(field, points) if len(points) > 1 else ""


def _plotted(rows: Sequence[dict[str, Any]]) -> str:
    for row in rows:
        for name, value in row.items():
            if name not in ("n", "_id", TIME_ERROR) and is_number(value):
                return name
    return ""


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def plot_json(field: str, points: Sequence[tuple[str, float, float]]) -> str:
    """Return what portal.js draws: (series, seconds since 1970, value) as columns over common times."""
    names = list(dict.fromkeys(name for name, _, _ in points))[: limits.PLOT_SERIES]
    times = sorted({at for _, at, _ in points})
    place = {at: number for number, at in enumerate(times)}
    columns: dict[str, list[float | None]] = {name: [None] * len(times) for name in names}
    for name, at, value in points:
        if name in columns:
            columns[name][place[at]] = value
    return json.dumps({"field": field, "names": names, "data": [times, *columns.values()]})


def unix_of(utc_ms: int) -> float:
    """Return a time in ms since 2000 as seconds since 1970."""
    return EPOCH.timestamp() + utc_ms / 1000
