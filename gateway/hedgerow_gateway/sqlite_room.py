"""What makes room in the SQLite log, and what measures it: statements within the log's transaction."""

import sqlite3
from collections.abc import Iterable

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_SKIP

_RUN = "entry INDEXED BY entry_number WHERE author = ? AND kind <> 1 AND last BETWEEN ? AND ?"
_PARTS = (
    "SELECT count(*) FROM entry INDEXED BY entry_skip WHERE author = ? AND kind = 2"
    " AND first <= ? AND last >= ? AND (first < ? OR last > ?)"
)
_SEALS = "entry INDEXED BY entry_seal WHERE author = ? AND kind = 1 AND last < ? AND first >= ?"
_SIZE = "SELECT coalesce(sum(length(body)), 0) FROM entry WHERE author = ? AND last > ?"


class AuthorRow:
    """One author's row: its id and both frontiers, pending entries included."""

    __slots__ = ("held", "name", "row", "sealed")

    def __init__(self, name: bytes, row: int, held: int, sealed: int) -> None:
        self.name = name
        self.row = row
        self.held = held
        self.sealed = sealed


def put_skip(sql: sqlite3.Connection, row: int, first: int, last: int, body: bytes) -> None:
    """Put a skip in the place of an author's entries, with what lies beside them.

    Raises LOG_OUT_OF_ORDER for a part of a skip, and for what is gone.
    """
    bounds = (row, first, last)
    [parts] = sql.execute(_PARTS, (row, last, first, first, last)).fetchone()
    [place] = sql.execute(f"SELECT min(position) FROM {_RUN}", bounds).fetchone()  # noqa: S608
    if parts or place is None:
        raise HedgerowError("LOG_OUT_OF_ORDER", f"{first}-{last} is part of a skip, or gone")
    sql.execute(f"DELETE FROM {_RUN}", bounds)  # noqa: S608
    sql.execute(f"DELETE FROM {_SEALS}", (row, last, first))  # noqa: S608
    for table in ("filled", "touched"):
        sql.execute(f"DELETE FROM {table} WHERE author = ? AND number BETWEEN ? AND ?", bounds)  # noqa: S608
    sql.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", (place, row, ENTRY_SKIP, first, last, body))


def sizes(sql: sqlite3.Connection, authors: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return the bytes of all entries, and of those above the number that is given for each author."""
    total = above = 0
    for row, number in authors:
        total += sql.execute(_SIZE, (row, 0)).fetchone()[0]
        above += sql.execute(_SIZE, (row, number)).fetchone()[0]
    return total, above
