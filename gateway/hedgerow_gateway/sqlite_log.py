"""The Log port on an SQLite file.

WAL with synchronous=FULL: every commit is one fsync of the write-ahead log. NORMAL would skip that
fsync, and a power cut could take back a commit whose numbers another peer has already seen; the next
operations would then reuse them with other content, which no peer can repair. The price is one fsync
per received record (about a hundred readings), not per reading.
"""

import heapq
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from operator import itemgetter
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_SEAL, check_entry, new_author

from . import limits
from .place import Place

SCHEMA_VERSION = 1
APPLICATION_ID = 0x48656467  # "Hedg" in the SQLite header: a file of somebody else's is refused
Entry = tuple[int, int, int, bytes]

_NUMBERS = (
    "SELECT position, kind, first, last, body FROM entry INDEXED BY entry_number"
    " WHERE author = ? AND kind <> 1 AND last > ? ORDER BY last"
)
_SEALS = (
    "SELECT position, kind, first, last, body FROM entry INDEXED BY entry_seal"
    " WHERE author = ? AND kind = 1 AND last > ? ORDER BY last, position"
)


class _Author:
    """One author's row: its id and both frontiers, pending entries included."""

    __slots__ = ("held", "row", "sealed")

    def __init__(self, row: int, held: int, sealed: int) -> None:
        self.row = row
        self.held = held
        self.sealed = sealed


