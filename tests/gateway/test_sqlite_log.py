"""The SQLite log: the common contract, and what only a file can do wrong."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from index_contract import CHECKS as INDEX_CHECKS
from log_contract import CHECKS

from hedgerow.application import ReadyPeer
from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SKIP
from hedgerow.operation import DELETE, encode_body
from hedgerow_gateway import limits, sqlite_log
from hedgerow_gateway.database import SCHEMA_VERSION
from hedgerow_gateway.place import Place
from hedgerow_gateway.sqlite_log import SqliteLog

OTHER = b"author-o"


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
    assert log._database.sql.execute("PRAGMA synchronous").fetchone() == (2,)
    assert log._database.sql.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    log.close()


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("_NUMBERS", (1, 5)),
        ("_SEALS", (1, 5)),
        ("_FETCH", (1, 5)),
        ("_FETCH_FILLED", (1, 5)),
        ("_SKIPS", (1,)),
        ("_ARRIVED", (5,)),
        ("_ARRIVED_FILLED", (5,)),
    ],
)
def test_reading_a_long_log_seeks_by_index(database: Path, query: str, values: tuple[int, ...]) -> None:
    log = SqliteLog(database)
    plan = log._database.sql.execute("EXPLAIN QUERY PLAN " + getattr(sqlite_log, query), values).fetchall()
    details = " ".join(row[3] for row in plan)
    assert "SEARCH" in details and "TEMP B-TREE" not in details, details
    log.close()


def test_a_position_is_never_given_twice(database: Path) -> None:
    log = SqliteLog(database)
    log.append(ENTRY_OP, OTHER, 1, 1, b"one")
    log.fill(OTHER, 9, b"nine")
    log.commit()
    position = log.position()
    log.drop(OTHER, 9, 9)
    log.cut(OTHER, 0)
    log.commit()
    log.close()
    log = SqliteLog(database)
    assert log.position() == position
    log.fill(OTHER, 9, b"again")
    assert log.since(position, 100) == [(position + 1, OTHER, 9, b"again")]
    log.close()


def test_a_skip_that_reaches_above_a_cut_is_given_up_and_drops_below_it_stay(database: Path) -> None:
    log = SqliteLog(database)
    for number in range(1, 11):
        log.append(ENTRY_OP, OTHER, number, number, b"body")
    log.append(ENTRY_SKIP, OTHER, 11, 20, Skip(11, 20, RECEIPTED).encode())
    log.drop(OTHER, 3, 9)
    log.cut(OTHER, 15)
    assert log.held(OTHER) == 10
    log.cut(OTHER, 8)
    assert (log.held(OTHER), log.missing(OTHER)) == (8, [(3, 8, RECEIPTED)])
    log.append(ENTRY_OP, OTHER, 9, 9, b"new")
    assert log.missing(OTHER) == [(3, 8, RECEIPTED)] and log.fetch(OTHER, 9) == b"new"
    log.close()


def test_drops_that_touch_are_one_range(database: Path) -> None:
    log = SqliteLog(database)
    author = log.author
    for first, last in ((2, 2), (6, 6), (4, 4), (3, 3), (8, 9), (1, 7)):
        log.drop(author, first, last)
        gone = log._database.rows("SELECT first, last FROM dropped ORDER BY first", ())
        holes = [tuple(hole[:2]) for hole in log.missing(author)]
        assert gone == holes
        here = [number for number in range(1, 11) if log.fetch(author, number) is not None]
        assert not [n for n in here for first, last in holes if first <= n <= last]
        assert len(here) + sum(last - first + 1 for first, last in holes) == 10
    assert log.missing(author) == [(1, 9, RECEIPTED)]
    log.close()


def test_a_copy_takes_along_what_was_filled_and_where_it_is(database: Path) -> None:
    log = SqliteLog(database)
    log.fill(OTHER, 4, b"four")
    log.index.add(7, OTHER, 4)
    log.index.position = log.position()
    log.commit()
    author, position = log.author, log.position()
    log.close()
    copy = database.with_name("copy.db")
    shutil.copy2(database, copy)
    log = SqliteLog(copy)
    assert log.author != author and log.position() == position
    assert (
        log.fetch(OTHER, 4) == b"four" and log.index.get(7) == [(OTHER, 4)] and log.index.position == position
    )
    log.close()


# ---- the document index


@pytest.mark.parametrize("check", INDEX_CHECKS, ids=lambda check: check.__name__)
def test_index_contract(check: Callable[[Callable[[], object]], None], tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "field.db")
    check(lambda: log.index)
    log.close()


def test_the_index_is_as_durable_as_the_log(database: Path) -> None:
    log = SqliteLog(database)
    log.index.add(7, log.author, 3)
    log.index.position = 3
    log.commit()
    log.index.add(7, log.author, 4)
    log.index.clear()
    log.close()
    log = SqliteLog(database)
    assert log.index.get(7) == [(log.author, 3)] and log.index.position == 3
    log.close()


def test_the_index_follows_the_log_only_while_somebody_enters_what_arrives(database: Path) -> None:
    log = SqliteLog(database)
    log.index.position = start = log.position()
    log.commit()
    fill(log, limits.INDEX_BEHIND - 1)
    assert log.index.position == start, "not in each commit"
    fill(log, 1)
    assert log.index.position == log.position()
    log.close()
    log = SqliteLog(database)
    followed = log.index.position
    assert followed == log.position()
    fill(log, 2 * limits.INDEX_BEHIND)
    assert log.index.position == followed, "nobody has entered these"
    log.close()


def test_documents_are_found_after_a_session_in_which_nobody_asked_for_them(tmp_path: Path) -> None:
    car = {"_id": "a", "price": 3}

    def opened() -> tuple[SqliteLog, ReadyPeer]:
        log = SqliteLog(tmp_path / "field.db")
        return log, ReadyPeer(log, lambda: 1, name="x")

    log, peer = opened()
    peer.execute("INSERT INTO cars DOCUMENTS (:c)", c=car)
    log.close()
    log, peer = opened()
    body = encode_body(peer.clock.tick(1), [[DELETE, next(iter(peer.schemas)), "a"]])
    author = b"another1"
    peer.ingest(author, 1, [body])
    peer.commit()
    log.close()
    log, peer = opened()
    assert peer.down.documents.dots("cars", "a") == [(log.author, 2), (author, 1)]
    assert peer.execute("SELECT * FROM cars").rows == []
    log.close()


def test_the_index_forgets_what_the_log_forgets(database: Path) -> None:
    log = SqliteLog(database)
    for number in range(1, 7):
        log.append(ENTRY_OP, OTHER, number, number, b"body")
    log.fill(OTHER, 8, b"filled")
    for number in (1, 2, 3, 4, 5, 6, 8):
        log.index.add(number, OTHER, number)
    log.index.add(2, log.author, 2)
    log.drop(OTHER, 2, 3)
    log.cut(OTHER, 5)
    log.remove(log.oldest(0, 11)[-1:])
    kept = [key for key in range(9) if log.index.get(key)]
    assert kept == [2, 4, 5, 8] and log.index.get(2) == [(log.author, 2)]
    assert log.remove_filled(10) == 1
    assert log.index.get(8) == []
    log.close()


def test_a_hundred_kills_mint_no_author(tmp_path: Path) -> None:
    database = tmp_path / "killed.db"
    author, _ = identity(database)
    for boot in range(100):
        log = SqliteLog(database)
        peer = ReadyPeer(log, lambda boot=boot: boot)
        assert peer.author == author and not peer.former and log.incarnation == 1
        peer.execute("INSERT INTO readings DOCUMENTS ({'n': 1})")
        log.append(ENTRY_OP, author, log.held(author) + 1, log.held(author) + 1, b"not committed")
        log.close()


def test_a_cut_while_it_goes_on_as_a_new_author_makes_no_copy_of_it(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place is written before the file: it must not ask for numbers that the new author has not."""
    log = SqliteLog(database)
    author = log.author
    fill(log, 5)
    settle = Place.settle

    def cut(place: Place, token: bytes) -> None:
        settle(place, token)
        raise OSError("cut")

    monkeypatch.setattr(Place, "settle", cut)
    with pytest.raises(OSError, match="cut"):
        log.renew()
    log.close()
    monkeypatch.undo()
    assert identity(database) == (author, 1)
    log = SqliteLog(database)
    log.renew()
    renewed = log.author, log.incarnation
    log.close()
    assert identity(database) == renewed == (renewed[0], 2)
