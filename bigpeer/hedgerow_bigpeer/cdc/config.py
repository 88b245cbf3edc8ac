"""What a bridge is: where its events come from, where they go, and how they are written."""

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from hedgerow.errors import HedgerowError
from hedgerow.query.condition import Condition

from .. import limits
from ..auth.outbound import check_url
from ..names import is_collection

FORMATS = ("ditto", "cloudevents")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_KAFKA_OPTION = re.compile(r"[a-z0-9._]{1,80}", re.ASCII)
_MQTT_URL = re.compile(r"mqtts?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?/?", re.ASCII)
#: Hosts and ports, and what decides about the connection; no files, no services.
_POSTGRES_URL = re.compile(
    r"postgres(ql)?://([A-Za-z0-9._-]+@)?[A-Za-z0-9.,:\[\]_-]+/[A-Za-z0-9_-]+"
    r"(\?(sslmode|target_session_attrs)=[a-z-]+(&(sslmode|target_session_attrs)=[a-z-]+)?)?",
    re.ASCII,
)
_TABLE = re.compile(r"([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,62}", re.ASCII)
_KAFKA_SERVERS = re.compile(r"[A-Za-z0-9._:,\[\]/ -]{1,1000}", re.ASCII)
#: As the brokers have it (org.apache.kafka.common.internals.Topic).
_KAFKA_TOPIC = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._-]{1,249}", re.ASCII)
_TOPIC = re.compile(r"[^/+#\x00-\x1f]([^+#\x00-\x1f]{0,198}[^/+#\x00-\x1f])?")
#: What decides about delivery is the bridge's; what names files or code is nobody's to set from afar.
_OWN_OPTIONS = re.compile(
    r"bootstrap\.servers|enable\.idempotence|acks|partitioner|message\.timeout\.ms|max\.in\.flight.*|.*_cb"
    r"|plugin\..*|.*\.location|.*\.dll|test\..*|debug|sasl\.oauthbearer\.config|builtin\..*",
    re.ASCII,
)


class Source(NamedTuple):
    """A collection, and the condition that its documents must hold, "" for all."""

    collection: str
    query: str


class BridgeConfig(NamedTuple):
    """A bridge as it was set; no sources are all collections. `sink` has a `type` and its own settings;
    `confidential` says that what is so may go there.
    """

    name: str
    sources: tuple[Source, ...]
    format: str
    sink: dict[str, Any]
    confidential: bool = False

    def check(self, confidential: Iterable[str]) -> None:
        """Raise BRIDGE_CONFIDENTIAL if one of these collections is among the sources, and nobody said it may
        leave.
        """
        names = {source.collection for source in self.sources}
        found = sorted(name for name in confidential if not names or name in names)
        if found and not self.confidential:
            raise HedgerowError("BRIDGE_CONFIDENTIAL", f"{found[0]} is confidential"[:200])

    def text(self) -> str:
        """Return it as it is stored."""
        return json.dumps(
            {
                "sources": [source._asdict() for source in self.sources],
                "format": self.format,
                "sink": self.sink,
                "confidential": self.confidential,
            },
            sort_keys=True,
        )


def check_name(name: str) -> str:
    """Return the name of a bridge (as DNS labels are). Raises BRIDGE_INVALID."""
    if not _NAME.fullmatch(name):
        raise _wrong("name", "1 to 63 of a-z, 0-9 and -")
    return name


def read_config(name: str, body: Any) -> BridgeConfig:
    """Return a bridge from its JSON. Raises BRIDGE_INVALID, which says what is wrong."""
    if not isinstance(body, dict) or not body.keys() <= {"sources", "format", "sink", "confidential"}:
        raise _wrong("bridge", "an object of `sources`, `format`, `sink` and `confidential`")
    form = body.get("format", "ditto")
    if form not in FORMATS:
        raise _wrong("format", " or ".join(FORMATS))
    sink = body.get("sink")
    if not isinstance(sink, dict) or sink.get("type") not in list(_SINKS):
        raise _wrong("sink", f"an object with a `type`: {', '.join(_SINKS)}")
    sources = body.get("sources", [])
    if not isinstance(sources, list) or len(sources) > limits.BRIDGE_SOURCES:
        raise _wrong("sources", f"a list of at most {limits.BRIDGE_SOURCES}")
    confidential = body.get("confidential", False)
    if not isinstance(confidential, bool):
        raise _wrong("confidential", "true or false")
    _SINKS[sink["type"]](sink)
    found = tuple([_source(entry) for entry in sources])
    return BridgeConfig(check_name(name), found, form, sink, confidential)


