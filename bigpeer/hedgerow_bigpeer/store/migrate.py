"""Numbered .sql files that bring a database from any older version to this one."""

import importlib.resources
import sqlite3
from collections.abc import Callable

from hedgerow.codec import cbor
from hedgerow.codec.schema import Schema
from hedgerow.document import document_ids
from hedgerow.errors import HedgerowError
from hedgerow.operation import CLOCK, decode_body

from .facets import facets_of

_SLICE = 256


def migrate(connection: sqlite3.Connection) -> None:
    """Apply what the database lacks, each file in a transaction; raises STORE_VERSION if it is newer."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    scripts = _scripts()
    if version > len(scripts):
        raise HedgerowError("STORE_VERSION", f"version {version}, {len(scripts)} is the newest known")
    for number, script in enumerate(scripts[version:], version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\n")
            if number in _AFTER:
                _AFTER[number](connection)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise


def _scripts() -> list[str]:
    folder = importlib.resources.files(__package__).joinpath("migrations", "sqlite")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [folder.joinpath(name).read_text("utf-8") for name in names]


def _fill_touches(connection: sqlite3.Connection) -> None:
    """Number the arrivals of operations that were here before: their order over authors is lost, and any will
    do. Every slice gets a transaction of its own, so that whoever follows them has places to stop at.
    """
    for app, shard in connection.execute("SELECT DISTINCT app, shard FROM operations").fetchall():
        key = (app, shard)
        query = "SELECT name, encoded FROM schemas WHERE app = ? AND shard = ?"
        collections = {
            name: Schema.decode(encoded).collection for name, encoded in connection.execute(query, key)
        }
        query = "SELECT value FROM meta WHERE app = ? AND name = 'xid'"
        xid = int(connection.execute(query, (app,)).fetchone()[0])
        after: tuple[bytes, int] = (b"", 0)
        while rows := connection.execute(
            "SELECT author, number, body FROM operations WHERE app = ? AND shard = ?"
            " AND (author, number) > (?, ?) ORDER BY author, number LIMIT ?",
            (*key, *after, _SLICE),
        ).fetchall():
            xid += 1
            for author, number, body in rows:
                _touch(connection, key, (author, number, xid), body, collections)
            after = rows[-1][:2]
        connection.execute(
            "UPDATE meta SET value = ? WHERE app = ? AND name = 'xid'", (str(xid).encode(), app)
        )


def _touch(
    connection: sqlite3.Connection,
    key: tuple[str, int],
    arrival: tuple[bytes, int, int],
    body: bytes,
    collections: dict[bytes, str],
) -> None:
    author, number, xid = arrival
    connection.execute(
        "UPDATE operations SET xid = ? WHERE app = ? AND shard = ? AND author = ? AND number = ?",
        (xid, *key, author, number),
    )
    changes = decode_body(body)[1]
    for change, document_id in zip(changes, document_ids(author, number, changes), strict=True):
        if change[0] != CLOCK:
            place = (*key, collections[change[1]], cbor.encode(document_id))
            connection.execute(
                "INSERT OR REPLACE INTO touches VALUES (?, ?, ?, ?, ?, ?, ?)", (*place, *arrival)
            )
            connection.execute(
                "UPDATE documents SET xid = ? WHERE app = ? AND shard = ? AND collection = ? AND id = ?",
                (xid, *place),
            )


def _fill_facets(connection: sqlite3.Connection) -> None:
    after: tuple[str, int, str, bytes] = ("", -1, "", b"")
    while rows := connection.execute(
        "SELECT app, shard, collection, id, value FROM documents"
        " WHERE (app, shard, collection, id) > (?, ?, ?, ?) AND value IS NOT NULL"
        " ORDER BY app, shard, collection, id LIMIT ?",
        (*after, _SLICE),
    ).fetchall():
        connection.executemany(
            "UPDATE documents SET facets = ? WHERE app = ? AND shard = ? AND collection = ? AND id = ?",
            [(facets_of(cbor.decode(row[3]), cbor.decode(row[4])), *row[:4]) for row in rows],
        )
        after = rows[-1][:4]


_AFTER: dict[int, Callable[[sqlite3.Connection], None]] = {2: _fill_touches, 4: _fill_facets}
