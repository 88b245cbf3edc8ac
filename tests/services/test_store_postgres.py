"""The store on PostgreSQL: the contract of every store, and what is its own."""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import store_contract_cut  # noqa: F401  (adds its checks)
import store_contract_down  # noqa: F401  (adds its checks)
import store_contract_expire  # noqa: F401  (adds its checks)
import store_contract_times  # noqa: F401  (adds its checks)
from bigpeer_harness import local, rights_key
from conditions import asked, conditions, fields, texts, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_writer import JUNE, Writer
from raw_author import RawAuthor
from store_contract import CHECKS, OpenStore

from bench.postgres_server import PostgresServer
from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError
from hedgerow.operation import SOURCE_GATEWAY
from hedgerow_bigpeer.prefilter import filter_of
from hedgerow_bigpeer.store.corrections import DOTS, NAMED_QUERY
from hedgerow_bigpeer.store.facets import facets_of
from hedgerow_bigpeer.store.filter import POSTGRES, write
from hedgerow_bigpeer.store.pg_connection import PostgresConnection
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.postgres import PostgresStore
from hedgerow_bigpeer.store.rows import CutEntry, Entry, Identity, Index, NameEntry, Operation, Submission
from hedgerow_bigpeer.store.sql_store import KEPT_READERS
from hedgerow_host.dql import parse

Url = Callable[[str], str]
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[OpenStore], Awaitable[None]], database: Url) -> None:
    async def open_store(name: str) -> Store:
        return await PostgresStore.open(database(name))

    async def run() -> None:
        await check(open_store)

    asyncio.run(run())


def _stores(database: Url, *names: str) -> Callable[[], Awaitable[list[PostgresStore]]]:
    async def open_all() -> list[PostgresStore]:
        return [await PostgresStore.open(database(name)) for name in names]

    return open_all


def test_nodes_have_authors_of_their_own_and_take_them_up_again(database: Url) -> None:
    async def run() -> None:
        one, two = await _stores(database, "a", "a")()
        assert one.identity.keeper == two.identity.keeper
        assert one.identity.epoch == two.identity.epoch
        assert one.identity.author != two.identity.author
        first = one.identity
        await one.close()
        again = await PostgresStore.open(database("a"))
        assert again.identity == first._replace(boot=first.boot + 1)
        await again.close()
        await two.close()

    asyncio.run(run())


def test_another_node_hears_of_what_went(database: Url) -> None:
    """What it has in memory of an author may have fallen, and its times may be others."""

    async def run() -> None:
        one, two = await _stores(database, "a", "a")()
        true, false = RawAuthor(2), RawAuthor(2)
        true.insert(1000, "barn", n=1)
        false.clock(epoch=1, uptime=0, source=SOURCE_GATEWAY, utc=JUNE, error=10)
        false.insert(1001, "mill", n=2)
        await one.ingest([Submission(false.take())], JUNE)
        seen = await two.follow(0)
        assert seen is not None and (seen.frontiers[0].held, list(seen.cut)) == (2, [])
        said = CutEntry(true.author, 1, tuple(true._marks))
        await one.ingest([Submission([said])], JUNE)
        # It hears of both at once.
        await one.ingest([Submission(true.take())], JUNE)
        news = await two.follow(seen.transaction)
        assert news is not None and (news.frontiers[0].held, list(news.cut)) == (1, [true.author])
        after = await two.ingest([Submission([NameEntry(b"somebody", "x")])], JUNE)
        later = await two.follow(news.transaction)
        assert later is None or not later.cut, after
        await one.close()
        await two.close()

    asyncio.run(run())


def test_a_node_whose_slot_was_taken_writes_no_more(database: Url) -> None:
    """As after a parting of the network: PostgreSQL let go of the lock, and the node does not know."""

    async def run() -> None:
        old = await PostgresStore.open(database("a"))
        author = RawAuthor(1)
        author.insert(1000, "x", n=1)
        assert (await old.ingest([Submission(author.take())], JUNE)).errors == [None]
        old._anchor.close()
        new = await PostgresStore.open(database("a"))
        assert new.identity.author == old.identity.author
        author.insert(1000, "y", n=1)
        with pytest.raises(HedgerowError, match="STORE_FAILED: another node has taken"):
            await old.ingest([Submission(author.entries)], JUNE)
        await new.close()
        # The lock is free again, and that changes nothing.
        with pytest.raises(HedgerowError, match="STORE_FAILED: another node has taken"):
            await old.follow(0)
        assert old.outdated is not None
        await old.close()
        # Nor does it help not to notice that the lock is lost: another has written in the slot.
        old = await PostgresStore.open(database("a"))
        old._anchor.execute("SELECT pg_advisory_unlock_all()")
        new = await PostgresStore.open(database("a"))
        for _ in range(2):
            with pytest.raises(HedgerowError, match="STORE_FAILED: another node is here"):
                await old.ingest([Submission(author.entries)], JUNE)
        await new.close()
        await old.close()

    asyncio.run(run())


