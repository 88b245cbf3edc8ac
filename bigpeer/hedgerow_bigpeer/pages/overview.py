"""The overview page, the same as JSON, health and metrics."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from .. import metrics, status
from ..cdc.metrics import bridge_metrics
from ..expected import peer_metrics, peers
from ..http.answers import answering
from ..plot import make_plot
from ..retention import retention_metrics
from .opening import opening
from .table import plot_json, unix_of
from .visitor import LoginWanted, Visitor

if TYPE_CHECKING:
    from ..app import BigPeer

STATUS_PATH = "/api/hedgerow/v1/status"


def add_overview_pages(app: FastAPI, running: Callable[[], "BigPeer"]) -> None:
    """Add the pages; `running()` returns the running Big Peer."""

    async def healthz(request: Request) -> Response:
        service = running().service
        body = {"ok": service.healthy, "transaction": service.transaction}
        return JSONResponse(body, 200 if service.healthy else 503)

    async def livez(request: Request) -> Response:
        ok = running().service.store.outdated is None
        return JSONResponse({"ok": ok}, 200 if ok else 503)

    async def readyz(request: Request) -> Response:
        ok = running().service.healthy and not running().draining
        return JSONResponse({"ok": ok}, 200 if ok else 503)

    async def prometheus(request: Request) -> Any:
        await _read(running(), request)
        service = running().service
        peer = running()
        text = metrics.render(service, len(peer.live)) + await bridge_metrics(service)
        text += retention_metrics(await service.store.retention())
        text += await peer_metrics(service, running().queries)
        return PlainTextResponse(text, media_type=metrics.MEDIA_TYPE)

    async def status_json(request: Request) -> Any:
        await _read(running(), request)
        return await _status(running())

    async def overview(request: Request, visitor: Visitor) -> Response:
        peer = running()
        allowed = peer.visitors.may_see_data(visitor)
        shown = await status.readings(peer.service, peer.queries) if allowed else status.NO_READINGS
        everybody = await peers(peer.service, peer.queries)
        names = {bytes.fromhex(row["author"]): row["name"] for row in everybody if row["name"]}
        rows = status.authors(peer.service, names)
        values = {
            "authors": rows,
            "lost": status.lost_rows(await peer.service.lost()),
            "held": sum(row["held"] for row in rows),
            "receipted": sum(row["receipted"] for row in rows),
            "connections": peer.service.connections,
            "transaction": peer.service.transaction,
            "page": "overview",
            "overdue": sum(row["overdue"] for row in everybody),
            "allowed": allowed,
            "readings": shown,
            "plot": make_plot(shown.points),
            "plotted": plot_json(shown.field, [(p.series, unix_of(p.at), p.value) for p in shown.points]),
            "app": peer.app.name,
            "playground": peer.app.is_playground,
        }
        return await peer.visitors.page("status.html", values, visitor)

    app.add_api_route("/healthz", healthz)
    # For whoever starts and stops nodes: whether to start it anew, and whether to send it anybody.
    app.add_api_route("/livez", livez)
    app.add_api_route("/readyz", readyz)
    app.add_api_route("/metrics", answering(prometheus))
    app.add_api_route(STATUS_PATH, answering(status_json))
    app.add_api_route("/", opening(running, overview))


async def _read(peer: "BigPeer", request: Request) -> None:
    try:
        await peer.visitors.status_reader(request)
    except LoginWanted:
        # A program reads these: it is told what is missing, and not sent to a form.
        (await peer.gate.caller(request.headers)).need("status")


async def _status(peer: "BigPeer") -> dict[str, Any]:
    shown = await status.readings(peer.service, peer.queries)
    identity = peer.service.store.identity
    return {
        "author": identity.author.hex(),
        "keeper": identity.keeper.hex(),
        "incarnation": identity.incarnation,
        "name": peer.service.config.name,
        "app": peer.app.name,
        "transaction": peer.service.transaction,
        "connections": peer.service.connections,
        "authors": status.authors(peer.service, shown.names),
        "lost": status.lost_rows(await peer.service.lost()),
    }
