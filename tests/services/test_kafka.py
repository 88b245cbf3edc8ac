"""Bridges to a real Apache Kafka: the contract of sinks, and what a consumer has when the broker was away."""

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import eventually, local
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from sink_contract import CHECKS, Receiver, event, taken
from test_bridges import Admin

from bench.kafka_server import KafkaServer
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.cdc.kafka import KafkaSink
from hedgerow_bigpeer.cdc.sink import BEHIND

DOCUMENTS, WRITES = 12, 160


class Topic:
    """A topic of a test's own, and its consumer."""

    def __init__(self, kafka: KafkaServer, partitions: int, **settings: str) -> None:
        self.kafka = kafka
        self.name = f"t-{uuid.uuid4().hex[:12]}"
        self._partitions = partitions
        admin = AdminClient({"bootstrap.servers": kafka.servers})
        made = admin.create_topics([NewTopic(self.name, partitions, 1, config=settings)])
        made[self.name].result(30)

    def sink(self) -> dict[str, Any]:
        """Return the settings of a sink that delivers here."""
        return {"servers": self.kafka.servers, "topic": self.name, "options": {"log_level": 0}}

    def records(self) -> list[Any]:
        """Return everything in it: each partition in its order."""
        consumer = Consumer({"bootstrap.servers": self.kafka.servers, "group.id": "test", "log_level": 0})
        try:
            places = [TopicPartition(self.name, number, 0) for number in range(self._partitions)]
            ends = {place.partition: consumer.get_watermark_offsets(place, 30)[1] for place in places}
            consumer.assign(places)
            found: list[Any] = []

            def whole() -> bool:
                for message in consumer.consume(1000, 0.2):
                    assert message.error() is None, message.error()
                    found.append(message)
                return len(found) >= sum(ends.values())

            eventually(whole, 60)
            return found
        finally:
            consumer.close()


class KafkaReceiver:
    """See sink_contract.Receiver; while it is away no broker runs."""

    def __init__(self, kafka: KafkaServer) -> None:
        self._kafka = kafka
        # One partition: the contract looks at the order of all.
        self._topic = Topic(kafka, 1)

    def open(self) -> KafkaSink:
        return KafkaSink(self._topic.sink(), binary_mode=True)

    def away(self, gone: bool) -> None:
        if gone:
            self._kafka.stop()
        else:
            self._kafka.start()

    def refuse(self, text: str) -> None:
        """Kafka takes any text."""

    async def got(self) -> list[str]:
        return [dict(record.headers())["ce_id"].decode() for record in self._topic.records()]


