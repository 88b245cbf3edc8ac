"""What the status pages show: authors and how far they have come, and the newest readings."""

import heapq
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from hedgerow.codec.decimal import Decimal
from hedgerow.query.values import is_number, to_float

from . import limits
from .clock import rfc3339
from .query import Queries
from .service import Service
from .store.rows import Frontier, Lost
from .view import TIME_ERROR

# A document's field that says which device wrote it; shown where a device never told its name.
DEVICE_FIELD = "board"
_GREATEST = 1e300
_NOT_PLOTTED = ("n", TIME_ERROR)


class Reading(NamedTuple):
    """One point of the plot; `at` is ms since 2000, `text` the value as it was recorded."""

    series: str
    at: int
    value: float
    text: str


class Readings(NamedTuple):
    """The newest readings of one field of one collection, and the device names found in them."""

    collection: str
    field: str
    points: list[Reading]
    names: dict[bytes, str]


NO_READINGS = Readings("", "", [], {})


async def readings(service: Service, queries: Queries) -> Readings:
    """Return the newest readings of the first stream collection, oldest first."""
    streams = sorted(name for name in service.kinds if service.is_stream(name))
    if not streams:
        return NO_READINGS
    async with service.store.snapshot() as snapshot:
        rows = await snapshot.newest(streams[0], limits.PLOT_POINTS)
    documents = await queries.documents(rows)
    field = _plotted([document for _, document, moment in documents if moment is not None])
    names: dict[bytes, str] = {}
    for row, document, _ in documents:
        device = document.get(DEVICE_FIELD)
        if row.author is not None and isinstance(device, str):
            names.setdefault(row.author, device[: limits.SHOWN_NAME])
    points: list[Reading] = []
    for row, document, moment in documents:
        value = document.get(field)
        if row.author is None or moment is None or not is_number(value):
            continue
        height = to_float(value)
        # No axis has room for what is not finite, or nearly not.
        if abs(height) < _GREATEST:
            series = names.get(row.author, row.author.hex())
            points.append(Reading(series, moment.utc, height, str(value)))
    points.sort(key=lambda point: (point.series, point.at))
    return Readings(streams[0], field, points, names)


def _plotted(documents: list[dict[str, Any]]) -> str:
    """Choose the field to plot: of those with decimals, else with numbers, the one that most have."""
    for kind in (Decimal, object):
        counts = Counter(
            name
            for document in documents
            for name in document
            if name not in _NOT_PLOTTED and is_number(document[name]) and isinstance(document[name], kind)
        )
        if counts:
            return min(counts, key=lambda name: (-counts[name], name))
    return ""


def author_row(frontier: Frontier, names: dict[bytes, str], refused: str | None) -> dict[str, Any]:
    """Return what /status says of an author; `refused` is the code of a refusal that still holds."""
    return {
        "author": frontier.author.hex(),
        "name": frontier.name or names.get(frontier.author, ""),
        "held": frontier.held,
        "sealed": frontier.sealed,
        "receipted": frontier.receipted,
        "last_seen": rfc3339(frontier.last_seen) if frontier.last_seen else None,
        "refused": refused,
    }


def authors(service: Service, names: dict[bytes, str]) -> list[dict[str, Any]]:
    """Return the rows of the authors seen last, and of those refused, by name."""
    newest = heapq.nlargest(
        limits.STATUS_AUTHORS, service.frontiers.values(), lambda frontier: frontier.last_seen
    )
    shown = {frontier.author: frontier for frontier in newest}
    refusals = service.refusals
    shown |= {author: service.frontier(author) for author in refusals.authors()}
    rows = [author_row(frontier, names, service.why_refused(frontier.author)) for frontier in shown.values()]
    return sorted(rows, key=lambda row: (row["name"] == "", row["name"], row["author"]))


def lost_rows(lost: Sequence[Lost]) -> list[dict[str, Any]]:
    """Return what /status says of lost operations: why, when by their author's clock, and what is left.

    `summary` is [first, last] of the author's operations that hold the summaries of thinned readings.
    """
    return [{**row._asdict(), "author": row.author.hex()} for row in lost]
