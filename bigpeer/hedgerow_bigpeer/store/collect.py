"""What a store knows of its subscribers, and what it may forget because of it (SPEC 10.14)."""

from hedgerow import operation
from hedgerow.codec.schema import Schema
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.custody.skip import SUPERSEDED, Skip
from hedgerow.document import Document, key_of
from hedgerow.limits import MAX_TAKERS

from .merge import changes_of, touched_by
from .moments import position_at
from .rows import Arrival, Collected, DocumentRow, Stable
from .sql import ARRIVAL_QUERY, DOCUMENT_QUERY, Connection, places_left, raise_meta

# A document that is there, and that one operation has made, has nothing to give.
_SWEEP_QUERY = (
    "SELECT d.collection, d.id, d.xid, d.value IS NULL OR EXISTS (SELECT 1 FROM touches t WHERE t.app = d.app"
    " AND t.shard = d.shard AND t.collection = d.collection AND t.id = d.id LIMIT 1 OFFSET 1)"
    " FROM documents d WHERE d.app = ? AND d.shard = ? AND (d.collection, d.id) > (?, ?)"
    " ORDER BY d.collection, d.id LIMIT ?"
)

Key = tuple[str, int]
Dot = tuple[bytes, int]


def confirm(db: Connection, key: Key, peer: bytes, position: int, at: int) -> None:
    """See `Store.confirm`."""
    known = db.execute(
        "SELECT count(*), sum(CASE WHEN peer = ? THEN 1 ELSE 0 END) FROM peers WHERE app = ? AND shard = ?",
        (peer, *key),
    )
    count, enrolled = known.fetchone()
    if count >= MAX_TAKERS and not enrolled:
        return
    db.execute(
        "INSERT INTO peers VALUES (?, ?, ?, ?, ?) ON CONFLICT (app, shard, peer)"
        " DO UPDATE SET position = excluded.position, last_seen = excluded.last_seen",
        (*key, peer, position, at),
    )


def stable(db: Connection, key: Key, silent_since: int, before: int) -> Stable:
    """See `Store.stable`."""
    db.execute("DELETE FROM peers WHERE app = ? AND shard = ? AND last_seen < ?", (*key, silent_since))
    old, _ = position_at(db, key, before)
    query = "SELECT min(position) FROM peers WHERE app = ? AND shard = ?"
    (told,) = db.execute(query, key).fetchone()
    lowest = old if told is None else min(told, old)
    position = raise_meta(db, key[0], "stable", lowest)
    numbers: dict[bytes, int] = {}
    # The transactions of one author's operations rise with their numbers, so this looks at the newest alone.
    query = (
        "SELECT number FROM operations WHERE app = ? AND shard = ? AND author = ? AND xid <= ?"
        " ORDER BY number DESC LIMIT 1"
    )
    if position:
        authors = db.execute("SELECT author FROM authors WHERE app = ? AND shard = ?", key).fetchall()
        for (author,) in authors:
            row = db.execute(query, (*key, author, position)).fetchone()
            if row is not None:
                numbers[author] = row[0]
    collected = raise_meta(db, key[0], "collected", 0)
    return Stable(lowest, position, numbers, collected)


def trim(db: Connection, key: Key, before: int, limit: int) -> int:
    """See `Store.trim`; the caller begins and commits."""
    old, _ = position_at(db, key, before)
    # Of one transaction all changes go or none: whoever reads on behind it has read them all.
    query = "SELECT xid FROM outbox WHERE app = ? AND shard = ? AND xid <= ? ORDER BY xid, seq LIMIT ?"
    rows = db.execute(query, (*key, old, limit)).fetchall()
    if not rows:
        return 0
    last = rows[-1][0]
    place = (*key, last)
    count: int = db.execute(
        "SELECT count(*) FROM outbox WHERE app = ? AND shard = ? AND xid <= ?", place
    ).fetchone()[0]
    db.execute("DELETE FROM outbox WHERE app = ? AND shard = ? AND xid <= ?", place)
    raise_meta(db, key[0], "trimmed", last)
    return count


def collect(
    db: Connection,
    key: Key,
    schemas: dict[bytes, Schema],
    keys: CollectionKeys | None,
    position: int,
    after: tuple[str, bytes],
    limit: int,
) -> Collected:
    """See `Store.collect`; the caller begins and commits."""
    rows = db.execute(_SWEEP_QUERY, (*key, *after, limit)).fetchall()
    work = _Collect(db, key, schemas, keys)
    for collection, document_id, transaction, suspect in rows:
        if suspect and transaction <= position and work.sweep(collection, document_id):
            raise_meta(db, key[0], "collected", transaction)
    end = rows[-1][:2] if len(rows) == limit else None
    return Collected(work.operations, work.documents, end)


