"""A reader that follows the stable transactions misses nothing, whoever writes at the same time."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from log_writer import JUNE
from raw_author import RawAuthor

from hedgerow.codec import cbor
from hedgerow_bigpeer.store.postgres import PostgresStore
from hedgerow_bigpeer.store.rows import OutboxRow, Submission

WRITERS, ROUNDS = 8, 40


async def write(url: str, node: int) -> None:
    """Be a node that takes in an author's operations, one transaction each."""
    store = await PostgresStore.open(url)
    author = RawAuthor(node + 1)
    for n in range(ROUNDS):
        author.insert(1000 + n, [node, n], n=n)
        if n % 4 == 3:
            author.insert(1000 + n, "shared", **{f"f{node}": n})
        done = await store.ingest([Submission(author.take())], JUNE)
        assert list(done.errors) == [None]
    await store.close()


async def read(url: str, ended: threading.Event) -> list[OutboxRow]:
    """Read the outbox while others write, up to its end."""
    store = await PostgresStore.open(url)
    found: list[OutboxRow] = []
    after = (0, 0)
    while True:
        last = ended.is_set()
        rows = await store.outbox(after, 7)
        found += rows
        if rows:
            after = (rows[-1].transaction, rows[-1].seq)
        elif last:
            await store.close()
            return found
        await asyncio.sleep(0.001)


def read_by_sequence(url: str, ended: threading.Event) -> int:
    """Follow `seq` as if it were handed out at commits; return how many rows were met."""
    met = after = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while True:
            last = ended.is_set()
            query = "SELECT seq FROM outbox WHERE seq > %s ORDER BY seq"
            rows = connection.execute(query, (after,)).fetchall()
            met += len(rows)
            if rows:
                after = rows[-1][0]
            elif last:
                return met


def test_eight_writers_at_once_and_a_reader_that_misses_nothing(database: Callable[[str], str]) -> None:
    """Each node writes for an author of its own, and all of them one document. Who follows the sequence alone
    passes over changes.
    """
    url = database("a")
    asyncio.run(read(url, _set()))
    ended = threading.Event()
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        reading = pool.submit(lambda: asyncio.run(read(url, ended)))
        naive = pool.submit(read_by_sequence, url, ended)
        for writing in [
            pool.submit(lambda node=node: asyncio.run(write(url, node))) for node in range(WRITERS)
        ]:
            writing.result()
        ended.set()
        found, met = reading.result(), naive.result()
    assert len(found) == len({row.seq for row in found}) == WRITERS * ROUNDS * 5 // 4
    before: dict[bytes, Any] = {}
    for row in found:
        # Each change follows on the one before it of its document: nothing is missed or out of order.
        assert row.before == before.get(row.id), cbor.decode(row.id)
        before[row.id] = row.after
    shared = before[cbor.encode("shared")]
    assert cbor.decode(shared or b"") == {f"f{node}": ROUNDS - 1 for node in range(WRITERS)}
    assert met < len(found), "the sequence missed nothing: the writers did not meet"


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
