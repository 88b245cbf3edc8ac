"""What the stores on SQL databases have in common: all but how a transaction begins, and who the store is."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from hedgerow.codec.schema import Schema
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.crypto.rules import Rules
from hedgerow.errors import HedgerowError

from .. import limits
from .collect import collect, confirm, stable, trim
from .expire import expire, read_retention, retain, skips_of
from .filter import Dialect
from .indexes import create_index, drop_index, read_indexes
from .losses import read_lost
from .port import Snapshot
from .rows import (
    Arrival,
    ClockRecord,
    Collected,
    Expired,
    Frontier,
    Identity,
    Index,
    Ingested,
    KeptAnswer,
    Lost,
    Operation,
    OutboxRow,
    Place,
    Retained,
    SkipEntry,
    Stable,
    Submission,
    Touched,
    Written,
)
from .sql import (
    ARRIVAL_QUERY,
    BOUNDARY_QUERY,
    CLOCK_QUERY,
    FRONTIER_QUERY,
    SCHEMA_QUERY,
    SHARD,
    Connection,
    get_meta,
)
from .sql_view import SqlSnapshot, View

Result = TypeVar("Result")

# No row beyond the stable transaction counts yet: one before it may still be on its way.
TOUCHED_QUERY = (
    "SELECT DISTINCT xid, id FROM touches WHERE app = ? AND shard = ? AND collection = ?"
    " AND (xid, id) > (?, ?) AND xid <= ? ORDER BY xid, id LIMIT ?"
)
OUTBOX_QUERY = (
    "SELECT seq, xid, collection, id, op, before, after, author, number, stamp, at FROM outbox"
    " WHERE app = ? AND shard = ? AND (xid, seq) > (?, ?) AND xid <= ? ORDER BY xid, seq LIMIT ?"
)

log = logging.getLogger(__name__)

READERS = 4
#: Connections that are kept for the next view; a busy moment opens more.
KEPT_READERS = 2 * READERS


class SqlStore(ABC):
    """See `port.Store`. One thread writes; READERS threads read, on connections of their own: no reading ever
    waits for what is being written.

    An engine opens its connections, numbers its transactions, and says who the store is.
    """

    dialect: Dialect
    is_shared = False

    def __init__(self, app: str) -> None:
        self._app = app
        self._key = (app, SHARD)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._reading = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._readers: list[Connection] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._schemas: dict[bytes, Schema] = {}
        self._indexes: dict[str, set[str]] = {}
        self.rules: Rules | None = None
        self.keys: CollectionKeys | None = None
        self.outdated: HedgerowError | None = None
        self.gaps: list[tuple[int, int]] = []
        self._identity: Identity
        self._db: Connection

    # ---- what an engine has

    @abstractmethod
    def _connect(self) -> Connection:
        """Open a connection."""

    @abstractmethod
    def _ingest(self, submissions: Sequence[Submission], at: int) -> Ingested:
        """Take submissions in one transaction."""

    @abstractmethod
    def _write(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a function of the writing connection in a transaction in which nobody else writes."""

    @abstractmethod
    def _newest(self, db: Connection) -> int:
        """Return the newest transaction before which none is on its way."""

    @abstractmethod
    def _begin_view(self, db: Connection, seconds: float | None) -> None:
        """Begin a consistent view, which has so long for each reading."""

    @abstractmethod
    def _end_view(self, db: Connection) -> None:
        """End a view."""

    @abstractmethod
    def _interrupt(self, db: Connection) -> None:
        """Let what is read on a connection end soon, if that needs no waiting; asked over and over."""

    @abstractmethod
    def _meant(self, error: Exception) -> HedgerowError | None:
        """Return what an engine's error says, None for one that is none of the engine's."""

    # ---- the port

    @property
    def identity(self) -> Identity:
        """See `port.Store`."""
        return self._identity

    async def ingest(self, submissions: Sequence[Submission], at: int) -> Ingested:
        """See `port.Store`."""
        return await self._run(self._ingest, submissions, at)

    async def follow(self, after: int) -> Ingested | None:
        """See `port.Store`: whoever is alone has nobody to follow."""
        return None

    async def frontiers(self) -> Sequence[Frontier]:
        """See `port.Store`."""
        return [Frontier(*row) for row in await self._rows(f"{FRONTIER_QUERY} ORDER BY a.author")]

    async def schemas(self) -> Sequence[bytes]:
        """See `port.Store`."""
        return [encoded for (encoded,) in await self._rows(f"{SCHEMA_QUERY} ORDER BY name")]

    async def clocks(self) -> Sequence[ClockRecord]:
        """See `port.Store`."""
        return [ClockRecord(*row) for row in await self._rows(f"{CLOCK_QUERY} ORDER BY author, number")]

    async def refused(self) -> Sequence[tuple[bytes, str, int, int]]:
        """See `port.Store`."""
        return await self._rows(
            "SELECT author, code, count(*), max(number) FROM refused WHERE app = ? AND shard = ?"
            " GROUP BY author, code ORDER BY author, code"
        )

    async def boundaries(self) -> Sequence[Written]:
        """See `port.Store`."""
        return [Written(*row) for row in await self._rows(BOUNDARY_QUERY)]

    async def tail(self, author: bytes) -> tuple[Sequence[tuple[int, bytes]], bytes]:
        """See `port.Store`."""
        marks = await self._rows(
            "SELECT o.number, o.h16 FROM operations o JOIN authors a"
            " ON o.app = a.app AND o.shard = a.shard AND o.author = a.author"
            " WHERE a.app = ? AND a.shard = ? AND a.author = ? AND o.number > a.sealed ORDER BY o.number",
            author,
        )
        seals = await self._rows(
            "SELECT body FROM seals WHERE app = ? AND shard = ? AND author = ? ORDER BY last DESC LIMIT 1",
            author,
        )
        return marks, seals[0][0] if seals else b""

    async def outbox(self, after: tuple[int, int], limit: int) -> Sequence[OutboxRow]:
        """See `port.Store`."""
        return await self._look(self._outbox, after, limit)

    async def transact(self, function: Callable[[Connection, tuple[str, int]], Result]) -> Result:
        """See `port.Store`."""
        return await self._run(self._aside, lambda: function(self._db, self._key))

    def _aside(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a function in a transaction that touches no documents."""
        return self._write(function, *args)

    async def answer(self, caller: str, key: str, at: int) -> KeptAnswer | None:
        """See `port.Store`."""
        rows = await self._rows(
            "SELECT fingerprint, answer, xid FROM answers WHERE app = ? AND shard = ?"
            " AND caller = ? AND key = ? AND at > ?",
            caller,
            key,
            at - limits.ANSWER_MS,
        )
        return KeptAnswer(*rows[0]) if rows else None

    async def trim(self, before: int, limit: int) -> int:
        """See `port.Store`."""
        return await self._run(self._write, lambda: trim(self._db, self._key, before, limit))

    async def trimmed(self) -> int:
        """See `port.Store`."""
        return int((await self._look(get_meta, self._app)).get("trimmed", b"0"))

    async def touched(
        self, collection: str, after: tuple[int, bytes], limit: int
    ) -> tuple[Sequence[Touched], int]:
        """See `port.Store`."""
        return await self._look(self._touched, collection, after, limit)

    async def operations_of(self, collection: str, ids: Sequence[bytes]) -> Sequence[Sequence[Arrival]]:
        """See `port.Store`."""
        return await self._look(self._operations_of, collection, ids)

    async def operations(
        self, author: bytes, first: int, last: int
    ) -> tuple[Sequence[Operation], Sequence[SkipEntry]]:
        """See `port.Store`."""
        rows = await self._rows(
            "SELECT author, number, body FROM operations WHERE app = ? AND shard = ? AND author = ?"
            " AND number BETWEEN ? AND ? AND length(body) > 0 ORDER BY number",
            author,
            first,
            last,
        )
        skips = await self._rows(
            "SELECT author, body FROM skips WHERE app = ? AND shard = ? AND author = ?"
            " AND last >= ? AND first <= ? ORDER BY last",
            author,
            first,
            last,
        )
        skips += await self._look(skips_of, self._key, author, first, last)
        return [Operation(*row) for row in rows], [SkipEntry(*row) for row in skips]

    async def lost(self, limit: int) -> Sequence[Lost]:
        """See `port.Store`."""
        return await self._look(read_lost, self._key, limit)

    async def confirm(self, peer: bytes, position: int, at: int) -> None:
        """See `port.Store`."""
        await self._run(lambda: confirm(self._db, self._key, peer, position, at))

    async def stable(self, silent_since: int, before: int) -> Stable:
        """See `port.Store`."""
        return await self._run(lambda: stable(self._db, self._key, silent_since, before))

    async def collect(self, position: int, after: tuple[str, bytes], limit: int) -> Collected:
        """See `port.Store`."""
        return await self._run(
            self._write,
            lambda: collect(self._db, self._key, self._schemas, self.keys, position, after, limit),
        )

    async def retention(self) -> Sequence[Retained]:
        """See `port.Store`."""
        return await self._look(read_retention, self._key)

    async def retain(self, collection: str, keep: int) -> None:
        """See `port.Store`."""
        await self._run(self._aside, lambda: retain(self._db, self._key, collection, keep))

    async def expire(
        self, collection: str, now: int, lowest: int, after: Place | None, limit: int
    ) -> Expired:
        """See `port.Store`."""
        return await self._run(
            self._write,
            lambda: expire(self._db, self._key, self._schemas, collection, now, lowest, after, limit),
        )

    async def create_index(self, index: Index) -> None:
        """See `port.Store`."""
        await self._run(self._write, lambda: create_index(self._db, self._key, index, self.dialect))
        await self._run(self._read_indexes)

    async def drop_index(self, collection: str, name: str) -> None:
        """See `port.Store`."""
        await self._run(self._write, lambda: drop_index(self._db, self._key, collection, name))
        await self._run(self._read_indexes)

    def indexed(self, collection: str) -> Collection[str]:
        """See `port.Store`."""
        return self._indexes.get(collection, ())

    async def indexes(self) -> Sequence[Index]:
        """See `port.Store`."""
        return await self._look(read_indexes, self._key)

    @asynccontextmanager
    async def snapshot(self, seconds: float | None = None) -> AsyncIterator[Snapshot]:
        """See `port.Store`."""
        work = asyncio.get_running_loop().run_in_executor(self._reading, self._open_view, seconds)
        try:
            connection, transaction = await self._result(work)
        except asyncio.CancelledError:
            self._let_go(self._abandon(work))
            raise
        view = View(connection, self._reading)
        try:
            yield SqlSnapshot(partial(self._read, view), transaction, self.dialect, self._indexes)
        finally:
            await self._result(self._let_go(self._leave_view(view)))

    async def close(self) -> None:
        """See `port.Store`."""
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._run(self._close)
        self._thread.shutdown()

    # ---- in the threads

    async def _run(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run in the thread that writes."""
        return await self._result(asyncio.get_running_loop().run_in_executor(self._thread, function, *args))

    async def _result(self, work: asyncio.Future[Result]) -> Result:
        # Shielded: a caller that goes away leaves no transaction half done.
        try:
            return await asyncio.shield(work)
        except Exception as error:
            meant = self._meant(error)
            if meant is None:
                raise
            raise meant from error

    def _let_go(self, leaving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let a view be left whoever goes away meanwhile, and before the store is closed."""
        task = asyncio.create_task(leaving)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    async def _abandon(self, work: asyncio.Future[tuple[Connection, int]]) -> None:
        """Take back the view of a caller that went away while it was opened."""
        # What fails there has closed its connection, and nobody waits for the reason.
        with suppress(Exception):
            connection, _ = await work
            await asyncio.get_running_loop().run_in_executor(self._reading, self._give_back, connection)

    async def _rows(self, query: str, *args: Any) -> list[Any]:
        return await self._look(lambda db: db.execute(query, (*self._key, *args)).fetchall())

    async def _look(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a function of a connection that reads, with a view of its own."""

        def look() -> Result:
            connection = self._begin(None)
            try:
                return function(connection, *args)
            finally:
                self._give_back(connection)

        return await self._result(asyncio.get_running_loop().run_in_executor(self._reading, look))

    async def _read(self, view: View, query: str, *args: Any) -> list[Any]:
        return await self._result(view.read(query, (*self._key, *args)))

    async def _leave_view(self, view: View) -> None:
        await view.end(self._interrupt)
        await asyncio.get_running_loop().run_in_executor(self._reading, self._give_back, view.connection)

    def _open_view(self, seconds: float | None) -> tuple[Connection, int]:
        """Open a view; return its connection and its newest transaction."""
        connection = self._begin(seconds)
        try:
            return connection, self._newest(connection)
        except BaseException:
            connection.close()
            raise

    def _begin(self, seconds: float | None) -> Connection:
        """Return a connection of nobody else, in a view."""
        while True:
            try:
                connection, is_new = self._readers.pop(), False
            except IndexError:
                connection, is_new = self._connect(), True
            try:
                self._begin_view(connection, seconds)
            except BaseException as error:
                connection.close()
                # One that was kept may have been lost meanwhile.
                if is_new or not isinstance(error, connection.failures):
                    raise
            else:
                return connection

    def _give_back(self, connection: Connection) -> None:
        try:
            self._end_view(connection)
        except BaseException:
            connection.close()
            raise
        if connection.is_closed or len(self._readers) >= KEPT_READERS:
            connection.close()
        else:
            self._readers.append(connection)

    def _read_schemas(self) -> None:
        self._learn([encoded for (encoded,) in self._db.execute(SCHEMA_QUERY, self._key)])

    def _learn(self, schemas: Sequence[bytes]) -> None:
        for encoded in schemas:
            schema = Schema.decode(encoded)
            self._schemas[schema.name] = schema

    def _read_indexes(self) -> None:
        found: dict[str, set[str]] = {}
        for index in read_indexes(self._db, self._key):
            found.setdefault(index.collection, set()).add(index.path)
        self._indexes = found

    def _outbox(self, db: Connection, after: tuple[int, int], limit: int) -> list[OutboxRow]:
        newest = self._newest(db)
        rows = db.execute(OUTBOX_QUERY, (*self._key, *after, newest, limit))
        return [OutboxRow(*row) for row in rows]

    def _touched(
        self, db: Connection, collection: str, after: tuple[int, bytes], limit: int
    ) -> tuple[Sequence[Touched], int]:
        newest = self._newest(db)
        rows = db.execute(TOUCHED_QUERY, (*self._key, collection, *after, newest, limit))
        return [Touched(*row) for row in rows], newest

    def _operations_of(self, db: Connection, collection: str, ids: Sequence[bytes]) -> list[list[Arrival]]:
        found = []
        for document_id in ids:
            rows = db.execute(ARRIVAL_QUERY, (*self._key, collection, document_id))
            found.append([Arrival(*row) for row in rows])
        return found

    def _close(self) -> None:
        self._reading.shutdown()
        for connection in (*self._readers, self._db):
            connection.close()
