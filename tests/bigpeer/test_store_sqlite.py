"""The SQLite store: the contract, and what is its own."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import store_contract_cut  # noqa: F401  (adds its checks)
import store_contract_down  # noqa: F401  (adds its checks)
import store_contract_expire  # noqa: F401  (adds its checks)
import store_contract_times  # noqa: F401  (adds its checks)
from log_writer import JUNE
from raw_author import RawAuthor
from store_contract import CHECKS, OpenStore

from hedgerow.codec import cbor
from hedgerow.custody.skip import LOST, SUPERSEDED, Skip
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.store import collect
from hedgerow_bigpeer.store.corrections import NAMED_QUERY
from hedgerow_bigpeer.store.expire import OLDEST_QUERY, _Expiry, skips_of
from hedgerow_bigpeer.store.facets import text_of
from hedgerow_bigpeer.store.losses import lost_between
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.rows import Submission
from hedgerow_bigpeer.store.sql import ARRIVAL_QUERY
from hedgerow_bigpeer.store.sql_store import OUTBOX_QUERY, TOUCHED_QUERY
from hedgerow_bigpeer.store.sqlite import SqliteConnection, SqliteStore


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[OpenStore], Awaitable[None]], tmp_path: Path) -> None:
    async def open_store(name: str) -> Store:
        return await SqliteStore.open(tmp_path / f"{name}.db", full_sync=False)

    asyncio.run(_await(check(open_store)))


async def _await(work: Awaitable[None]) -> None:
    await work


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(HedgerowError, match="STORE_VERSION"):
        asyncio.run(SqliteStore.open(path))


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(HedgerowError, match="STORE_FAILED"):
        asyncio.run(SqliteStore.open(path))
    assert path.read_bytes() == b"no database at all" * 100


def test_a_store_of_version_1_learns_what_its_operations_touched(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    one, two = RawAuthor(1), RawAuthor(2)
    one.insert(1000, "a", n=1)
    one.insert(1000, None, n=1)
    two.update(2000, "a", n=2)

    async def write() -> int:
        store = await SqliteStore.open(path)
        done = await store.ingest([Submission(one.take()), Submission(two.take())], JUNE)
        await store.close()
        return done.transaction

    before = asyncio.run(write())
    connection = sqlite3.connect(path)
    for table in (
        "touches",
        "ahead",
        "peers",
        "moments",
        "refused",
        "indexes",
        "answers",
        "bridges",
        "parked",
        "retention",
        "expired",
    ):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("DROP INDEX documents_named")
    connection.execute("ALTER TABLE operations DROP COLUMN xid")
    connection.execute("ALTER TABLE documents DROP COLUMN facets")
    for table in ("authors", "schemas", "clocks"):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN xid")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()

    async def look() -> None:
        store = await SqliteStore.open(path)
        async with store.snapshot() as snapshot:
            known = await snapshot.documents("things", None, 9, ("compare", "n", "=", text_of(2)))
            assert [cbor.decode(row.id) for row in known] == ["a"]
        rows, newest = await store.touched("things", (0, b""), 10)
        assert newest > before
        assert sorted(cbor.encode(i) for i in ("a", [one.author, 2])) == sorted(row.id for row in rows)
        assert all(before < row.transaction <= newest for row in rows)
        (arrivals,) = await store.operations_of("things", [cbor.encode("a")])
        assert [(row.author, row.number) for row in arrivals] == [(one.author, 1), (two.author, 1)]
        two.update(3000, "a", n=3)
        done = await store.ingest([Submission(two.take())], JUNE)
        assert list(done.errors) == [None] and done.transaction > newest
        assert (await store.stable(0, JUNE + 1)).numbers == {one.author: 2, two.author: 2}
        await store.close()

    asyncio.run(look())


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        (ARRIVAL_QUERY, "SEARCH t USING PRIMARY KEY (app=? AND shard=? AND collection=? AND id=?)"),
        (
            TOUCHED_QUERY,
            "USING COVERING INDEX touches_order"
            " (app=? AND shard=? AND collection=? AND (xid,id)>(?,?) AND xid<?)",
        ),
        (
            OLDEST_QUERY,
            "USING INDEX documents_newest (app=? AND shard=? AND collection=? AND (xid,id)>(?,?) AND xid<?)",
        ),
        (
            NAMED_QUERY.format("x'8248'", "x'8348'"),
            "USING INDEX documents_named"
            " (app=? AND shard=? AND collection=? AND author=? AND number>? AND number<?)",
        ),
        (OUTBOX_QUERY, "USING INDEX outbox_order (app=? AND shard=? AND xid>? AND xid<?)"),
    ],
)
def test_the_way_down_reads_by_keys(tmp_path: Path, query: str, plan: str) -> None:
    asyncio.run(_await(_made(tmp_path / "store.db")))
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", [None] * query.count("?")).fetchall()
    assert any(plan in row[3] for row in rows), rows
    assert not any(row[3].startswith("SCAN") for row in rows), rows


def test_what_expired_is_found_and_noted_however_much_lies_behind(tmp_path: Path) -> None:
    asyncio.run(_await(_made(tmp_path / "store.db")))
    key, author = ("default", 0), b"a" * 8
    with contextlib.closing(
        sqlite3.connect(tmp_path / "store.db", isolation_level=None, factory=SqliteConnection)
    ) as connection:
        counts = []
        for behind in (range(100, 200, 2), range(200, 4000, 2)):
            rows = [(*key, author, number, number) for number in behind]
            connection.executemany("INSERT INTO expired VALUES (?, ?, ?, ?, ?)", rows)
            steps: list[None] = []
            connection.set_progress_handler(lambda steps=steps: steps.append(None), 1)
            work = _Expiry(connection, key, {}, "readings")
            for first, last in ((1, 1), (5, 6), (3, 3), (2, 2), (4, 4)):
                work._note(author, first, last)
            told = [Skip.decode(entry.body) for entry in skips_of(connection, key, author, 1, 10)]
            connection.set_progress_handler(None, 1)
            assert [(skip.first, skip.last) for skip in told] == [(1, 6)]
            connection.execute("DELETE FROM expired WHERE last = 6")
            counts.append(len(steps))
    assert counts[1] < counts[0] * 1.5, counts


def test_a_seal_apart_is_taken_though_what_is_lost_has_superseded_ones_inside(tmp_path: Path) -> None:
    asyncio.run(_await(_made(tmp_path / "store.db")))
    key, author = ("default", 0), b"a" * 8
    skips = [Skip(1, 10, LOST, ["flash", b"\0" * 6]), Skip(5, 5, SUPERSEDED, [author, 9])]
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db", factory=SqliteConnection)) as connection:
        for skip in skips:
            row = (*key, author, skip.last, skip.first, skip.encode())
            connection.execute("INSERT INTO skips VALUES (?, ?, ?, ?, ?, ?)", row)
        assert lost_between(connection, key, author, 0, 11)
        assert not lost_between(connection, key, author, 0, 12)
        # What is superseded is not lost.
        connection.execute("DELETE FROM skips WHERE last = 10")
        assert not lost_between(connection, key, author, 4, 6)


async def _made(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.close()


def test_takers_beyond_those_that_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can make up names: each would hold up forgetting, and take room, for 90 days."""
    monkeypatch.setattr(collect, "MAX_TAKERS", 2)
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE peers (app, shard, peer, position, last_seen, PRIMARY KEY (app, shard, peer))")
    for name, position in ((b"a", 5), (b"b", 6), (b"c", 0), (b"a", 7)):
        collect.confirm(db, ("demo", 0), name, position, 1)
    assert db.execute("SELECT peer, position FROM peers ORDER BY peer").fetchall() == [(b"a", 7), (b"b", 6)]
    db.close()


