"""The Store on SQLite: one file, one writer, and readers of its write-ahead log that wait for nobody."""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from hedgerow.errors import HedgerowError
from hedgerow.log import new_author

from .filter import SQLITE
from .ingest import Ingest
from .migrate import migrate
from .place import Place
from .rows import Identity, Ingested, Submission
from .sql import DOCUMENT_QUERY, Connection, Table, gaps_of, get_meta, set_meta, skip_transactions
from .sql_store import SqlStore

Result = TypeVar("Result")

#: Instructions of SQLite between two looks at the clock.
_STEPS = 10_000

log = logging.getLogger(__name__)


class SqliteConnection(sqlite3.Connection):
    """See `sql.Connection`."""

    failures: tuple[type[Exception], ...] = (sqlite3.Error,)
    #: A file is not lost as a server is.
    is_closed = False

    def some(self, collection: str, keys: Sequence[bytes], app: tuple[str, int]) -> list[Any]:
        """See `sql.Connection`."""
        places = ", ".join("?" * len(keys))
        query = f"{DOCUMENT_QUERY} AND collection = ? AND id IN ({places})"
        return self.execute(query, (*app, collection, *keys)).fetchall()

    def add(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """See `sql.Connection`."""
        self.executemany(table.insert, rows)

    def constant(self, value: bytes) -> str:
        """See `sql.Connection`."""
        return f"x'{value.hex()}'"


class SqliteStore(SqlStore):
    """See `port.Store`. Open with `await SqliteStore.open(path)`.

    Commits are durable against the death of the process at any instant. With `full_sync` they also survive
    a loss of power of the machine; without it the last moments before one may be lost, never the file.
    """

    dialect = SQLITE

    def __init__(self, path: Path, app: str, *, full_sync: bool) -> None:
        super().__init__(app)
        self._path = path
        self._full_sync = full_sync

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

    def _meant(self, error: Exception) -> HedgerowError | None:
        if not isinstance(error, sqlite3.Error):
            return None
        if error.args == ("interrupted",):
            return HedgerowError("QUERY_TIMEOUT", "reading the store took too long")
        return HedgerowError("STORE_FAILED", str(error))

    def _connect(self) -> SqliteConnection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=5, factory=SqliteConnection
        )
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
        self._db = connection = self._connect()
        try:
            migrate(connection)
            self._identity = self._write(self._introduce)
            self._read_schemas()
            self._read_indexes()
        except BaseException:
            self._db.close()
            raise

    def _introduce(self) -> Identity:
        """Read who this store is, and count the boot; a new, copied or restored store is a new author."""
        fresh = {"token": bytes(16), "incarnation": b"0", "boot": b"0", "xid": b"0"}
        meta = fresh | get_meta(self._db, self._app)
        transaction = int(meta["xid"])
        meta["boot"] = str(int(meta["boot"]) + 1).encode()
        if "author" not in meta or not self._place.is_home(meta["token"], transaction):
            if "author" in meta:
                log.warning("%s is a copy or a backup: it goes on as a new author", self._path)
                transaction = skip_transactions(meta, transaction)
                meta["xid"] = str(transaction).encode()
            author = new_author()
            meta.setdefault("keeper", meta.get("author", author))
            meta |= {"author": author, "epoch": os.urandom(16), "token": os.urandom(16)}
            meta["incarnation"] = str(int(meta["incarnation"]) + 1).encode()
            # Positions of another incarnation say nothing about this one.
            self._db.execute("UPDATE peers SET position = 0 WHERE app = ?", (self._app,))
            meta["stable"] = b"0"
            self._place.settle(meta["token"], transaction)
        set_meta(self._db, self._app, meta)
        self.gaps = gaps_of(meta)
        return Identity(
            meta["keeper"], meta["author"], int(meta["incarnation"]), meta["epoch"], int(meta["boot"])
        )

    def _write(self, function: Callable[..., Result], *args: Any) -> Result:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = function(*args)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        return result

    def _ingest(self, submissions: Sequence[Submission], at: int) -> Ingested:
        ingest, ingested = self._write(self._take, submissions, at)
        self._place.remember(ingested.transaction)
        self._schemas = ingest.effects.schemas
        return ingested

    def _take(self, submissions: Sequence[Submission], at: int) -> tuple[Ingest, Ingested]:
        newest = self._newest(self._db)
        ingest = Ingest(
            self._db, self._app, self._identity, self._schemas, at, newest + 1, self.rules, self.keys
        )
        ingested = ingest.run(submissions, newest)
        if ingested.transaction != newest:
            set_meta(self._db, self._app, {"xid": str(ingested.transaction).encode()})
        return ingest, ingested

    def _newest(self, db: Connection) -> int:
        query = "SELECT value FROM meta WHERE app = ? AND name = 'xid'"
        return int(db.execute(query, (self._app,)).fetchone()[0])

    def _begin_view(self, db: Connection, seconds: float | None) -> None:
        assert isinstance(db, sqlite3.Connection)
        if seconds is not None:
            end = time.monotonic() + seconds
            db.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
        db.execute("BEGIN")

    def _end_view(self, db: Connection) -> None:
        assert isinstance(db, sqlite3.Connection)
        db.set_progress_handler(None, 0)
        db.rollback()

    def _interrupt(self, db: Connection) -> None:
        assert isinstance(db, sqlite3.Connection)
        db.interrupt()

    def _close(self) -> None:
        super()._close()
        self._place.close()
