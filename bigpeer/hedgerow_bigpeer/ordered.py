"""ORDER BY a path with LIMIT where the path has an index: documents in that order, no more than are needed.

The answer is the one that a scan gives. Facets sort as the values do, but for those that are cut and look
alike; so reading ends only behind the last document that looks like the last one wanted. What may refuse a
document is worked out for all of them, and so is not done this way.
"""

from collections.abc import AsyncIterator, Collection
from typing import Any, NamedTuple

from hedgerow.query.evaluate import Select

from . import limits
from .prefilter import is_calm, stored_name
from .store.filter import Filter
from .store.port import Snapshot
from .store.rows import DocumentRow

Node = tuple[Any, ...]
#: A document, and the facet that it is ordered by: None where the path leads nowhere.
Placed = tuple[str | None, DocumentRow]


class Order(NamedTuple):
    """By which indexed path, and whether from the greatest down."""

    path: str
    falling: bool


def order_of(query: Select, statement: Node, indexed: Collection[str]) -> Order | None:
    """Return the order in which the documents of a SELECT can be read so that its first rows come first."""
    if not query.plain or query.wanted is None or query.wanted > limits.ORDERED_ROWS or len(query.order) != 1:
        return None
    _, _, columns, _, where = statement[:5]
    shown = [column[1] for column in columns if column[0] == "column"]
    if not all(is_calm(part) for part in [*shown, *([where] if where else [])]):
        return None
    expression, falling = query.order[0]
    name = stored_name(expression)
    return Order(name, falling) if name is not None and name in indexed else None


async def in_order(
    snapshot: Snapshot, collection: str, order: Order, wanted: Filter
) -> AsyncIterator[list[Placed]]:
    """Yield the documents that a filter lets through, in slices; those of equal facets by their ids."""
    if not order.falling:
        async for nowhere in _nowhere(snapshot, collection, order, wanted):
            yield nowhere
    after: tuple[str, bytes] | None = None
    while True:
        rows = await snapshot.ordered(
            collection, order.path, after, limits.SLICE_DOCUMENTS, wanted, falling=order.falling
        )
        yield [*rows]
        if len(rows) < limits.SLICE_DOCUMENTS:
            break
        after = (rows[-1][0], rows[-1][1].id)
    if order.falling:
        async for nowhere in _nowhere(snapshot, collection, order, wanted):
            yield nowhere


async def _nowhere(
    snapshot: Snapshot, collection: str, order: Order, wanted: Filter
) -> AsyncIterator[list[Placed]]:
    """Yield those without a value, which come before all others."""
    missing = ("and", (wanted, ("missing", order.path)))
    after: bytes | None = None
    while True:
        rows = await snapshot.documents(collection, after, limits.SLICE_DOCUMENTS, missing)
        yield [(None, row) for row in rows]
        if len(rows) < limits.SLICE_DOCUMENTS:
            return
        after = rows[-1].id


class Enough:
    """Says when the rows that a query wants have been read."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._found = 0
        self._last: str | None = None

    def is_beyond(self, facet: str | None) -> bool:
        """Say whether a document with this facet, and all behind it, come after what is wanted."""
        return self._found >= self._wanted and (facet != self._last or not self._wanted)

    def count(self, facet: str | None) -> None:
        """Count a row."""
        self._found += 1
        if self._found <= self._wanted:
            self._last = facet
