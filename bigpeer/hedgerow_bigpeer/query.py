"""Running a statement: parse, read, evaluate in slices, answer."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError
from hedgerow.query.evaluate import Select
from hedgerow.query.mutate import insert_documents
from hedgerow_host.dql import Statement, by_text_form, parse

from . import limits
from .clock import rfc3339
from .own import OwnAuthor
from .service import Service
from .store.port import DocumentRow

Result = TypeVar("Result")

# (UTC in ms since 2000, error in ms) of a document's greatest insert, None while nothing bounds it.
Moment = tuple[int, int] | None

TIME = "_time"
TIME_ERROR = "_time_error_ms"


class Answer(NamedTuple):
    """What a statement gave. `warnings` are (document id, description)."""

    transaction: int
    kind: str
    items: list[dict[str, Any]]
    mutated: list[Any]
    warnings: list[tuple[Any, str]]


class Queries:
    """Statements over one service. What takes time runs in threads, a slice of documents at a time."""

    def __init__(self, service: Service, own: OwnAuthor) -> None:
        self._service = service
        self._own = own
        self._threads = ThreadPoolExecutor(limits.QUERY_THREADS, thread_name_prefix="query")

    def stop(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)

    async def work(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a function that touches nothing shared in a thread, so that the loop is free meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def execute(self, text: str, arguments: dict[str, Any], *, by_json: bool) -> Answer:
        """Run one statement; `by_json` says that its arguments had no way to hold bytes.

        Raises the QUERY_ codes, and those of documents and operations.
        """
        statement = await self.work(parse, text)
        kind: str = statement[0]
        counts = self._service.counters.statements
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "insert":
            return await self._insert(statement, arguments, by_json)
        if kind != "select":
            raise HedgerowError("QUERY_UNSUPPORTED", f"{kind.upper()} does not run here yet")
        try:
            async with asyncio.timeout(limits.STATEMENT_SECONDS):
                return await self._select(statement, arguments, by_json)
        except TimeoutError:
            raise HedgerowError("QUERY_TIMEOUT", f"over {limits.STATEMENT_SECONDS:g} s") from None

    async def _select(self, statement: Statement, arguments: dict[str, Any], by_json: bool) -> Answer:
        query = await self.work(_prepare, statement, arguments, by_json)
        deadline = time.monotonic() + limits.STATEMENT_SECONDS
        after: bytes | None = None
        async with self._service.store.snapshot() as snapshot:
            while not query.finished:
                rows = await snapshot.documents(query.collection, after, limits.SLICE_DOCUMENTS)
                await self.work(_add, query, self._located(rows), deadline)
                if len(rows) < limits.SLICE_DOCUMENTS:
                    break
                after = rows[-1].id
            items = await self.work(query.rows)
            return Answer(snapshot.transaction, "select", items, [], [])

    async def _insert(self, statement: Statement, arguments: dict[str, Any], by_json: bool) -> Answer:
        _, collection, initial, _, policy = statement
        documents = await self.work(insert_documents, statement, arguments)
        written = await self._own.insert(collection, documents, policy, initial=initial, by_json=by_json)
        return Answer(self._service.transaction, "insert", [], written.ids, written.warnings)

    async def documents(
        self, rows: Sequence[DocumentRow]
    ) -> list[tuple[DocumentRow, dict[str, Any], Moment]]:
        """Return each row with its document as queries see it, and its moment."""
        located = self._located(rows)
        return await self.work(lambda: [(row, _document(row, moment), moment) for row, moment in located])

    def _located(self, rows: Sequence[DocumentRow]) -> list[tuple[DocumentRow, Moment]]:
        """Find the moments of rows; the time maps belong to the loop's thread."""
        return [(row, self._moment(row)) for row in rows]

    def _moment(self, row: DocumentRow) -> Moment:
        if row.author is None or row.number is None or row.stamp is None:
            return None
        if not self._service.is_stream(row.collection):
            return None
        return self._service.time_of(row.author, row.number, row.stamp)


def _prepare(statement: Statement, arguments: dict[str, Any], by_json: bool) -> Select:
    statement = by_text_form(statement, arguments if by_json else None)
    return Select(statement, arguments, limits.ANSWER_ROWS)


def _add(query: Select, rows: list[tuple[DocumentRow, Moment]], deadline: float) -> None:
    for row, moment in rows:
        if time.monotonic() > deadline:
            raise TimeoutError
        query.add(_document(row, moment))


def _document(row: DocumentRow, moment: Moment) -> dict[str, Any]:
    """Return a document as queries see it: `_id`, and in streams the derived `_time` and its error."""
    assert row.value is not None
    document: dict[str, Any] = {"_id": cbor.decode(row.id)}
    fields: dict[str, Any] = cbor.decode(row.value)
    document.update(fields)
    if moment is not None and TIME not in document:
        document[TIME] = rfc3339(moment[0])
        document[TIME_ERROR] = moment[1]
    return document
