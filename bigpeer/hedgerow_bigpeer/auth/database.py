"""auth.db: the one database of apps, keys, people, credentials and the audit log.

It is apart from the store of documents, so that a copy of the documents holds no secrets. Every change is one
transaction, durable on return; the command line and a running server may use it at once.
"""

import contextlib
import importlib.resources
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError

VERSION = 1
FILE = "auth.db"
_BUSY_SECONDS = 10.0


def now() -> int:
    """Return the time in seconds of UTC since 1970, as credentials have it."""
    return int(time.time())


class Database:
    """One connection; calls may come from any thread, one at a time runs. All raise REGISTRY_FAILED."""

    def __init__(self, directory: Path) -> None:
        """Open or create the file, readable by its owner only. Raises REGISTRY_VERSION, REGISTRY_FAILED."""
        self.directory = directory
        self._lock = threading.RLock()
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / FILE
        try:
            # Made with its mode, so that there is no moment at which others may read it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise HedgerowError("REGISTRY_FAILED", f"{path}: {error}") from error

    def _open(self) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        with self.change():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise HedgerowError("REGISTRY_VERSION", f"version {version}, {VERSION} is the newest known")
            if version == 0:
                for statement in _statements():
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {VERSION}")

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Around what belongs together: all of it is done, or nothing. May be nested."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.rollback()
                raise
            self._execute("COMMIT")

    def run(self, sql: str, *values: Any) -> int:
        """Run one statement; return how many rows it changed."""
        with self._lock:
            return self._execute(sql, *values).rowcount

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self._lock:
            return self._execute(sql, *values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query, None if there is none."""
        with self._lock:
            found: tuple[Any, ...] | None = self._execute(sql, *values).fetchone()
            return found

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

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.OperationalError as error:
            raise HedgerowError("REGISTRY_FAILED", str(error)) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def _statements() -> list[str]:
    text = importlib.resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
    statements, begun = [], ""
    for line in text.splitlines():
        begun += line + "\n"
        if sqlite3.complete_statement(begun):
            statements.append(begun)
            begun = ""
    return statements
