"""Bridges over HTTP: /api/hedgerow/v1/bridges, for API keys with the verb `admin`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from hedgerow.errors import HedgerowError

from .. import limits
from ..auth.authority import work
from ..auth.registry import Registry
from ..cdc import table
from ..cdc.config import check_name, read_config
from ..cdc.runner import Bridges, check_runnable
from ..cdc.table import Bridge
from ..clock import rfc3339
from ..service import Service
from .answers import add_routes, read_object, text_of
from .caller import Name
from .resources import answer

PREFIX = "/api/hedgerow/v1/bridges"
_BODY_BYTES = 65_536
_SECRETS = ("secret", "password")


class BridgesApi:
    """The endpoints."""

    def __init__(
        self, service: Service, bridges: Bridges, registry: Registry, folder: Path, name: Name
    ) -> None:
        self._service = service
        self._bridges = bridges
        self._registry = registry
        self._folder = folder
        self._name = name

    async def list(self, request: Request) -> Any:
        """List bridges with how far they are behind."""
        await self._need(request)
        return answer({"bridges": await self.shown()})

    async def shown(self) -> Sequence[dict[str, Any]]:
        """Return all bridges as the API and the page show them."""
        found = await self._service.store.transact(table.bridges)
        return [await self._show(bridge) for bridge in found]

    async def get(self, request: Request) -> Any:
        """Show one bridge."""
        await self._need(request)
        return answer(await self._show(await self._transact(table.bridge, self._named(request))))

    async def set(self, request: Request) -> Any:
        """Make a bridge, or set it anew; a new one begins with the oldest change that is kept, or `now`."""
        actor = await self._need(request)
        name = self._named(request)
        body = await read_object(request, most=_BODY_BYTES)
        place = self._place(text_of(body, "from", "oldest"))
        body.pop("from", None)
        concealed = await self._bridges.concealed()
        text = await self._service.work(check_runnable, name, body, self._folder, concealed)
        await self._transact(table.set_bridge, name, text, place)
        return await self._done(request, actor, "bridge.set", name)

    async def drop(self, request: Request) -> Any:
        """Remove a bridge and what it has parked."""
        actor = await self._need(request)
        name = self._named(request)
        await self._transact(table.drop_bridge, name)
        await work(self._note, actor, "bridge.drop", name)
        return answer({"name": name})

    async def pause(self, request: Request) -> Any:
        """Stop a bridge."""
        actor, name = await self._need(request), self._named(request)
        await self._transact(table.pause, name, True)
        return await self._done(request, actor, "bridge.pause", name)

    async def resume(self, request: Request) -> Any:
        """Let a bridge go on."""
        actor, name = await self._need(request), self._named(request)
        bridge: Bridge = await self._transact(table.bridge, name)
        read_config(name, json.loads(bridge.config)).check(await self._bridges.concealed())
        await self._transact(table.pause, name, False)
        return await self._done(request, actor, "bridge.resume", name)

    async def reset(self, request: Request) -> Any:
        """Let a bridge begin with the oldest change kept, or behind the newest."""
        actor, name = await self._need(request), self._named(request)
        place = self._place(text_of(await read_object(request, ("from",)), "from"))
        await self._transact(table.reset, name, place)
        return await self._done(request, actor, "bridge.reset", name)

    async def parked(self, request: Request) -> Any:
        """Show the oldest parked events."""
        await self._need(request)
        name = self._named(request)
        await self._transact(table.bridge, name)
        entries = await self._transact(table.parked, name, limits.BRIDGE_SHOWN)
        rows = [
            {
                "id": entry.event.id,
                "key": entry.event.key,
                "reason": entry.reason,
                "replay": bool(entry.replay),
                "at": rfc3339(entry.at),
                "event": entry.event.value,
            }
            for entry in entries
        ]
        return answer({"parked": rows})

    async def replay(self, request: Request) -> Any:
        """Send parked events again: all, or those of a `key`."""
        return await self._on_parked(request, "bridge.replay", table.replay)

    async def skip(self, request: Request) -> Any:
        """Forget parked events: all, or those of a `key`."""
        return await self._on_parked(request, "bridge.skip", table.skip)

    async def _on_parked(self, request: Request, action: str, function: Callable[..., int]) -> Any:
        actor, name = await self._need(request), self._named(request)
        body = await read_object(request, ("key",))
        key = text_of(body, "key") if "key" in body else None
        count = await self._transact(function, name, key)
        await work(self._note, actor, action, name)
        self._bridges.look()
        return answer({"events": count})

    async def _done(self, request: Request, actor: str, action: str, name: str) -> Any:
        await work(self._note, actor, action, name)
        self._bridges.look()
        return answer(await self._show(await self._transact(table.bridge, name)))

    def _note(self, actor: str, action: str, name: str) -> None:
        self._registry.audit.add(actor, action, name)

    async def _transact(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self._service.store.transact(lambda db, key: function(db, key, *args))

    async def _need(self, request: Request) -> str:
        caller = await self._name(request)
        caller.need("admin")
        return caller.name

    def _named(self, request: Request) -> str:
        return check_name(request.path_params["bridge"])

    def _place(self, word: str) -> tuple[int, int]:
        if word == "oldest":
            return 0, 0
        if word == "now":
            return self._service.transaction, 1 << 62
        raise HedgerowError("BRIDGE_INVALID", "`from`: oldest or now")

    async def _show(self, bridge: Bridge) -> dict[str, Any]:
        place = (bridge.transaction, bridge.seq)
        parked, lag, first = await self._transact(table.counts, bridge.name, place)
        now = self._service.clock.utc()
        config: dict[str, Any] = await self._service.work(_without_secrets, bridge.config)
        return {
            "name": bridge.name,
            **config,
            "state": "paused" if bridge.paused else "runs" if bridge.lease >= now else "waits",
            "transactionId": bridge.transaction,
            "delivered": bridge.delivered,
            "lag": lag,
            "age_ms": 0 if first is None else max(0, now - first),
            "parked": parked,
            "error": bridge.error,
        }


def _without_secrets(text: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(text)
    sink = {name: value for name, value in config["sink"].items() if name not in _SECRETS}
    if "options" in sink:
        # Passwords are among librdkafka's settings.
        sink["options"] = sorted(sink["options"])
    return {"confidential": False, **config, "sink": sink}


_ROUTES = (
    ("GET", "", "list"),
    ("GET", "/{bridge}", "get"),
    ("PUT", "/{bridge}", "set"),
    ("DELETE", "/{bridge}", "drop"),
    ("POST", "/{bridge}/pause", "pause"),
    ("POST", "/{bridge}/resume", "resume"),
    ("POST", "/{bridge}/reset", "reset"),
    ("GET", "/{bridge}/parked", "parked"),
    ("POST", "/{bridge}/replay", "replay"),
    ("POST", "/{bridge}/skip", "skip"),
)


def add_bridges_api(app: FastAPI, api: Callable[[], BridgesApi]) -> None:
    """Add the endpoints; `api()` returns the running BridgesApi."""
    add_routes(app, api, [(method, PREFIX + path, name) for method, path, name in _ROUTES])
