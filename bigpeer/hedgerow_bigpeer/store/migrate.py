"""Numbered .sql files that bring a database from any older version to this one."""

import importlib.resources
import sqlite3

from hedgerow.errors import HedgerowError


def migrate(connection: sqlite3.Connection) -> None:
    """Apply what the database lacks, each file in a transaction; raises STORE_VERSION if it is newer."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    scripts = _scripts()
    if version > len(scripts):
        raise HedgerowError("STORE_VERSION", f"version {version}, {len(scripts)} is the newest known")
    for number, script in enumerate(scripts[version:], version + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        except BaseException:
            connection.rollback()
            raise


def _scripts() -> list[str]:
    folder = importlib.resources.files(__package__).joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [folder.joinpath(name).read_text("utf-8") for name in names]
