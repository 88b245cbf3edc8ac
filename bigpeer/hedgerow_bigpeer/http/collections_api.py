"""Collections over HTTP: /api/hedgerow/v1/collections, for API keys with the verb `admin`."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from ..auth.authority import work
from ..auth.registry import Registry
from ..names import check_collection
from ..retention import Retention, check_keep, show_retention
from ..service import Service
from ..store.rows import Retained
from .answers import add_routes, read_object, text_of
from .caller import Name
from .parameters import length
from .resources import answer

PREFIX = "/api/hedgerow/v1/collections"


class CollectionsApi:
    """The endpoints."""

    def __init__(self, service: Service, retention: Retention, registry: Registry, name: Name) -> None:
        self._service = service
        self._retention = retention
        self._registry = registry
        self._name = name

    async def list(self, request: Request) -> Any:
        """List collections, and for how long their readings are kept."""
        await self._need(request)
        rows = await self._service.store.retention()
        return answer({"collections": show_retention(rows, self._service.kinds)})

    async def retain(self, request: Request) -> Any:
        """Keep readings for so long: `keep`, such as 90d."""
        actor = await self._need(request)
        body = await read_object(request, ("keep",))
        return answer(await self.set(actor, request.path_params["collection"], text_of(body, "keep")))

    async def keep(self, request: Request) -> Any:
        """Keep readings for ever from now on."""
        actor = await self._need(request)
        return answer(await self.set(actor, request.path_params["collection"], None))

    async def set(self, actor: str, name: str, text: str | None) -> dict[str, Any]:
        """Keep the readings of a collection for so long (90d), None for ever; return what is shown of it.

        Raises REQUEST_SYNTAX, RETENTION_INVALID.
        """
        check_collection(name)
        keep = 0
        if text is not None:
            keep = length({"keep": text}, "keep") or 0
            check_keep(self._service, name, keep)
        await self._service.store.retain(name, keep)
        await work(self._note, actor, name, keep)
        self._retention.look()
        rows = [row for row in await self._service.store.retention() if row.collection == name]
        kinds = {key: kind for key, kind in self._service.kinds.items() if key == name}
        (found,) = show_retention(rows or [Retained(name, 0, 0, 0)], kinds)
        return found

    def _note(self, actor: str, name: str, keep: int) -> None:
        self._registry.audit.add(actor, "collection.retain", name, keep_ms=keep or None)

    async def _need(self, request: Request) -> str:
        caller = await self._name(request)
        caller.need("admin")
        return caller.name


def add_collections_api(app: FastAPI, api: Callable[[], CollectionsApi]) -> None:
    """Add the endpoints; `api()` returns the running CollectionsApi."""
    routes = [
        ("GET", PREFIX, "list"),
        ("PUT", PREFIX + "/{collection:path}/retention", "retain"),
        ("DELETE", PREFIX + "/{collection:path}/retention", "keep"),
    ]
    add_routes(app, api, routes)
