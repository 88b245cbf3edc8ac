"""The application: every endpoint over one service."""

import importlib.resources
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, select_autoescape

from hedgerow.errors import HedgerowError

from . import limits, metrics, status
from .config import BigPeerConfig
from .http.execute import ExecuteEndpoint
from .loopback import LoopbackOnly
from .own import OwnAuthor
from .plot import make_plot
from .query import Queries
from .service import Service
from .store.port import Store
from .store.sqlite import SqliteStore
from .sync import SyncEndpoint

SYNC_PATH = "/api/hedgerow/v1/sync"
STATUS_PATH = "/api/hedgerow/v1/status"
EXECUTE_PATHS = ("/api/v4/store/execute", "/api/v5/store/execute")
_CONTENT_POLICY = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

OpenStore = Callable[[BigPeerConfig], Awaitable[Store]]


async def open_sqlite(config: BigPeerConfig) -> Store:
    """Open the embedded store in the data directory."""
    return await SqliteStore.open(config.store_path, full_sync=config.full_sync)


class BigPeer:
    """The parts of one running Big Peer, for whoever mounts the application."""

    def __init__(self, config: BigPeerConfig, store: Store) -> None:
        self.service = Service(config, store)
        self.own = OwnAuthor(self.service)
        self.queries = Queries(self.service, self.own)
        self.sync = SyncEndpoint(self.service)
        self.execute = ExecuteEndpoint(self.service, self.queries)

    async def start(self) -> None:
        """Make ready to serve."""
        await self.service.start()
        await self.own.start()

    async def stop(self) -> None:
        """End the sessions, seal, commit, and close the store."""
        await self.sync.stop(limits.GOODBYE_SECONDS)
        await self.own.stop()
        await self.service.stop()


def create_app(config: BigPeerConfig, open_store: OpenStore = open_sqlite) -> FastAPI:
    """Return the ASGI application; its lifespan opens and closes the store."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            peer = BigPeer(config, await open_store(config))
            await peer.start()
        except HedgerowError as error:
            app.state.failure = error
            raise
        app.state.peer = peer
        try:
            yield
        finally:
            await peer.stop()

    app = FastAPI(
        title="Hedgerow Big Peer", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    app.add_middleware(LoopbackOnly)
    static = Path(str(importlib.resources.files(__package__).joinpath("static")))
    app.mount("/static", StaticFiles(directory=static), name="static")
    _add_api(app)
    _add_status(app)
    return app


def peer_of(app: FastAPI) -> BigPeer:
    """Return the running parts of an application."""
    peer: BigPeer = app.state.peer
    return peer


def _add_api(app: FastAPI) -> None:
    async def execute(request: Request) -> Response:
        return await peer_of(app).execute(request)

    for path in EXECUTE_PATHS:
        app.add_api_route(path, execute, methods=["POST"])

    @app.websocket(SYNC_PATH)
    async def sync(socket: WebSocket) -> None:
        await peer_of(app).sync.serve(socket)


def _add_status(app: FastAPI) -> None:
    pages = Environment(loader=PackageLoader(str(__package__)), autoescape=select_autoescape())

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        service = peer_of(app).service
        body = {"ok": service.healthy, "transaction": service.transaction}
        return JSONResponse(body, 200 if service.healthy else 503)

    @app.get("/metrics")
    async def prometheus() -> PlainTextResponse:
        return PlainTextResponse(metrics.render(peer_of(app).service), media_type=metrics.MEDIA_TYPE)

    @app.get(STATUS_PATH)
    async def status_json() -> JSONResponse:
        return JSONResponse(await _status(peer_of(app)))

    @app.get("/")
    async def status_page() -> HTMLResponse:
        peer = peer_of(app)
        shown = await status.readings(peer.service, peer.queries)
        rows = status.authors(peer.service, shown.names)
        values = {
            "authors": rows,
            "lost": status.lost_rows(await peer.service.lost()),
            "held": sum(row["held"] for row in rows),
            "receipted": sum(row["receipted"] for row in rows),
            "connections": peer.service.connections,
            "transaction": peer.service.transaction,
            "readings": shown,
            "plot": make_plot(shown.points),
        }
        page = await peer.queries.work(pages.get_template("status.html").render, values)
        return HTMLResponse(
            page, headers={"Content-Security-Policy": _CONTENT_POLICY, "Cache-Control": "no-store"}
        )


async def _status(peer: BigPeer) -> dict[str, Any]:
    shown = await status.readings(peer.service, peer.queries)
    identity = peer.service.store.identity
    return {
        "author": identity.author.hex(),
        "keeper": identity.keeper.hex(),
        "incarnation": identity.incarnation,
        "name": peer.service.config.name,
        "transaction": peer.service.transaction,
        "connections": peer.service.connections,
        "authors": status.authors(peer.service, shown.names),
        "lost": status.lost_rows(await peer.service.lost()),
    }
