"""Readings that are kept for so long: what a store does with those that are older (SPEC 10.14.1).

Their age counts from the transaction that touched them last: no clock of a board has a say in it. Of an
operation that has expired the row stays, with number, stamp and H16, so that everything that is held, sealed
and receipted stays so; what comes again is passed over.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from hedgerow.codec.schema import Schema, is_stream
from hedgerow.custody.skip import SUPERSEDED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.operation import CLOCK, decode_body

from .. import limits
from . import ingest
from .merge import places_of
from .moments import position_at
from .rows import Expired, Place, Retained, SkipEntry
from .sql import Connection, places_left, raise_meta

Key = tuple[str, int]
Dot = tuple[bytes, int]

OLDEST_QUERY = (
    "SELECT id, xid, value IS NULL FROM documents WHERE app = ? AND shard = ? AND collection = ? AND xid <= ?"
    " AND (xid, id) > (?, ?) ORDER BY xid, id LIMIT ?"
)

_NEWEST = (1 << 63) - 1


class _Arrival(NamedTuple):
    id: bytes
    author: bytes
    number: int
    body: bytes


def read_retention(db: Connection, key: Key) -> list[Retained]:
    """See `Store.retention`."""
    query = (
        "SELECT collection, keep, gone, operations FROM retention WHERE app = ? AND shard = ?"
        " ORDER BY collection"
    )
    return [Retained(*row) for row in db.execute(query, key)]


def retain(db: Connection, key: Key, collection: str, keep: int) -> None:
    """See `Store.retain`; the caller begins and commits."""
    query = "SELECT count(*) FROM retention WHERE app = ? AND shard = ? AND collection <> ? AND keep > 0"
    if keep and db.execute(query, (*key, collection)).fetchone()[0] >= limits.RETAINED:
        raise HedgerowError("RETENTION_INVALID", f"{limits.RETAINED} collections have one")
    db.execute(
        "INSERT INTO retention (app, shard, collection, keep) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (app, shard, collection) DO UPDATE SET keep = excluded.keep",
        (*key, collection, keep),
    )
    # Of what never lost anything nothing is left to be told.
    db.execute(
        "DELETE FROM retention WHERE app = ? AND shard = ? AND collection = ? AND keep = 0 AND gone = 0",
        (*key, collection),
    )


def skips_of(db: Connection, key: Key, author: bytes, first: int, last: int) -> list[SkipEntry]:
    """Return what stands on links for operations of a range that have expired: skips that name themselves."""
    found = []
    for low, high in _fragments(db, (*key, author), first, last):
        start, end = max(low, first), min(high, last)
        found.append(SkipEntry(author, Skip(start, end, SUPERSEDED, [author, end]).encode()))
    return found


def _fragments(db: Connection, who: tuple[str, int, bytes], first: int, last: int) -> list[tuple[int, int]]:
    """Return what has expired of an author as (first, last) of each run that meets a range.

    Runs do not overlap: no more meet it than it has numbers, and those are the first from its start on.
    Behind them may lie one for each operation of years.
    """
    query = (
        "SELECT first, last FROM expired WHERE app = ? AND shard = ? AND author = ? AND last >= ?"
        " ORDER BY last LIMIT ?"
    )
    rows = db.execute(query, (*who, first, max(0, last - first + 1))).fetchall()
    return [(low, high) for low, high in rows if low <= last]


def expire(
    db: Connection,
    key: Key,
    schemas: dict[bytes, Schema],
    collection: str,
    now: int,
    lowest: int,
    after: Place | None,
    limit: int,
) -> Expired:
    """See `Store.expire`; the caller begins and commits."""
    query = "SELECT keep FROM retention WHERE app = ? AND shard = ? AND collection = ?"
    row = db.execute(query, (*key, collection)).fetchone()
    if row is None or not row[0]:
        return Expired(0, 0, None)
    before = now - row[0]
    position = _position(db, key, before)
    found = db.execute(OLDEST_QUERY, (*key, collection, position, *(after or (0, b"")), limit)).fetchall()
    work = _Expiry(db, key, schemas, collection)
    looked = work.look([(entry[0], bool(entry[2]) and entry[1] > lowest) for entry in found])
    documents = len(work.gone)
    absent = [xid for document_id, xid, is_absent in found if is_absent and document_id in work.gone]
    if absent:
        # Who has not been told of a deletion begins anew.
        raise_meta(db, key[0], "collected", max(absent))
    if documents:
        db.execute(
            "UPDATE retention SET operations = operations + ?,"
            " gone = CASE WHEN gone > ? THEN gone ELSE ? END"
            " WHERE app = ? AND shard = ? AND collection = ?",
            (work.operations, before, before, *key, collection),
        )
    is_more = looked < len(found) or len(found) == limit
    place = (found[looked - 1][1], found[looked - 1][0]) if is_more else None
    return Expired(work.operations, documents, place)


def _position(db: Connection, key: Key, before: int) -> int:
    """Return a transaction up to which all are older than a moment."""
    position, newest = position_at(db, key, before)
    # A later transaction would have noted its own moment: whoever writes no more loses the last ones too.
    if newest is not None and newest + ingest.MOMENT_MS < before:
        return _NEWEST
    return position


class _Expiry:
    """One step: documents of one collection that are old enough."""

    def __init__(self, db: Connection, key: Key, schemas: dict[bytes, Schema], collection: str) -> None:
        self._db = db
        self._key = key
        self._schemas = schemas
        self._collection = collection
        # Documents that are carried along for ever are, wherever they lie.
        self._kept = {
            schema.name
            for schema in schemas.values()
            if schema.collection == collection and not is_stream(schema.kind)
        }
        self.operations = 0
        self.gone: set[bytes] = set()

    def look(self, documents: Sequence[tuple[bytes, bool]]) -> int:
        """Remove what may go of the first of some documents (id, whether it has to wait), as many as
        EXPIRE_OPERATIONS have touched, one at least; return how many were looked at. All of one goes at once:
        what is left of it would be merged without its first operations.
        """
        ids = [document_id for document_id, waits in documents if not waits]
        if not ids:
            return len(documents)
        where = "FROM touches WHERE app = ? AND shard = ? AND collection = ? AND id IN"
        query = f"SELECT id, count(*) {where} ({_places(ids)}) GROUP BY id"
        counts = dict(self._db.execute(query, (*self._key, self._collection, *ids)).fetchall())
        total = looked = 0
        for document_id, _ in documents:
            total += counts.get(document_id, 0)
            if looked and total > limits.EXPIRE_OPERATIONS:
                break
            looked += 1
        chosen = {document_id for document_id, waits in documents[:looked] if not waits}
        if not chosen:
            return looked
        query = f"SELECT id, author, number {where} ({_places(chosen)})"
        self._remove(chosen, self._db.execute(query, (*self._key, self._collection, *chosen)).fetchall())
        return looked

    def _bodies(self, dots: set[Dot]) -> dict[Dot, bytes]:
        # By their keys one by one: a join reads all of them for some where PostgreSQL has no statistics yet.
        query = "SELECT body FROM operations WHERE app = ? AND shard = ? AND author = ? AND number = ?"
        return {dot: self._db.execute(query, (*self._key, *dot)).fetchone()[0] for dot in dots}

    def _remove(self, ids: set[bytes], touches: Sequence[tuple[bytes, bytes, int]]) -> None:
        """Remove those of documents that may go."""
        bodies = self._bodies({(author, number) for _, author, number in touches})
        arrivals = [
            _Arrival(document_id, author, number, bodies[author, number])
            for document_id, author, number in touches
        ]
        receipted = self._receipted({arrival.author for arrival in arrivals})
        changes = {entry[1:3]: decode_body(entry.body)[1] for entry in arrivals}
        stay = {
            entry.id
            for entry in arrivals
            if entry.number > receipted.get(entry.author, 0)
            or any(change[0] != CLOCK and change[1] in self._kept for change in changes[entry[1:3]])
        }
        self.gone = ids - stay
        if not self.gone:
            return
        for table in ("touches", "documents"):
            self._db.execute(
                f"DELETE FROM {table} WHERE app = ? AND shard = ? AND collection = ?"  # noqa: S608
                f" AND id IN ({_places(self.gone)})",
                (*self._key, self._collection, *self.gone),
            )
        self._empty([entry[1:3] for entry in arrivals if entry.id in self.gone], changes)

    def _receipted(self, authors: set[bytes]) -> dict[bytes, int]:
        if not authors:
            return {}
        query = "SELECT author, number FROM receipts WHERE app = ? AND shard = ? AND author IN"
        query = f"{query} ({_places(authors)})"
        return dict(self._db.execute(query, (*self._key, *authors)).fetchall())

    def _empty(self, dots: Sequence[Dot], changes: dict[Dot, list[list[Any]]]) -> None:
        """Forget what operations say that no document needs any more; those with a clock record stay."""
        emptied = [
            dot
            for dot in sorted(set(dots))
            if all(change[0] != CLOCK for change in changes[dot]) and not self._is_needed(dot, changes[dot])
        ]
        if not emptied:
            return
        rows = [(*self._key, *dot) for dot in emptied]
        where = "WHERE app = ? AND shard = ? AND author = ? AND number = ?"
        self._db.executemany(
            f"UPDATE operations SET body = ? {where}",  # noqa: S608
            [(b"", *row) for row in rows],
        )
        # What never enters the view, or does not count, is gone like the others.
        self._db.executemany(f"DELETE FROM refused {where}", rows)  # noqa: S608
        authors = {author for author, _ in emptied}
        query = "SELECT author, number FROM ahead WHERE app = ? AND shard = ? AND author IN"
        query = f"{query} ({_places(authors)})"
        ahead = {tuple(row) for row in self._db.execute(query, (*self._key, *authors))} & set(emptied)
        if ahead:
            self._db.executemany(f"DELETE FROM ahead {where}", [(*self._key, *dot) for dot in ahead])  # noqa: S608
        for author, found in groupby(emptied, lambda dot: dot[0]):
            for first, last in _runs([number for _, number in found]):
                self._note(author, first, last)
        self.operations += len(emptied)

    def _is_needed(self, dot: Dot, changes: list[list[Any]]) -> bool:
        """Say whether another document was made from an operation."""
        places = places_of(*dot, changes, self._schemas)
        others = [place for place in places if place[0] != self._collection or place[1] not in self.gone]
        return bool(places_left(self._db, self._key, *dot, others))

    def _note(self, author: bytes, first: int, last: int) -> None:
        """Note that a range has expired, as one with what lies beside it."""
        who = (*self._key, author)
        beside = _fragments(self._db, who, first - 1, last + 1)
        if beside:
            where = "WHERE app = ? AND shard = ? AND author = ? AND last = ?"
            self._db.executemany(f"DELETE FROM expired {where}", [(*who, high) for _, high in beside])  # noqa: S608
            first, last = min(first, beside[0][0]), max(last, beside[-1][1])
        self._db.execute("INSERT INTO expired VALUES (?, ?, ?, ?, ?)", (*who, last, first))


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return rising numbers as (first, last) of those that follow on each other."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _places(values: Sequence[object] | set[bytes]) -> str:
    return ", ".join("?" * len(values))
