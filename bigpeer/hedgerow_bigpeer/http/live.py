"""POST /api/hedgerow/v1/live: a SELECT whose answer stays up to date, as server-sent events (SPEC 12.8).

What leaves the reader's rule leaves the answer like what is deleted: by its place, without a value.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from hedgerow.errors import HedgerowError
from hedgerow.query.live import Changes, Live
from hedgerow_host.dql import by_text_form, parse

from .. import limits
from ..auth.rights import Rights, Rule
from ..names import SYSTEM, check_collection
from ..query import Queries, covers
from ..service import Service
from ..store.rows import DocumentRow
from .answers import answering, read_body
from .caller import Name
from .encoding import JSON, request_encoding
from .execute import read_statement
from .json_text import render
from .places import EventStream, Places
from .readings import Place, Reading, Readings

ROWS = "rows"
CHANGES = "changes"
QUIET = "quiet"
LOOK = "look"


class LiveEndpoint:
    """Answers live queries, at most `limits.LIVE_QUERIES` at a time."""

    def __init__(self, service: Service, queries: Queries, name: Name) -> None:
        self._service = service
        self._queries = queries
        self._name = name
        self._open: set[LiveStream] = set()
        self._places = Places(lambda: limits.LIVE_QUERIES)
        self.readings = Readings(service, queries)

    async def __call__(self, request: Request) -> Response:
        """Begin a stream, or refuse with a code."""
        return await answering(self._begin)(request)

    async def _begin(self, request: Request) -> Response:
        encoding = request_encoding(request.headers.get("content-type", ""))
        caller = await self._name(request)
        body = await read_body(request, limits.BODY_BYTES)
        text, arguments = await self._queries.work(lambda: read_statement(encoding.loads(body)))
        stream = await self.open(text, arguments, caller.rights, caller.holder, by_json=encoding is JSON)
        return EventStream(self._events(request, stream), stream.close)

    async def open(
        self, text: str, arguments: dict[str, Any], rights: Rights, holder: str, *, by_json: bool
    ) -> "LiveStream":
        """Return the stream of a SELECT, which has a place of its holder's until it is closed. Raises the
        QUERY_ codes, OBSERVERS_FULL, AUTH_FORBIDDEN.
        """
        live = await self._queries.work(_prepare, text, arguments, by_json)
        rule = await self._queries.work(rights.to_read, live.collection)
        self._places.take(holder)

        def closed(stream: LiveStream) -> None:
            self._open.discard(stream)
            self._places.leave(holder)

        stream = LiveStream(self._service, self._queries, self.readings, live, rule, closed)
        self._open.add(stream)
        return stream

    async def _events(self, request: Request, stream: "LiveStream") -> AsyncIterator[bytes]:
        try:
            async for step in stream.steps():
                # Who was let in a while ago may have lost the right since.
                await self._name(request)
                if step.name == LOOK:
                    continue
                value: dict[str, Any] = {"transactionId": step.transaction}
                if step.name == ROWS:
                    value["items"] = step.changes.rows
                elif step.name == CHANGES:
                    value |= _shown(step.changes)
                yield _event(step.name, value)
        except HedgerowError as error:
            yield _event("error", {"code": error.code, "description": error.detail or error.code})

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def stop(self) -> None:
        """End all streams."""
        for stream in list(self._open):
            stream.stop()


class Step(NamedTuple):
    """What a live answer is at a transaction: ROWS first, then CHANGES, and QUIET where nothing happens for a
    while. `changes` have all rows, and what is other than before. LOOK is for nobody: whoever takes it looks
    whether the reader may still read.
    """

    name: str
    transaction: int
    changes: Changes


class LiveStream:
    """One live query: the first answer, then what changes in it. `close` it."""

    def __init__(
        self,
        service: Service,
        queries: Queries,
        readings: Readings,
        live: Live,
        rule: Rule,
        closed: "Callable[[LiveStream], None]",
    ) -> None:
        self._closed = closed
        self._service = service
        self._queries = queries
        self._readings = readings
        self._live = live
        self._rule = rule
        self._wake = asyncio.Event()
        self._stopping = False
        self._position = 0
        self._rows = 0
        self._expired: tuple[int, ...] = ()
        service.add_listener(self._committed)

    def stop(self) -> None:
        """End it at the next step."""
        self._stopping = True
        self._wake.set()

    def close(self) -> None:
        """Listen no more."""
        self._service.remove_listener(self._committed)
        self._closed(self)

    def _committed(self, moved: Iterable[bytes]) -> None:
        self._wake.set()

    async def steps(self) -> AsyncIterator[Step]:
        """Yield the steps until it is stopped."""
        await self._scan()
        changes = await self._queries.work(self._live.finish)
        self._rows = len(changes.rows)
        yield Step(ROWS, self._position, changes)
        loop = asyncio.get_running_loop()
        look, quiet = loop.time() + limits.LIVE_ASK_SECONDS, loop.time() + limits.LIVE_QUIET_SECONDS
        while not self._stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(look, quiet) - loop.time()):
                    await self._wake.wait()
            self._wake.clear()
            name = ""
            if self._is_behind():
                changes = await self._step()
                name = CHANGES if changes else ""
            # By the time, not by what woke us: other collections may change without a pause.
            if not name and loop.time() >= min(look, quiet):
                name = QUIET if loop.time() >= quiet else LOOK
            if name:
                yield Step(name, self._position, changes)
                look = loop.time() + limits.LIVE_ASK_SECONDS
            if name in (CHANGES, QUIET):
                quiet = loop.time() + limits.LIVE_QUIET_SECONDS

    def _is_behind(self) -> bool:
        collection, service = self._live.collection, self._service
        return service.touched(collection) > self._position or service.expired(collection) != self._expired

    async def _step(self) -> Changes:
        """Take what was touched since the last step. What has expired nobody touched: a scan shows it."""
        after: Place | None = (self._position + 1, b"")
        rescan, changes = self._service.expired(self._live.collection) != self._expired, None
        while after is not None:
            reading = await self._readings.read(self._live.collection, after)
            after = reading.after
            if len(reading.touched) <= limits.LIVE_FEW_TOUCHED and self._rows <= limits.LIVE_FEW_ROWS:
                # The way to a thread and back is longer than this.
                rescan, changes = self._take(reading, rescan)
            else:
                rescan, changes = await self._queries.work(self._take, reading, rescan)
        self._position = max(reading.newest, self._position)
        if changes is None:
            await self._queries.work(self._live.start)
            await self._scan()
            changes = await self._queries.work(self._live.finish)
        self._rows = len(changes.rows)
        return changes

    def _take(self, reading: Reading, rescan: bool) -> tuple[bool, Changes | None]:
        """Take a reading; say whether a scan is needed, and what has changed with the last one without it."""
        readable = [
            (document_id, document if row is not None and covers(self._rule, row) else None)
            for document_id, row, document in reading.touched
        ]
        rescan |= self._live.touch(readable)
        return rescan, self._live.finish() if reading.after is None and not rescan else None

    async def _scan(self) -> None:
        self._expired = self._service.expired(self._live.collection)
        async with self._service.store.snapshot() as snapshot:
            after: bytes | None = None
            while True:
                rows = await snapshot.documents(self._live.collection, after, limits.SLICE_DOCUMENTS)
                documents = await self._queries.documents(self._readable(rows))
                await self._queries.work(self._add, [document for _, document, _ in documents])
                if len(rows) < limits.SLICE_DOCUMENTS:
                    break
                after = rows[-1].id
            self._position = snapshot.transaction

    def _add(self, documents: list[dict[str, Any]]) -> None:
        for document in documents:
            self._live.add(document)

    def _readable(self, rows: Sequence[DocumentRow]) -> list[DocumentRow]:
        return [row for row in rows if covers(self._rule, row)]


def _prepare(text: str, arguments: dict[str, Any], by_json: bool) -> Live:
    statement = parse(text)
    if statement[0] != "select":
        raise HedgerowError("QUERY_UNSUPPORTED", "only SELECT has a live answer")
    if check_collection(statement[3]).startswith(SYSTEM):
        raise HedgerowError("QUERY_UNSUPPORTED", f"{statement[3]} has no live answer")
    return Live(by_text_form(statement, arguments if by_json else None), arguments, limits.LIVE_ROWS)


def _shown(changes: Changes) -> dict[str, Any]:
    rows = changes.rows
    return {
        "deletions": list(changes.deletions),
        "insertions": [{"at": at, "row": rows[at]} for at in changes.insertions],
        "moves": [list(move) for move in changes.moves],
        "updates": [{"at": at, "row": rows[at]} for at in changes.updates],
    }


def _event(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {render(value)}\n\n".encode("utf-8", "replace")
