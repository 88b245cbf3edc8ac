"""The one database of apps, keys, people, credentials and the audit log.

Every change is one transaction, durable on return; the command line and running servers may use it at once.
"""

import contextlib
import importlib.resources
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from hedgerow.errors import HedgerowError

from .engine import Engine
from .vault import Vault

VERSION = 1


def now() -> int:
    """Return the time in seconds of UTC since 1970, as credentials have it."""
    return int(time.time())


class Database:
    """One connection; calls may come from any thread, one at a time runs. All raise REGISTRY_FAILED."""

    #: Where private keys and other secrets are; `opening` says which it is.
    vault: Vault

    def __init__(self, engine: Engine, *, is_shared: bool) -> None:
        """Without tables until make(). `is_shared`: other servers have the same."""
        self._lock = threading.RLock()
        self._changing = False
        self._engine = engine
        self.is_shared = is_shared

    def make(self) -> None:
        """Make the tables that are not there; within a change. Raises REGISTRY_VERSION."""
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


def _statements() -> list[str]:
    text = importlib.resources.files(__package__).joinpath("schema.sql").read_text("utf-8")
    statements, begun = [], ""
    for line in text.splitlines():
        begun += line + "\n"
        if sqlite3.complete_statement(begun):
            statements.append(begun)
            begun = ""
    return statements
