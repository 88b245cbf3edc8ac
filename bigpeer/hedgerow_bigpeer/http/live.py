"""POST /api/hedgerow/v1/live: a SELECT whose answer stays up to date, as server-sent events (SPEC 12.8).

What leaves the reader's rule leaves the answer like what is deleted: by its place, without a value.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError
from hedgerow.query.live import Changes, Live
from hedgerow_host.dql import by_text_form, parse

from .. import limits
from ..auth.rights import Rule
from ..query import Queries, covers
from ..service import Service
from ..store.rows import DocumentRow
from .answers import answering, read_body
from .caller import Name
from .encoding import JSON, request_encoding
from .execute import read_statement
from .json_text import render


class LiveEndpoint:
    """Answers live queries, at most `limits.LIVE_QUERIES` at a time."""

    def __init__(self, service: Service, queries: Queries, name: Name) -> None:
        self._service = service
        self._queries = queries
        self._name = name
        self._open: set[_Stream] = set()

    async def __call__(self, request: Request) -> Response:
        """Begin a stream, or refuse with a code."""
        return await answering(self._begin)(request)

    async def _begin(self, request: Request) -> Response:
        encoding = request_encoding(request.headers.get("content-type", ""))
        caller = await self._name(request)
        body = await read_body(request, limits.BODY_BYTES)
        text, arguments = await self._queries.work(lambda: read_statement(encoding.loads(body)))
        live = await self._queries.work(_prepare, text, arguments, encoding is JSON)
        if len(self._open) >= limits.LIVE_QUERIES:
            raise HedgerowError("OBSERVERS_FULL", str(limits.LIVE_QUERIES))
        rule = await self._queries.work(caller.rights.to_read, live.collection)
        stream = _Stream(self._service, self._queries, live, rule)
        self._open.add(stream)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._events(request, stream), media_type="text/event-stream", headers=headers
        )

    async def _events(self, request: Request, stream: "_Stream") -> AsyncIterator[bytes]:
        try:
            async for name, value in stream.steps():
                # Who was let in a while ago may have lost the right since.
                await self._name(request)
                if name:
                    yield _event(name, value)
        except HedgerowError as error:
            yield _event("error", {"code": error.code, "description": error.detail or error.code})
        finally:
            stream.close()
            self._open.discard(stream)

    def stop(self) -> None:
        """End all streams."""
        for stream in list(self._open):
            stream.stop()


class _Stream:
    """One live query: the first answer, then what changes in it."""

    def __init__(self, service: Service, queries: Queries, live: Live, rule: Rule) -> None:
        self._service = service
        self._queries = queries
        self._live = live
        self._rule = rule
        self._wake = asyncio.Event()
        self._stopping = False
        self._position = 0
        service.add_listener(self._committed)

    def stop(self) -> None:
        """End it at the next step."""
        self._stopping = True
        self._wake.set()

    def close(self) -> None:
        """Listen no more."""
        self._service.remove_listener(self._committed)

    def _committed(self, moved: Iterable[bytes]) -> None:
        self._wake.set()

    async def steps(self) -> AsyncIterator[tuple[str, Any]]:
        """Yield the events: `rows` first, then `changes`, and `quiet` where nothing happens for a while.

        One without a name is for nobody: whoever takes it looks whether the reader may still read.
        """
        await self._scan()
        first = await self._queries.work(self._live.finish)
        yield "rows", {"transactionId": self._position, "items": first.rows}
        loop = asyncio.get_running_loop()
        quiet = loop.time() + limits.LIVE_QUIET_SECONDS
        while not self._stopping:
            try:
                async with asyncio.timeout(min(limits.LIVE_ASK_SECONDS, quiet - loop.time())):
                    await self._wake.wait()
            except TimeoutError:
                if loop.time() < quiet:
                    yield "", None
                else:
                    yield "quiet", {"transactionId": self._position}
                    quiet = loop.time() + limits.LIVE_QUIET_SECONDS
                continue
            self._wake.clear()
            if self._service.touched(self._live.collection) <= self._position:
                continue
            changes = await self._step()
            if changes:
                yield "changes", {"transactionId": self._position, **_shown(changes)}
                quiet = loop.time() + limits.LIVE_QUIET_SECONDS

    async def _step(self) -> Changes:
        """Take what was touched since the last step."""
        after: tuple[int, bytes] = (self._position + 1, b"")
        collection, newest = self._live.collection, self._position
        rescan = False
        while True:
            touched, newest = await self._service.store.touched(collection, after, limits.SLICE_DOCUMENTS)
            if touched:
                rescan |= await self._touch(sorted({entry.id for entry in touched}))
                after = (touched[-1].transaction, touched[-1].id)
            if len(touched) < limits.SLICE_DOCUMENTS:
                break
        self._position = max(newest, self._position)
        if rescan:
            await self._queries.work(self._live.start)
            await self._scan()
        return await self._queries.work(self._live.finish)

    async def _touch(self, ids: Sequence[bytes]) -> bool:
        async with self._service.store.snapshot() as snapshot:
            rows = await snapshot.some(self._live.collection, ids)
        now = {row.id: document for row, document, _ in await self._queries.documents(self._readable(rows))}
        touched = [(cbor.decode(key), now.get(key)) for key in ids]
        return await self._queries.work(self._live.touch, touched)

    async def _scan(self) -> None:
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
