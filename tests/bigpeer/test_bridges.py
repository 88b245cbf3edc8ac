"""Bridges: what leaves, in which words, how often and in which order, whatever the sink does."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local, eventually, local

from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.cdc import runner, table
from hedgerow_bigpeer.cdc.events import Event
from hedgerow_bigpeer.cdc.sink import Later
from hedgerow_bigpeer.cdc.table import Bridge

V1 = "/api/hedgerow/v1/bridges"
TO_FILE = {"sink": {"type": "file", "path": "out.jsonl"}}


class FakeSink:
    """Takes events but for those that `refuse` or `away` name; shared by all bridges of a test."""

    def __init__(self) -> None:
        self.got: list[Event] = []
        self.refused: set[str] = set()
        self.away = False
        self.takes: int | None = None

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        if self.away:
            raise Later("it is away", 0.02)
        outcomes: list[str] = []
        for number, event in enumerate(events):
            if self.takes is not None and number >= self.takes:
                raise Later("it takes no more", 0.01, taken=number)
            change = json.loads(event.value).get("change", {})
            if change.get("newValue", {}).get("t") in self.refused:
                outcomes.append("not this one")
            else:
                self.got.append(event)
                outcomes.append("")
        return outcomes

    async def close(self) -> None:
        pass

    def seen(self) -> list[Any]:
        """Return what came: (collection, new value or None)."""
        found = []
        for event in self.got:
            change = json.loads(event.value)["change"]
            found.append(change.get("newValue"))
        return found


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> FakeSink:
    fake = FakeSink()
    monkeypatch.setattr(runner, "open_sink", lambda config, folder: fake)
    monkeypatch.setattr(limits, "BRIDGE_LEASE_MS", 500)
    monkeypatch.setattr(limits, "BRIDGE_LOOK_SECONDS", 0.02)
    return fake


class Admin:
    """A Big Peer, asked as an administrator."""

    def __init__(self, served: Local) -> None:
        self.served = served
        made = manage.create_key(served.peer.registry, "test", "default", {"name": "a", "verbs": ["admin"]})
        self._headers = {"authorization": f"Bearer {made['key']}"}

    def call(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        options: dict[str, Any] = {} if body is None else {"json": body}
        answer = self.served.request(method, V1 + path, headers=self._headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def until(self, condition: Any) -> Any:
        """Let the application run until something is so."""

        def look() -> Any:
            self.served.run(asyncio.sleep(0.01))
            return condition()

        return eventually(look)

    def insert(self, collection: str, **fields: Any) -> int:
        done = self.served.execute(f"INSERT INTO {collection} DOCUMENTS (:d)", {"d": fields}).json()
        assert done["error"] == {}, done
        transaction: int = done["transactionId"]
        return transaction


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    with local(tmp_path) as served:
        yield Admin(served)


def lines(admin: Admin) -> list[Any]:
    path = admin.served.peer.service.config.bridges_path / "out.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_events_are_those_of_dittos_data_bridges(admin: Admin) -> None:
    """Typed from its documentation of change data capture."""
    admin.call("PUT", "/people", {**TO_FILE, "sources": [{"collection": "people"}]})
    inserted = admin.insert("people", _id="6213", name="Susan", age=31)
    admin.insert("cars", _id=1)
    updated = admin.served.execute("UPDATE people SET age = 32 WHERE _id = '6213'").json()["transactionId"]
    removed = admin.served.execute("DELETE FROM people WHERE _id = '6213'").json()["transactionId"]
    first = {"_id": "6213", "name": "Susan", "age": 31}
    second = {**first, "age": 32}
    assert admin.until(lambda: len(lines(admin)) == 3 and lines(admin)) == [
        {
            "txnId": inserted,
            "type": "documentChanged",
            "collection": "people",
            "change": {"method": "upsert", "oldValue": None, "newValue": first},
        },
        {
            "txnId": updated,
            "type": "documentChanged",
            "collection": "people",
            "change": {"method": "upsert", "oldValue": first, "newValue": second},
        },
        {
            "txnId": removed,
            "type": "documentChanged",
            "collection": "people",
            "change": {"method": "remove", "value": second},
        },
    ]
    shown = admin.until(lambda: _idle(admin, "people"))
    assert (shown["state"], shown["delivered"], shown["error"], shown["parked"]) == ("runs", 3, "", 0)


def _idle(admin: Admin, name: str) -> Any:
    shown = admin.call("GET", f"/{name}")
    return shown if shown["lag"] == 0 else None


def test_cloudevents_have_ids_that_stay_and_safe_numbers(admin: Admin) -> None:
    admin.call("PUT", "/all", {**TO_FILE, "format": "cloudevents"})
    admin.insert("c", _id="x", n=2**60, t=1.5)
    (event,) = admin.until(lambda: lines(admin))
    identity = admin.served.peer.service.store.identity
    assert event["specversion"] == "1.0" and event["type"] == "hedgerow.document.changed.v1"
    assert (event["source"], event["subject"]) == ("/apps/default/collections/c", '"x"')
    assert event["partitionkey"] == 'default|c|"x"' and event["time"].endswith("Z")
    data = event["data"]
    assert (data["op"], data["before"], data["after"]) == ("c", None, {"_id": "x", "n": str(2**60), "t": 1.5})
    assert data["source"]["author"] == identity.author.hex()
    assert event["id"] == f"{identity.epoch.hex()}:{data['source']['txn']}:{data['source']['seq']}"
    admin.call("POST", "/all/reset", {"from": "oldest"})
    again = admin.until(lambda: len(lines(admin)) == 2 and lines(admin))
    assert again[0] == again[1]


def test_sources_have_conditions(admin: Admin, sink: FakeSink) -> None:
    """What comes to hold the condition is new to the sink; what holds it no more is gone."""
    source = {"collection": "cars", "query": "color = 'blue'"}
    admin.call("PUT", "/blue", {**TO_FILE, "sources": [source]})
    admin.insert("cars", _id=1, color="red")
    admin.served.execute("UPDATE cars SET color = 'blue' WHERE _id = 1")
    admin.served.execute("UPDATE cars SET doors = 3 WHERE _id = 1")
    admin.served.execute("UPDATE cars SET color = 'red' WHERE _id = 1")
    admin.insert("cars", _id=2, color="blue")
    admin.until(lambda: len(sink.got) == 4)
    changes = [json.loads(event.value)["change"] for event in sink.got]
    blue = {"_id": 1, "color": "blue"}
    assert changes == [
        {"method": "upsert", "oldValue": None, "newValue": blue},
        {"method": "upsert", "oldValue": blue, "newValue": {**blue, "doors": 3}},
        {"method": "remove", "value": {**blue, "doors": 3}},
        {"method": "upsert", "oldValue": None, "newValue": {"_id": 2, "color": "blue"}},
    ]


def test_a_sink_that_is_away_gets_everything_later_and_in_order(admin: Admin, sink: FakeSink) -> None:
    sink.away = True
    admin.call("PUT", "/b", TO_FILE)
    for n in range(20):
        admin.insert("c", _id=n % 3 + 10 * n, n=n)
    admin.until(lambda: admin.call("GET", "/b")["error"] == "it is away")
    shown = admin.call("GET", "/b")
    assert (shown["delivered"], shown["lag"]) == (0, 20) and shown["age_ms"] >= 0
    assert 'hedgerow_bigpeer_bridge_lag{bridge="b"} 20\n' in admin.served.request("GET", "/metrics").text
    sink.away, sink.takes = False, 3
    admin.until(lambda: _idle(admin, "b"))
    assert [value["n"] for value in sink.seen()] == list(range(20))
    assert admin.call("GET", "/b")["delivered"] == 20


def test_a_slow_bridge_holds_up_no_other(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = FakeSink(), FakeSink()
    slow.away = True
    monkeypatch.setattr(runner, "open_sink", lambda config, folder: slow if config.name == "slow" else fast)
    monkeypatch.setattr(limits, "BRIDGE_LOOK_SECONDS", 0.02)
    for name in ("slow", "fast"):
        admin.call("PUT", f"/{name}", TO_FILE)
    for n in range(5):
        admin.insert("c", _id=n, n=n)
    admin.until(lambda: len(fast.got) == 5)
    assert slow.got == []


def test_a_refused_event_parks_its_document_alone(admin: Admin, sink: FakeSink) -> None:
    sink.refused = {"poison"}
    admin.call("PUT", "/b", TO_FILE)
    admin.insert("c", _id=1, t="poison")
    admin.served.execute("UPDATE c SET t = 'fine' WHERE _id = 1")
    admin.insert("c", _id=2, t="fine")
    admin.until(lambda: _idle(admin, "b"))
    # What came later for the document waits behind.
    admin.served.execute("UPDATE c SET n = 1 WHERE _id = 1")
    admin.until(lambda: admin.call("GET", "/b")["parked"] >= 3 and _idle(admin, "b"))
    parked = admin.call("GET", "/b/parked")["parked"]
    key = "default|c|1"
    assert {entry["key"] for entry in parked} == {key}
    assert parked[0]["reason"] == "not this one"
    assert "behind an event that is parked" in [entry["reason"] for entry in parked[1:]]
    assert [value["_id"] for value in sink.seen() if value["_id"] == 2] == [2]
    # Still refused: it stays, and so does what is behind.
    assert admin.call("POST", "/b/replay", {"key": key})["events"] == 3
    admin.until(lambda: not any(entry["replay"] for entry in admin.call("GET", "/b/parked")["parked"]))
    assert len(admin.call("GET", "/b/parked")["parked"]) == 3
    sink.refused = set()
    sink.got.clear()
    assert admin.call("POST", "/b/replay", {})["events"] == 3
    admin.until(lambda: admin.call("GET", "/b")["parked"] == 0)
    assert [(value["t"], value.get("n")) for value in sink.seen()] == [
        ("poison", None),
        ("fine", None),
        ("fine", 1),
    ]
    admin.insert("c", _id=3)
    admin.until(lambda: sink.seen()[-1] == {"_id": 3})


def test_any_document_can_be_parked(admin: Admin, sink: FakeSink) -> None:
    sink.refused = {"poison"}
    admin.call("PUT", "/b", TO_FILE)
    admin.insert("c", _id="a\0b", t="poison")
    admin.insert("c", _id="after")
    admin.until(lambda: sink.seen() == [{"_id": "after"}])
    (parked,) = admin.call("GET", "/b/parked")["parked"]
    assert json.loads(parked["event"])["change"]["newValue"]["_id"] == "a\0b"
    assert admin.call("POST", "/b/skip", {"key": parked["key"]}) == {"events": 1}


def test_parked_events_can_be_skipped(admin: Admin, sink: FakeSink) -> None:
    sink.refused = {"poison"}
    admin.call("PUT", "/b", TO_FILE)
    for n in (1, 2):
        admin.insert("c", _id=n, t="poison")
    admin.until(lambda: admin.call("GET", "/b")["parked"] == 2)
    assert admin.call("POST", "/b/skip", {"key": "default|c|1"}) == {"events": 1}
    assert [entry["key"] for entry in admin.call("GET", "/b/parked")["parked"]] == ["default|c|2"]
    admin.served.execute("UPDATE c SET t = 'fine' WHERE _id = 1")
    admin.until(lambda: sink.seen() == [{"_id": 1, "t": "fine"}])


def test_a_bridge_is_paused_set_anew_and_dropped(admin: Admin, sink: FakeSink) -> None:
    admin.insert("c", _id=0)
    admin.call("PUT", "/b", {**TO_FILE, "from": "now"})
    admin.insert("c", _id=1)
    admin.until(lambda: sink.seen() == [{"_id": 1}])
    assert admin.call("POST", "/b/pause", {})["state"] == "paused"
    admin.until(admin.served.peer.bridges._running["b"].done)
    admin.insert("c", _id=9)
    admin.served.run(asyncio.sleep(0.1))
    assert sink.seen() == [{"_id": 1}]
    admin.call("POST", "/b/resume", {})
    admin.insert("c", _id=2)
    admin.until(lambda: {"_id": 2} in sink.seen())
    admin.call("DELETE", "/b")
    assert admin.call("GET", "/b", status=404)["code"] == "BRIDGE_UNKNOWN"
    assert admin.call("GET", "")["bridges"] == []


def test_secrets_are_not_shown(admin: Admin, sink: FakeSink) -> None:
    hook = {"type": "webhook", "url": "https://x.example/", "secret": "a secret of the webhook"}
    admin.call("PUT", "/hook", {"sink": hook})
    options = {"sasl.password": "hush"}
    kafka = {"type": "kafka", "servers": "x:1", "topic": "t", "options": options}
    admin.call("PUT", "/kafka", {"sink": kafka})
    shown = json.dumps(admin.call("GET", ""))
    assert "a secret" not in shown and "hush" not in shown and "sasl.password" in shown


def test_only_administrators_have_bridges(admin: Admin) -> None:
    for method, path in (("GET", ""), ("PUT", "/b"), ("DELETE", "/b"), ("POST", "/b/replay")):
        answer = admin.served.request(method, V1 + path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "AUTH_FORBIDDEN")
    home = {"type": "mqtt", "url": "mqtt://h", "home_assistant": {"prefix": 5}}
    for sink in ({"type": "ftp"}, {"type": ["file"]}, home):
        assert admin.call("PUT", "/b", {"sink": sink}, 400)["code"] == "BRIDGE_INVALID"
    assert admin.call("PUT", "/B!", TO_FILE, 400)["code"] == "BRIDGE_INVALID"
    assert admin.call("POST", "/none/pause", {}, 404)["code"] == "BRIDGE_UNKNOWN"


def test_what_was_forgotten_is_said_to_be_read_again(
    admin: Admin, sink: FakeSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hedgerow_bigpeer.store.ingest.MOMENT_MS", 0)
    admin.call("PUT", "/b", {**TO_FILE, "sources": [{"collection": "c"}]})
    admin.insert("c", _id=0)
    admin.until(lambda: len(sink.got) == 1)
    sink.away = True
    for n in (1, 2):
        admin.insert("c", _id=n)
    last = admin.insert("d", _id=3)
    store, now = admin.served.peer.service.store, admin.served.peer.service.clock.utc()
    while admin.served.run(store.trim(now + 10_000, 100)):
        pass
    sink.away = False
    admin.until(lambda: len(sink.got) == 2)
    told = json.loads(sink.got[1].value)
    assert told["type"] == "requeryRequired" and told["txnId"] == last
    assert told["documents"] == [{"appId": "default", "collectionName": "c", "documentId": n} for n in (1, 2)]
    admin.insert("c", _id=4)
    admin.until(lambda: len(sink.got) == 3 and json.loads(sink.got[2].value)["txnId"] > last)


def test_a_bridge_goes_on_where_it_was_after_a_restart(tmp_path: Path, sink: FakeSink) -> None:
    with local(tmp_path) as served:
        admin = Admin(served)
        admin.call("PUT", "/b", TO_FILE)
        admin.insert("c", _id=1)
        admin.until(lambda: admin.call("GET", "/b")["delivered"] == 1)
        sink.away = True
        admin.insert("c", _id=2)
    sink.away = False
    with local(tmp_path) as served:
        admin = Admin(served)
        admin.until(lambda: len(sink.got) == 2)
        assert [value["_id"] for value in sink.seen()] == [1, 2]


def test_a_lease_has_one_holder(admin: Admin) -> None:
    """A node that lost its lease moves no cursor, and a live one is not taken from its holder."""
    store = admin.served.peer.service.store

    def run(function: Any, *args: Any) -> Any:
        return admin.served.run(store.transact(lambda db, key: function(db, key, "b", *args)))

    run(table.set_bridge, "{}", (0, 0))
    one: Bridge = run(table.take_lease, "one", 1000, 2000)
    assert run(table.take_lease, "two", 1500, 2500) is None
    assert run(table.take_lease, "one", 1500, 2500).fence == one.fence
    two: Bridge = run(table.take_lease, "two", 2501, 3500)
    assert two.fence == one.fence + 1
    assert not run(table.advance, one.fence, (5, 5), 1, [])
    assert run(table.advance, two.fence, (5, 5), 1, [])
    assert not run(table.unpark, one.fence, [(1, 1)])
    assert run(table.bridge).transaction == 5
    run(table.reset, (0, 0))
    assert not run(table.advance, two.fence, (6, 6), 1, [])


def test_whoever_runs_a_bridge_does_not_take_the_next_of_its_name_for_it(
    admin: Admin, sink: FakeSink
) -> None:
    admin.call("PUT", "/b", {**TO_FILE, "sources": [{"collection": "cars"}]})
    admin.until(lambda: admin.call("GET", "/b")["state"] == "runs")
    config = admin.call("GET", "/b")

    def replace(db: Any, key: Any) -> None:
        table.drop_bridge(db, key, "b")
        settings = {name: config[name] for name in ("format", "sink")}
        text = json.dumps({**settings, "sources": [{"collection": "people", "query": ""}]})
        table.set_bridge(db, key, "b", text, (0, 0))

    admin.served.run(admin.served.peer.service.store.transact(replace))
    admin.until(lambda: admin.call("GET", "/b")["state"] == "runs")
    admin.insert("people", _id=1)
    admin.until(lambda: sink.seen() == [{"_id": 1}])
