"""The SQLite file under the log: opening, schema versions, transactions, failures, and whose file it is.

WAL with synchronous=FULL: every commit is one fsync of the write-ahead log. NORMAL would skip that
fsync, and a power cut could take back a commit whose numbers another peer has already seen; the next
operations would then reuse them with other content, which no peer can repair. The price is one fsync
per received record (about a hundred readings), not per reading.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow.log import STATE_CONFIG, new_author

from . import limits
from .enrolment import Enrolment
from .place import Place

SCHEMA_VERSION = 2
APPLICATION_ID = 0x48656467  # "Hedg" in the SQLite header: a file of somebody else's is refused
# Among the settings in the file: it was opened with keys.
_KEYED = b"keyed"


class Database:
    """One open file, for one thread of one process.

    `author` (8 bytes) and `incarnation` name this store; a copied or restored file gets new ones when it
    is opened (see `place`), and so does one that was not made with the keys of `enrolment`. After an error of
    SQLite it refuses everything until it is opened again, and tells `on_failure` once. `sql` is to be used
    within `guard`.

    Raises HedgerowError: DATABASE_NEWER, DATABASE_FOREIGN, DATABASE_IN_USE, DATABASE_FULL, DATABASE_FAILED,
    IDENTITY_FILE.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        on_failure: Callable[[HedgerowError], None] | None,
        enrolment: Enrolment | None = None,
    ) -> None:
        self._enrolment = enrolment
        self.path = path
        self.failure: HedgerowError | None = None
        self.commits = 0
        self._on_failure = on_failure
        self._place = Place(path)
        try:
            with self.guard():
                self.sql = sqlite3.connect(path, timeout=limits.OPEN_WAIT_S, isolation_level=None)
                try:
                    self._open(max_bytes)
                except BaseException:
                    self.sql.close()
                    raise
        except BaseException:
            self._place.close()
            raise

    def _open(self, max_bytes: int) -> None:
        version = self._version()
        if version > SCHEMA_VERSION:
            raise HedgerowError(
                "DATABASE_NEWER", f"{self.path} has schema {version}, known is {SCHEMA_VERSION}"
            )
        self.sql.execute("PRAGMA journal_mode = WAL")
        self.sql.execute("PRAGMA synchronous = FULL")
        self.sql.execute(f"PRAGMA journal_size_limit = {limits.WAL_KEPT_BYTES}")
        if version < SCHEMA_VERSION:
            self._migrate(version)
        self.sql.execute(f"PRAGMA max_page_count = {max_bytes // limits.PAGE_BYTES}")
        self._settle()

    def _version(self) -> int:
        """Return the file's schema version, 0 for an empty file."""
        identity = self.sql.execute("PRAGMA application_id").fetchone()[0]
        tables = self.sql.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if identity != APPLICATION_ID and (identity or tables):
            raise HedgerowError("DATABASE_FOREIGN", f"{self.path} is a database of another program")
        return int(self.sql.execute("SELECT version FROM schema_version").fetchone()[0]) if identity else 0

    def _migrate(self, version: int) -> None:
        """Bring the file from `version` to SCHEMA_VERSION, in one transaction: wholly or not at all."""
        self.begin()
        for step in range(version + 1, SCHEMA_VERSION + 1):
            script = resources.files(__package__).joinpath(f"schema_{step}.sql").read_text(encoding="utf-8")
            for statement in script.split(";"):
                self.sql.execute(statement)
        if version == 0:
            self.sql.execute(
                "INSERT INTO store (token, author, incarnation) VALUES (?, ?, 0)",
                (os.urandom(16), self._new_author()),
            )
            self.sql.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.sql.execute("COMMIT")

    def _settle(self) -> None:
        """Learn whose file this is; go on as a new author if it is new here, a copy, or a backup."""
        token, self.author, self.incarnation = self.sql.execute(
            "SELECT token, author, incarnation FROM store"
        ).fetchone()
        self._settle_keys()
        row = self.sql.execute("SELECT held FROM author WHERE author = ?", (self.author,)).fetchone()
        another = self._enrolment is not None and self.author != self._enrolment.author
        if self._place.is_home(token, row[0] if row else 0) and not another:
            return
        new = self.incarnation or another
        self._own(os.urandom(16), self._new_author() if new else self.author, self.incarnation + 1)

    def _settle_keys(self) -> None:
        """Refuse a file that was made with keys where they are gone: sessions and seals would be without."""
        keyed = self.sql.execute(
            "SELECT 1 FROM state WHERE kind = ? AND key = ?", (STATE_CONFIG, _KEYED)
        ).fetchone()
        if self._enrolment is not None:
            self.sql.execute("INSERT OR IGNORE INTO state VALUES (?, ?, ?)", (STATE_CONFIG, _KEYED, b""))
        elif keyed:
            raise HedgerowError("IDENTITY_FILE", f"{self.path} was made with keys, and there is no identity")

    def _new_author(self) -> bytes:
        return self._enrolment.anew() if self._enrolment is not None else new_author()

    def _own(self, token: bytes, author: bytes, incarnation: int) -> None:
        """Make this the place of the file, and of an author that has written nothing yet."""
        # The place first: a cut between the two must not make an author with numbers of its own a copy.
        self._place.settle(token)
        self.sql.execute(
            "UPDATE store SET token = ?, author = ?, incarnation = ?", (token, author, incarnation)
        )
        self.author = author
        self.incarnation = incarnation

    def renew(self) -> None:
        """Go on as a new author in the same place, durable on return."""
        with self.guard():
            token = self.sql.execute("SELECT token FROM store").fetchone()[0]
            self._own(token, self._new_author(), self.incarnation + 1)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn an error of SQLite within the `with` block into the failure of this file."""
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
            if self._on_failure is not None:
                self._on_failure(self.failure)
            raise self.failure from error

    def begin(self) -> None:
        """Start a transaction unless one is under way."""
        if not self.sql.in_transaction:
            self.sql.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the transaction durable."""
        self.sql.execute("COMMIT")
        self.commits += 1

    def remember(self, own_number: int) -> None:
        """Note the greatest own number that is committed, for the next opening to compare."""
        self._place.remember(own_number)

    def disown(self) -> None:
        """Make the next opening go on as a new author: another peer holds more of this one than we do."""
        with self.guard():
            self.sql.execute("UPDATE store SET token = ?", (os.urandom(16),))

    def rows(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        """Return all rows of a query."""
        with self.guard():
            return self.sql.execute(query, values).fetchall()

    def used(self) -> int:
        """Return the bytes of the database that hold something."""
        with self.guard():
            pages = self.sql.execute("PRAGMA page_count").fetchone()[0]
            free = self.sql.execute("PRAGMA freelist_count").fetchone()[0]
        return int(pages - free) * limits.PAGE_BYTES

    def close(self) -> None:
        """Forget what was not committed, and close the file."""
        self.sql.close()
        self._place.close()
