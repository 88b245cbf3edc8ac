"""What the Big Peer's store takes in, on SQLite and on PostgreSQL, and how fast a condition finds documents.

Operations come in batches, each a transaction that is durable on return. PostgreSQL is one of our own with
its defaults, on the same disk.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError
from hedgerow.query.evaluate import Select
from hedgerow_bigpeer.auth.rights import WHOLE
from hedgerow_bigpeer.prefilter import filter_of
from hedgerow_bigpeer.query import covers
from hedgerow_bigpeer.store.filter import TRUE, Filter
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.rows import Entry, Index
from hedgerow_bigpeer.view import seen
from hedgerow_host.dql import parse

from .bigpeer_kit import entries, fill, postgres, sqlite
from .figure import Figure, figure, skip

OPERATIONS = 5000
DOCUMENTS = 20_000
ROUNDS = 5
WHERE = "SELECT * FROM readings WHERE n >= 777 AND n < 787"


def ingest() -> list[Figure]:
    """Operations per second, the merged documents and the outbox included."""
    found = entries(OPERATIONS)

    async def on_sqlite() -> float:
        async with sqlite() as store:
            return await _rate(lambda: fill(store, found))

    beside = {}
    try:
        beside["postgresql"] = _on_postgres(found)
    except HedgerowError as error:
        skip("bigpeer.store.ingest on PostgreSQL", error)
    return [figure("bigpeer.store.ingest", asyncio.run(on_sqlite()), "1/s", beside=beside)]


def _on_postgres(found: list[Entry]) -> float:
    with postgres() as server:
        from hedgerow_bigpeer.store.postgres import PostgresStore

        async def run(url: str) -> float:
            store = await PostgresStore.open(url)
            try:
                return await _rate(lambda: fill(store, found))
            finally:
                await store.close()

        return asyncio.run(run(server.url()))


async def _rate(work: Callable[[], Awaitable[None]]) -> float:
    begin = time.perf_counter()
    await work()
    return OPERATIONS / (time.perf_counter() - begin)


def condition() -> list[Figure]:
    """Milliseconds for ten of 20,000 documents: by an index, beside SQL without one and without SQL."""

    async def run() -> list[Figure]:
        async with sqlite() as store:
            await fill(store, entries(DOCUMENTS))
            wanted = filter_of(parse(WHERE)[4], {})
            scanned = await _asked(store, TRUE, 1)
            filtered = await _asked(store, wanted, ROUNDS)
            await store.create_index(Index("readings", "by_n", "n"))
            indexed = await _asked(store, wanted, ROUNDS)
            beside = {"sql_without_index": filtered, "every_document": scanned}
            return [figure("bigpeer.store.condition", indexed, "ms", beside=beside)]

    return asyncio.run(run())


async def _asked(store: Store, wanted: Filter, rounds: int) -> float:
    """Return the least time of some rounds."""
    least = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        query = Select(parse(WHERE))
        async with store.snapshot() as snapshot:
            after: bytes | None = None
            while True:
                rows = await snapshot.documents("readings", after, 200, wanted)
                for row in rows:
                    if covers(WHOLE, row):
                        query.add(seen(cbor.decode(row.id), cbor.decode(row.value or b"\xa0"), None))
                if len(rows) < 200:
                    break
                after = rows[-1].id
        assert len(query.rows()) == 10
        least = min(least, time.perf_counter() - begin)
    return least * 1000


FIGURES = [ingest, condition]
