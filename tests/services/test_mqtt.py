"""Bridges to a real MQTT broker (mosquitto): the contract of sinks, and sensors in Home Assistant."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import eventually, local
from mosquitto_server import Ears, MosquittoServer, mosquitto_program
from sink_contract import CHECKS, Receiver, event, taken
from test_bridges import Admin

from hedgerow_bigpeer import limits
from hedgerow_bigpeer.cdc.mqtt import MqttSink
from hedgerow_bigpeer.cdc.sink import BEHIND


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MosquittoServer]:
    if mosquitto_program() is None:
        pytest.fail("no mosquitto here: make test-services installs it")
    server = MosquittoServer(tmp_path_factory.mktemp("mosquitto"))
    server.start()
    yield server
    server.stop()


class MqttReceiver:
    """See sink_contract.Receiver; while it is away no broker runs."""

    def __init__(self, broker: MosquittoServer) -> None:
        self._broker = broker
        self._heard: list[Ears] = []
        self._listen()

    def _listen(self) -> None:
        self._heard.append(Ears(self._broker.port, "farm/#"))

    def open(self) -> MqttSink:
        return MqttSink({"url": self._broker.url, "topic": "farm"}, structured_mode=True)

    def away(self, gone: bool) -> None:
        if gone:
            self._heard[-1].close()
            self._broker.stop()
        else:
            self._broker.start()
            self._listen()

    def refuse(self, text: str) -> None:
        """MQTT takes any text."""

    async def got(self) -> list[str]:
        ids: list[str] = []
        # The last of what was acknowledged may still be on its way from the broker.
        while not ids or len(ids) != sum(len(ears.heard) for ears in self._heard):
            ids = [json.loads(payload)["id"] for ears in self._heard for _, payload, _ in ears.heard]
            await asyncio.sleep(0.5)
        return ids

    def close(self) -> None:
        self._heard[-1].close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_mqtt(check: Callable[[Receiver], Awaitable[None]], broker: MosquittoServer) -> None:
    receiver = MqttReceiver(broker)

    async def run() -> None:
        await check(receiver)

    asyncio.run(run())
    receiver.close()


def test_what_is_too_large_for_the_broker_holds_up_its_own_key_alone(broker: MosquittoServer) -> None:
    receiver = MqttReceiver(broker)

    async def deliver() -> None:
        sink = receiver.open()
        events = [event(1, "a"), event(2, "b", "x" * 5000), event(3, "b"), event(4, "a")]
        outcomes = await taken(sink, events)
        assert (outcomes[0], outcomes[2:]) == ("", [BEHIND, ""])
        assert "maximum packet size of 3000" in outcomes[1]
        await sink.close()
        assert await receiver.got() == ["e:1", "e:4"]

    asyncio.run(deliver())
    receiver.close()


def test_whoever_is_not_let_in_waits(tmp_path: Path) -> None:
    server = MosquittoServer(tmp_path, anonymous=False)

    async def deliver() -> None:
        sink = MqttSink({"url": server.url, "username": "a", "password": "b"}, structured_mode=False)
        assert await taken(sink, [event(1)]) == ("later", 0)
        await sink.close()

    server.start()
    try:
        asyncio.run(deliver())
    finally:
        server.stop()


def test_devices_are_sensors_in_home_assistant(
    broker: MosquittoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Topics and keys are those of its documentation of MQTT discovery."""
    monkeypatch.setattr(limits, "BRIDGE_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(limits, "BRIDGE_WAIT_SECONDS", 0.3)
    sink = {"type": "mqtt", "url": broker.url, "topic": "farm", "home_assistant": {"device": "board"}}
    with local(tmp_path / "data") as served:
        admin = Admin(served)
        admin.call("PUT", "/home", {"sink": sink, "sources": [{"collection": "readings"}]})
        for n in range(3):
            admin.insert("readings", board="green house", temperature_c=20.5 + n, n=n, note="x")
        admin.until(lambda: admin.call("GET", "/home")["delivered"] == 3)
        # A broker that was away, and knows what was retained.
        broker.stop()
        admin.insert("readings", board="green house", temperature_c=30.25, n=3)
        admin.until(lambda: admin.call("GET", "/home")["error"])
        broker.start()
        admin.until(lambda: admin.call("GET", "/home")["delivered"] == 4)
    # Home Assistant starts later than all of this.
    ears = Ears(broker.port, "#")
    state = "farm/readings/green_house/state"
    eventually(lambda: state in dict(_retained(ears)))
    retained = dict(_retained(ears))
    ears.close()
    config = "homeassistant/sensor/hedgerow_readings_green_house_temperature_c/config"
    assert sorted(retained) == sorted([state, config, config.replace("temperature_c", "n")])
    assert retained[config] == {
        "name": "temperature c",
        "unique_id": "hedgerow_readings_green_house_temperature_c",
        "state_topic": state,
        "value_template": '{{ value_json["temperature_c"] }}',
        "state_class": "measurement",
        "unit_of_measurement": "°C",
        "device_class": "temperature",
        "device": {
            "identifiers": ["hedgerow_green_house"],
            "name": "green house",
            "manufacturer": "Hedgerow",
        },
    }
    assert (retained[state]["temperature_c"], retained[state]["n"]) == (30.25, 3)


def _retained(ears: Ears) -> list[tuple[str, Any]]:
    assert all(is_retained for _, _, is_retained in ears.heard)
    return [(topic, json.loads(payload)) for topic, payload, _ in ears.heard]
