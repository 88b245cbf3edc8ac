"""GET /api/hedgerow/v1/collections/NAME/documents: a collection page by page, by keys, never by counting."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hedgerow.errors import HedgerowError
from hedgerow.query.expression import holds

from .. import limits
from ..names import check_collection
from ..query import Queries
from ..service import Service
from .caller import Name
from .cursors import read_cursor, write_cursor
from .parameters import known, whole
from .resources import Node, Seen, answer, condition_of, scan


class DocumentsEndpoint:
    """Answers pages: documents in the order of their ids, and the cursor of the next page."""

    def __init__(self, service: Service, queries: Queries, name: Name) -> None:
        self._service = service
        self._queries = queries
        self._name = name

    async def __call__(self, request: Request) -> Response:
        """Answer one page."""
        caller = await self._name(request)
        found = known(request, "where", "limit", "after")
        limit = whole(found, "limit", limits.PAGE_DOCUMENTS, 1, limits.MOST_PAGE_DOCUMENTS)
        after = read_cursor("after", found["after"], bytes)[0] if "after" in found else None
        where = await self._queries.work(condition_of, found.get("where"))
        collection = check_collection(request.path_params["collection"])
        rule = await self._queries.work(caller.rights.to_read, collection)
        try:
            async with asyncio.timeout(limits.STATEMENT_SECONDS):
                async with self._service.store.snapshot(limits.STATEMENT_SECONDS) as snapshot:
                    page: list[Seen] = []
                    async for slice_ in scan(self._queries, snapshot, collection, rule, where, after):
                        page += await self._queries.work(_holding, where, slice_)
                        if len(page) > limit:
                            break
        except TimeoutError:
            raise HedgerowError("QUERY_TIMEOUT", f"over {limits.STATEMENT_SECONDS:g} s") from None
        more = len(page) > limit
        page = page[:limit]
        return answer(
            {
                "transactionId": snapshot.transaction,
                "items": [document for _, document, _ in page],
                "next": write_cursor(page[-1][0].id) if more else None,
            }
        )


def _holding(where: Node | None, slice_: list[Seen]) -> list[Any]:
    return [seen for seen in slice_ if where is None or holds(where, seen[1])]
