"""One consistent view of a store on SQL."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from .filter import TRUE as EVERY_ONE
from .filter import Dialect, Filter, paths_of, write
from .rows import DocumentRow
from .sql import DOCUMENT_QUERY, Connection

_INTERRUPT_SECONDS = 0.05


class View:
    """The connection of a view, and what the threads read on it.

    It is in use until the last reading has ended, also one whose caller went away: two threads on one
    connection may each wait for what the other holds, and a transaction ends under no statement that runs.
    """

    def __init__(self, connection: Connection, threads: Executor) -> None:
        self.connection = connection
        self._threads = threads
        self._running: set[asyncio.Future[list[Any]]] = set()
        self._ended = False

    def read(self, query: str, parameters: Sequence[Any]) -> asyncio.Future[list[Any]]:
        """Begin to run a query."""

        def run() -> list[Any]:
            # Its turn may come after its caller went away.
            if self._ended:
                raise RuntimeError("the view has ended")
            return self.connection.execute(query, parameters).fetchall()

        work = asyncio.get_running_loop().run_in_executor(self._threads, run)
        self._running.add(work)
        work.add_done_callback(self._done)
        return work

    def _done(self, work: asyncio.Future[list[Any]]) -> None:
        self._running.discard(work)
        # Its caller may have gone away.
        if not work.cancelled():
            work.exception()

    async def end(self, interrupt: Callable[[Connection], None]) -> None:
        """Return when nothing is read any more; what is, is interrupted."""
        self._ended = True
        while self._running:
            # Again: a statement that only now begins does not notice.
            interrupt(self.connection)
            await asyncio.wait(self._running, timeout=_INTERRUPT_SECONDS)


class SqlSnapshot:
    """See `port.Snapshot`: a read transaction on a connection of its own; `read` runs a query on it."""

    def __init__(
        self,
        read: Callable[..., Awaitable[list[Any]]],
        transaction: int,
        dialect: Dialect,
        indexes: Mapping[str, Collection[str]],
    ) -> None:
        self._read = read
        self.transaction = transaction
        self._dialect = dialect
        self._indexes = indexes

    async def documents(
        self, collection: str, after: bytes | None, limit: int, wanted: Filter = EVERY_ONE
    ) -> Sequence[DocumentRow]:
        condition, parameters = write(wanted, self._dialect, self._indexes.get(collection, ()))
        by_index = not paths_of(wanted).isdisjoint(self._indexes.get(collection, ()))
        by_id = self._dialect.unordered_id if by_index else "id"
        return await self._documents(
            f"collection = ? AND {by_id} > ? AND value IS NOT NULL AND {condition} ORDER BY {by_id} LIMIT ?",
            collection,
            after or b"",
            *parameters,
            limit,
        )

    async def ordered(
        self,
        collection: str,
        path: str,
        after: tuple[str, bytes] | None,
        limit: int,
        wanted: Filter,
        *,
        falling: bool,
    ) -> Sequence[tuple[str, DocumentRow]]:
        facet = self._dialect.indexed(path)
        condition, parameters = write(wanted, self._dialect, self._indexes.get(collection, ()))
        place, begins = "", []
        if after is not None:
            # The first bound leads into the index, the others go on within equal facets.
            sign = "<" if falling else ">"
            place = f" AND {facet} {sign}= ? AND ({facet} {sign} ? OR id > ?)"
            begins = [after[0], after[0], after[1]]
        query = DOCUMENT_QUERY.replace(" FROM ", f", {facet} FROM ")
        rows = await self._read(
            f"{query} AND collection = ? AND value IS NOT NULL AND {facet} IS NOT NULL"
            f" AND {condition}{place} ORDER BY {facet} {'DESC' if falling else 'ASC'}, id LIMIT ?",
            collection,
            *parameters,
            *begins,
            limit,
        )
        return [(row[-1], DocumentRow(*row[:-1])) for row in rows]

    async def document(self, collection: str, document_id: bytes) -> DocumentRow | None:
        rows = await self._documents("collection = ? AND id = ?", collection, document_id)
        return rows[0] if rows else None

    async def some(self, collection: str, ids: Sequence[bytes]) -> Sequence[DocumentRow]:
        places = ", ".join("?" * len(ids))
        condition = f"collection = ? AND id IN ({places}) AND value IS NOT NULL ORDER BY id"
        return await self._documents(condition, collection, *ids)

    async def newest(self, collection: str, limit: int) -> Sequence[DocumentRow]:
        return await self._documents(
            "collection = ? AND value IS NOT NULL ORDER BY xid DESC LIMIT ?", collection, limit
        )

    async def _documents(self, condition: str, *args: Any) -> list[DocumentRow]:
        return [DocumentRow(*row) for row in await self._read(f"{DOCUMENT_QUERY} AND {condition}", *args)]
