"""Opens the registry's database: a file for one server alone, or the PostgreSQL that servers share.

auth.db is apart from the store of documents, so that a copy of those holds no secrets; where nodes share a
PostgreSQL, it is a schema of its own there, with secrets sealed (`shared`).
"""

import contextlib
from pathlib import Path

from hedgerow.errors import HedgerowError

from .database import Database
from .engine import Engine, SqliteEngine
from .moving import FILE, MOVED, MOVING, SHARED, Move
from .shared import TableVault
from .vault import FileVault

KEY_FILE = "rights.key"


def open_database(
    directory: Path, url: str = "", key: Path | None = None, *, take_over: bool = False
) -> Database:
    """Open or create auth.db, readable by its owner only, or the tables in the PostgreSQL at `url`.

    `key` is the file whose key seals secrets there, rights.key in `directory` by default. With `take_over`
    an auth.db that is there moves into a PostgreSQL that has no rights yet. Raises REGISTRY_VERSION,
    REGISTRY_KEY, REGISTRY_SPLIT, REGISTRY_FAILED.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HedgerowError("REGISTRY_FAILED", f"{directory}: {error}") from error
    database = Database(_shared(url) if url else _own(directory), is_shared=bool(url))
    with contextlib.ExitStack() as undo:
        undo.callback(database.close)
        if url:
            _fill_shared(database, directory, key, take_over=take_over)
        else:
            with database.change():
                database.make()
                database.vault = FileVault(directory)
        undo.pop_all()
    return database


def _fill_shared(database: Database, directory: Path, key: Path | None, *, take_over: bool) -> None:
    with contextlib.closing(Move(directory)) as move:
        with database.change():
            database.make()
            database.vault = TableVault(database, key or directory / KEY_FILE, may_make=key is None)
            if take_over:
                move.take(database)
        if take_over:
            move.finish()


def _shared(url: str) -> Engine:
    # Its driver is needed by nobody else.
    from .postgres import PostgresEngine

    return PostgresEngine(url)


def _own(directory: Path) -> Engine:
    signs = [name for name in (SHARED, KEY_FILE, MOVING, MOVED) if (directory / name).exists()]
    if signs and not (directory / FILE).exists():
        # Nobody is to set rights in a new file that count nowhere.
        reason = f"the rights of {directory} are in PostgreSQL, as {signs[0]} says: name the store"
        raise HedgerowError("REGISTRY_KEY", reason)
    return SqliteEngine(directory / FILE)
