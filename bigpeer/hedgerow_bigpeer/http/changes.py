"""GET /api/hedgerow/v1/changes: what changed since a cursor, at once, after a wait, or as server-sent events.

A cursor names the store's epoch: after a restore, and once the outbox has forgotten what follows it, it is
refused [CURSOR_GONE], because what lies between would be missed. Every change is told at least once.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hedgerow.errors import HedgerowError

from .. import limits
from ..feed import Change, Place, Reader, show
from ..names import check_collection
from ..query import Queries
from ..service import Service
from .caller import Name
from .cursors import read_cursor, write_cursor
from .json_text import render
from .parameters import known, refuse, whole
from .places import EventStream, Places
from .resources import answer

_EPOCH_BYTES = 8


class ChangesEndpoint:
    """Answers feeds, at most `limits.CHANGES_STREAMS` at a time that wait."""

    def __init__(self, service: Service, queries: Queries, name: Name) -> None:
        self._service = service
        self._queries = queries
        self._name = name
        self._places = Places(lambda: limits.CHANGES_STREAMS)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End what waits."""
        self._stopping.set()

    async def __call__(self, request: Request) -> Response:
        """Answer, or begin a stream."""
        caller = await self._name(request)
        found = known(request, "since", "collection", "limit", "wait")
        limit = whole(found, "limit", limits.PAGE_DOCUMENTS, 1, limits.MOST_PAGE_DOCUMENTS)
        wait = whole(found, "wait", 0, 0, limits.CHANGES_WAIT_SECONDS)
        collection = check_collection(found["collection"]) if "collection" in found else None
        streams = "text/event-stream" in request.headers.get("accept", "")
        since = found.get("since")
        if streams:
            since = request.headers.get("last-event-id") or since
        reader = await self._queries.work(Reader, caller.rights, collection)
        place = await self._place(since)
        if streams or wait:
            self._places.take(caller.holder)
        feed = _Feed(self._service, self._queries, reader, place, limit, self._stopping)
        if streams:
            return EventStream(self._events(request, feed), lambda: self._close(feed, caller.holder))
        try:
            changes = await self._wait(request, feed, wait)
        finally:
            self._close(feed, caller.holder if wait else None)
        return answer({"changes": [show(change) for change in changes], "next": self._cursor(feed.place)})

    async def _wait(self, request: Request, feed: "_Feed", wait: float) -> list[Change]:
        """Return the next changes, if they come in so many seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wait
        while True:
            changes = await feed.next(min(wait, limits.LIVE_ASK_SECONDS))
            if wait:
                # Who was let in a while ago may have lost the right since.
                await self._name(request)
            wait = max(0.0, end - loop.time())
            if changes or not wait or self._stopping.is_set():
                return changes

    async def _place(self, since: str | None) -> Place:
        """Return where a cursor stands: none at the oldest change that is kept, `now` at the end."""
        if since is None:
            return 0, 0
        if since == "now":
            return self._service.transaction, 1 << 62
        epoch, transaction, seq = read_cursor("since", since, bytes, int, int)
        if epoch != self._service.store.identity.epoch[:_EPOCH_BYTES]:
            raise HedgerowError("CURSOR_GONE", "the store was put back since: read the documents again")
        if not 0 <= transaction < 1 << 63 or not 0 <= seq < 1 << 63:
            raise refuse("since", "is no cursor")
        if transaction < await self._service.store.trimmed():
            raise HedgerowError("CURSOR_GONE", "changes behind it are forgotten: read the documents again")
        return transaction, seq

    def _cursor(self, place: Place) -> str:
        return write_cursor(self._service.store.identity.epoch[:_EPOCH_BYTES], *place)

    async def _events(self, request: Request, feed: "_Feed") -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        quiet = loop.time() + limits.LIVE_QUIET_SECONDS
        try:
            while not self._stopping.is_set():
                changes = await feed.next(min(limits.LIVE_ASK_SECONDS, quiet - loop.time()))
                # Who was let in a while ago may have lost the right since.
                await self._name(request)
                for change in changes:
                    yield _event("change", show(change), self._cursor(change.place))
                if not changes and loop.time() < quiet:
                    continue
                if not changes:
                    yield _event("quiet", {}, self._cursor(feed.place))
                quiet = loop.time() + limits.LIVE_QUIET_SECONDS
        except HedgerowError as error:
            yield _event("error", {"code": error.code, "description": error.detail or error.code}, None)

    def _close(self, feed: "_Feed", holder: str | None) -> None:
        feed.close()
        if holder is not None:
            self._places.leave(holder)


class _Feed:
    """One reader's way through the outbox; `place` is what was read last."""

    def __init__(
        self,
        service: Service,
        queries: Queries,
        reader: Reader,
        place: Place,
        limit: int,
        stopping: asyncio.Event,
    ) -> None:
        self._service = service
        self._queries = queries
        self._reader = reader
        self._limit = limit
        self._stopping = stopping
        self._wake = asyncio.Event()
        self.place = place
        service.add_listener(self._committed)

    def close(self) -> None:
        """Listen no more."""
        self._service.remove_listener(self._committed)

    def _committed(self, moved: Iterable[bytes]) -> None:
        self._wake.set()

    async def next(self, wait: float) -> list[Change]:
        """Return the next changes; wait so many seconds for the first."""
        end = asyncio.get_running_loop().time() + wait
        while True:
            self._wake.clear()
            changes = await self._read()
            left = end - asyncio.get_running_loop().time()
            if changes or left <= 0 or self._stopping.is_set():
                return changes
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return []

    async def _read(self) -> list[Change]:
        """Return what is there; what the reader does not see is passed over, so much at a time."""
        scanned = 0
        while scanned < limits.CHANGES_SCANNED:
            rows = list(await self._service.store.outbox(self.place, self._limit))
            if not rows:
                return []
            scanned += len(rows)
            self.place = (rows[-1].transaction, rows[-1].seq)
            changes = await self._queries.work(self._reader.read, rows)
            if changes:
                return changes
        self._wake.set()
        return []


def _event(name: str, value: Any, cursor: str | None) -> bytes:
    place = "" if cursor is None else f"id: {cursor}\n"
    return f"event: {name}\n{place}data: {render(value)}\n\n".encode("utf-8", "replace")
