"""Running the Big Peer as a process."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI

from hedgerow.errors import HedgerowError

from . import limits
from .app import create_app, peer_of
from .config import BigPeerConfig
from .http.door import Door
from .http.socket import SocketProtocol

log = logging.getLogger(__name__)


def run_bigpeer(config: BigPeerConfig, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; everything acknowledged is durable and sealed on return.

    `on_ready(url)` is called once requests are answered; port 0 in the settings means any free one.
    Raises HedgerowError HTTP_BIND, STORE_VERSION or STORE_FAILED, also when the store went on without it.
    """
    listener = _bind(config)
    host, port = listener.getsockname()[:2]
    scheme = "https" if config.tls_key is not None else "http"
    url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    with listener:
        # An app that has moved is opened at its new place; who connects meanwhile waits.
        while _serve(config, listener, url, on_ready):
            on_ready = None


def _serve(
    config: BigPeerConfig, listener: socket.socket, url: str, on_ready: Callable[[str], None] | None
) -> bool:
    """Serve until it ends; say whether to begin again, because the app is at another place."""
    app = create_app(config)
    server = _Server(config, app, url, on_ready)
    # uvicorn ends a start that failed by leaving the program, and else closes what it is given.
    with (
        contextlib.suppress(SystemExit),
        listener.dup() as door,
        asyncio.Runner(loop_factory=_loop) as runner,
    ):
        runner.run(server.serve(sockets=[door]))
    failure: HedgerowError | None = getattr(app.state, "failure", None)
    if failure is not None and failure.code == "STORE_MOVED" and server.started:
        log.warning("%s", failure)
        return True
    if failure is not None:
        raise failure
    if not server.started:
        raise HedgerowError("STORE_FAILED", "the start failed; the log says why")
    return False


def _loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose servers give a stranger no longer for TLS than for anything else."""
    loop = asyncio.new_event_loop()
    create = loop.create_server

    async def create_server(*args: Any, ssl: Any = None, **options: Any) -> asyncio.Server:
        if ssl is not None:
            options["ssl_handshake_timeout"] = limits.UNKNOWN_SECONDS
        return await create(*args, ssl=ssl, **options)

    loop.create_server = create_server  # type: ignore[method-assign]
    return loop


class _Server(uvicorn.Server):
    """Tells when it is ready, and ends with the return of serve(), not with the signal that stopped it."""

    def __init__(
        self, config: BigPeerConfig, app: FastAPI, url: str, on_ready: Callable[[str], None] | None
    ) -> None:
        super().__init__(_uvicorn_config(config, app))
        self._app = app
        self._url = url
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to stop."""
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            peer = peer_of(self._app)
            if peer.gate.is_open:
                log.warning("playground: %s answers everybody on this machine, and nobody else", self._url)
            elif not peer.visitors.has_login():
                log.warning("no page of %s has a login: `hedgerow bigpeer users add` makes one", self._url)
            if self._on_ready is not None:
                self._on_ready(self._url)

    async def on_tick(self, counter: int) -> bool:
        # Whoever runs it starts it anew, and so it takes another slot, or another author.
        outdated = peer_of(self._app).service.store.outdated
        if outdated is not None:
            self._app.state.failure = outdated
            return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        peer_of(self._app).draining = True
        peer_of(self._app).live.stop()
        peer_of(self._app).changes.stop()
        self._app.state.page_events.stop()
        await peer_of(self._app).sync.stop(limits.GOODBYE_SECONDS)
        await super().shutdown(sockets)


def _uvicorn_config(config: BigPeerConfig, app: FastAPI) -> uvicorn.Config:
    door: Door = app.state.door
    return uvicorn.Config(
        app,
        # It is called as the class would be.
        http=door.protocol,  # type: ignore[arg-type]
        h11_max_incomplete_event_size=limits.UNKNOWN_BYTES,
        # Nobody's word counts for where a request comes from.
        proxy_headers=False,
        server_header=False,
        ssl_certfile=config.tls_certificate,
        ssl_keyfile=config.tls_key,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        ws=SocketProtocol,
        ws_max_size=limits.SOCKET_MESSAGE_BYTES,
        ws_max_queue=limits.INBOX_MESSAGES,
        ws_per_message_deflate=False,
        limit_concurrency=limits.CONNECTIONS * 2 + limits.UNPROVEN,
        timeout_graceful_shutdown=limits.SHUTDOWN_SECONDS,
    )


def _bind(config: BigPeerConfig) -> socket.socket:
    try:
        family = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((config.host, config.port), family=family)
    except OSError as error:
        raise HedgerowError("HTTP_BIND", f"{config.host}:{config.port}: {error}") from error
