"""Events per second from the outbox to librdkafka's mock cluster, each acknowledged."""

import asyncio
import time
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.cdc.config import BridgeConfig
from hedgerow_bigpeer.cdc.events import Event, Events

from .bigpeer_kit import entries, fill, sqlite
from .figure import NO_FIGURES, Figure, figure, skip

EVENTS = 20_000
GOAL = 20_000


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


FIGURES = [mock_cluster]
