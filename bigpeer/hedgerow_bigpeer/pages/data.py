"""The data browser: statements by hand, answers that stay up to date."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hedgerow.codec.schema import is_stream
from hedgerow.errors import HedgerowError
from hedgerow_host.dql import parse
from hedgerow_host.lengths import length_text
from hedgerow_host.limits import STATEMENT_CHARACTERS

from .. import limits
from ..auth.authority import work
from ..auth.rights import EVERY_RIGHT, READER
from ..http.json_text import render
from ..index_statement import index_statement
from ..names import SYSTEM
from .events import PageEvents
from .opening import Running, guarded, opening, sending
from .table import make_table
from .visitor import Visitor, read_form

DATA_PATH = "/data"
_ALL = "SELECT * FROM"
#: Who may write what stands in documents.
_WRITER = "operator"
#: A statement of the greatest length, each character three times three.
_FORM_BYTES = 9 * STATEMENT_CHARACTERS + 1024


class DataPages:
    """The page, its form, and the stream of a live answer."""

    def __init__(self, running: Running, events: PageEvents) -> None:
        self._running = running
        self._events = events
        self._turns = asyncio.Semaphore(limits.PAGE_STATEMENTS)

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """Show the editor; a SELECT in the address is run, anything else only stands there."""
        text = request.query_params.get("statement", "")[:STATEMENT_CHARACTERS]
        answer: dict[str, Any] = {}
        if text:
            self._running().visitors.need_data(visitor)
            answer = await self._answer(visitor, text, may_write=False)
        return await self._page(visitor, text, answer)

    async def send(self, request: Request) -> Response:
        """Run a statement of the form; for htmx the answer alone, else the whole page."""
        visitor, fields = await self._sent(request)
        text = fields.get("statement", "")
        answer = await self._answer(visitor, text, may_write=True)
        if request.headers.get("hx-request") != "true":
            return await self._page(visitor, text, answer)
        page = await self._running().visitors.page("answer.html", answer, visitor)
        if "address" in answer:
            # So that going back, and sending the address to somebody, finds it.
            page.headers["HX-Push-Url"] = answer["address"]
        return page

    async def retain(self, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Set for how long the readings of a collection are kept; for ever where no length is given."""
        name, keep = fields.get("collection", ""), fields.get("keep", "").strip()
        await self._running().collections_api.set(visitor.name, name, keep or None)
        return RedirectResponse(DATA_PATH, 303, {"Cache-Control": "no-store"})

    async def _sent(self, request: Request) -> tuple[Visitor, dict[str, str]]:
        """Return who sent the form. Where nobody has to log in, forms of other pages are told by their Origin
        alone, as requests to the API are.
        """
        visitors = self._running().visitors
        visitor = await visitors.visitor(request)
        visitors.need_data(visitor)
        fields = await read_form(request, _FORM_BYTES)
        visitors.check_form(visitor, fields)
        return visitor, fields

    async def _page(self, visitor: Visitor, text: str, answer: dict[str, Any]) -> Response:
        peer = self._running()
        kinds = peer.service.kinds
        kept = {row.collection: row.keep for row in await peer.service.store.retention() if row.keep}
        collections = [
            (
                name,
                _kind(stream=is_stream(kinds[name]), keep=kept.get(name, 0)),
                name in peer.service.epochs,
                _browse(name, stream=is_stream(kinds[name])),
            )
            for name in sorted(kinds)
        ]
        system = [(name, "system", _address(f"{_ALL} {name}")) for name in sorted(peer.queries.system)]
        values = {
            "page": "data",
            "collections": collections,
            "retained": sorted({*kept, *(name for name in kinds if is_stream(kinds[name]))}),
            "system": system,
            "statement": text,
            "writes": peer.visitors.may_write(visitor, _WRITER),
            "allowed": peer.visitors.may_see_data(visitor),
            **answer,
        }
        return await peer.visitors.page("data.html", values, visitor)

    async def _answer(self, visitor: Visitor, text: str, *, may_write: bool) -> dict[str, Any]:
        try:
            return await self._run(visitor, text, may_write)
        except HedgerowError as error:
            return {"code": error.code, "detail": error.detail}

    async def _run(self, visitor: Visitor, text: str, may_write: bool) -> dict[str, Any]:
        peer = self._running()
        peer.rates.take(visitor.name)
        kind, collection = await peer.service.work(_kind_of, text)
        if kind == "select" and not collection.startswith(SYSTEM) and len(text) <= limits.FOLLOWED_CHARACTERS:
            follow = f"{DATA_PATH}/live?{urlencode({'statement': text})}"
            return {"follow": follow, "address": _address(text)}
        is_writer = peer.visitors.may_write(visitor, _WRITER)
        if kind not in ("select", ""):
            if not may_write:
                return {}
            if not is_writer:
                raise HedgerowError("AUTH_FORBIDDEN", f"{kind}: for the role {_WRITER}")
        # Whoever runs it reads the text again, and is not to trust what was read here.
        rights = EVERY_RIGHT if may_write and is_writer else READER
        async with self._turns:
            answer = await peer.queries.execute(text, {}, by_json=True, rights=rights)
        if kind != "select" and visitor.login is not None:
            await work(peer.registry.audit.add, visitor.name, f"data.{answer.kind}", collection[:64])
        table = await peer.service.work(make_table, answer.items) if kind == "select" else None
        again = _address(text) if collection.startswith(SYSTEM) else ""
        return {
            "kind": answer.kind,
            "table": table,
            "transaction": answer.transaction,
            "mutated": [name if isinstance(name, str) else render(name) for name in answer.mutated],
            "warnings": answer.warnings,
            "again": again if len(again) <= limits.FOLLOWED_CHARACTERS else "",
        }


def _kind_of(text: str) -> tuple[str, str]:
    """Return what a statement does, and with which collection; ("", "") for what cannot be read: whoever runs
    it says why.
    """
    try:
        index = index_statement(text)
        if index is not None:
            return "index", index.wanted.collection
        statement = parse(text)
    except HedgerowError:
        return "", ""
    return statement[0], statement[3] if statement[0] == "select" else statement[1]


def _kind(*, stream: bool, keep: int) -> str:
    if not stream:
        return "keep"
    return f"stream, {length_text(keep)}" if keep else "stream"


def _browse(name: str, *, stream: bool) -> str:
    order = " ORDER BY _time DESC" if stream else ""
    return _address(f"{_ALL} `{name}`{order} LIMIT 50")


def _address(statement: str) -> str:
    return f"{DATA_PATH}?{urlencode({'statement': statement})}"


def add_data_pages(app: FastAPI, running: Running, events: PageEvents) -> None:
    """Add the page; `running()` returns the running Big Peer."""
    pages = DataPages(running, events)
    app.add_api_route(DATA_PATH, opening(running, pages.show))
    app.add_api_route(DATA_PATH, guarded(running, pages.send), methods=["POST"])
    app.add_api_route(f"{DATA_PATH}/retention", sending(running, pages.retain, "admin"), methods=["POST"])
    app.add_api_route(f"{DATA_PATH}/live", opening(running, events.rows))
    app.add_api_route("/changed", opening(running, events.changed))
