"""The application: every endpoint over one service and one registry."""

import asyncio
import importlib.resources
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from hedgerow.errors import HedgerowError
from hedgerow_host.dql import make_ready
from hedgerow_host.loopback import LoopbackOnly

from . import limits
from .auth.apps import App
from .auth.authority import Authority, work
from .auth.membership import Membership
from .auth.registry import Registry
from .cdc.runner import Bridges
from .config import BigPeerConfig
from .forks import ForkJudge
from .grants import Grants
from .http.admin_api import PREFIX, AdminApi, add_admin_api
from .http.answers import Endpoint, answering
from .http.auth_api import AuthApi, add_auth_api
from .http.bridges_api import BridgesApi, add_bridges_api
from .http.caller import Caller, Gate
from .http.changes import ChangesEndpoint
from .http.collections_api import CollectionsApi, add_collections_api
from .http.documents import DocumentsEndpoint
from .http.door import Door
from .http.execute import EXECUTE_PATHS, ExecuteEndpoint
from .http.live import LiveEndpoint
from .http.openapi import description
from .http.peers import PeersEndpoint
from .http.rates import Rates
from .http.timeseries import TimeSeriesEndpoint
from .own import OwnAuthor
from .pages.access import add_access_pages
from .pages.bridges import add_bridges_pages
from .pages.data import add_data_pages
from .pages.events import PageEvents
from .pages.login import add_login_pages
from .pages.overview import add_overview_pages
from .pages.peers import add_peers_pages
from .pages.visitor import Visitors
from .query import Queries
from .retention import Retention
from .service import Service
from .store.port import Store
from .store.sqlite import SqliteStore
from .suspects import Suspects
from .sync import SyncEndpoint
from .system import SystemCollections

SYNC_PATH = "/api/hedgerow/v1/sync"
LIVE_PATH = "/api/hedgerow/v1/live"
DATA_PATHS = ("/collections/{collection}/documents", "/timeseries/{collection}", "/changes", "/peers")
OPENAPI_PATH = "/api/hedgerow/v1/openapi.json"
_REFUSED = 1008

OpenStore = Callable[[BigPeerConfig], Awaitable[Store]]


async def open_configured(config: BigPeerConfig) -> Store:
    """Open the store that the settings name: PostgreSQL, or the embedded one in the data directory."""
    if config.store:
        # Its driver is needed by nobody else.
        from .store.postgres import PostgresStore

        return await PostgresStore.open(config.store, config.app)
    return await SqliteStore.open(config.store_path, config.app, full_sync=config.full_sync)


def open_registry(config: BigPeerConfig) -> tuple[Registry, App]:
    """Open the database of rights, and the app that is served: a playground is made if there is none.

    Rights in the data directory move to a shared store that has none. Raises PLAYGROUND_ADDRESS,
    SETTING_INVALID, REGISTRY_VERSION, REGISTRY_KEY, REGISTRY_SPLIT, REGISTRY_FAILED.
    """
    registry = Registry(config.data, config.store, config.rights_key, take_over=True)
    try:
        app = registry.ensure_app(config.app, config.mesh)
        if app.mesh != config.mesh:
            raise HedgerowError("SETTING_INVALID", f"mesh: that of the app {app.name} is {app.mesh}")
        if app.is_playground and not config.is_loopback and not config.allow_playground:
            raise HedgerowError("PLAYGROUND_ADDRESS", f"{app.name} on {config.host}")
    except HedgerowError:
        registry.close()
        raise
    return registry, app


def place_of(registry: Registry, app: App, config: BigPeerConfig) -> str:
    """Return the PostgreSQL where an app lies, "" for the data directory. Raises STORE_FAILED."""
    if not config.store:
        return ""
    # Its driver is needed by nobody else.
    from .auth.relocate import settled

    return settled(registry, app, config.store)


