"""The sinks: a file, a webhook on this machine, librdkafka's mock cluster; the contract, and their own."""

import asyncio
import http.server
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sink_contract import CHECKS, Receiver, event, taken, time_event

from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.auth.outbound import Outbound
from hedgerow_bigpeer.cdc.config import read_config
from hedgerow_bigpeer.cdc.file import FileSink
from hedgerow_bigpeer.cdc.kafka import KafkaSink
from hedgerow_bigpeer.cdc.sink import BEHIND, Later, Sink
from hedgerow_bigpeer.cdc.sinks import open_sink
from hedgerow_bigpeer.cdc.webhook import WebhookSink, signs

SECRET = "a secret of the webhook"


class FileReceiver:
    """A file; while it is away a folder is in its place."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.jsonl"

    def open(self) -> Sink:
        return FileSink(self.path, structured_mode=True)

    def away(self, gone: bool) -> None:
        if gone:
            self.path.mkdir()
        else:
            self.path.rmdir()

    def refuse(self, text: str) -> None:
        """A file takes anything."""

    async def got(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.path.read_text().splitlines()]


class WebhookReceiver:
    """An HTTP server; while it is away it answers 503."""

    def __init__(self) -> None:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.bodies.append(body)
                status = receiver.status
                if status == 200 and receiver.poison and receiver.poison.encode() in body:
                    status = 422
                if status == 200:
                    receiver.ids += [entry["id"] for entry in json.loads(body)]
                self.send_response(status)
                for name, value in receiver.answer.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.status, self.poison = 200, ""
        self.answer: dict[str, str] = {}
        self.ids: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def open(self) -> Sink:
        settings = {"url": self.url, "secret": SECRET, "private": True, "batch": 7}
        return WebhookSink(settings, Outbound(), structured_mode=True)

    def away(self, gone: bool) -> None:
        self.status = 503 if gone else 200

    def refuse(self, text: str) -> None:
        self.poison = text

    async def got(self) -> list[str]:
        return self.ids

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class KafkaReceiver:
    """librdkafka's mock cluster, and a consumer of its topic."""

    def __init__(self) -> None:
        from confluent_kafka import Producer

        self._cluster = Producer(
            {"bootstrap.servers": "nowhere:1", "test.mock.num.brokers": 1, "log_level": 0}
        )
        brokers = self._cluster.list_topics(timeout=10).brokers
        self.servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())
        self.topic = "events"
        self.settings: dict[str, Any] = {"message.max.bytes": 2000, "log_level": 0}

    def open(self) -> Sink:
        return KafkaSink(
            {"servers": self.servers, "topic": self.topic, "options": self.settings}, binary_mode=True
        )

    def away(self, gone: bool) -> None:
        pass

    def refuse(self, text: str) -> None:
        pass

    def records(self, count: int) -> list[Any]:
        """Return what came, from all partitions, each in its order."""
        from confluent_kafka import Consumer, TopicPartition

        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "test", "log_level": 0})
        partitions = consumer.list_topics(self.topic, timeout=10).topics[self.topic].partitions
        consumer.assign([TopicPartition(self.topic, number, 0) for number in partitions])
        found: list[Any] = []
        deadline = time.monotonic() + 20
        while len(found) < count and time.monotonic() < deadline:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append(message)
        consumer.close()
        return found


@pytest.fixture
def webhook() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_file(check: Callable[[Receiver], Awaitable[None]], tmp_path: Path) -> None:
    asyncio.run(_await(check(FileReceiver(tmp_path))))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_webhook(check: Callable[[Receiver], Awaitable[None]], webhook: WebhookReceiver) -> None:
    asyncio.run(_await(check(webhook)))


async def _await(work: Awaitable[None]) -> None:
    await work


