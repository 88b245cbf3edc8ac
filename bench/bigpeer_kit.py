"""What the benchmarks of the Big Peer share: an author that has written much, and a store to take it."""

import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.store.port import Store
from hedgerow_bigpeer.store.rows import Entry, Operation, SchemaEntry, Submission
from hedgerow_bigpeer.store.sqlite import SqliteStore

from .postgres_server import PostgresServer, postgres_programs, running

#: 2026-06-01 in ms since 2000.
JUNE = 833_587_200_000
BATCH = 256


def entries(count: int, author: bytes = b"benchpee") -> list[Entry]:
    """Return an author's operations, each of which inserts one document of five fields."""
    rng = random.Random(1)
    found: list[Entry] = []
    for number in range(1, count + 1):
        fields: dict[str, Any] = {
            "board": f"board{number % 54:02}",
            "n": number,
            "temperature": Decimal(rng.randrange(150, 350), -1),
            "humidity": Decimal(rng.randrange(200, 900), -1),
            "state": rng.choice(("ok", "ok", "ok", "low battery")),
        }
        schema = schema_for("readings", KEEP, fields)
        if number == 1:
            found.append(SchemaEntry(schema.encoded))
        row = [operation.INSERT, schema.name, number, schema.pack(fields)]
        found.append(Operation(author, number, operation.encode_body(hlc.pack(JUNE - count + number), [row])))
    return found


async def fill(store: Store, found: list[Entry], at: int = JUNE) -> None:
    """Take entries, so many to a transaction."""
    for begin in range(0, len(found), BATCH):
        done = await store.ingest([Submission(found[begin : begin + BATCH])], at)
        assert list(done.errors) == [None], done.errors


@asynccontextmanager
async def sqlite() -> AsyncIterator[Store]:
    """Open a store on SQLite that waits for the disk at each commit."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder:
        store = await SqliteStore.open(Path(folder) / "store.db")
        try:
            yield store
        finally:
            await store.close()


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL with its defaults, on the disk. Raises BENCH_TOOL_MISSING."""
    programs = postgres_programs()
    if programs is None:
        raise HedgerowError("BENCH_TOOL_MISSING", "no PostgreSQL: make test-services installs it")
    settings = {"fsync": "on", "autovacuum": "on"}
    with running(programs, settings, "hedgerow-bench-") as server:
        yield server
