"""The Log port on an SQLite file: the run of each author, what is filled beside it, and the arrivals."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, STATE_RECEIPT, check_entry, check_replace
from hedgerow.memory import frontiers

from . import limits
from .database import Database
from .document_index import SqliteIndex
from .enrolment import Enrolment
from .ranges import Range, joined, subtract
from .sqlite_room import AuthorRow, put_skip, sizes

Entry = tuple[int, int, int, bytes]
OldEntry = tuple[int, bytes, int, int, int, bytes]

# INDEXED BY: without statistics SQLite would sometimes take the order of positions and walk through it.
_RUN = "entry INDEXED BY entry_number WHERE author = ? AND kind <> 1"
_NUMBERS = f"SELECT position, kind, first, last, body FROM {_RUN} AND last > ? ORDER BY last"  # noqa: S608
_SEALS = (
    "SELECT position, kind, first, last, body FROM entry INDEXED BY entry_seal"
    " WHERE author = ? AND kind = 1 AND last > ? ORDER BY last, position"
)
_FETCH = f"SELECT body FROM {_RUN} AND last = ? AND kind = 0"  # noqa: S608
_FETCH_FILLED = "SELECT body FROM filled WHERE author = ? AND number = ?"
_SKIPS = (
    "SELECT first, last, body FROM entry INDEXED BY entry_skip WHERE author = ? AND kind = 2 ORDER BY first"
)
_ARRIVED = "SELECT position, author, first, body FROM entry WHERE position > ? AND kind = 0 ORDER BY position"
_ARRIVED_FILLED = "SELECT position, author, number, body FROM filled WHERE position > ? ORDER BY position"


class SqliteLog:
    """A Log (hedgerow.log) in one SQLite file, for one thread of one process.

    `author` (8 bytes) and `incarnation` name this store, `index` is its document index (hedgerow.index).
    After an error of the database the log refuses everything until it is opened again, and tells
    `on_failure` once: what had been appended is not durable, and the peer above must be built anew from
    what is. With `refuses` it refuses operations shortly before `max_bytes`; while `urgent` is set they may
    use what is left then, for making room. `enrolment` has the keys that its author is made of.

    Raises HedgerowError: those of Database, LOG_OUT_OF_ORDER, AUTHORS_FULL, LOG_FULL.
    """

    damaged = 0

    def __init__(
        self,
        path: str | Path,
        *,
        max_bytes: int = limits.LOG_BYTES_DEFAULT,
        on_failure: Callable[[HedgerowError], None] | None = None,
        refuses: bool = False,
        enrolment: Enrolment | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._refuses = refuses
        self._left = 0
        self.urgent = False
        self._gathering = False
        self._database = Database(Path(path), max_bytes, on_failure, enrolment)
        self.path = self._database.path
        self.author = self._database.author
        self.incarnation = self._database.incarnation
        self._authors: dict[bytes, AuthorRow] = {}
        self._names: dict[int, bytes] = {}
        self._dirty: set[bytes] = set()
        for row, name, held, sealed in self._rows("SELECT id, author, held, sealed FROM author ORDER BY id"):
            self._authors[name] = AuthorRow(name, row, held, sealed)
            self._names[row] = name
        self._position: int = self._rows(
            "SELECT max(position, coalesce((SELECT max(position) FROM entry), 0),"
            " coalesce((SELECT max(position) FROM filled), 0)) FROM store"
        )[0][0]
        self._noted = self._position
        self.index = SqliteIndex(
            self._database, lambda name: self._author_row(name).row, self._names.__getitem__
        )

    @property
    def commits(self) -> int:
        """How many transactions were made durable since opening."""
        return self._database.commits

    def _rows(self, query: str, *values: object) -> list[Any]:
        return self._database.rows(query, values)

    def _run(self, statement: str, *values: object) -> None:
        """Change something, as a part of the transaction that commit() ends."""
        with self._database.guard():
            self._database.begin()
            self._database.sql.execute(statement, values)

    def _author_row(self, author: bytes) -> AuthorRow:
        """Return the row of an author, a new one if need be."""
        known = self._authors.get(author)
        if known is not None:
            return known
        if len(self._authors) >= limits.LOG_AUTHORS:
            raise HedgerowError("AUTHORS_FULL", f"more than {limits.LOG_AUTHORS} authors")
        name = bytes(author)
        with self._database.guard():
            self._database.begin()
            row = self._database.sql.execute(
                "INSERT INTO author (author, held, sealed) VALUES (?, 0, 0)", (name,)
            ).lastrowid
        if row is None:
            raise HedgerowError("DATABASE_FAILED", "no row for a new author")
        known = self._authors[name] = AuthorRow(name, row, 0, 0)
        self._names[row] = name
        return known

    def _arrive(self) -> int:
        self._position += 1
        return self._position

    # ---- the run

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        """Add an entry; it counts at once and is durable after commit()."""
        check_entry(kind, first, last, self.held(author))
        if self._refuses and kind == ENTRY_OP and not self.urgent:
            self._check_room(len(body))
        known = self._author_row(author)
        self._run(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)",
            *(self._arrive(), known.row, kind, first, last, bytes(body)),
        )
        if kind == ENTRY_SEAL:
            known.sealed = max(last, known.sealed)
        else:
            known.held = last
        if kind == ENTRY_OP:
            self._run("DELETE FROM filled WHERE author = ? AND number = ?", known.row, first)
        self._dirty.add(known.name)

    def commit(self) -> None:
        """Make everything appended and put durable; nothing is acknowledged before this returns."""
        with self._database.guard():
            if self._gathering or not self._database.sql.in_transaction:
                return
            self.index.follow(self._position)
            for author in self._dirty:
                known = self._authors[author]
                self._database.sql.execute(
                    "UPDATE author SET held = ?, sealed = ? WHERE id = ?",
                    (known.held, known.sealed, known.row),
                )
            self._database.commit()
        if self.author in self._dirty:
            self._database.remember(self.held(self.author))
        self._dirty.clear()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Put commits off to the end of the block, where they are one; within it nothing is durable."""
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
            self.commit()

    def authors(self) -> list[bytes]:
        """Return the authors with entries, in the order in which they came."""
        return list(self._authors)

    def placed(self) -> list[bytes]:
        """Return the authors that take a place, if of some there is nothing any more."""
        return self.authors()

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

        At least one entry if there is any, then no more than fit `max_bytes` of bodies. Filled operations
        are left out.
        """
        known = self._authors.get(author)
        if known is None or (held >= known.held and sealed >= known.sealed):
            return []
        found = self._merge(((_NUMBERS, (known.row, held)), (_SEALS, (known.row, sealed))), max_bytes)
        return [entry[1:] for entry in found]

    def _merge(self, queries: Iterable[tuple[str, tuple[int, ...]]], max_bytes: int) -> list[Any]:
        """Return rows of several queries by position; at least one, then no more than fit `max_bytes`."""
        found: list[Any] = []
        with self._database.guard():
            cursors = [self._database.sql.execute(*query) for query in queries]
            for row in heapq.merge(*cursors, key=itemgetter(0)):
                max_bytes -= len(row[-1])
                if found and max_bytes < 0:
                    break
                found.append(row)
            for cursor in cursors:
                cursor.close()
        return found

    def cut(self, author: bytes, held: int) -> None:
        """Give up what reaches above `held` of another author, so that it can come again.

        A skip that reaches above it is given up as a whole.
        """
        if author == self.author:
            raise HedgerowError("LOG_OUT_OF_ORDER", "own operations are not given up")
        known = self._authors.get(author)
        if known is None or held >= known.held:
            return
        row = known.row
        for (first,) in self._rows(
            f"SELECT first FROM {_RUN} AND last > ? ORDER BY last LIMIT 1",  # noqa: S608
            *(row, held),
        ):
            held = min(held, first - 1)
        self._note_position()
        self._run(f"DELETE FROM {_RUN} AND last > ?", row, held)  # noqa: S608
        self._run(
            "DELETE FROM entry INDEXED BY entry_seal WHERE author = ? AND kind = 1 AND last > ?", row, held
        )
        self._run("DELETE FROM dropped WHERE author = ? AND first > ?", row, held)
        self._run("UPDATE dropped SET last = ? WHERE author = ? AND last > ?", held, row, held)
        self._run(
            "DELETE FROM touched WHERE author = ? AND number > ?"
            " AND number NOT IN (SELECT number FROM filled WHERE author = ?)",
            *(row, held, row),
        )
        known.held = held
        known.sealed = self._rows(
            "SELECT coalesce(max(last), 0) FROM entry INDEXED BY entry_seal WHERE author = ? AND kind = 1",
            row,
        )[0][0]
        self._dirty.add(known.name)

    # ---- beside the run

    def fill(self, author: bytes, number: int, body: bytes) -> None:
        """Keep an operation apart from the run: in a hole, or above what is held. No change if it is here."""
        known = self._author_row(author)
        if self.fetch(author, number) is None:
            self._run(
                "INSERT INTO filled VALUES (?, ?, ?, ?)", self._arrive(), known.row, number, bytes(body)
            )

    def fetch(self, author: bytes, number: int) -> bytes | None:
        """Return the stored form of an operation that is here, else None."""
        known = self._authors.get(author)
        if known is None:
            return None
        rows = self._rows(_FETCH, known.row, number) or self._rows(_FETCH_FILLED, known.row, number)
        return rows[0][0] if rows else None

    def seen(self, author: bytes) -> int:
        """Return the greatest number that is held or filled in, 0 for none."""
        known = self._authors.get(author)
        if known is None:
            return 0
        [(filled,)] = self._rows("SELECT coalesce(max(number), 0) FROM filled WHERE author = ?", known.row)
        return max(known.held, int(filled))

    def drop(self, author: bytes, first: int, last: int) -> None:
        """Forget operations for good; their numbers are holes from then on, and frontiers stay."""
        known = self._authors.get(author)
        if known is None:
            return
        self._note_position()
        bounds = (known.row, first, last)
        self._run(f"DELETE FROM {_RUN} AND last BETWEEN ? AND ? AND kind = 0", *bounds)  # noqa: S608
        self._run("DELETE FROM filled WHERE author = ? AND number BETWEEN ? AND ?", *bounds)
        self._run("DELETE FROM touched WHERE author = ? AND number BETWEEN ? AND ?", *bounds)
        self._note_dropped(known, first, last)

    def _note_dropped(self, known: AuthorRow, first: int, last: int) -> None:
        """Note that numbers have no entry any more, as one range with the ranges that they join."""
        last = min(last, known.held)
        if first > last:
            return
        for before in self._rows(
            "SELECT first, last FROM dropped WHERE author = ? AND first < ? ORDER BY first DESC LIMIT 1",
            *(known.row, first),
        ):
            if before[1] >= first - 1:
                first, last = before[0], max(last, before[1])
        joined = (known.row, first, last + 1)
        end = self._rows("SELECT max(last) FROM dropped WHERE author = ? AND first BETWEEN ? AND ?", *joined)
        self._run("DELETE FROM dropped WHERE author = ? AND first BETWEEN ? AND ?", *joined)
        self._run("INSERT INTO dropped VALUES (?, ?, ?)", known.row, first, max(last, end[0][0] or 0))

    def _note_position(self) -> None:
        """Before anything is removed, note the greatest position, which is then never given again."""
        if self._noted < self._position:
            self._run("UPDATE store SET position = ?", self._position)
            self._noted = self._position

    def missing(self, author: bytes) -> list[Range]:
        """Return [(first, last, kind)], ascending: the ranges up to held without an operation here.

        `kind` is that of the skip in their place, RECEIPTED for what was dropped.
        """
        known = self._authors.get(author)
        if known is None:
            return []
        skips = [(first, last, Skip.decode(body).kind) for first, last, body in self._rows(_SKIPS, known.row)]
        dropped = self._rows("SELECT first, last FROM dropped WHERE author = ? ORDER BY first", known.row)
        filled = self._rows(
            "SELECT number FROM filled WHERE author = ? AND number <= ? ORDER BY number",
            *(known.row, known.held),
        )
        bare = subtract([(*gap, RECEIPTED) for gap in dropped], [skip[:2] for skip in skips])
        holes = sorted([*skips, *bare])
        return joined(subtract(holes, [(number, number) for (number,) in filled]))

    # ---- arrivals

    def position(self) -> int:
        """Return the position of the entry that arrived last, 0 if none did."""
        return self._position

    def since(self, position: int, max_bytes: int, gone: bool = False) -> list[tuple[int, bytes, int, bytes]]:
        """Return [(position, author, number, body)]: operations in the order of their arrival.

        Those behind `position` (0: all), at least one if there is any, then no more than fit `max_bytes`.
        Here what is `gone` stays so.
        """
        found = self._merge(((_ARRIVED, (position,)), (_ARRIVED_FILLED, (position,))), max_bytes)
        return [(at, self._names[row], number, body) for at, row, number, body in found]

    # ---- durable values

    def put(self, kind: int, key: bytes, value: bytes) -> None:
        """Set a small durable value; it is durable after commit()."""
        self._run("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", kind, bytes(key), bytes(value))

    def get(self, kind: int, key: bytes) -> bytes | None:
        """Return a value, or None."""
        rows = self._rows("SELECT value FROM state WHERE kind = ? AND key = ?", kind, bytes(key))
        return rows[0][0] if rows else None

    def items(self, kind: int) -> list[tuple[bytes, bytes]]:
        """Return [(key, value)] of a kind, ordered by key."""
        return self._rows("SELECT key, value FROM state WHERE kind = ? ORDER BY key", kind)

    # ---- room

    def used(self) -> int:
        """Return the bytes of the database that hold something."""
        return self._database.used()

    def _check_room(self, size: int) -> None:
        """Refuse an operation if the file is nearly full; it is measured anew when enough has come."""
        need = limits.ENTRY_BYTES + 2 * size
        if self._left < need:
            self._left = self._max_bytes * limits.LOG_FULL_PERCENT // 100 - self.used()
            if self._left < need:
                raise HedgerowError("LOG_FULL", f"{self.used()} of {self._max_bytes} bytes are used")
        self._left -= need

    def replace(self, author: bytes, first: int, last: int, body: bytes) -> None:
        """Put a skip in the place of own operations up to what is held, as MemoryLog.replace does."""
        check_replace(author == self.author, first, last, self.held(author))
        self._note_position()
        with self._database.guard():
            self._database.begin()
            put_skip(self._database.sql, self._author_row(author).row, first, last, bytes(body))
        self._dirty.add(author)

    def storage(self) -> dict[str, int | None]:
        """Return how full the file is, in bytes, as MemoryLog.storage does."""
        receipted = frontiers(self.items(STATE_RECEIPT))
        rows = [(known.row, receipted.get(name, 0)) for name, known in self._authors.items()]
        with self._database.guard():
            total, opened = sizes(self._database.sql, rows)
        used = self._database.used()
        return {
            "capacity": self._max_bytes,
            "used": used,
            "free": max(self._max_bytes - used, 0),
            "open": opened,
            "live": total,
            "receipted": total - opened,
            "carried": 0,
            "dropped": 0,
            "life_days": None,
        }

    def oldest(self, after: int, count: int) -> list[OldEntry]:
        """Return up to `count` entries (position, author, kind, first, last, body) past a position."""
        return self._rows(
            "SELECT position, author.author, kind, first, last, body"
            " FROM entry JOIN author ON author.id = entry.author"
            " WHERE position > ? ORDER BY position LIMIT ?",
            *(after, count),
        )

    def remove(self, entries: Iterable[OldEntry]) -> None:
        """Remove entries of the run for good; frontiers stay, and the numbers of operations are holes."""
        self._note_position()
        for position, author, kind, first, last, _ in entries:
            self._run("DELETE FROM entry WHERE position = ?", position)
            known = self._authors[author]
            if kind == ENTRY_OP:
                self._run("DELETE FROM touched WHERE author = ? AND number = ?", known.row, first)
            if kind != ENTRY_SEAL:
                self._note_dropped(known, first, last)
        self.commit()

    def remove_filled(self, count: int) -> int:
        """Remove up to `count` of the operations that were filled in, oldest first; return how many."""
        found = self._rows("SELECT position, author, number FROM filled ORDER BY position LIMIT ?", count)
        self._note_position()
        for position, row, number in found:
            self._run("DELETE FROM filled WHERE position = ?", position)
            self._run("DELETE FROM touched WHERE author = ? AND number = ?", row, number)
        self.commit()
        return len(found)

    def renew(self) -> None:
        """Go on as a new author in a new incarnation, durable on return (see MemoryLog.renew)."""
        self.commit()
        self._database.renew()
        self.author = self._database.author
        self.incarnation = self._database.incarnation

    def damage(self) -> list[tuple[bytes, int, int]]:
        """Return nothing: SQLite finds no damage of single entries (see MemoryLog.damage)."""
        return []

    def disown(self) -> None:
        """Make the next opening go on as a new author: another peer holds more of this one than we do."""
        self._database.disown()

    def close(self) -> None:
        """Forget what was not committed, and close the file."""
        self._database.close()
