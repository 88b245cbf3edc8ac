"""Events per second from the outbox to Kafka, each acknowledged: a mock cluster, and a real broker.

And what the outbox costs: ingest with it, beside ingest that writes none.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.cdc.config import BridgeConfig
from hedgerow_bigpeer.cdc.events import Event, Events

from .bigpeer_kit import entries, fill, sqlite
from .figure import NO_FIGURES, Figure, figure, skip

EVENTS = 20_000
GOAL = 20_000
OUTBOX = 5000


def mock_cluster() -> list[Figure]:
    """From the rows of the outbox to acknowledgements, in batches as a bridge sends them."""
    try:
        from confluent_kafka import Producer

        from hedgerow_bigpeer.cdc.kafka import KafkaSink
    except ImportError as error:
        skip("bigpeer.cdc", HedgerowError("EXTRA_MISSING", str(error)))
        return NO_FIGURES
    cluster = Producer({"bootstrap.servers": "nowhere:1", "test.mock.num.brokers": 1, "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers
    servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())
    settings = {"servers": servers, "topic": "events", "options": {"log_level": 0}}
    whole, sink_alone = asyncio.run(_run(KafkaSink(settings, binary_mode=False)))
    return [figure("bigpeer.cdc.mock_cluster", whole, "1/s", GOAL, {"sink_alone": sink_alone})]


def broker() -> list[Figure]:
    """The same to an Apache Kafka of our own, which writes to the disk."""
    from .kafka_server import KafkaServer, kafka_is_here

    if not kafka_is_here():
        skip(
            "bigpeer.cdc.broker",
            HedgerowError("BENCH_TOOL_MISSING", "no Kafka: make test-services installs it"),
        )
        return NO_FIGURES
    from hedgerow_bigpeer.cdc.kafka import KafkaSink

    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder:
        server = KafkaServer(Path(folder))
        server.make()
        server.start()
        try:
            settings = {"servers": server.servers, "topic": "events", "options": {"log_level": 0}}
            whole, alone = asyncio.run(_run(KafkaSink(settings, binary_mode=False)))
        finally:
            server.stop(crash=True)
    return [figure("bigpeer.cdc.broker", whole, "1/s", beside={"sink_alone": alone})]


def outbox() -> list[Figure]:
    """Operations a second that SQLite takes, the outbox written; beside the same without it."""

    async def rate(writes: bool) -> float:
        async with sqlite() as store:
            if not writes:
                # A trigger that passes over each row costs less than a row.
                store._db.execute(  # type: ignore[attr-defined]  # noqa: SLF001
                    "CREATE TRIGGER none BEFORE INSERT ON outbox BEGIN SELECT raise(IGNORE); END"
                )
            begin = time.perf_counter()
            await fill(store, found)
            return len(found) / (time.perf_counter() - begin)

    found = entries(OUTBOX)
    best = dict.fromkeys((True, False), 0.0)
    for _ in range(3):
        for writes in best:
            best[writes] = max(best[writes], asyncio.run(rate(writes)))
    return [figure("bigpeer.cdc.ingest_with_outbox", best[True], "1/s", beside={"without": best[False]})]


async def _run(sink: Any) -> tuple[float, float]:
    made: list[Event] = []
    async with sqlite() as store:
        await fill(store, entries(EVENTS))
        config = BridgeConfig("bench", (), "ditto", {})
        events = Events(config, "default", store.identity.epoch)
        await sink.deliver([])
        begin = time.perf_counter()
        place = (0, 0)
        while rows := await store.outbox(place, limits.BRIDGE_ROWS):
            batch = [event for event in [events.make(row) for row in rows] if event is not None]
            assert not any(await sink.deliver(batch))
            place = (rows[-1].transaction, rows[-1].seq)
            made += batch
        whole = len(made) / (time.perf_counter() - begin)
    begin = time.perf_counter()
    for at in range(0, len(made), limits.BRIDGE_ROWS):
        assert not any(await sink.deliver(made[at : at + limits.BRIDGE_ROWS]))
    alone = len(made) / (time.perf_counter() - begin)
    await sink.close()
    assert len(made) == EVENTS
    return whole, alone


FIGURES = [mock_cluster, broker, outbox]
