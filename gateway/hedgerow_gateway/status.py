"""The local HTTP pages: /status, /metrics, /healthz. No security yet, so on loopback only, and not for pages
elsewhere that a browser here shows.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse

from hedgerow.errors import HedgerowError
from hedgerow_host.loopback import LoopbackOnly

from . import metrics
from .report import Report


def make_app(report: Callable[[], Report]) -> FastAPI:
    """Return the application; `report` is called in the event loop, once per request."""
    app = FastAPI(title="Hedgerow gateway", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(LoopbackOnly)

    @app.get("/status")
    async def status() -> JSONResponse:
        return JSONResponse(report())

    @app.get("/metrics")
    async def prometheus() -> PlainTextResponse:
        return PlainTextResponse(metrics.render(report()), media_type="text/plain; version=0.0.4")

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        return JSONResponse({"ok": True})

    return app


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the gateway stops it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise HedgerowError("HTTP_BIND", f"{host}:{port}: {error}") from error


@asynccontextmanager
async def serving(app: FastAPI, host: str, port: int) -> AsyncIterator[str]:
    """Serve within the `async with` block; yields the address. Raises HTTP_BIND."""
    listener = _bind(host, port)
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", access_log=False, timeout_graceful_shutdown=1
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    bound = listener.getsockname()
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
