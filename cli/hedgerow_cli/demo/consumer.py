"""Kafka behind a bridge: what the boards record is printed as it arrives there, and compared at the end."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_cli.big_peer_http import execute, request
from hedgerow_cli.demo.options import DemoOptions
from hedgerow_cli.demo.scene import Scene
from hedgerow_cli.extras import extra

TOPIC = "readings"
_APP = "default"
_PARTITIONS = 4
_POLL_SECONDS = 0.2
_LAST_SECONDS = 30.0
_HTTP_SECONDS = 30.0


class Arrivals:
    """What has come, event by event in Ditto's form, and how it compares; `say` is told each new one."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._seen: set[tuple[int, str]] = set()
        self._newest: dict[str, int] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        names = ("in_kafka", "kafka_missing", "kafka_wrong", "kafka_repeats", "kafka_disorder")
        self.figures = dict.fromkeys(names, 0)

    @property
    def clean(self) -> bool:
        """Whether everything has come, as it is, and in order."""
        return not any(self.figures[f"kafka_{name}"] for name in ("missing", "wrong", "disorder"))

    @property
    def verdict(self) -> str:
        """The outcome as a sentence."""
        if self.clean:
            return f"Every document is in Kafka: {self.figures['in_kafka']}."
        return "Kafka does not have what the Big Peer has."

    def take(self, value: bytes) -> None:
        """Take one event; what came before does not count again."""
        event = json.loads(value, parse_float=Decimal)
        if event["type"] != "documentChanged" or event["change"]["method"] != "upsert":
            return
        document = event["change"]["newValue"]
        key = json.dumps(document["_id"])
        if (event["txnId"], key) in self._seen:
            self.figures["kafka_repeats"] += 1
            return
        self._seen.add((event["txnId"], key))
        self.figures["kafka_disorder"] += event["txnId"] < self._newest.get(key, 0)
        self._newest[key] = event["txnId"]
        self._documents[key] = document
        shown = " ".join(f"{name}={value}" for name, value in document.items() if name != "_id")
        self._say(f"Kafka: {shown}")

    def compare(self, items: list[dict[str, Any]], field: str) -> bool:
        """Compare with what the Big Peer has; say whether all of it is here."""
        missing = wrong = 0
        for item in items:
            document = self._documents.get(json.dumps(item["_id"]))
            if document is None:
                missing += 1
            else:
                wrong += any(document.get(name) != item.get(name) for name in ("board", "n", field))
        self.figures.update(in_kafka=len(self._documents), kafka_missing=missing, kafka_wrong=wrong)
        return not missing


class Consumer:
    """Reads a topic from its beginning, in a thread of its own."""

    def __init__(self, servers: str, say: Callable[[str], None]) -> None:
        """Make the topic. Raises `DEMO_PART_ENDED`."""
        from confluent_kafka import Consumer as Client
        from confluent_kafka import KafkaException, TopicPartition
        from confluent_kafka.admin import AdminClient
        from confluent_kafka.cimpl import NewTopic

        admin = AdminClient({"bootstrap.servers": servers})
        topic = NewTopic(TOPIC, num_partitions=_PARTITIONS, replication_factor=1)
        try:
            admin.create_topics([topic], operation_timeout=_HTTP_SECONDS)[TOPIC].result(_HTTP_SECONDS)
        except KafkaException as error:
            raise HedgerowError("DEMO_PART_ENDED", f"Kafka: {error}") from None
        self._client = Client({"bootstrap.servers": servers, "group.id": "demo", "enable.auto.commit": False})
        self._client.assign([TopicPartition(TOPIC, partition, 0) for partition in range(_PARTITIONS)])
        self.arrivals = Arrivals(say)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)
        self._thread.start()

    def audit(self, url: str, field: str) -> None:
        """Compare, as soon as what is on its way has come."""
        deadline = time.monotonic() + _LAST_SECONDS
        items = execute(url, "SELECT * FROM readings", {})["items"]
        while not self.arrivals.compare(items, field) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Read no more."""
        self._ended.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            message = self._client.poll(_POLL_SECONDS)
            value = None if message is None or message.error() else message.value()
            if value is not None:
                self.arrivals.take(value)


@contextlib.contextmanager
def consuming(options: DemoOptions, scene: Scene, say: Callable[[str], None]) -> Iterator[Consumer | None]:
    """Let changes go to Kafka, and read them there; None where there is no Kafka."""
    if not options.kafka:
        yield None
        return
    with extra("kafka"):
        consumer = Consumer(options.kafka, say)
    try:
        _bridge(options, scene)
        yield consumer
    finally:
        consumer.stop()


def _bridge(options: DemoOptions, scene: Scene) -> None:
    from hedgerow_bigpeer.auth import manage
    from hedgerow_bigpeer.auth.registry import Registry

    data = scene.directory / "bigpeer"
    registry = Registry(data, options.store, scene.directory / "rights.key")
    try:
        key = manage.create_key(registry, "demo", _APP, {"name": "demo", "verbs": ["admin"]})["key"]
    finally:
        registry.close()
    sink = {"type": "kafka", "servers": options.kafka, "topic": TOPIC}
    body = {"sources": [{"collection": "readings"}], "format": "ditto", "sink": sink}
    url = f"{scene.url}/api/hedgerow/v1/bridges/demo"
    request(url, _HTTP_SECONDS, json.dumps(body).encode(), key, "PUT")