def test_half_a_line_of_a_crash_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"whole": 1}\n{"ha')
    asyncio.run(_await(_deliver(FileSink(path, structured_mode=False), 1)))
    assert path.read_text().splitlines() == ['{"whole": 1}', '{"ha', '{"n": 0, "t": "text"}']


async def _deliver(sink: Sink, count: int) -> None:
    assert await taken(sink, [event(n) for n in range(count)]) == [""] * count
    await sink.close()


def test_webhooks_are_signed_and_in_batches(webhook: WebhookReceiver) -> None:
    asyncio.run(_await(_deliver(webhook.open(), 16)))
    assert [len(json.loads(body)) for body in webhook.bodies] == [7, 7, 2]
    for headers, body in zip(webhook.headers, webhook.bodies, strict=True):
        assert headers["content-type"] == "application/cloudevents-batch+json"
        assert headers["webhook-id"] == json.loads(body)[0]["id"]
        assert signs(SECRET, headers, body)
        assert not signs("another secret of it", headers, body)
        assert not signs(SECRET, headers, body + b" ")
    first = json.loads(webhook.bodies[0])[0]
    assert (first["specversion"], first["data"]) == ("1.0", {"n": 0, "t": "text"})


@pytest.mark.parametrize(("status", "seconds"), [(429, 7.0), (503, 7.0), (302, 7.0)])
def test_a_webhook_says_when_to_come_again(webhook: WebhookReceiver, status: int, seconds: float) -> None:
    webhook.status, webhook.answer = status, {"retry-after": "7"}

    async def deliver() -> None:
        sink = webhook.open()
        with pytest.raises(Later) as told:
            await sink.deliver([event(1)])
        assert (told.value.seconds, told.value.taken) == (seconds, 0)
        await sink.close()

    asyncio.run(deliver())


def test_what_a_webhook_took_before_it_went_away_counts(webhook: WebhookReceiver) -> None:
    posted: list[int] = []

    async def deliver() -> None:
        sink = webhook.open()
        assert isinstance(sink, WebhookSink)
        ask = sink._ask

        async def once(events: Any) -> Any:
            posted.append(len(events))
            webhook.status = 200 if len(posted) == 1 else 503
            return await ask(events)

        sink._ask = once  # type: ignore[method-assign]
        assert await taken(sink, [event(n) for n in range(10)]) == ("later", 7)
        await sink.close()

    asyncio.run(deliver())


def test_a_webhook_reaches_no_neighbours(webhook: WebhookReceiver) -> None:
    async def deliver() -> None:
        settings = {"url": webhook.url.replace("http:", "https:"), "secret": SECRET}
        sink = WebhookSink(settings, Outbound(), structured_mode=False)
        with pytest.raises(Later, match="not public"):
            await sink.deliver([event(1)])
        await sink.close()

    asyncio.run(deliver())
    assert webhook.bodies == []


def test_kafka_has_events_with_keys_and_headers_in_order() -> None:
    receiver = KafkaReceiver()
    asyncio.run(_await(_deliver_keys(receiver.open())))
    records = receiver.records(60)
    by_key: dict[bytes, list[int]] = {}
    partitions: dict[bytes, set[int]] = {}
    for record in records:
        by_key.setdefault(record.key(), []).append(json.loads(record.value())["n"])
        partitions.setdefault(record.key(), set()).add(record.partition())
        headers = dict(record.headers())
        assert headers["content-type"] == b"application/json" and headers["ce_specversion"] == b"1.0"
        assert headers["ce_id"] == b"e:%d" % json.loads(record.value())["n"]
    assert by_key == {b"k%d" % k: list(range(k, 60, 5)) for k in range(5)}
    assert all(len(found) == 1 for found in partitions.values())


async def _deliver_keys(sink: Sink) -> None:
    assert await taken(sink, [event(n, f"k{n % 5}") for n in range(60)]) == [""] * 60
    await sink.close()


def test_kafka_has_corrections_of_time() -> None:
    receiver, said = KafkaReceiver(), time_event("cloudevents")

    async def deliver() -> None:
        sink = receiver.open()
        assert await taken(sink, [said]) == [""]
        await sink.close()

    asyncio.run(deliver())
    (record,) = receiver.records(1)
    assert (record.key(), record.value()) == (b"a||" + (b"a" * 8).hex().encode(), said.value.encode())
    headers = dict(record.headers())
    assert headers["ce_type"] == b"hedgerow.time.corrected.v1" and headers["ce_id"] == said.id.encode()


def test_what_is_too_large_for_kafka_holds_up_its_own_key_alone() -> None:
    receiver = KafkaReceiver()

    async def deliver() -> None:
        sink = receiver.open()
        events = [event(1, "a"), event(2, "b", "x" * 5000), event(3, "b"), event(4, "a")]
        outcomes = await taken(sink, events)
        assert (outcomes[0], outcomes[2], outcomes[3]) == ("", BEHIND, "")
        assert "MSG_SIZE_TOO_LARGE" in outcomes[1]
        await sink.close()

    asyncio.run(deliver())
    assert [json.loads(record.value())["n"] for record in receiver.records(2)] == [1, 4]


def test_kafka_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hedgerow_bigpeer.limits.BRIDGE_DELIVER_SECONDS", 0.3)

    async def deliver() -> None:
        sink = KafkaSink(
            {"servers": "127.0.0.1:1", "topic": "t", "options": {"log_level": 0}}, binary_mode=False
        )
        assert await taken(sink, [event(1), event(2)]) == ("later", 0)
        await sink.close()

    asyncio.run(deliver())


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"sink": {"type": "ftp"}},
        {"sink": {"type": "file", "path": "../x"}},
        {"sink": {"type": "file", "path": "a/b"}},
        {"sink": {"type": "file", "path": "x"}, "format": "xml"},
        {"sink": {"type": "file", "path": "x"}, "more": 1},
        {"sink": {"type": "file", "path": "x", "mode": 1}},
        {"sink": {"type": "file", "path": "x"}, "sources": [{"collection": "c", "query": "n >"}]},
        {"sink": {"type": "file", "path": "x"}, "sources": [{"query": "n > 1"}]},
        {"sink": {"type": "webhook", "url": "https://x.example/"}},
        {"sink": {"type": "webhook", "url": "http://x.example/", "secret": SECRET}},
        {"sink": {"type": "webhook", "url": "https://x.example/", "secret": SECRET, "batch": 0}},
        {"sink": {"type": "kafka", "servers": "x:1"}},
        {"sink": {"type": "kafka", "servers": "x:1", "topic": "t", "options": {"ssl.key.location": "/x"}}},
        {"sink": {"type": "kafka", "servers": "x:1", "topic": "t", "options": {"acks": 0}}},
        {"sink": {"type": "kafka", "servers": "x:1", "topic": "t", "options": {"plugin.library.paths": "x"}}},
        {"sink": {"type": "kafka", "servers": "x:1\0", "topic": "t"}},
        {"sink": {"type": "kafka", "servers": "x:1", "topic": "a b"}},
        {"sink": {"type": "kafka", "servers": "x:1", "topic": ".."}},
        {"sink": {"type": "kafka", "servers": "x:1", "topic": "t" * 250}},
        {"sink": {"type": "kafka", "servers": "x:1", "topic": "t", "options": {"client.id": "a\0"}}},
        {"sink": {"type": "mqtt", "url": "mqtt://x", "username": "a\0"}},
        {"sink": {"type": "file", "path": "x"}, "sources": [{"collection": "a\0b"}]},
        {"sink": {"type": "postgresql", "url": "postgresql://u@h/d"}},
        {"sink": {"type": "postgresql", "url": "postgresql://u@h/d", "table": "a;b"}},
        {"sink": {"type": "postgresql", "url": "postgresql://u@h/d", "table": "a.b.c"}},
        {"sink": {"type": "postgresql", "url": "postgresql://u:p@h/d", "table": "a"}},
        {"sink": {"type": "postgresql", "url": "postgresql://u@h/d?sslkey=/x", "table": "a"}},
        {"sink": {"type": "postgresql", "url": "postgresql://u@h/d?service=x", "table": "a"}},
        {"sink": {"type": "postgresql", "url": "postgresql://u@h/d", "table": "a", "mode": "x"}},
        {"sink": {"type": "mqtt"}},
        {"sink": {"type": "mqtt", "url": "http://x"}},
        {"sink": {"type": "mqtt", "url": "mqtt://user:pass@x"}},
        {"sink": {"type": "mqtt", "url": "mqtt://x", "topic": "a/#"}},
        {"sink": {"type": "mqtt", "url": "mqtt://x", "topic": "/a"}},
        {"sink": {"type": "mqtt", "url": "mqtt://x", "home_assistant": True}},
        {"sink": {"type": "mqtt", "url": "mqtt://x", "home_assistant": {"prefix": "+"}}},
        {"sink": {"type": "mqtt", "url": "mqtt://x", "password": 1}},
        {"sink": {"type": "mqtt", "url": "mqtt://x", "more": 1}},
    ],
)
def test_what_is_no_bridge(body: Any, tmp_path: Path) -> None:
    with pytest.raises(HedgerowError, match="BRIDGE_INVALID"):
        read_config("b", body)


def test_an_mqtt_bridge_needs_no_more_than_a_broker(tmp_path: Path) -> None:
    sink = {"type": "mqtt", "url": "mqtts://[::1]:8883", "home_assistant": {}}
    assert open_sink(read_config("b", {"sink": sink}), tmp_path)


def test_settings_that_librdkafka_does_not_take(tmp_path: Path) -> None:
    sink = {"type": "kafka", "servers": "x:1", "topic": "t", "options": {"no.such.setting": 1}}
    with pytest.raises(HedgerowError, match="BRIDGE_INVALID"):
        open_sink(read_config("b", {"sink": sink}), tmp_path)
