"""What the registry's tables lie in: a file of SQLite, or PostgreSQL (`postgres`)."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hedgerow.errors import HedgerowError

_BUSY_SECONDS = 10.0


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
