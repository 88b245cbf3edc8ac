"""The database connections that the stores share their SQL over: `?` for parameters, blobs as bytes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

SHARD = 0
#: More than a store commits between a backup and the moment at which it is put back.
RESTORE_STEP = 1 << 32
DOCUMENT_QUERY = (
    "SELECT collection, id, state, value, author, number, stamp, rank FROM documents"
    " WHERE app = ? AND shard = ?"
)
# The plus keeps SQLite from walking a whole collection in the order of xid.
ARRIVAL_QUERY = (
    "SELECT o.author, o.number, o.body, o.stamp, t.xid FROM touches t"
    " JOIN operations o USING (app, shard, author, number)"
    " WHERE t.app = ? AND t.shard = ? AND t.collection = ? AND t.id = ? ORDER BY +t.xid, o.author, o.number"
)
SCHEMA_QUERY = "SELECT encoded FROM schemas WHERE app = ? AND shard = ?"
CLOCK_QUERY = (
    "SELECT author, number, epoch, uptime, base, source, utc, error FROM clocks WHERE app = ? AND shard = ?"
)
# The last operation before each clock record, and the last of each author.
BOUNDARY_QUERY = (
    "SELECT o.author, o.number, o.stamp FROM authors a JOIN operations o"
    " ON o.app = a.app AND o.shard = a.shard AND o.author = a.author"
    " WHERE a.app = ? AND a.shard = ? AND (o.number = a.held OR EXISTS"
    " (SELECT 1 FROM clocks c WHERE c.app = o.app AND c.shard = o.shard"
    " AND c.author = o.author AND c.number = o.number + 1))"
)
FRONTIER_QUERY = (
    "SELECT a.author, a.name, a.held, a.sealed, coalesce(r.number, 0), a.last_seen FROM authors a"
    " LEFT JOIN receipts r ON r.app = a.app AND r.shard = a.shard AND r.author = a.author"
    " WHERE a.app = ? AND a.shard = ?"
)


class Table(NamedTuple):
    """A table, and the columns that a new row of it has, between blanks."""

    name: str
    columns: str

    @property
    def insert(self) -> str:
        """The statement that adds a row."""
        columns = self.columns.split()
        places = ", ".join("?" * len(columns))
        return f"INSERT INTO {self.name} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608


OPERATIONS = Table("operations", "app shard author number stamp body h16 xid")
DOCUMENTS = Table("documents", "app shard collection id state value author number stamp rank xid facets")
TOUCHES = Table("touches", "app shard collection id author number xid")
OUTBOX = Table("outbox", "app shard epoch xid collection id op before after author number stamp at")
#: For rows that may be there.
TOUCH_AGAIN = (
    f"{TOUCHES.insert} ON CONFLICT (app, shard, collection, id, author, number)"
    " DO UPDATE SET xid = excluded.xid"
)
SAVE_AGAIN = (
    f"{DOCUMENTS.insert} ON CONFLICT (app, shard, collection, id) DO UPDATE SET state = excluded.state,"
    " value = excluded.value, author = excluded.author, number = excluded.number,"
    " stamp = excluded.stamp, rank = excluded.rank, xid = excluded.xid, facets = excluded.facets"
)


class Cursor(Protocol):
    """What a statement gave."""

    def fetchone(self) -> Any:
        """Return the next row, None at the end."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Go through the rows that are left."""
        ...


class Connection(Protocol):
    """A connection; `failures` are what a statement raises that is the database's fault, not its data's."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What spoils a whole transaction."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether the connection is lost."""
        ...

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""
        ...

    def some(self, collection: str, keys: Sequence[bytes], app: tuple[str, int]) -> list[Any]:
        """Return the rows of those documents of an app's key that are there, as DOCUMENT_QUERY does."""
        ...

    def executemany(self, query: str, rows: Sequence[Sequence[Any]]) -> object:
        """Run one statement for each row; nothing comes back."""
        ...

    def add(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to a table, none of which is there yet."""
        ...

    def constant(self, value: bytes) -> str:
        """Return bytes as they are written in a statement: what an index has a condition of stands there."""
        ...

    def rollback(self) -> None:
        """Undo the transaction that is open, if one is."""
        ...

    def close(self) -> None:
        """Close."""
        ...


def places_left(
    db: Connection, key: tuple[str, int], author: bytes, number: int, places: Iterable[tuple[str, bytes]]
) -> list[tuple[str, bytes]]:
    """Return those of the documents that an operation changes of which it was not forgotten."""
    query = (
        "SELECT 1 FROM touches WHERE app = ? AND shard = ? AND collection = ? AND id = ?"
        " AND author = ? AND number = ?"
    )
    return [place for place in places if db.execute(query, (*key, *place, author, number)).fetchone()]


def get_meta(db: Connection, app: str) -> dict[str, bytes]:
    """Return what a store remembers of itself."""
    return dict(db.execute("SELECT name, value FROM meta WHERE app = ?", (app,)).fetchall())


def raise_meta(db: Connection, app: str, name: str, value: int) -> int:
    """Raise a number that only rises; return it."""
    row = db.execute("SELECT value FROM meta WHERE app = ? AND name = ?", (app, name)).fetchone()
    known = int(row[0]) if row else 0
    if value > known:
        set_meta(db, app, {name: str(value).encode()})
    return max(value, known)


def gaps_of(meta: dict[str, bytes]) -> list[tuple[int, int]]:
    """Return which transactions restores have taken: (last that is here, first after it), in order."""
    numbers = [int(number) for number in meta.get("gaps", b"").split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def skip_transactions(meta: dict[str, bytes], last: int) -> int:
    """Note in `meta` that what came after `last` is lost; return the number to go on with.

    It is above whatever may have been handed out, so that no number comes to mean something else.
    """
    first = last + RESTORE_STEP
    meta["gaps"] = b"%s %d %d" % (meta.get("gaps", b""), last, first)
    return first


def set_meta(db: Connection, app: str, values: dict[str, bytes]) -> None:
    """Remember values."""
    for name, value in values.items():
        db.execute(
            "INSERT INTO meta VALUES (?, ?, ?) ON CONFLICT (app, name) DO UPDATE SET value = excluded.value",
            (app, name, value),
        )
