"""The SQLite log: the common contract, and what only a file can do wrong."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from log_contract import CHECKS

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP
from hedgerow_gateway import sqlite_log
from hedgerow_gateway.sqlite_log import SCHEMA_VERSION, SqliteLog


class Storage:
    """A file that is opened again and again; what had it open is torn away, as by the end of its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log: SqliteLog | None = None

    def __call__(self) -> SqliteLog:
        if self.log is not None:
            self.log.close()
        self.log = SqliteLog(self.path)
        return self.log


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Callable[[], Storage]], None], tmp_path: Path) -> None:
    stores: list[Storage] = []

    def new() -> Storage:
        stores.append(Storage(tmp_path / f"{len(stores)}.db"))
        return stores[-1]

    check(new)
    for store in stores:
        if store.log is not None:
            store.log.close()


def fill(log: SqliteLog, count: int) -> None:
    held = log.held(log.author)
    for number in range(held + 1, held + count + 1):
        log.append(ENTRY_OP, log.author, number, number, b"body %d" % number)
    log.commit()


def identity(path: Path) -> tuple[bytes, int]:
    log = SqliteLog(path)
    try:
        return log.author, log.incarnation
    finally:
        log.close()


SUFFIXES = (".place", ".seen")


def beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "field.db"
    log = SqliteLog(path)
    fill(log, 10)
    log.close()
    return path


def test_it_goes_on_as_the_same_author(database: Path) -> None:
    before = identity(database)
    assert identity(database) == before
    assert before[1] == 1


def test_a_directory_that_was_moved_goes_on(database: Path) -> None:
    before = identity(database)
    moved = database.parent.rename(database.parent.with_name("moved"))
    assert identity(moved / database.name) == before


@pytest.mark.parametrize("with_place", [False, True])
def test_a_copy_is_a_new_author_and_keeps_what_it_holds(database: Path, with_place: bool) -> None:
    author, incarnation = identity(database)
    copy = database.with_name("copy.db")
    shutil.copy2(database, copy)
    for suffix in SUFFIXES if with_place else ():
        shutil.copy2(database.with_name("field.db" + suffix), database.with_name("copy.db" + suffix))
    log = SqliteLog(copy)
    assert log.author != author
    assert log.incarnation == incarnation + 1
    assert log.held(author) == 10
    assert log.held(log.author) == 0
    named = (log.author, log.incarnation)
    log.close()
    assert identity(copy) == named, "once"
    assert identity(database) == (author, incarnation), "the original is as it was"


def test_a_backup_put_back_over_the_file_is_a_new_author(database: Path) -> None:
    author, _ = identity(database)
    backup = database.read_bytes()
    log = SqliteLog(database)
    fill(log, 1)
    log.close()
    with database.open("r+b") as file:
        file.write(backup)
        file.truncate(len(backup))
    assert identity(database) != (author, 1)


def test_a_backup_put_back_with_all_its_files_is_a_new_author(database: Path) -> None:
    author, _ = identity(database)
    backups = {name: name.read_bytes() for name in (database, *(beside(database, end) for end in SUFFIXES))}
    log = SqliteLog(database)
    fill(log, 1)
    log.close()
    for name, backup in backups.items():
        # In place, so that every inode stays what it was.
        with name.open("r+b") as file:
            file.truncate(0)
            file.write(backup)
    renewed = identity(database)
    assert renewed[0] != author and renewed[1] == 2
    assert identity(database) == renewed, "once"


def test_a_place_of_the_first_form_leads_to_a_new_author_once(database: Path) -> None:
    author, _ = identity(database)
    beside(database, ".seen").unlink()
    beside(database, ".place").write_bytes(b"HGP1" + bytes(40))
    renewed = identity(database)
    assert renewed[0] != author and identity(database) == renewed


def test_a_file_on_another_machine_is_a_new_author(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    author, _ = identity(database)
    monkeypatch.setattr("hedgerow_gateway.place._machine", lambda token: b"elsewher")
    assert identity(database)[0] != author


def test_two_at_once_are_refused(database: Path) -> None:
    log = SqliteLog(database)
    with pytest.raises(HedgerowError, match="DATABASE_IN_USE"):
        SqliteLog(database)
    log.close()
    SqliteLog(database).close()


def test_a_newer_version_is_refused_and_left_alone(database: Path) -> None:
    with sqlite3.connect(database) as other:
        other.execute("UPDATE schema_version SET version = ?", (SCHEMA_VERSION + 1,))
    other.close()
    before = database.read_bytes()
    with pytest.raises(HedgerowError, match="DATABASE_NEWER"):
        SqliteLog(database)
    assert database.read_bytes() == before


def test_files_of_others_are_refused_and_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all\n" * 400)
    with pytest.raises(HedgerowError, match="DATABASE_FOREIGN"):
        SqliteLog(text)
    assert text.read_text().startswith("not a database")
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    before = foreign.read_bytes()
    with pytest.raises(HedgerowError, match="DATABASE_FOREIGN"):
        SqliteLog(foreign)
    assert foreign.read_bytes() == before


def test_after_a_failure_it_refuses_everything(tmp_path: Path) -> None:
    failures: list[HedgerowError] = []
    log = SqliteLog(tmp_path / "field.db", max_bytes=1 << 20, on_failure=failures.append)
    fill(log, 1)
    with pytest.raises(HedgerowError, match="DATABASE_FULL"):
        for number in range(2, 1000):
            log.append(ENTRY_OP, log.author, number, number, bytes(3000))
    with pytest.raises(HedgerowError, match="DATABASE_FULL"):
        log.commit()
    with pytest.raises(HedgerowError, match="DATABASE_FULL"):
        log.read(log.author, 0, 0, 100)
    assert [failure.code for failure in failures] == ["DATABASE_FULL"]
    author = log.author
    log.close()
    log = SqliteLog(tmp_path / "field.db")
    assert (log.author, log.held(author)) == (author, 1)
    log.close()


def test_every_commit_is_synchronous(database: Path) -> None:
    log = SqliteLog(database)
    assert log._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert log._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


def test_reading_a_long_log_seeks_by_index(database: Path) -> None:
    log = SqliteLog(database)
    for query in ("_NUMBERS", "_SEALS"):
        plan = log._db.execute("EXPLAIN QUERY PLAN " + getattr(sqlite_log, query), (1, 5)).fetchall()
        details = " ".join(row[3] for row in plan)
        assert "SEARCH" in details and "TEMP B-TREE" not in details, details
    log.close()
