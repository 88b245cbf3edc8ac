"""Indexes of paths, made on request: expression indexes over the facets, the same on every engine."""

import hashlib
from typing import Any

from hedgerow.errors import HedgerowError

from .. import limits
from .filter import Dialect
from .rows import Index

Key = tuple[str, int]


def read_indexes(db: Any, key: Key) -> list[Index]:
    """Return the indexes of an app."""
    query = "SELECT collection, name, path FROM indexes WHERE app = ? ORDER BY collection, name"
    return [Index(*row) for row in db.execute(query, (key[0],))]


def create_index(db: Any, key: Key, index: Index, dialect: Dialect) -> None:
    """See `Store.create_index`. One index of the engine's serves all collections that want a path's."""
    known = db.execute("SELECT DISTINCT path FROM indexes").fetchall()
    if (index.path,) not in known and len(known) >= limits.INDEXES:
        raise HedgerowError("INDEXES_FULL", f"{limits.INDEXES} paths have one")
    query = "SELECT 1 FROM indexes WHERE app = ? AND collection = ? AND name = ?"
    if db.execute(query, (key[0], index.collection, index.name)).fetchone() is not None:
        raise HedgerowError("INDEX_EXISTS", f"{index.name} on {index.collection}")
    make_index(db, index.path, dialect)
    db.execute("INSERT INTO indexes VALUES (?, ?, ?, ?)", (key[0], *index))


def make_index(db: Any, path: str, dialect: Dialect) -> None:
    """Make the engine's index of a path if it is not there."""
    expression = dialect.indexed(path)
    db.execute(
        f"CREATE INDEX IF NOT EXISTS {_named(path)}"
        f" ON documents (app, shard, collection, {expression}, id) WHERE {expression} IS NOT NULL"
    )


def drop_index(db: Any, key: Key, collection: str, name: str) -> None:
    """See `Store.drop_index`."""
    place = (key[0], collection, name)
    query = "SELECT path FROM indexes WHERE app = ? AND collection = ? AND name = ?"
    row = db.execute(query, place).fetchone()
    if row is None:
        raise HedgerowError("INDEX_UNKNOWN", f"{name} on {collection}")
    db.execute("DELETE FROM indexes WHERE app = ? AND collection = ? AND name = ?", place)
    if db.execute("SELECT 1 FROM indexes WHERE path = ?", row).fetchone() is None:
        db.execute(f"DROP INDEX IF EXISTS {_named(row[0])}")


def _named(path: str) -> str:
    return "facet_" + hashlib.sha256(path.encode()).hexdigest()[:16]
