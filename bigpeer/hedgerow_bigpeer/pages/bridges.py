"""The page of bridges: how far each is behind, and why."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..auth.authority import work
from ..cdc import table
from . import words
from .opening import Running, opening, sending
from .visitor import Visitor

BRIDGES_PATH = "/bridges"


class BridgesPages:
    """The page and its forms."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """Show all bridges; where they lead to only by kind, for addresses may hold secrets."""
        peer = self._running()
        rows = await peer.bridges_api.shown()
        values = {"page": "bridges", "rows": rows, "words": words}
        return await peer.visitors.page("bridges.html", values, visitor)

    async def pause(self, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Stop a bridge, or let it go on."""
        peer = self._running()
        name, stop = fields.get("name", ""), fields.get("stop") == "on"
        await peer.service.store.transact(lambda db, key: table.pause(db, key, name, stop))
        action = "bridge.pause" if stop else "bridge.resume"
        await work(peer.registry.audit.add, visitor.name, action, name)
        peer.bridges.look()
        return RedirectResponse(BRIDGES_PATH, 303, {"Cache-Control": "no-store"})


def add_bridges_pages(app: FastAPI, running: Running) -> None:
    """Add the page; `running()` returns the running Big Peer."""
    pages = BridgesPages(running)
    app.add_api_route(BRIDGES_PATH, opening(running, pages.show))
    app.add_api_route(f"{BRIDGES_PATH}/pause", sending(running, pages.pause, "admin"), methods=["POST"])
