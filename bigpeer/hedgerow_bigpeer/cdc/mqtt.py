"""The MQTT sink: events at QoS 1, each awaited; and, for Home Assistant, what devices measured last.

Events of a collection come on the topic `TOPIC/COLLECTION`, as the bridge's format writes them. With
`home_assistant` every numeric field of a document that names its device is a sensor: its discovery message
and the newest document are retained (home-assistant.io/integrations/mqtt, "MQTT discovery"). A session is
clean: what a lost connection has left open is sent again by the bridge.
"""

import asyncio
import json
import re
import ssl
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, ConnectFlags, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from .. import limits
from .events import Event, structured
from .sink import BEHIND, Later

PORT, TLS_PORT = 1883, 8883
_FAILURE = 0x80
#: What a broker may say of a message that it could take at another time.
_PASSING = ("Quota exceeded", "Server busy", "Unspecified error")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]+")
#: The end of a field's name -> its unit and Home Assistant's class of device.
_KINDS = {
    "temperature": ("°C", "temperature"),
    "temperature_c": ("°C", "temperature"),
    "temperature_f": ("°F", "temperature"),
    "humidity": ("%", "humidity"),
    "pressure": ("hPa", "pressure"),
    "battery": ("%", "battery"),
    "voltage": ("V", "voltage"),
    "voltage_mv": ("mV", "voltage"),
    "co2": ("ppm", "carbon_dioxide"),
    "illuminance": ("lx", "illuminance"),
}


class MqttSink:
    """See `Sink`."""

    def __init__(self, sink: dict[str, Any], *, structured_mode: bool) -> None:
        self._sink = sink
        self._topic: str = sink.get("topic", "hedgerow")
        self._structured = structured_mode
        home = sink.get("home_assistant")
        self._home: dict[str, str] | None = None if home is None else {**HOME_DEFAULTS, **home}
        self._announced: set[tuple[str, str, str]] = set()
        self._connection: _Connection | None = None

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        """See `Sink`."""
        return await asyncio.to_thread(self._deliver, events)

    def _deliver(self, events: Sequence[Event]) -> list[str]:
        if self._connection is None or not self._connection.is_up:
            self._close()
            # A broker that began anew may have forgotten what it retained.
            self._announced.clear()
            self._connection = _Connection(self._sink)
        connection = self._connection
        outcomes: list[str] = []
        refused: set[str] = set()
        try:
            sent: list[list[int | str]] = []
            for event in events:
                messages: list[int | str] = (
                    [BEHIND] if event.key in refused else self._send(connection, event)
                )
                if any(isinstance(message, str) for message in messages):
                    refused.add(event.key)
                sent.append(messages)
            for messages in sent:
                reasons = [reason for message in messages if (reason := connection.outcome(message))]
                outcomes.append(reasons[0] if reasons else "")
        except Later as later:
            self._close()
            taken = next((at for at, outcome in enumerate(outcomes) if outcome), len(outcomes))
            raise Later(later.reason, taken=taken) from None
        return outcomes

    def _send(self, connection: "_Connection", event: Event) -> list[int | str]:
        collection = _collection(event)
        text = structured(event) if self._structured else event.value
        messages = [connection.publish(f"{self._topic}/{_word(collection)}", text, retain=False)]
        if self._home is not None:
            document = _document(event)
            device = document.get(self._home["device"]) if document else None
            if isinstance(device, str) and device:
                assert document is not None
                messages += self._show(connection, collection, device, document)
        return messages

    def _show(
        self, connection: "_Connection", collection: str, device: str, document: dict[str, Any]
    ) -> list[int | str]:
        """Publish a device's state, and before it what Home Assistant must know of fields that are new."""
        assert self._home is not None
        topic = f"{self._topic}/{_word(collection)}/{_word(device)}/state"
        messages = []
        for field, value in document.items():
            key = (collection, device, field)
            if field.startswith("_") or type(value) not in (int, float) or key in self._announced:
                continue
            config = discovery(topic, collection, device, field)
            where = f"{self._home['prefix']}/sensor/{config['unique_id']}/config"
            messages.append(connection.publish(where, json.dumps(config, ensure_ascii=False), retain=True))
            self._announced.add(key)
        messages.append(connection.publish(topic, json.dumps(document, ensure_ascii=False), retain=True))
        return messages

    async def close(self) -> None:
        """See `Sink`."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


#: Where Home Assistant looks for discovery messages, and the field that names a document's device.
HOME_DEFAULTS = {"prefix": "homeassistant", "device": "board"}


def discovery(topic: str, collection: str, device: str, field: str) -> dict[str, Any]:
    """Return Home Assistant's description of a sensor: a field of what a device says on a topic."""
    config: dict[str, Any] = {
        "name": field.replace("_", " "),
        "unique_id": f"hedgerow_{_word(collection)}_{_word(device)}_{_word(field)}",
        "state_topic": topic,
        "value_template": f"{{{{ value_json[{json.dumps(field)}] }}}}",
        "state_class": "measurement",
        "device": {
            "identifiers": [f"hedgerow_{_word(device)}"],
            "name": device,
            "manufacturer": "Hedgerow",
        },
    }
    for ending, (unit, kind) in _KINDS.items():
        if field == ending or field.endswith(f"_{ending}"):
            config |= {"unit_of_measurement": unit, "device_class": kind}
    return config