def test_a_database_that_was_put_back_goes_on_as_another(database: Url) -> None:
    url = database("a")

    async def open_and_write(byte: int) -> tuple[Identity, int]:
        store = await PostgresStore.open(url)
        author = RawAuthor(byte)
        author.insert(1000, byte, n=1)
        done = await store.ingest([Submission(author.take())], JUNE)
        await store.close()
        return store.identity, done.transaction

    first, before = asyncio.run(open_and_write(1))
    # A restore by dump counts transactions anew, and has another place; that of a snapshot is told by hand.
    told = re.search(r"^UPDATE meta SET .*;$", OPERATIONS.read_text("utf-8"), re.MULTILINE)
    assert told is not None
    with psycopg.connect(url) as connection:
        connection.execute(told[0].encode())
        for table in ("commits", "touches", "documents", "operations", "outbox", "moments"):
            connection.execute(f"UPDATE {table} SET xid = xid + 1000000".encode())
    second, after = asyncio.run(open_and_write(2))
    assert second.keeper == first.keeper and second.incarnation == first.incarnation + 1
    assert second.author != first.author and second.epoch != first.epoch
    assert after > before + 1_000_000

    async def read() -> list[int]:
        store = await PostgresStore.open(url)
        rows = await store.outbox((0, 0), 10)
        await store.close()
        return [row.number for row in rows]

    assert asyncio.run(read()) == [1, 1]


