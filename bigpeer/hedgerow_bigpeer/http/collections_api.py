"""Collections over HTTP: /api/hedgerow/v1/collections, for API keys with the verb `admin`."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from hedgerow.codec.schema import CONFIDENTIAL, SCOPE_LOCAL, scope_of
from hedgerow.errors import HedgerowError

from ..auth.apps import App
from ..auth.authority import work
from ..auth.registry import Registry
from ..grants import Grants
from ..names import check_collection
from ..retention import Retention, check_keep, show_collections
from ..service import Service
from ..store.rows import Retained
from .answers import add_routes, read_object, text_of
from .caller import Name
from .parameters import length
from .resources import answer

PREFIX = "/api/hedgerow/v1/collections"


class CollectionsApi:
    """The endpoints."""

    def __init__(
        self,
        service: Service,
        retention: Retention,
        registry: Registry,
        app: App,
        grants: Grants,
        name: Name,
    ) -> None:
        self._app = app
        self._grants = grants
        self._service = service
        self._retention = retention
        self._registry = registry
        self._name = name

    async def list(self, request: Request) -> Any:
        """List collections: for how long their readings are kept, and which are confidential."""
        await self._need(request)
        await self._grants.refresh()
        service = self._service
        rows = await service.store.retention()
        return answer({"collections": show_collections(rows, service.kinds, service.epochs)})

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
        return await self._show(name)

    async def conceal(self, request: Request) -> Any:
        """Let a collection be confidential from now on: there is no way back."""
        actor, name = await self._need(request), request.path_params["collection"]
        schemas = [schema for schema in self._service.schemas.values() if schema.collection == name]
        if any(scope_of(schema.kind) == SCOPE_LOCAL for schema in schemas):
            raise HedgerowError("CONFIDENTIAL_INVALID", f"{name} never leaves its peer"[:200])
        await work(self._registry.confidential.declare, actor, self._app, name)
        await self._grants.refresh()
        before = any(schema.fields and not schema.kind & CONFIDENTIAL for schema in schemas)
        return answer({**await self._show(name), "plain_before": before})

    async def rekey(self, request: Request) -> Any:
        """Give a confidential collection another key."""
        actor, name = await self._need(request), request.path_params["collection"]
        await work(self._registry.confidential.rotate, actor, self._app, [name])
        await self._grants.refresh()
        return answer(await self._show(name))

    async def _show(self, name: str) -> dict[str, Any]:
        service = self._service
        rows = [row for row in await service.store.retention() if row.collection == name]
        kinds, epochs = (
            {key: value for key, value in known.items() if key == name}
            for known in (service.kinds, service.epochs)
        )
        (found,) = show_collections(rows or [Retained(name, 0, 0, 0)], kinds, epochs)
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
        ("PUT", PREFIX + "/{collection:path}/confidential", "conceal"),
        ("POST", PREFIX + "/{collection:path}/rekey", "rekey"),
    ]
    add_routes(app, api, routes)