class BigPeer:
    """The parts of one running Big Peer, for whoever mounts the application."""

    def __init__(self, config: BigPeerConfig, store: Store, registry: Registry, app: App, door: Door) -> None:
        self.service = Service(config, store)
        self.draining = False
        self.registry = registry
        self.app = app
        self.door = door
        self.gate = Gate(registry, app, is_open=config.is_loopback and app.is_playground)
        self.authority = Authority(registry)
        self.visitors = Visitors(config, registry, app, self.gate, door)
        self.membership = Membership(registry, app, store.identity.keeper, store.identity.author)
        self.own = OwnAuthor(self.service, self.membership)
        self.grants = Grants(self.service, self.own, self.membership, registry, app)
        self.queries = Queries(self.service, self.own)
        self.sync = SyncEndpoint(self.service, self.membership)
        self.system = SystemCollections(self.service, self.queries, self.sync.remotes)
        self.suspects = Suspects(self.service, self.queries, self.membership)
        self.rates = Rates(config.requests_per_second)
        self.changes = ChangesEndpoint(self.service, self.queries, self.name)
        self.data: dict[str, Endpoint] = {
            "/collections/{collection}/documents": DocumentsEndpoint(self.service, self.queries, self.name),
            "/timeseries/{collection}": TimeSeriesEndpoint(self.service, self.queries, self.name),
            "/changes": self.changes,
            "/peers": PeersEndpoint(self.service, self.queries, self.name, self.sync.remotes),
        }
        self.execute = ExecuteEndpoint(self.service, self.queries, self.name)
        self.live = LiveEndpoint(self.service, self.queries, self.name)
        self.bridges = Bridges(self.service, config.bridges_path, config.app, self.concealed)
        self.bridges_api = BridgesApi(self.service, self.bridges, registry, config.bridges_path, self.name)
        self.retention = Retention(self.service)
        self.collections_api = CollectionsApi(
            self.service, self.retention, registry, app, self.grants, self.name
        )
        forks = ForkJudge(self.service, self.membership)
        self.auth_api = AuthApi(self.authority, app, self.membership, forks, door)
        self.admin_api = AdminApi(registry, app, self.name, self.held)

    async def name(self, request: Request) -> Caller:
        """Return who asks; the connection is a known one then. Raises what Gate.caller does."""
        try:
            caller = await self.gate.caller(request.headers)
        except HedgerowError as error:
            if error.code == "AUTH_INVALID":
                who = f"address:{request.client.host if request.client else ''}"
                await work(self._note, who, request.url.path, error.code)
            raise
        self.door.know(request.scope)
        # A stream asks again who reads it, and is one request all the same.
        if not getattr(request.state, "counted", False):
            request.state.counted = True
            self.rates.take(caller.name)
        return caller

    def _note(self, who: str, path: str, code: str) -> None:
        self.registry.audit.refuse(who, "auth.refuse", path, code=code)

    def held(self, author: bytes) -> int:
        """Return up to which number an author is held here."""
        return self.service.frontier(author).held

    async def concealed(self) -> Collection[str]:
        """Return which collections are confidential, as every node knows it from this moment on."""
        return await work(self.registry.confidential.epochs, self.app)

    async def connect(self, socket: WebSocket) -> None:
        """Let a peer sync that shows its credential; to a playground it may come with an API key instead."""

        async def ask_on() -> None:
            (await self.gate.caller(socket.headers)).need("sync")

        plain = False
        try:
            await ask_on()
            plain = self.app.is_playground
        except HedgerowError as error:
            if error.code != "AUTH_MISSING":
                await socket.close(_REFUSED, error.code)
                return
        if plain and not self.gate.is_open:
            self.door.know(socket.scope)
        # Who came without an API key has none that could end.
        again = ask_on if "authorization" in socket.headers else None
        await self.sync.serve(socket, lambda: self.door.know(socket.scope), plain=plain, ask_on=again)

    async def start(self) -> None:
        """Make ready to serve."""
        await work(self.membership.refresh)
        self.service.store.rules = self.membership.rules
        await self.grants.open()
        self.service.prove = self.membership.prove
        if not self.app.is_playground:
            self.service.vouch = self.membership.sign_frontier
        await self.service.start()
        await self.service.judge(self.membership.unjudged)
        self.sync.start()
        self.suspects.start()
        await self.own.start()
        self.grants.start()
        self.bridges.start()
        self.retention.start()
        # Nobody waits for it who asks for something else.
        self._ready = asyncio.create_task(self.service.work(make_ready))

    async def stop(self) -> None:
        """End the sessions, seal, commit, and close the store."""
        await self.suspects.stop()
        await self.grants.stop()
        self.live.stop()
        self.changes.stop()
        await self._ready
        await self.bridges.stop()
        await self.retention.stop()
        await self.sync.stop(limits.GOODBYE_SECONDS)
        await self.own.stop()
        await self.service.stop()
        await self.authority.close()
        self.registry.close()


def create_app(config: BigPeerConfig, open_store: OpenStore = open_configured) -> FastAPI:
    """Return the ASGI application; its lifespan opens and closes the store."""
    door = Door(config.sockets_per_address)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            registry, served = await work(open_registry, config)
            try:
                place = await work(place_of, registry, served, config)
                store = await open_store(replace(config, store=place))
            except BaseException:
                registry.close()
                raise
            peer = BigPeer(config, store, registry, served, door)
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
    app.state.door = door
    if config.is_loopback:
        app.add_middleware(LoopbackOnly)
    static = Path(str(importlib.resources.files(__package__).joinpath("static")))
    app.mount("/static", StaticFiles(directory=static), name="static")
    _add_api(app)
    add_auth_api(app, lambda: peer_of(app).auth_api)
    add_admin_api(app, lambda: peer_of(app).admin_api)
    add_bridges_api(app, lambda: peer_of(app).bridges_api)
    add_collections_api(app, lambda: peer_of(app).collections_api)
    add_overview_pages(app, lambda: peer_of(app))
    add_login_pages(app, lambda: peer_of(app))
    add_access_pages(app, lambda: peer_of(app))
    app.state.page_events = PageEvents(lambda: peer_of(app))
    add_data_pages(app, lambda: peer_of(app), app.state.page_events)
    add_peers_pages(app, lambda: peer_of(app))
    add_bridges_pages(app, lambda: peer_of(app))
    return app


def peer_of(app: FastAPI) -> BigPeer:
    """Return the running parts of an application."""
    peer: BigPeer = app.state.peer
    return peer


def _add_data(app: FastAPI, path: str) -> None:
    async def read(request: Request) -> Response:
        return await answering(peer_of(app).data[path])(request)

    app.add_api_route(PREFIX + path, read, methods=["GET"])


def _add_api(app: FastAPI) -> None:
    async def execute(request: Request) -> Response:
        return await peer_of(app).execute(request)

    for path in EXECUTE_PATHS:
        app.add_api_route(path, execute, methods=["POST"])

    async def live(request: Request) -> Response:
        return await peer_of(app).live(request)

    app.add_api_route(LIVE_PATH, live, methods=["POST"])
    for path in DATA_PATHS:
        _add_data(app, path)

    async def describe(request: Request) -> Response:
        return JSONResponse(description())

    app.add_api_route(OPENAPI_PATH, describe, methods=["GET"])

    @app.websocket(SYNC_PATH)
    async def sync(socket: WebSocket) -> None:
        await peer_of(app).connect(socket)