def test_a_lost_connection_is_made_anew(database: Url) -> None:
    async def run() -> None:
        store = await PostgresStore.open(database("a"))
        author = RawAuthor(1)
        author.insert(1000, "x", n=1)
        await store.ingest([Submission(author.take())], JUNE)
        with psycopg.connect(database("a"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        author.insert(1000, "y", n=1)
        entries = author.take()
        with pytest.raises(HedgerowError, match="STORE_FAILED"):
            await store.ingest([Submission(entries)], JUNE)
        wait = 0
        while True:
            try:
                done = await store.ingest([Submission(entries)], JUNE)
                break
            except HedgerowError:
                wait += 1
                assert wait < 50
        assert list(done.errors) == [None]
        async with store.snapshot() as snapshot:
            assert len(await snapshot.documents("things", None, 9)) == 2
        await store.close()

    asyncio.run(run())


def test_what_postgresql_cannot_hold_hurts_nobody_else(database: Url) -> None:
    async def run() -> None:
        store = await PostgresStore.open(database("a"))
        good = RawAuthor(1)
        good.insert(1000, "x\0y", **{"n\0m": "a\0b"})
        bad: list[Entry] = [NameEntry(b"b" * 8, "with a \0 in it")]
        done = await store.ingest([Submission(bad), Submission(good.take())], JUNE)
        assert [error and error.code for error in done.errors] == ["OPERATION_INVALID", None]
        where = parse("SELECT * FROM things WHERE `n\0m` = :x")[4]
        async with store.snapshot() as snapshot:
            (row,) = await snapshot.documents("things", None, 9, filter_of(where, {"x": "a\0b"}))
            assert cbor.decode(row.id) == "x\0y"
            assert not await snapshot.documents("things", None, 9, filter_of(where, {"x": "a\0c"}))
        await store.close()

    asyncio.run(run())


def test_what_others_wrote_is_told(database: Url) -> None:
    async def run() -> None:
        one, two = await _stores(database, "a", "a")()
        writer = Writer()
        writer.insert_many(2)
        assert await two.follow(0) is None
        done = await one.ingest([Submission(writer.entries())], JUNE)
        news = await two.follow(0)
        assert news is not None and news.transaction == done.transaction
        assert news.frontiers == done.frontiers and news.schemas == done.schemas
        assert news.clocks == done.clocks and news.collections == ["readings"]
        assert {(entry.author, entry.number) for entry in news.written} == {(writer.peer.author, 3)}
        assert await two.follow(news.transaction) is None
        # And what the other node knows of it is enough to go on.
        writer.insert_many(1)
        operations = [entry for entry in writer.entries(3) if isinstance(entry, Operation)]
        assert list((await two.ingest([Submission(operations)], JUNE)).errors) == [None]
        await one.close()
        await two.close()

    asyncio.run(run())


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(conditions(), fields, values, values, values, st.one_of(texts, st.just("a%")))
def test_postgresql_lets_through_what_sqlite_does(
    postgres: PostgresServer, condition: str, document: dict[str, Any], x: Any, y: Any, z: Any, pattern: str
) -> None:
    """Types and collation: the same filter, the same facets, the same answer."""
    document = {**document, "_id": 1}
    where = parse(f"SELECT * FROM c WHERE {condition}")[4]
    wanted = filter_of(where, {"x": x, "y": y, "z": z, "t": pattern})
    query, parameters = write(wanted, POSTGRES)
    connection = _shared_connection(postgres)
    (found,) = connection.execute(
        f"SELECT count(*) FROM (SELECT ?::jsonb AS facets) d WHERE {query}",
        [facets_of(1, document), *parameters],
    ).fetchone()
    assert bool(found) == asked(wanted, document)


_CONNECTIONS: dict[int, PostgresConnection] = {}


def _shared_connection(server: PostgresServer) -> PostgresConnection:
    if server.port not in _CONNECTIONS:
        _CONNECTIONS[server.port] = PostgresConnection(server.url())
    return _CONNECTIONS[server.port]


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    for connection in _CONNECTIONS.values():
        connection.close()
    _CONNECTIONS.clear()


def test_an_index_is_used_and_reading_has_an_end(database: Url) -> None:
    author = RawAuthor(1)
    for n in range(1000):
        author.insert(1000 + n, n, n=n, m=n % 3)

    async def run() -> None:
        store = await PostgresStore.open(database("a"))
        await store.ingest([Submission(author.take())], JUNE)
        await store.create_index(Index("things", "by_n", "n"))
        wanted = filter_of(parse("SELECT * FROM things WHERE n = 7")[4], {})
        async with store.snapshot() as snapshot:
            assert [row.number for row in await snapshot.documents("things", None, 9, wanted)] == [8]
        store._db.execute("ANALYZE documents")
        query, parameters = write(wanted, POSTGRES, {"n"})
        plan = store._db.execute(
            "EXPLAIN SELECT id FROM documents WHERE app = 'default' AND shard = 0 AND collection = 'things'"
            f" AND value IS NOT NULL AND {query} ORDER BY id LIMIT 200",
            parameters,
        ).fetchall()
        assert "using facet_" in str(plan).lower(), plan
        await store.drop_index("things", "by_n")
        with pytest.raises(HedgerowError, match="QUERY_TIMEOUT"):
            async with store.snapshot(0.001) as snapshot:
                await snapshot._read("SELECT ?::text, ?::bigint, pg_sleep(1)")
        await store.close()

    asyncio.run(run())


def test_readers_that_are_kept_are_few_and_cost_nobody_when_they_are_lost(database: Url) -> None:
    url = database("a")
    lose = (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE application_name = 'hedgerow' AND datname = current_database()"
    )

    async def run() -> None:
        store = await PostgresStore.open(url)
        async with contextlib.AsyncExitStack() as views:
            for _ in range(KEPT_READERS + 2):
                await views.enter_async_context(store.snapshot())
        assert len(store._readers) == KEPT_READERS
        with psycopg.connect(url, autocommit=True) as connection:
            assert set(connection.execute(lose.encode()).fetchall()) == {(True,)}
            # The next view costs nobody a refusal.
            with pytest.raises(HedgerowError, match="STORE_FAILED"):
                async with store.snapshot() as snapshot:
                    assert store._readers == []
                    assert connection.execute(lose.encode()).fetchall() == [(True,)]
                    await snapshot.document("things", b"")
        # Nor is one kept that was lost within a view.
        assert store._readers == []
        assert await store.frontiers() == []
        await store.close()

    asyncio.run(run())


def test_two_nodes_serve_one_app(database: Url, tmp_path: Path) -> None:
    """A transaction id of one node is waited for on the other; what one writes the other tells live."""
    url = database("a")
    key = rights_key(tmp_path)
    with (
        local(tmp_path / "one", store=url, rights_key=key) as one,
        local(tmp_path / "two", store=url, rights_key=key) as two,
    ):
        for n in range(20):
            writer, reader = (one, two) if n % 2 else (two, one)
            done = writer.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n, "n": n}})
            assert done.status_code == 200, done.text
            seen = reader.execute(
                "SELECT n FROM c WHERE _id = :i",
                {"i": n},
                **{"X-DITTO-TXN-ID": done.headers["X-DITTO-TXN-ID"]},
            )
            assert seen.json()["items"] == [{"n": n}]
        never = one.execute("SELECT * FROM c", None, **{"X-DITTO-TXN-ID": str(10**15)})
        assert never.status_code == 404
        names = {row.name for row in one.peer.service.frontiers.values()}
        assert len(one.peer.service.frontiers) == 2, names