class _Connection:
    """One session with a broker, over once it breaks. Messages are known by their packet identifiers."""

    def __init__(self, sink: dict[str, Any]) -> None:
        """Raises Later."""
        url = urlsplit(sink["url"])
        self._told = threading.Condition()
        self._reasons: dict[int, str] = {}
        self._error = ""
        self._most: int | None = None
        self.is_up = False
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._lost
        self._client.on_publish = self._published
        if sink.get("username"):
            self._client.username_pw_set(sink["username"], sink.get("password"))
        is_secure = url.scheme == "mqtts"
        if is_secure:
            self._client.tls_set_context(ssl.create_default_context())
        try:
            assert url.hostname is not None
            self._client.connect_timeout = limits.BRIDGE_DELIVER_SECONDS
            self._client.connect(
                url.hostname, url.port or (TLS_PORT if is_secure else PORT), clean_start=True
            )
        except (OSError, ValueError) as error:
            raise Later(f"no connection: {error}") from None
        self._client.loop_start()
        with self._told:
            if not self._told.wait_for(lambda: self.is_up or self._error, limits.BRIDGE_DELIVER_SECONDS):
                self._error = "no answer to CONNECT in time"
        if not self.is_up:
            self.close()
            raise Later(self._error)

    def publish(self, topic: str, text: str, *, retain: bool) -> int | str:
        """Hand over a message at QoS 1; return its number, or why it can never be taken. Raises Later."""
        payload = text.encode()
        # A fixed header, the topic's length and the packet identifier, and no properties.
        if self._most is not None and len(payload) + len(topic.encode()) + 10 > self._most:
            return f"over the broker's maximum packet size of {self._most}"
        info: MQTTMessageInfo = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise Later(self._error or "the connection was lost")
        return info.mid

    def outcome(self, message: int | str) -> str:
        """Wait until a message is acknowledged; return "", or why it was refused for good. Raises Later."""
        if isinstance(message, str):
            return message
        with self._told:
            answered = self._told.wait_for(
                lambda: message in self._reasons or not self.is_up, limits.BRIDGE_DELIVER_SECONDS
            )
            if message not in self._reasons:
                raise Later(self._error if answered else "no acknowledgement in time")
            reason = self._reasons.pop(message)
        if reason in _PASSING:
            raise Later(reason)
        return reason

    def close(self) -> None:
        """End the session."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(
        self, _client: Any, _data: Any, _flags: ConnectFlags, reason: ReasonCode, found: Properties | None
    ) -> None:
        with self._told:
            self._most = getattr(found, "MaximumPacketSize", None)
            if reason.value < _FAILURE:
                self.is_up = True
            else:
                self._error = f"not connected: {reason}"
            self._told.notify_all()

    def _lost(self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _found: Any) -> None:
        with self._told:
            self.is_up = False
            self._error = self._error or f"the connection was lost: {reason}"
            self._told.notify_all()
        # It would connect again by itself, and send what is sent again anyway.
        client.disconnect()

    def _published(self, _client: Any, _data: Any, number: int, reason: ReasonCode, _found: Any) -> None:
        with self._told:
            self._reasons[number] = str(reason) if reason.value >= _FAILURE else ""
            self._told.notify_all()


def _collection(event: Event) -> str:
    """Return the collection of an event, "" for one of several."""
    source, _, name = event.attributes["source"].partition("/collections/")
    return name if source else ""


def _document(event: Event) -> dict[str, Any] | None:
    """Return the document as an event leaves it, None where it is gone."""
    value = json.loads(event.value)
    found = value.get("after") if "after" in value else value.get("change", {}).get("newValue")
    return found if isinstance(found, dict) else None


def _word(text: str) -> str:
    """Return a text as one level of a topic."""
    return _FORBIDDEN.sub("_", text) or "_"
