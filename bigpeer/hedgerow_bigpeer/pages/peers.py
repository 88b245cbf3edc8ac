"""The pages of peers and of gaps: who is where, how it fares, what of it is missing, and why."""

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from hedgerow.errors import CODES, HedgerowError

from .. import limits
from ..base64url import from_hex
from ..expected import peers
from ..gaps import NOT_COUNTED, REFUSED, UNSEALED, gaps
from . import words
from .map import make_maps, state_of
from .opening import Running, opening
from .visitor import Visitor

PEERS_PATH = "/peers"
GAPS_PATH = "/gaps"
_WIDE = (900, 380)
_NARROW = (360, 360)


class PeersPages:
    """The pages."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """Show the map and a table of all peers, the overdue first."""
        rows = await self._rows()
        missing = await self._gaps(rows)
        counts: dict[str, int] = {}
        for gap in missing:
            counts[gap["author"]] = counts.get(gap["author"], 0) + (gap["state"] != UNSEALED)
        rows.sort(key=lambda row: (not row["overdue"], row["name"] == "", row["name"], row["author"]))
        values = {
            "page": "peers",
            "rows": [{**row, **self._seen(row), "gaps": counts.get(row["author"], 0)} for row in rows],
            "overdue": sum(row["overdue"] for row in rows),
            "connected": sum(row["connected"] for row in rows),
            "wide": make_maps(rows, *_WIDE),
            "narrow": make_maps(rows, *_NARROW),
            "words": words,
        }
        return await self._running().visitors.page("peers.html", values, visitor)

    async def one(self, request: Request, visitor: Visitor) -> Response:
        """Show one peer: what it says of itself, what of it is here, and its gaps."""
        author = from_hex(request.path_params["author"], "author")
        rows = [row for row in await self._rows() if row["author"] == author.hex()]
        if not rows:
            raise HedgerowError("PEER_UNKNOWN", author.hex()[:32])
        row = rows[0]
        missing = [gap for gap in await self._gaps(rows) if gap["author"] == row["author"]]
        values = {
            "page": "peers",
            "row": {**row, **self._seen(row)},
            "rows": [_explained(gap) for gap in missing],
            "bar": _bar(row, missing),
            "words": words,
        }
        return await self._running().visitors.page("peer.html", values, visitor)

    async def gaps(self, request: Request, visitor: Visitor) -> Response:
        """Show all gaps."""
        rows = await self._gaps(await self._rows())
        values = {
            "page": "gaps",
            "rows": [_explained(gap) for gap in rows[: limits.STATUS_AUTHORS]],
            "total": len(rows),
            "words": words,
        }
        return await self._running().visitors.page("gaps.html", values, visitor)

    async def _rows(self) -> list[dict[str, Any]]:
        peer = self._running()
        return await peers(peer.service, peer.queries, peer.sync.remotes())

    async def _gaps(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = {bytes.fromhex(row["author"]): row["name"] for row in rows}
        peer = self._running()
        return await gaps(peer.service, names, peer.sync.remotes())

    def _seen(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return how a row is shown: its state, and how long ago it was seen."""
        service = self._running().service
        last = service.frontier(bytes.fromhex(row["author"])).last_seen if row["author"] else 0
        ago = words.span((service.clock.utc() - last) / 1000) if last else ""
        return {"state": state_of(row), "ago": ago}


def _explained(gap: dict[str, Any]) -> dict[str, Any]:
    """Add to a gap where its reason leads: to a place of ours, and what its code means."""
    follow, leads = "", ""
    if gap["state"] == NOT_COUNTED:
        follow, leads = "/access", "See its credentials."
    elif gap["holder"] is not None:
        follow, leads = f"{PEERS_PATH}/{gap['holder']}", "See who has them."
    code = CODES.get(gap["reason"]) if gap["state"] in (NOT_COUNTED, REFUSED) else None
    return {**gap, "follow": follow, "leads": leads, "meaning": code[1] if code else ""}


def _bar(row: dict[str, Any], missing: list[dict[str, Any]]) -> list[tuple[str, float, float, str]]:
    """Return the parts of the line of an author's numbers: (state, from %, width %, title)."""
    ends = [gap["last"] for gap in missing if gap["last"] is not None]
    most = max([row["held"], *ends])
    if not most:
        return []

    def part(state: str, first: int, last: int) -> tuple[str, float, float, str]:
        title = f"{state}: {first} to {last}"
        return state, round((first - 1) / most * 100, 2), round((last - first + 1) / most * 100, 2), title

    parts = [part("held", 1, row["held"])] if row["held"] else []
    # What is missing lies above what only waits.
    return parts + [
        part(gap["state"], gap["first"], gap["last"])
        for gap in sorted(missing, key=lambda gap: bool(gap["state"] != UNSEALED))
        if gap["first"] is not None and gap["last"] is not None
    ]


def add_peers_pages(app: FastAPI, running: Running) -> None:
    """Add the pages; `running()` returns the running Big Peer."""
    pages = PeersPages(running)
    app.add_api_route(PEERS_PATH, opening(running, pages.show))
    app.add_api_route(PEERS_PATH + "/{author}", opening(running, pages.one))
    app.add_api_route(GAPS_PATH, opening(running, pages.gaps))
