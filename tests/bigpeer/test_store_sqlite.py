"""The SQLite store: the contract, and what is its own."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from store_contract import CHECKS, OpenStore

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.store.port import Store
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
