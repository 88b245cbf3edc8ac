"""GET /api/hedgerow/v1/peers: what of every author is held, what is missing and why, who is overdue."""

from collections.abc import Callable, Collection
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..expected import peers
from ..presence import Remote
from ..query import Queries
from ..service import Service
from ..status import lost_rows
from .caller import Name
from .parameters import known
from .resources import answer


class PeersEndpoint:
    """Answers for callers that may see the status."""

    def __init__(
        self, service: Service, queries: Queries, name: Name, remotes: Callable[[], Collection[Remote]]
    ) -> None:
        self._remotes = remotes
        self._service = service
        self._queries = queries
        self._name = name

    async def __call__(self, request: Request) -> Response:
        """Answer the peers that were seen last, by name."""
        caller = await self._name(request)
        caller.need("status")
        known(request)
        lost: dict[str, list[dict[str, Any]]] = {}
        for row in lost_rows(await self._service.lost()):
            lost.setdefault(row.pop("author"), []).append(row)
        rows = await peers(self._service, self._queries, self._remotes())
        return answer(
            {
                "transactionId": self._service.transaction,
                "peers": [{**row, "lost": lost.get(row["author"], [])} for row in rows],
            }
        )