def test_a_write_whose_answer_was_lost_is_neither_lost_nor_doubled(
    database: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit happened, and the node was told that it did not: it goes on behind it."""
    with local(tmp_path / "one", store=database("a")) as served:
        served.execute("INSERT INTO c DOCUMENTS ({'_id': 1})")
        store = served.peer.service.store
        take = store._ingest

        def lossy(*args: Any) -> Any:
            take(*args)
            raise psycopg.OperationalError("the connection is gone")

        monkeypatch.setattr(store, "_ingest", lossy)
        refused = served.execute("INSERT INTO c DOCUMENTS ({'_id': 2})")
        assert refused.json()["error"]["code"] == "STORE_FAILED"
        monkeypatch.setattr(store, "_ingest", take)
        for n in range(3, 40):
            assert served.execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n}}).status_code == 200
        assert len(served.items("SELECT * FROM c")) == 39
        author = store.identity.author
        frontier = served.peer.service.frontier(author)
        assert frontier.held == 40 and frontier.sealed >= 32


def test_a_newer_database_is_refused(database: Url) -> None:
    async def run() -> None:
        store = await PostgresStore.open(database("a"))
        await store.close()
        with psycopg.connect(database("a")) as connection:
            connection.execute("INSERT INTO hedgerow_version VALUES (99)")
        with pytest.raises(HedgerowError, match="STORE_VERSION"):
            await PostgresStore.open(database("a"))

    asyncio.run(run())


def test_many_operations_of_one_document_in_one_transaction(database: Url) -> None:
    """What is read ahead is kept up to date, and forgotten when a submission is undone."""

    async def run() -> None:
        store = await PostgresStore.open(database("a"))
        one, two = RawAuthor(1), RawAuthor(2)
        one.insert(1000, "x", n=0)
        assert (await store.ingest([Submission(one.take())], JUNE)).errors == [None]
        submissions = []
        for n in range(1, 6):
            one.update(1000 + n, "x", n=n)
            submissions.append(Submission(one.take()))
        two.update(5000, "x", n=99)
        bad = [*two.take(), Operation(b"z" * 8, 1, b"\x00garbage")]
        submissions.insert(3, Submission(bad))
        done = await store.ingest(submissions, JUNE)
        assert [error and error.code for error in done.errors] == [
            None,
            None,
            None,
            "CBOR_TRAILING",
            None,
            None,
        ]
        rows = await store.outbox((0, 0), 100)
        assert [cbor.decode(row.after or b"") for row in rows] == [{"n": n} for n in range(6)]
        assert [row.before for row in rows[1:]] == [row.after for row in rows[:-1]]
        await store.close()

    asyncio.run(run())


def test_readings_with_ids_of_their_own_are_found_by_an_index(database: Url) -> None:
    async def run() -> None:
        store = await PostgresStore.open(database("a"))
        await store.close()

    asyncio.run(run())
    with contextlib.closing(PostgresConnection(database("a"))) as db:
        db.execute("SET enable_seqscan = off")
        query = NAMED_QUERY.format(*map(db.constant, DOTS))
        rows = db.execute(f"EXPLAIN {query}", ("default", 0, "c", b"author..", 1, 9)).fetchall()
    assert any("documents_named" in row[0] for row in rows), rows
