"""Database files of earlier versions are brought up to date when they are opened, or left as they were."""

import sqlite3
from pathlib import Path

import pytest

from hedgerow.custody.skip import LOST, RECEIPTED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP
from hedgerow_gateway import database
from hedgerow_gateway.sqlite_log import SqliteLog

A = b"author-a"
B = b"author-b"

# As version 1 wrote it, byte for byte.
VERSION_1 = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE store (token BLOB NOT NULL, author BLOB NOT NULL, incarnation INTEGER NOT NULL);
CREATE TABLE author (
    id INTEGER PRIMARY KEY,
    author BLOB NOT NULL UNIQUE,
    held INTEGER NOT NULL,
    sealed INTEGER NOT NULL
);
CREATE TABLE entry (
    position INTEGER PRIMARY KEY,
    author INTEGER NOT NULL REFERENCES author,
    kind INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE UNIQUE INDEX entry_number ON entry (author, last) WHERE kind <> 1;
CREATE INDEX entry_seal ON entry (author, last) WHERE kind = 1;
CREATE TABLE state (
    kind INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
INSERT INTO schema_version VALUES (1);
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of version 1: two authors, a skip, and gaps where readings had made room."""
    path = tmp_path / "field.db"
    lost = Skip(7, 9, LOST, [0, bytes(8)]).encode()
    rows = [(1, ENTRY_OP, n, n, b"a%d" % n) for n in (3, 4)]
    rows += [(2, ENTRY_OP, 1, 1, b"b1"), (1, ENTRY_SEAL, 3, 4, b"seal"), (1, ENTRY_SKIP, 7, 9, lost)]
    rows += [(1, ENTRY_OP, n, n, b"a%d" % n) for n in (10, 12)]
    with sqlite3.connect(path) as old:
        old.executescript(VERSION_1)
        old.execute("INSERT INTO store VALUES (?, ?, 1)", (bytes(16), B))
        old.executemany("INSERT INTO author VALUES (?, ?, ?, ?)", [(1, A, 14, 4), (2, B, 1, 0)])
        old.executemany("INSERT INTO entry (author, kind, first, last, body) VALUES (?, ?, ?, ?, ?)", rows)
        old.execute("INSERT INTO state VALUES (4, ?, ?)", (b"key", b"value"))
        old.execute(f"PRAGMA application_id = {database.APPLICATION_ID}")
    old.close()
    return path


def test_a_file_of_version_1_is_brought_up_to_date(old: Path) -> None:
    for _ in range(2):
        log = SqliteLog(old)
        assert log._database._version() == 2
        assert (log.held(A), log.sealed(A), log.held(B)) == (14, 4, 1)
        kinds = [entry[:2] for entry in log.read(A, 0, 0, 1000)]
        assert kinds == [(0, 3), (0, 4), (ENTRY_SEAL, 3), (ENTRY_SKIP, 7), (0, 10), (0, 12)]
        gaps = [(1, 2, RECEIPTED), (5, 6, RECEIPTED), (7, 9, LOST), (11, 11, RECEIPTED), (13, 14, RECEIPTED)]
        assert log.missing(A) == gaps and log.missing(B) == []
        arrivals = [entry[1:] for entry in log.since(0, 1000)]
        assert arrivals == [(A, 3, b"a3"), (A, 4, b"a4"), (B, 1, b"b1"), (A, 10, b"a10"), (A, 12, b"a12")]
        assert log.get(4, b"key") == b"value" and log.index.position == 0
        log.close()


def test_the_author_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "field.db"
    log = SqliteLog(path)
    log.append(ENTRY_OP, log.author, 1, 1, b"own")
    log.commit()
    named = (log.author, log.incarnation)
    log.close()
    with sqlite3.connect(path) as old:
        for statement in (
            "DROP TABLE filled", "DROP TABLE dropped", "DROP TABLE touched", "DROP INDEX entry_skip",
            "ALTER TABLE store DROP COLUMN position", "ALTER TABLE store DROP COLUMN indexed",
            "UPDATE schema_version SET version = 1",
        ):  # fmt: skip
            old.execute(statement)
    old.close()
    log = SqliteLog(path)
    assert (log.author, log.incarnation, log.held(log.author)) == (*named, 1)
    log.close()


def test_a_migration_that_fails_changes_nothing(old: Path) -> None:
    with sqlite3.connect(old) as file:
        file.execute("CREATE TABLE touched (stands_in_the_way)")
    file.close()
    with pytest.raises(HedgerowError, match="DATABASE_FAILED"):
        SqliteLog(old)
    with sqlite3.connect(old) as file:
        assert file.execute("SELECT version FROM schema_version").fetchone() == (1,)
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        file.execute("DROP TABLE touched")
    file.close()
    assert tables == {"schema_version", "store", "author", "entry", "state", "touched"}
    log = SqliteLog(old)
    assert log.held(A) == 14
    log.close()
