"""The one database of apps, keys, people, credentials and the audit log: a file, or PostgreSQL.

auth.db is apart from the store of documents, so that a copy of those holds no secrets; where nodes share a
PostgreSQL, it is a schema of its own there, with secrets sealed (`vault`). Every change is one transaction,
durable on return; the command line and running servers may use it at once.
"""

import contextlib
import importlib.resources
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from hedgerow.errors import HedgerowError

from .vault import FileVault, Vault

VERSION = 1
FILE = "auth.db"
KEY_FILE = "rights.key"
#: auth.db while its rights go to PostgreSQL, and once they are there.
MOVING = f"{FILE}.moving"
MOVED = f"{FILE}.moved"
#: An empty file beside, from the first start with a PostgreSQL on.
SHARED = f"{FILE}.shared"
_BUSY_SECONDS = 10.0


def now() -> int:
    """Return the time in seconds of UTC since 1970, as credentials have it."""
    return int(time.time())


class Violated(Exception):
    """A row would have broken a rule of its table: it is there already, or may not change."""


class Rows(Protocol):
    """What a statement gave, and how many rows it changed."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, None at the end."""
        ...

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        ...


class Engine(Protocol):
    """The database below. Outside of begin() to commit() or rollback() each statement stands for itself."""

    def execute(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a statement with `?` for values. Raises Violated, REGISTRY_FAILED."""
        ...

    def begin(self) -> None:
        """Begin a change, when nobody else is at one."""
        ...

    def commit(self) -> None:
        """Make a change durable."""
        ...

    def rollback(self) -> None:
        """Undo a change."""
        ...

    def version(self) -> int:
        """Return the version of the tables, 0 where there are none."""
        ...

    def make(self, statements: Sequence[str], version: int) -> None:
        """Make the tables; within a change."""
        ...

    def add(self, statement: str) -> None:
        """Make a table that came later, if it is not there; within a change."""
        ...

    def close(self) -> None:
        """Close."""
        ...


class Database:
    """One connection; calls may come from any thread, one at a time runs. All raise REGISTRY_FAILED."""

    def __init__(
        self, directory: Path, url: str = "", key: Path | None = None, *, take_over: bool = False
    ) -> None:
        """Open or create auth.db, readable by its owner only, or the tables in the PostgreSQL at `url`.

        `key` is the file whose key seals secrets there, rights.key in `directory` by default. With
        `take_over` an auth.db that is there moves into a PostgreSQL that has no rights yet. Raises
        REGISTRY_VERSION, REGISTRY_KEY, REGISTRY_SPLIT, REGISTRY_FAILED.
        """
        self._lock = threading.RLock()
        self._changing = False
        self.is_shared = bool(url)
        self._engine: Engine
        self.vault: Vault
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HedgerowError("REGISTRY_FAILED", f"{directory}: {error}") from error
        self._engine = _shared(url) if url else _own(directory)
        try:
            if not url:
                with self.change():
                    self._make()
                    self.vault = FileVault(directory)
                return
            # They know of this module.
            from .moving import Move
            from .shared import TableVault

            with contextlib.closing(Move(directory)) as move:
                with self.change():
                    self._make()
                    self.vault = TableVault(self, key or directory / KEY_FILE, may_make=key is None)
                    if take_over:
                        move.take(self)
                if take_over:
                    move.finish()
        except BaseException:
            self._engine.close()
            raise

    def _make(self) -> None:
        version = self._engine.version()
        if version > VERSION:
            raise HedgerowError("REGISTRY_VERSION", f"version {version}, {VERSION} is the newest known")
        if version == 0:
            self._engine.make(_statements(), VERSION)
            return
        for statement in _statements():
            if "IF NOT EXISTS" in statement:
                self._engine.add(statement)

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Around what belongs together: all of it is done, or nothing. May be nested."""
        with self._lock:
            if self._changing:
                yield
                return
            self._engine.begin()
            self._changing = True
            try:
                yield
                self._engine.commit()
            except BaseException:
                self._engine.rollback()
                raise
            finally:
                self._changing = False

    def run(self, sql: str, *values: Any) -> int:
        """Run one statement; return how many rows it changed. Raises Violated.

        Outside of a change only what may happen twice: an answer that was lost is asked for again.
        """
        with self._lock:
            return self._engine.execute(sql, values).rowcount

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock:
            return self._engine.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query, None if there is none."""
        with self._lock:
            found: tuple[Any, ...] | None = self._engine.execute(sql, values).fetchone()
            return found

    def secret(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return random bytes that all servers of this database have in common; made when first asked for."""
        with self.change():
            row = self.row("SELECT value FROM secrets WHERE name = ?", name)
            if row is not None:
                return self.vault.unseal(name, row[0])
            value = make()
            self.run("INSERT INTO secrets VALUES (?, ?)", name, self.vault.seal(name, value))
            return value

    def state(self, app: str, body: bytes) -> None:
        """Add to what other peers are to know; within the change that made it so."""
        self.run("INSERT INTO statements (app, body) VALUES (?, ?)", app, body)

    def statements(self, app: str, since: int) -> list[tuple[int, bytes]]:
        """Return (place, object) of what other peers are to know behind a place, in order.

        From a place that is not reached yet it begins at the start: the file was put back to an earlier one.
        """
        newest = self.row("SELECT max(id) FROM statements WHERE app = ?", app)
        if newest is None or newest[0] is None:
            return []
        after = since if since <= newest[0] else 0
        return self.rows("SELECT id, body FROM statements WHERE app = ? AND id > ? ORDER BY id", app, after)

    def close(self) -> None:
        """Close."""
        with self._lock:
            self._engine.close()


class SqliteEngine:
    """See `Engine`: a file for its owner only."""

    def __init__(self, path: Path) -> None:
        try:
            # Made with its mode, so that there is no moment at which others may read it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self._connection.execute(f"PRAGMA {pragma}")
        except (OSError, sqlite3.Error) as error:
            raise HedgerowError("REGISTRY_FAILED", f"{path}: {error}") from error

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """See `Engine`."""
        try:
            return self._connection.execute(sql, values)
        except sqlite3.IntegrityError as error:
            raise Violated(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise HedgerowError("REGISTRY_FAILED", str(error)) from error

    def begin(self) -> None:
        """See `Engine`."""
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """See `Engine`."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """See `Engine`."""
        self._connection.rollback()

    def version(self) -> int:
        """See `Engine`."""
        return int(self.execute("PRAGMA user_version").fetchone()[0])

    def make(self, statements: Sequence[str], version: int) -> None:
        """See `Engine`."""
        for statement in statements:
            self.execute(statement)
        self.execute(f"PRAGMA user_version = {version}")

    def add(self, statement: str) -> None:
        """See `Engine`."""
        self.execute(statement)

    def close(self) -> None:
        """See `Engine`."""
        self._connection.close()


def _shared(url: str) -> Engine:
    # Its driver is needed by nobody else.
    from .postgres import PostgresEngine

    return PostgresEngine(url)


def _own(directory: Path) -> Engine:
    signs = [name for name in (SHARED, KEY_FILE, MOVING, MOVED) if (directory / name).exists()]
    if signs and not (directory / FILE).exists():
        # Nobody is to set rights in a new file that count nowhere.
        reason = f"the rights of {directory} are in PostgreSQL, as {signs[0]} says: name the store"
        raise HedgerowError("REGISTRY_KEY", reason)
    return SqliteEngine(directory / FILE)


def _statements() -> list[str]:
    text = importlib.resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
    statements, begun = [], ""
    for line in text.splitlines():
        begun += line + "\n"
        if sqlite3.complete_statement(begun):
            statements.append(begun)
            begun = ""
    return statements