class SqliteLog:
    """A Log (hedgerow.log) in one SQLite file, for one thread of one process.

    `author` (8 bytes) and `incarnation` name this store; a copied or restored file gets new ones when it
    is opened (see `place`). After an error of the database the log refuses everything until it is
    opened again, and tells `on_failure` once: what had been appended is not durable, and the peer above
    must be built anew from what is.

    Raises HedgerowError: DATABASE_NEWER, DATABASE_FOREIGN, DATABASE_IN_USE, DATABASE_FULL,
    DATABASE_FAILED, LOG_OUT_OF_ORDER, AUTHORS_FULL.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        max_bytes: int = limits.LOG_BYTES_DEFAULT,
        on_failure: Callable[[HedgerowError], None] | None = None,
    ) -> None:
        self.path = Path(path)
        self.failure: HedgerowError | None = None
        self.on_failure = on_failure
        self.commits = 0
        self._authors: dict[bytes, _Author] = {}
        self._dirty: set[bytes] = set()
        self._place = Place(self.path)
        try:
            with self._guard():
                self._db = sqlite3.connect(self.path, timeout=limits.OPEN_WAIT_S, isolation_level=None)
                try:
                    self._open(max_bytes)
                except BaseException:
                    self._db.close()
                    raise
        except BaseException:
            self._place.close()
            raise

    def _open(self, max_bytes: int) -> None:
        self._check_file()
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA journal_size_limit = {limits.WAL_KEPT_BYTES}")
        if self._db.execute("PRAGMA application_id").fetchone()[0] == 0:
            self._format()
        self._db.execute(f"PRAGMA max_page_count = {max_bytes // limits.PAGE_BYTES}")
        self._load()

    def _check_file(self) -> None:
        identity = self._db.execute("PRAGMA application_id").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if identity != APPLICATION_ID and (identity or tables):
            raise HedgerowError("DATABASE_FOREIGN", f"{self.path} is a database of another program")
        if identity:
            version = self._db.execute("SELECT version FROM schema_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise HedgerowError(
                    "DATABASE_NEWER", f"{self.path} has schema {version}, known is {SCHEMA_VERSION}"
                )

    def _format(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for statement in resources.files(__package__).joinpath("schema.sql").read_text().split(";"):
            self._db.execute(statement)
        self._db.execute("INSERT INTO store VALUES (?, ?, 0)", (os.urandom(16), new_author()))
        self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute("COMMIT")

    def _load(self) -> None:
        for row, author, held, sealed in self._db.execute(
            "SELECT id, author, held, sealed FROM author ORDER BY id"
        ):
            self._authors[author] = _Author(row, held, sealed)
        token, self.author, self.incarnation = self._db.execute("SELECT * FROM store").fetchone()
        if not self._place.is_home(token, self.held(self.author)):
            self._renew()

    def _renew(self) -> None:
        """Go on as a new author under the next incarnation: the file is new here, a copy, or a backup."""
        token = os.urandom(16)
        if self.incarnation:
            self.author = new_author()
        self.incarnation += 1
        self._place.settle(token)
        self._db.execute(
            "UPDATE store SET token = ?, author = ?, incarnation = ?", (token, self.author, self.incarnation)
        )

    @contextmanager
    def _guard(self) -> Iterator[None]:
        if self.failure is not None:
            raise self.failure
        try:
            yield
        except sqlite3.Error as error:
            code = "DATABASE_FAILED"
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                code = "DATABASE_FULL"
            elif getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                code = "DATABASE_FOREIGN"
            self.failure = HedgerowError(code, f"{self.path}: {error}")
            if self.on_failure is not None:
                self.on_failure(self.failure)
            raise self.failure from error

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        """Add an entry; it counts at once and is durable after commit()."""
        check_entry(kind, first, last, self.held(author))
        with self._guard():
            self._begin()
            known = self._authors.get(author) or self._new_author(bytes(author))
            self._db.execute(
                "INSERT INTO entry (author, kind, first, last, body) VALUES (?, ?, ?, ?, ?)",
                (known.row, kind, first, last, bytes(body)),
            )
            if kind == ENTRY_SEAL:
                known.sealed = max(last, known.sealed)
            else:
                known.held = last
            self._dirty.add(bytes(author))

    def _begin(self) -> None:
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def _new_author(self, author: bytes) -> _Author:
        if len(self._authors) >= limits.LOG_AUTHORS:
            raise HedgerowError("AUTHORS_FULL", f"more than {limits.LOG_AUTHORS} authors")
        row = self._db.execute(
            "INSERT INTO author (author, held, sealed) VALUES (?, 0, 0)", (author,)
        ).lastrowid
        if row is None:
            raise HedgerowError("DATABASE_FAILED", "no row for a new author")
        known = self._authors[author] = _Author(row, 0, 0)
        return known

    def commit(self) -> None:
        """Make everything appended and put durable; nothing is acknowledged before this returns."""
        with self._guard():
            if not self._db.in_transaction:
                return
            for author in self._dirty:
                known = self._authors[author]
                self._db.execute(
                    "UPDATE author SET held = ?, sealed = ? WHERE id = ?",
                    (known.held, known.sealed, known.row),
                )
            self._db.execute("COMMIT")
            self.commits += 1
        if self.author in self._dirty:
            self._place.remember(self.held(self.author))
        self._dirty.clear()

    def authors(self) -> list[bytes]:
        """Return the authors with entries, in the order in which they came."""
        return list(self._authors)

    def held(self, author: bytes) -> int:
        """Return the number up to which every operation is held or skipped, 0 for none."""
        known = self._authors.get(author)
        return known.held if known else 0

    def sealed(self, author: bytes) -> int:
        """Return the greatest number that a seal covers, 0 for none."""
        known = self._authors.get(author)
        return known.sealed if known else 0

    def read(self, author: bytes, held: int, sealed: int, max_bytes: int) -> list[Entry]:
        """Return [(kind, first, last, body)] in log order: what a holder of (held, sealed) lacks.

        At least one entry if there is any, then no more than fit `max_bytes` of bodies.
        """
        known = self._authors.get(author)
        found: list[Entry] = []
        if known is None or (held >= known.held and sealed >= known.sealed):
            return found
        with self._guard():
            numbers = self._db.execute(_NUMBERS, (known.row, held))
            seals = self._db.execute(_SEALS, (known.row, sealed))
            for _, kind, first, last, body in heapq.merge(numbers, seals, key=itemgetter(0)):
                max_bytes -= len(body)
                if found and max_bytes < 0:
                    break
                found.append((kind, first, last, body))
            numbers.close()
            seals.close()
        return found

    def put(self, kind: int, key: bytes, value: bytes) -> None:
        """Set a small durable value; it is durable after commit()."""
        with self._guard():
            self._begin()
            self._db.execute(
                "INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (kind, bytes(key), bytes(value))
            )

    def get(self, kind: int, key: bytes) -> bytes | None:
        """Return a value, or None."""
        with self._guard():
            row = self._db.execute(
                "SELECT value FROM state WHERE kind = ? AND key = ?", (kind, bytes(key))
            ).fetchone()
        return row[0] if row else None

    def items(self, kind: int) -> list[tuple[bytes, bytes]]:
        """Return [(key, value)] of a kind, ordered by key."""
        with self._guard():
            return self._db.execute(
                "SELECT key, value FROM state WHERE kind = ? ORDER BY key", (kind,)
            ).fetchall()

    def used(self) -> int:
        """Return the bytes of the database that hold something."""
        with self._guard():
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return int(pages - free) * limits.PAGE_BYTES

    def oldest(self, after: int, count: int) -> list[tuple[int, bytes, int, int, bytes]]:
        """Return up to `count` entries (position, author, kind, last, body) past a position, oldest first."""
        with self._guard():
            return self._db.execute(
                "SELECT position, author.author, kind, last, body"
                " FROM entry JOIN author ON author.id = entry.author"
                " WHERE position > ? ORDER BY position LIMIT ?",
                (after, count),
            ).fetchall()

    def remove(self, positions: list[int]) -> None:
        """Remove entries for good; the frontiers stay where they are."""
        with self._guard():
            self._begin()
            self._db.executemany(
                "DELETE FROM entry WHERE position = ?", [(position,) for position in positions]
            )
        self.commit()

    def disown(self) -> None:
        """Make the next opening go on as a new author: another peer holds more of this one than we do."""
        with self._guard():
            self._db.execute("UPDATE store SET token = ?", (os.urandom(16),))

    def close(self) -> None:
        """Forget what was not committed, and close the file."""
        self._db.close()
        self._place.close()
