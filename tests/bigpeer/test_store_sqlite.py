"""The SQLite store: the contract, and what is its own."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import store_contract_down  # noqa: F401  (adds its checks)
from log_writer import JUNE
from raw_author import RawAuthor
from store_contract import CHECKS, OpenStore

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.store.port import Store, Submission
from hedgerow_bigpeer.store.sqlite import SqliteStore


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
    for table in ("touches", "ahead", "peers", "moments"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("ALTER TABLE operations DROP COLUMN xid")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()

    async def look() -> None:
        store = await SqliteStore.open(path)
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
