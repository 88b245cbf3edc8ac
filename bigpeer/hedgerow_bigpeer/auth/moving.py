"""The way of a server's rights from its file into the PostgreSQL that it is to share.

The file changes its name twice: to auth.db.moving as the last step before the commit, to auth.db.moved once
that is durable. So wherever a crash falls, no command without the store's name takes the file for what
counts, and the next start finishes the move.
"""

import contextlib
import logging
import sqlite3
from pathlib import Path

from hedgerow.errors import HedgerowError

from .database import VERSION, Database
from .vault import IDENTITY, FileVault

FILE = "auth.db"
#: auth.db while its rights go to PostgreSQL, and once they are there.
MOVING = f"{FILE}.moving"
MOVED = f"{FILE}.moved"
#: An empty file beside, from the first start with a PostgreSQL on.
SHARED = f"{FILE}.shared"
_TABLES = (
    *("apps", "issuers", "keys", "providers", "users", "sessions", "credentials", "authors"),
    *("revocations", "statements", "audit", "met", "met_authors", "epochs"),
)
_SAID = ("apps", "keys", "providers", "users", "credentials", "revocations")
_BUSY_SECONDS = 1.0

log = logging.getLogger(__name__)


class Move:
    """One move, if there is a file: take() within a change, finish() after its commit, close() always."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: sqlite3.Connection | None = None
        self._taken = ""

    def take(self, database: Database) -> None:
        """Put what the file has into a database without rights; nothing where it was put there before.

        Raises REGISTRY_SPLIT for a database that has other rights, REGISTRY_VERSION, REGISTRY_FAILED.
        """
        here = [self._directory / name for name in (MOVING, FILE)]
        found = [path for path in here if path.exists()]
        if not found:
            return
        if len(found) > 1:
            raise HedgerowError("REGISTRY_SPLIT", f"{MOVING} and {FILE} are in {self._directory}")
        (path,) = found
        try:
            self._file = _hold(path)
            (version,) = self._file.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise HedgerowError("REGISTRY_VERSION", f"{path}: version {version}")
            if version and not self._is_there(database, path):
                self._copy(self._file, database)
        except sqlite3.Error as error:
            raise HedgerowError("REGISTRY_FAILED", f"{path}: {error}; does a server use it?") from error
        self._rename(path.name, MOVING)

    def _is_there(self, database: Database, path: Path) -> bool:
        """Say whether the database has all that the file has: the audit log tells of every change."""
        assert self._file is not None
        last = self._file.execute("SELECT id, chain FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        if last is None or database.row("SELECT 1 FROM audit WHERE id = ? AND chain = ?", *last):
            return True
        if database.row("SELECT 1 FROM audit LIMIT 1"):
            raise HedgerowError("REGISTRY_SPLIT", f"{path} is not what PostgreSQL has")
        return False

    def _copy(self, file: sqlite3.Connection, database: Database) -> None:
        there = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        # A file that was made by an earlier version lacks what came later.
        for table in (name for name in _TABLES if name in there):
            for row in file.execute(f"SELECT * FROM {table}").fetchall():  # noqa: S608
                marks = ", ".join("?" * len(row))
                database.run(f"INSERT INTO {table} VALUES ({marks})", *row)  # noqa: S608
        database.rows("SELECT setval('statements_id_seq', (SELECT coalesce(max(id), 0) + 1 FROM statements))")
        secrets = dict(file.execute("SELECT name, value FROM secrets").fetchall())
        kids = [kid for (kid,) in database.rows("SELECT kid FROM issuers")]
        files = FileVault(self._directory)
        for name in (IDENTITY, *(f"issuers/{kid.hex()}.pem" for kid in kids)):
            value = files.load(name)
            if value is not None:
                secrets[name] = value
        for name, value in secrets.items():
            # A command that only looked has made some of its own.
            database.run("DELETE FROM secrets WHERE name = ?", name)
            database.vault.save(name, value)
        counts = [file.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _SAID]  # noqa: S608
        self._taken = ", ".join(f"{count} {table}" for count, table in zip(counts, _SAID, strict=True))

    def finish(self) -> None:
        """Say what was taken, and give the file its last name. Raises REGISTRY_FAILED."""
        try:
            (self._directory / SHARED).touch(mode=0o600)
        except OSError as error:
            raise HedgerowError("REGISTRY_FAILED", str(error)) from error
        if self._file is None:
            return
        self._rename(MOVING, MOVED)
        if self._taken:
            log.warning("the rights in %s moved to PostgreSQL: %s", self._directory / FILE, self._taken)
        log.warning(
            "%s, %s and issuers in %s count no more, and lie there unsealed: delete them",
            *(MOVED, IDENTITY, self._directory),
        )

    def _rename(self, before: str, after: str) -> None:
        try:
            (self._directory / before).rename(self._directory / after)
        except OSError as error:
            raise HedgerowError("REGISTRY_FAILED", str(error)) from error

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _hold(path: Path) -> sqlite3.Connection:
    """Open a file that nobody else has open, and let nobody in. Raises sqlite3.Error."""
    with contextlib.ExitStack() as undo:
        file = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        undo.callback(file.close)
        # It fails while somebody else has the file open, and leaves nothing beside it that belongs to it.
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("BEGIN EXCLUSIVE")
        undo.pop_all()
    return file
