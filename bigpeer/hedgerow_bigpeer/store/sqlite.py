"""The Store on SQLite: one file, one writer, one worker thread."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hedgerow.codec.schema import Schema
from hedgerow.custody.skip import LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import new_author
from hedgerow.trust.lost import show

from .filter import SQLITE
from .indexes import create_index, drop_index, read_indexes
from .migrate import migrate
from .place import Place
from .port import (
    Arrival,
    ClockRecord,
    Collected,
    Frontier,
    Identity,
    Index,
    Ingested,
    Lost,
    Operation,
    OutboxRow,
    SkipEntry,
    Snapshot,
    Stable,
    Submission,
    Touched,
    Written,
)
from .sqlite_collect import collect, confirm, stable
from .sqlite_ingest import ARRIVAL_QUERY, FRONTIER_QUERY, SHARD, Ingest
from .sqlite_view import SqliteSnapshot

Result = TypeVar("Result")

TOUCHED_QUERY = (
    "SELECT DISTINCT xid, id FROM touches WHERE app = ? AND shard = ? AND collection = ?"
    " AND (xid, id) > (?, ?) ORDER BY xid, id LIMIT ?"
)

#: Instructions of SQLite between two looks at the clock.
_STEPS = 10_000

log = logging.getLogger(__name__)


class SqliteStore:
    """See `port.Store`. Open with `await SqliteStore.open(path)`.

    Commits are durable against the death of the process at any instant. With `full_sync` they also survive
    a loss of power of the machine; without it the last moments before one may be lost, never the file.
    """

    def __init__(self, path: Path, app: str, *, full_sync: bool) -> None:
        self._path = path
        self._app = app
        self._key = (app, SHARD)
        self._full_sync = full_sync
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._readers: list[sqlite3.Connection] = []
        self._schemas: dict[bytes, Schema] = {}
        self._indexes: dict[str, set[str]] = {}

    @classmethod
    async def open(cls, path: Path, app: str = "default", *, full_sync: bool = True) -> "SqliteStore":
        """Open or create the file; its parent directory is created. Raises STORE_VERSION,
        STORE_FAILED, DATABASE_IN_USE.
        """
        store = cls(path, app, full_sync=full_sync)
        try:
            await store._run(store._open)
        except BaseException:
            store._thread.shutdown()
            raise
        return store

    @property
    def identity(self) -> Identity:
        return self._identity

    async def ingest(self, submissions: Sequence[Submission], at: int) -> Ingested:
        return await self._run(self._ingest, submissions, at)

    async def frontiers(self) -> Sequence[Frontier]:
        return [Frontier(*row) for row in await self._rows(self._db, f"{FRONTIER_QUERY} ORDER BY a.author")]

    async def schemas(self) -> Sequence[bytes]:
        rows = await self._rows(
            self._db, "SELECT encoded FROM schemas WHERE app = ? AND shard = ? ORDER BY name"
        )
        return [encoded for (encoded,) in rows]

    async def clocks(self) -> Sequence[ClockRecord]:
        rows = await self._rows(
            self._db,
            "SELECT author, number, epoch, uptime, base, source, utc, error FROM clocks"
            " WHERE app = ? AND shard = ? ORDER BY author, number",
        )
        return [ClockRecord(*row) for row in rows]

    async def boundaries(self) -> Sequence[Written]:
        rows = await self._rows(
            self._db,
            "SELECT o.author, o.number, o.stamp FROM authors a"
            " JOIN operations o USING (app, shard, author)"
            " WHERE a.app = ? AND a.shard = ? AND (o.number = a.held OR EXISTS"
            " (SELECT 1 FROM clocks c WHERE c.app = o.app AND c.shard = o.shard"
            " AND c.author = o.author AND c.number = o.number + 1))",
        )
        return [Written(*row) for row in rows]

    async def tail(self, author: bytes) -> tuple[Sequence[tuple[int, bytes]], bytes]:
        marks = await self._rows(
            self._db,
            "SELECT o.number, o.h16 FROM operations o JOIN authors a USING (app, shard, author)"
            " WHERE a.app = ? AND a.shard = ? AND a.author = ? AND o.number > a.sealed ORDER BY o.number",
            author,
        )
        seals = await self._rows(
            self._db,
            "SELECT body FROM seals WHERE app = ? AND shard = ? AND author = ? ORDER BY last DESC LIMIT 1",
            author,
        )
        return marks, seals[0][0] if seals else b""

    async def outbox(self, after: int, limit: int) -> Sequence[OutboxRow]:
        rows = await self._rows(
            self._db,
            "SELECT seq, xid, collection, id, op, before, after, author, number, stamp, at FROM outbox"
            " WHERE app = ? AND shard = ? AND seq > ? ORDER BY seq LIMIT ?",
            after,
            limit,
        )
        return [OutboxRow(*row) for row in rows]

    async def touched(
        self, collection: str, after: tuple[int, bytes], limit: int
    ) -> tuple[Sequence[Touched], int]:
        return await self._run(self._touched, collection, after, limit)

    async def operations_of(self, collection: str, ids: Sequence[bytes]) -> Sequence[Sequence[Arrival]]:
        return await self._run(self._operations_of, collection, ids)

    async def operations(
        self, author: bytes, first: int, last: int
    ) -> tuple[Sequence[Operation], Sequence[SkipEntry]]:
        rows = await self._rows(
            self._db,
            "SELECT author, number, body FROM operations WHERE app = ? AND shard = ? AND author = ?"
            " AND number BETWEEN ? AND ? AND body != x'' ORDER BY number",
            author,
            first,
            last,
        )
        skips = await self._rows(
            self._db,
            "SELECT author, body FROM skips WHERE app = ? AND shard = ? AND author = ?"
            " AND last >= ? AND first <= ? ORDER BY last",
            author,
            first,
            last,
        )
        return [Operation(*row) for row in rows], [SkipEntry(*row) for row in skips]

    async def lost(self, limit: int) -> Sequence[Lost]:
        return await self._run(self._lost, limit)

    async def confirm(self, peer: bytes, position: int, at: int) -> None:
        await self._run(confirm, self._db, self._key, peer, position, at)

    async def stable(self, silent_since: int, before: int) -> Stable:
        return await self._run(stable, self._db, self._key, silent_since, before)

    async def collect(self, position: int, after: tuple[str, bytes], limit: int) -> Collected:
        return await self._run(self._collect, position, after, limit)

    async def create_index(self, index: Index) -> None:
        await self._run(create_index, self._db, self._key, index, SQLITE)
        await self._run(self._read_indexes)

    async def drop_index(self, collection: str, name: str) -> None:
        await self._run(drop_index, self._db, self._key, collection, name)
        await self._run(self._read_indexes)

    async def indexes(self) -> Sequence[Index]:
        return await self._run(read_indexes, self._db, self._key)

    @asynccontextmanager
    async def snapshot(self, seconds: float | None = None) -> AsyncIterator[Snapshot]:
        work = self._start(self._begin, seconds)
        try:
            connection, transaction = await self._result(work)
        except asyncio.CancelledError:
            work.add_done_callback(self._abandon)
            raise
        try:
            yield SqliteSnapshot(partial(self._rows, connection), transaction, self._indexes)
        finally:
            await self._run(self._give_back, connection)

    async def close(self) -> None:
        await self._run(self._close)
        self._thread.shutdown()

    # ---- in the worker thread

    async def _run(self, function: Callable[..., Result], *args: Any) -> Result:
        return await self._result(self._start(function, *args))

    def _start(self, function: Callable[..., Result], *args: Any) -> asyncio.Future[Result]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    async def _result(self, work: asyncio.Future[Result]) -> Result:
        # Shielded: a caller that goes away leaves no transaction half done.
        try:
            return await asyncio.shield(work)
        except sqlite3.Error as error:
            if error.args == ("interrupted",):
                raise HedgerowError("QUERY_TIMEOUT", "reading the store took too long") from error
            raise HedgerowError("STORE_FAILED", str(error)) from error

    def _abandon(self, work: asyncio.Future[tuple[sqlite3.Connection, int]]) -> None:
        """Take back the view of a caller that went away while it was opened."""
        if not work.cancelled() and work.exception() is None:
            self._start(self._give_back, work.result()[0])

    async def _rows(self, connection: sqlite3.Connection, query: str, *args: Any) -> list[Any]:
        return await self._run(lambda: connection.execute(query, (*self._key, *args)).fetchall())

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._full_sync else 'NORMAL'}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._place = Place(self._path)
        try:
            self._open_database()
        except BaseException:
            self._place.close()
            raise

    def _open_database(self) -> None:
        self._db = self._connect()
        try:
            migrate(self._db)
            self._identity = self._introduce()
            query = "SELECT encoded FROM schemas WHERE app = ? AND shard = ?"
            for (encoded,) in self._db.execute(query, self._key):
                schema = Schema.decode(encoded)
                self._schemas[schema.name] = schema
            self._read_indexes()
        except BaseException:
            self._db.close()
            raise

    def _introduce(self) -> Identity:
        """Read who this store is, and count the boot; a new, copied or restored store is a new author."""
        self._db.execute("BEGIN IMMEDIATE")
        fresh = {"token": bytes(16), "incarnation": b"0", "boot": b"0", "xid": b"0"}
        for name, value in fresh.items():
            self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?, ?)", (self._app, name, value))
        meta = dict(self._db.execute("SELECT name, value FROM meta WHERE app = ?", (self._app,)))
        transaction = int(meta["xid"])
        meta["boot"] = str(int(meta["boot"]) + 1).encode()
        if "author" not in meta or not self._place.is_home(meta["token"], transaction):
            if "author" in meta:
                log.warning("%s is a copy or a backup: it goes on as a new author", self._path)
            author = new_author()
            meta.setdefault("keeper", meta.get("author", author))
            meta |= {"author": author, "epoch": os.urandom(16), "token": os.urandom(16)}
            meta["incarnation"] = str(int(meta["incarnation"]) + 1).encode()
            # Positions of another incarnation say nothing about this one.
            self._db.execute("UPDATE peers SET position = 0 WHERE app = ?", (self._app,))
            meta["stable"] = b"0"
            self._place.settle(meta["token"], transaction)
        self._db.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", [(self._app, *item) for item in meta.items()]
        )
        self._db.execute("COMMIT")
        return Identity(
            meta["keeper"], meta["author"], int(meta["incarnation"]), meta["epoch"], int(meta["boot"])
        )

    def _ingest(self, submissions: Sequence[Submission], at: int) -> Ingested:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            ingest = Ingest(self._db, self._app, self._identity, self._schemas, at)
            ingested = ingest.run(submissions)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        self._place.remember(ingested.transaction)
        self._schemas = ingest.effects.schemas
        return ingested

    def _newest(self) -> int:
        query = "SELECT value FROM meta WHERE app = ? AND name = 'xid'"
        return int(self._db.execute(query, (self._app,)).fetchone()[0])

    def _touched(
        self, collection: str, after: tuple[int, bytes], limit: int
    ) -> tuple[Sequence[Touched], int]:
        rows = self._db.execute(TOUCHED_QUERY, (*self._key, collection, *after, limit))
        return [Touched(*row) for row in rows], self._newest()

    def _operations_of(self, collection: str, ids: Sequence[bytes]) -> list[list[Arrival]]:
        found = []
        for document_id in ids:
            rows = self._db.execute(ARRIVAL_QUERY, (*self._key, collection, document_id))
            found.append([Arrival(*row) for row in rows])
        return found

    def _lost(self, limit: int) -> list[Lost]:
        skips = self._db.execute(
            "SELECT author, body FROM skips WHERE app = ? AND shard = ? ORDER BY author, last", self._key
        )
        query = (
            "SELECT number FROM operations"
            " WHERE app = ? AND shard = ? AND author = ? AND number BETWEEN ? AND ?"
        )
        found: list[Lost] = []
        covered = (b"", 0)
        for author, body in skips:
            skip = Skip.decode(body)
            first = skip.first if covered[0] != author else max(skip.first, covered[1] + 1)
            covered = (author, skip.last)
            if skip.kind != LOST:
                continue
            held = {number for (number,) in self._db.execute(query, (*self._key, author, first, skip.last))}
            shown = show(skip)
            for number in [*sorted(held), skip.last + 1]:
                if first < number:
                    found.append(
                        Lost(author, first, number - 1, shown["reason"], shown["time"], shown["summary"])
                    )
                first = number + 1
            if len(found) >= limit:
                break
        return found[:limit]

    def _collect(self, position: int, after: tuple[str, bytes], limit: int) -> Collected:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            collected = collect(self._db, self._key, self._schemas, position, after, limit)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        return collected

    def _read_indexes(self) -> None:
        found: dict[str, set[str]] = {}
        for index in read_indexes(self._db, self._key):
            found.setdefault(index.collection, set()).add(index.path)
        self._indexes = found

    def _begin(self, seconds: float | None) -> tuple[sqlite3.Connection, int]:
        """Open a view; return its connection and its newest transaction."""
        connection = self._readers.pop() if self._readers else self._connect()
        try:
            if seconds is not None:
                end = time.monotonic() + seconds
                connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            connection.execute("BEGIN")
            query = "SELECT value FROM meta WHERE app = ? AND name = 'xid'"
            return connection, int(connection.execute(query, (self._app,)).fetchone()[0])
        except BaseException:
            connection.close()
            raise

    def _give_back(self, connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(None, 0)
        connection.rollback()
        self._readers.append(connection)

    def _close(self) -> None:
        for connection in (*self._readers, self._db):
            connection.close()
        self._place.close()
