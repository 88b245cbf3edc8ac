"""What keeps pages up to date: server-sent events that say that something changed, and live answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from starlette.requests import Request
from starlette.responses import Response

from hedgerow.errors import HedgerowError

from .. import limits
from ..auth.rights import READER
from ..http.live import LOOK, QUIET, ROWS
from ..http.places import EventStream, Places
from .opening import Running
from .table import make_table
from .visitor import LoginWanted, Visitor


def event(name: str, text: str = "") -> bytes:
    """Return a server-sent event of any text."""
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode("utf-8", "replace")


class PageEvents:
    """The streams of open pages, at most `limits.PAGE_STREAMS`; `stop` ends those that say `changed`."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._open: set[asyncio.Event] = set()
        self._places = Places(lambda: limits.PAGE_STREAMS)
        self._stopping = False

    def stop(self) -> None:
        """End the streams."""
        self._stopping = True
        for wake in self._open:
            wake.set()

    async def changed(self, request: Request, visitor: Visitor) -> Response:
        """Say `changed` after commits, every two seconds at most, and now and then for what time changes."""
        self._places.take(visitor.name)
        return EventStream(self._changes(request), lambda: self._places.leave(visitor.name))

    async def _changes(self, request: Request) -> AsyncIterator[bytes]:
        service = self._running().service
        wake = asyncio.Event()

        def committed(moved: Iterable[bytes]) -> None:
            wake.set()

        service.add_listener(committed)
        self._open.add(wake)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(limits.PAGE_QUIET_SECONDS):
                        await wake.wait()
                if self._stopping:
                    return
                wake.clear()
                # Somebody else may have ended the login meanwhile, at another node too.
                if not await self._is_let_in(request):
                    break
                yield event("changed")
                await asyncio.sleep(limits.PAGE_SECONDS)
            yield event("end")
        finally:
            self._open.discard(wake)
            service.remove_listener(committed)

    async def _is_let_in(self, request: Request) -> bool:
        try:
            await self._running().visitors.visitor(request)
        except (LoginWanted, HedgerowError):
            return False
        return True

    async def rows(self, request: Request, visitor: Visitor) -> Response:
        """Follow a SELECT: `rows` is the table as it is now, each time that it changed; `end` ends it."""
        peer = self._running()
        peer.visitors.need_data(visitor)
        peer.rates.take(visitor.name)
        text = request.query_params.get("statement", "")
        stream = await peer.live.open(text, {}, READER, visitor.name, by_json=True)

        async def events() -> AsyncIterator[bytes]:
            try:
                async for step in stream.steps():
                    if not await self._is_let_in(request):
                        break
                    if step.name in (QUIET, LOOK):
                        if step.name == QUIET:
                            yield b": quiet\n\n"
                        continue
                    new = () if step.name == ROWS else (*step.changes.insertions, *step.changes.updates)
                    table = await peer.service.work(make_table, step.changes.rows, new)
                    values = {"table": table, "transaction": step.transaction, "live": True}
                    yield event("rows", await peer.visitors.fragment("rows.html", values))
                    # Whoever changes things a thousand times a second is shown as often as eyes can follow.
                    await asyncio.sleep(limits.PAGE_SECONDS / 8)
            except HedgerowError as error:
                values = {"code": error.code, "detail": error.detail}
                yield event("rows", await peer.visitors.fragment("failure.html", values))
            yield event("end")

        return EventStream(events(), stream.close)
