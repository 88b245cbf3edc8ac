"""PostgreSQL as the stores' SQL speaks to it: psycopg, one connection to a thread at a time."""

import functools
from collections.abc import Sequence
from typing import Any

import psycopg

from ..postgres_line import connect
from .sql import DOCUMENT_QUERY, Cursor, Table

_SETTINGS = "-c idle_in_transaction_session_timeout=60s -c lock_timeout=20s -c client_min_messages=warning"


#: As few rows as these are sent as statements.
_COPIED = 8


class PostgresConnection:
    """See `sql.Connection`. Statements commit by themselves unless BEGIN stands before them."""

    #: What data do wrong (a text with a NUL in it) spoils a savepoint, not a transaction.
    failures: tuple[type[Exception], ...] = (
        psycopg.InterfaceError,
        psycopg.OperationalError,
        psycopg.IntegrityError,
        psycopg.InternalError,
        psycopg.ProgrammingError,
        psycopg.NotSupportedError,
    )

    def __init__(self, url: str, settings: str = "") -> None:
        self._connection = connect(url, options=f"{_SETTINGS} {settings}", application_name="hedgerow")

    @property
    def plain(self) -> psycopg.Connection[Any]:
        """The connection itself, for what is more than statements."""
        return self._connection

    @property
    def is_closed(self) -> bool:
        """Whether the connection is lost."""
        return self._connection.closed or self._connection.broken

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> Cursor:
        """See `sql.Connection`."""
        return self._connection.execute(_spelled(query), parameters or None)

    def executemany(self, query: str, rows: Sequence[Sequence[Any]]) -> object:
        """See `sql.Connection`: all rows are on their way before the first answer is."""
        if len(rows) == 1:
            return self.execute(query, rows[0])
        with self._connection.cursor() as cursor:
            cursor.executemany(_spelled(query), rows)
        return None

    def some(self, collection: str, keys: Sequence[bytes], app: tuple[str, int]) -> list[Any]:
        """See `sql.Connection`."""
        query = f"{DOCUMENT_QUERY} AND collection = ? AND id = ANY(?)"
        return self.execute(query, (*app, collection, list(keys))).fetchall()

    def add(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """See `sql.Connection`: many rows as one COPY."""
        if len(rows) < _COPIED:
            self.executemany(table.insert, rows)
            return
        columns = ", ".join(table.columns.split())
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN".encode()) as copy,
        ):
            for row in rows:
                copy.write_row(row)

    def constant(self, value: bytes) -> str:
        """See `sql.Connection`."""
        return f"'\\x{value.hex()}'"

    def rollback(self) -> None:
        """See `sql.Connection`."""
        if not self.is_closed:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """See `sql.Connection`."""
        self._connection.close()


@functools.lru_cache(maxsize=1024)
def _spelled(query: str) -> bytes:
    """Write `?` as psycopg does; a literal percent sign would be one of its own."""
    return query.replace("%", "%%").replace("?", "%s").encode() if "?" in query else query.encode()