def _source(entry: Any) -> Source:
    if not isinstance(entry, dict) or not entry.keys() <= {"collection", "query"}:
        raise _wrong("sources", "objects of `collection` and `query`")
    collection, query = entry.get("collection"), entry.get("query", "")
    if not isinstance(collection, str) or not is_collection(collection) or not isinstance(query, str):
        raise _wrong("sources", "`collection` is a name, `query` a condition")
    try:
        Condition(query)
    except HedgerowError as error:
        raise _wrong("query", str(error)) from None
    return Source(collection, query)


def _check_file(sink: dict[str, Any]) -> None:
    _only(sink, {"path"})
    path = sink.get("path")
    if not isinstance(path, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", path):
        raise _wrong("path", "the name of a file in the folder `bridges` of the data directory")


def _check_webhook(sink: dict[str, Any]) -> None:
    _only(sink, {"url", "secret", "private", "batch"})
    url, secret, batch = sink.get("url"), sink.get("secret"), sink.get("batch", 100)
    if not isinstance(url, str) or not isinstance(sink.get("private", False), bool):
        raise _wrong("url", "a text, and `private` true or false")
    if not isinstance(secret, str) or not 16 <= len(secret) <= 200 or not secret.isascii():
        raise _wrong("secret", "16 to 200 ASCII characters, which sign what is sent")
    if type(batch) is not int or not 1 <= batch <= limits.BRIDGE_BATCH:
        raise _wrong("batch", f"1 to {limits.BRIDGE_BATCH}")
    try:
        check_url(url, private=sink.get("private", False))
    except HedgerowError as error:
        raise _wrong("url", error.detail) from None


def _check_kafka(sink: dict[str, Any]) -> None:
    _only(sink, {"servers", "topic", "options"})
    servers, topic = sink.get("servers"), sink.get("topic")
    if not isinstance(servers, str) or not _KAFKA_SERVERS.fullmatch(servers):
        raise _wrong("servers", "HOST:PORT, several with commas between")
    if not isinstance(topic, str) or not _KAFKA_TOPIC.fullmatch(topic):
        raise _wrong("topic", "1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`")
    options = sink.get("options", {})
    if not isinstance(options, dict) or len(options) > 64:
        raise _wrong("options", "an object of librdkafka's settings")
    for name, value in options.items():
        if not _KAFKA_OPTION.fullmatch(name) or _OWN_OPTIONS.fullmatch(name):
            raise _wrong("options", f"{name[:80]} cannot be set")
        if not isinstance(value, (str, int, float, bool)) or "\0" in str(value):
            raise _wrong("options", f"{name} is no text, number or truth")


def _check_mqtt(sink: dict[str, Any]) -> None:
    _only(sink, {"url", "topic", "username", "password", "home_assistant"})
    url, topic = sink.get("url"), sink.get("topic", "hedgerow")
    if not isinstance(url, str) or not _MQTT_URL.fullmatch(url) or len(url) > 1000:
        raise _wrong("url", "mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic):
        raise _wrong("topic", "1 to 200 characters, no wildcards, no / at its ends")
    for name in ("username", "password"):
        value = sink.get(name, "")
        if not isinstance(value, str) or len(value) > 1000 or "\0" in value:
            raise _wrong(name, "a text")
    home = sink.get("home_assistant", {})
    if not isinstance(home, dict) or not home.keys() <= {"prefix", "device"}:
        raise _wrong("home_assistant", "an object of `prefix` (homeassistant) and `device` (a field, board)")
    prefix, device = home.get("prefix", "x"), home.get("device", "")
    if not isinstance(prefix, str) or not _TOPIC.fullmatch(prefix) or not isinstance(device, str):
        raise _wrong("home_assistant", "`prefix` is a topic, `device` the name of a field")


def _check_postgres(sink: dict[str, Any]) -> None:
    _only(sink, {"url", "password", "table", "mode"})
    url, password = sink.get("url"), sink.get("password", "")
    if not isinstance(url, str) or not _POSTGRES_URL.fullmatch(url) or len(url) > 1000:
        raise _wrong("url", "postgresql://USER@HOST/DATABASE; the password stands in `password`")
    if not isinstance(password, str) or len(password) > 1000:
        raise _wrong("password", "a text")
    if not isinstance(sink.get("table"), str) or not _TABLE.fullmatch(sink["table"]):
        raise _wrong("table", "TABLE or SCHEMA.TABLE, each of a-z, 0-9 and _")
    if sink.get("mode", "documents") not in ("documents", "events"):
        raise _wrong("mode", "documents or events")


_SINKS = {
    "file": _check_file,
    "webhook": _check_webhook,
    "kafka": _check_kafka,
    "mqtt": _check_mqtt,
    "postgresql": _check_postgres,
}


def _only(sink: dict[str, Any], names: set[str]) -> None:
    if not sink.keys() <= names | {"type"}:
        raise _wrong("sink", f"only {', '.join(sorted(names))}")


def _wrong(what: str, wanted: str) -> HedgerowError:
    return HedgerowError("BRIDGE_INVALID", f"`{what}`: {wanted}"[:300])
