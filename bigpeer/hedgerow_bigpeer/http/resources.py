"""What the data endpoints under /api/hedgerow/v1 share: who may read what, and answers with every digit."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.responses import Response

from hedgerow.errors import HedgerowError
from hedgerow.query.expression import has_aggregate
from hedgerow.query.load import parse_where

from .. import limits
from ..auth.rights import Rule
from ..prefilter import filter_of
from ..query import Queries, covers
from ..store.filter import Filter
from ..store.port import Snapshot
from ..store.rows import DocumentRow
from ..view import Moment
from .json_text import render

Node = tuple[Any, ...]
Seen = tuple[DocumentRow, dict[str, Any], Moment | None]


def answer(value: Any) -> Response:
    """Return JSON in which decimals have all their digits."""
    return Response(
        render(value).encode("utf-8", "replace"),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def condition_of(text: str | None) -> Node | None:
    """Return the condition that a `where` holds. Raises the QUERY_ codes."""
    if not text:
        return None
    where: Node = parse_where(text)
    if has_aggregate(where):
        raise HedgerowError("QUERY_AGGREGATE", "an aggregate stands in `where`")
    return where


async def scan(
    queries: Queries, snapshot: Snapshot, collection: str, rule: Rule, where: Node | None, after: bytes | None
) -> AsyncIterator[Sequence[Seen]]:
    """Yield the readable documents that may hold a condition, in slices in the order of their ids."""
    wanted: Filter = await queries.work(filter_of, where, {})
    while True:
        rows = await snapshot.documents(collection, after, limits.SLICE_DOCUMENTS, wanted)
        yield await queries.documents([row for row in rows if covers(rule, row)])
        if len(rows) < limits.SLICE_DOCUMENTS:
            return
        after = rows[-1].id