async def _await(work: Awaitable[None]) -> None:
    await work


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_kafka(
    check: Callable[[Receiver], Awaitable[None]], kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BRIDGE_DELIVER_SECONDS", 3.0)
    asyncio.run(_await(check(KafkaReceiver(kafka))))


# All of them in one batch, or each in its own, several of which are on their way together.
@pytest.mark.parametrize("options", [{"linger.ms": 300}, {"linger.ms": 0, "batch.num.messages": 1}])
def test_a_record_that_the_broker_refuses_takes_none_of_its_batch_along(
    kafka: KafkaServer, options: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is the topic's, which a producer does not know: the broker refuses the whole batch, and must
    not take what is behind it for the same document.
    """
    topic = Topic(kafka, 1, **{"max.message.bytes": "3000"})
    settings = topic.sink()
    settings["options"] |= options

    poll = KafkaSink._poll

    def late(sink: KafkaSink, seconds: float) -> None:
        # What is on its way has time to arrive before it is known that one was refused.
        time.sleep(25 * seconds)
        poll(sink, seconds)

    monkeypatch.setattr(KafkaSink, "_poll", late)

    async def deliver() -> None:
        sink = KafkaSink(settings, binary_mode=True)
        # A producer's first batch goes alone.
        assert await taken(sink, [event(0, "a")]) == [""]
        events = [event(1, "a"), event(2, "b", "x" * 5000), event(3, "b"), event(4, "a"), event(5, "c")]
        outcomes = await taken(sink, events)
        assert (outcomes[0], outcomes[2:]) == ("", [BEHIND, "", ""])
        assert "MSG_SIZE_TOO_LARGE" in outcomes[1]
        assert await taken(sink, [event(6, "a")]) == [""]
        await sink.close()

    asyncio.run(deliver())
    assert [json.loads(record.value())["n"] for record in topic.records()] == [0, 1, 4, 5, 6]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(limits, "BRIDGE_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(limits, "BRIDGE_LEASE_MS", 2000)
    monkeypatch.setattr(limits, "BRIDGE_DELIVER_SECONDS", 2.0)
    monkeypatch.setattr(limits, "BRIDGE_WAIT_SECONDS", 0.5)
    yield


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("quick")
def test_each_change_arrives_and_per_document_in_order(kafka: KafkaServer, tmp_path: Path) -> None:
    """The broker is killed and started, and the Big Peer too, while documents change."""
    topic = Topic(kafka, 4)
    rng = random.Random(7)
    body = {"sink": {"type": "kafka", **topic.sink()}, "format": "cloudevents"}

    def write(admin: Admin, first: int, count: int) -> None:
        for n in range(first, first + count):
            name, what = rng.randrange(DOCUMENTS), rng.random()
            if what < 0.15:
                admin.served.execute("DELETE FROM c WHERE _id = :id", {"id": name})
            else:
                document = {"_id": name, "n": n}
                admin.served.execute("INSERT INTO c DOCUMENTS (:d) ON ID CONFLICT DO UPDATE", {"d": document})
            admin.served.run(asyncio.sleep(0))

    def delivered(admin: Admin) -> int:
        return int(admin.call("GET", "/b")["delivered"])

    quarter = WRITES // 4
    with local(tmp_path) as served:
        admin = Admin(served)
        admin.call("PUT", "/b", body)
        write(admin, 0, quarter)
        admin.until(lambda: delivered(admin) > quarter // 4)
        kafka.stop(crash=True)
        write(admin, quarter, quarter)
        admin.until(lambda: admin.call("GET", "/b")["error"])
        assert admin.call("GET", "/b")["lag"] > 0
        # It comes back while more is written.
        starting = threading.Thread(target=kafka.start)
        starting.start()
        write(admin, 2 * quarter, quarter)
        admin.until(lambda: not starting.is_alive())
        admin.until(lambda: delivered(admin) > quarter)
    with local(tmp_path) as served:
        admin = Admin(served)
        write(admin, 3 * quarter, quarter)
        eventually(lambda: served.run(asyncio.sleep(0.02)) or admin.call("GET", "/b")["lag"] == 0, 60)
        assert admin.call("GET", "/b")["parked"] == 0
        rows = served.run(served.peer.service.store.outbox((0, 0), 10 * WRITES))
        epoch = served.peer.service.store.identity.epoch.hex()
    made = [f"{epoch}:{row.transaction}:{row.seq}" for row in rows]
    by_key: dict[bytes, list[str]] = {}
    for record in topic.records():
        headers = dict(record.headers())
        by_key.setdefault(record.key(), []).append(headers["ce_id"].decode())
        data = json.loads(record.value())
        assert headers["ce_id"].decode() == f"{epoch}:{data['source']['txn']}:{data['source']['seq']}"
    # At least once: repeats are told by their id, and begin where something was not acknowledged.
    once = {key: list(dict.fromkeys(ids)) for key, ids in by_key.items()}
    assert sorted(name for ids in once.values() for name in ids) == sorted(made) and len(made) > WRITES // 2
    order = {name: at for at, name in enumerate(made)}
    for ids in once.values():
        assert [order[name] for name in ids] == sorted(order[name] for name in ids)