#: Callers of long readings go away, within a view that has a time and one that has none. In a process of its
#: own: what goes wrong here stops all threads of one.
LEAVING = """
import asyncio, faulthandler, sys
from pathlib import Path

from hedgerow_bigpeer.store.sql_store import READERS
from hedgerow_bigpeer.store.sqlite import SqliteConnection, SqliteStore

faulthandler.dump_traceback_later(30, exit=True)
NUMBERS = "WITH RECURSIVE c(x) AS (SELECT ?2 UNION ALL SELECT x + 1 FROM c)"


async def leave(store, seconds):
    begun = []
    connect = store._connect

    def told():
        connection = connect()
        connection.create_function("begun", 0, lambda: begun.append(1))
        return connection

    store._connect = told

    async def look():
        async with store.snapshot(seconds) as snapshot:
            await snapshot._read(f"{NUMBERS} SELECT begun() FROM c WHERE x < 1")

    work = [asyncio.create_task(look()) for _ in range(READERS)]
    # All of them: who goes away before it has opened a view leaves none to be given back.
    while len(begun) < READERS:
        await asyncio.sleep(0.001)
    for task in work:
        task.cancel()
    print(*[type(left).__name__ for left in await asyncio.gather(*work, return_exceptions=True)])
    print(len(store._readers), [connection.in_transaction for connection in store._readers])
    store._connect = connect
    store._readers.clear()


async def run():
    store = await SqliteStore.open(Path(sys.argv[1]), full_sync=False)
    for seconds in (1000.0, None):
        await leave(store, seconds)
    await store.close()


asyncio.run(run())
"""


def test_a_view_is_given_back_when_nothing_is_read_on_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING, tmp_path / "store.db"], capture_output=True, text=True, timeout=60
    )
    left = "CancelledError CancelledError CancelledError CancelledError\n4 [False, False, False, False]\n"
    assert (done.stdout, done.stderr) == (left * 2, "")


def test_a_view_for_which_nobody_waits_any_more_is_closed_with_the_store(tmp_path: Path) -> None:
    async def run() -> None:
        store = await SqliteStore.open(tmp_path / "store.db", full_sync=False)
        connect, going = store._connect, threading.Event()
        opened: list[sqlite3.Connection] = []

        def slowly() -> sqlite3.Connection:
            opened.append(connect())
            going.wait(30)
            return opened[0]

        store._connect = slowly  # type: ignore[method-assign, assignment]

        async def look() -> None:
            async with store.snapshot():
                raise AssertionError("it was cancelled before")

        looking = asyncio.create_task(look())
        while not opened:
            await asyncio.sleep(0.001)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0.01)
        going.set()
        await closing
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            opened[0].execute("SELECT 1")

    asyncio.run(run())