class _Collect:
    def __init__(
        self, db: Connection, key: Key, schemas: dict[bytes, Schema], keys: CollectionKeys | None
    ) -> None:
        self._keys = keys
        self._db = db
        self._key = key
        self._schemas = schemas
        self.operations = 0
        self.documents = 0

    def sweep(self, collection: str, document_id: bytes) -> bool:
        """Remove what is superseded in a document, and the document if it is deleted; say whether it was."""
        place = (*self._key, collection, document_id)
        row = self._db.execute(f"{DOCUMENT_QUERY} AND collection = ? AND id = ?", place).fetchone()
        arrivals = [Arrival(*arrival) for arrival in self._db.execute(ARRIVAL_QUERY, place)]
        if not all(self._is_settled(arrival) for arrival in arrivals):
            return False
        sweep = _Sweep(DocumentRow(*row), arrivals, self._schemas, self._keys)
        for arrival, dominator in sweep.superseded:
            self._drop(place, arrival, dominator)
        if sweep.gone:
            self._db.execute(
                "DELETE FROM documents WHERE app = ? AND shard = ? AND collection = ? AND id = ?", place
            )
            self.documents += 1
        return sweep.gone

    def _is_settled(self, arrival: Arrival) -> bool:
        """Say whether an operation is receipted, and all of it in the view."""
        dot = (*self._key, arrival.author, arrival.number)
        query = "SELECT 1 FROM receipts WHERE app = ? AND shard = ? AND author = ? AND number >= ?"
        receipted = self._db.execute(query, dot).fetchone()
        query = "SELECT 1 FROM ahead WHERE app = ? AND shard = ? AND author = ? AND number = ?"
        return receipted is not None and self._db.execute(query, dot).fetchone() is None

    def _drop(self, place: tuple[str, int, str, bytes], arrival: Arrival, dominator: Dot) -> None:
        """Forget an operation in one document; in the last of its documents, put a skip in its place."""
        dot = (arrival.author, arrival.number)
        self._db.execute(
            "DELETE FROM touches WHERE app = ? AND shard = ? AND collection = ? AND id = ?"
            " AND author = ? AND number = ?",
            (*place, *dot),
        )
        if places_left(self._db, self._key, *dot, touched_by(*dot, arrival.body, self._schemas)):
            return
        query = "SELECT 1 FROM clocks WHERE app = ? AND shard = ? AND author = ? AND number = ?"
        if self._db.execute(query, (*self._key, *dot)).fetchone():
            return
        skip = Skip(arrival.number, arrival.number, SUPERSEDED, list(dominator))
        self._db.execute(
            # One that says of more numbers that they are lost stays.
            "INSERT INTO skips VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (*self._key, arrival.author, skip.last, skip.first, skip.encode()),
        )
        # The row stays: its H16 is part of a seal.
        self._db.execute(
            "UPDATE operations SET body = ? WHERE app = ? AND shard = ? AND author = ? AND number = ?",
            (b"", *self._key, *dot),
        )
        self.operations += 1


class _Sweep:
    """What is superseded in a document, each with the dot that dominates it, and whether it is `gone`:
    nothing is left but its deletion. That is superseded then too, by itself.
    """

    def __init__(
        self,
        row: DocumentRow,
        arrivals: list[Arrival],
        schemas: dict[bytes, Schema],
        keys: CollectionKeys | None,
    ) -> None:
        document = Document.decode(row.state) if row.state else Document()
        dots: dict[bytes, Dot] = {}
        dominated: list[tuple[Arrival, bytes]] = []
        needed: list[Arrival] = []
        only_deletes = True
        for arrival in arrivals:
            author, number, body, stamp, _ = arrival
            dominators: list[bytes | None] = []
            for change, schema in changes_of(author, number, body, row.collection, row.id, schemas, keys):
                if change[0] == operation.HIDDEN:
                    # Whoever can read it may need it.
                    dominators.append(None)
                    only_deletes = False
                    continue
                dots[key_of(change, schema, stamp, author)] = (author, number)
                dominators.append(document.superseded_by(change, schema, stamp, author))
                if dominators[-1] is None:
                    only_deletes = only_deletes and change[0] == operation.DELETE
            known = [dominator for dominator in dominators if dominator is not None]
            if len(known) == len(dominators):
                dominated.append((arrival, max(known)))
            else:
                needed.append(arrival)
        self.gone = bool(needed) and only_deletes and not document.exists()
        self.superseded = [
            (arrival, dots.get(key, (arrival.author, arrival.number))) for arrival, key in dominated
        ]
        if self.gone:
            self.superseded += [(arrival, (arrival.author, arrival.number)) for arrival in needed]
