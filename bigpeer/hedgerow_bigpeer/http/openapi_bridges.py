"""What the description says of bridges, and of collections as a whole."""

from typing import Any

from .. import limits
from ..cdc.config import FORMATS
from .openapi_data import COLLECTION
from .schemas import (
    LABEL,
    LENGTH,
    NAME,
    TEXT,
    TIME,
    TRUTH,
    WHOLE,
    Schema,
    answered,
    closed,
    given,
    listed,
    or_null,
    parameter,
    ref,
)

_URL: Schema = {"type": "string", "maxLength": 2000}
_LINE: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_MODE: Schema = {"enum": ["documents", "events"]}
_PATH: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"}
_BATCH: Schema = {"type": "integer", "minimum": 1, "maximum": limits.BRIDGE_BATCH}
_HOME: Schema = given(prefix=TEXT, device=TEXT)


def _is(kind: str) -> Schema:
    return {"const": kind}


#: What is secret of a sink is taken and never shown; of librdkafka's settings only the names are.
_SINKS = [
    given("type", "path", type=_is("file"), path=_PATH),
    given("type", "url", type=_is("webhook"), url=_URL, private=TRUTH, batch=_BATCH),
    given("type", "servers", "topic", type=_is("kafka"), servers=_LINE, topic=_LINE, options=listed(TEXT)),
    given("type", "url", type=_is("mqtt"), url=_URL, topic=TEXT, username=TEXT, home_assistant=_HOME),
    given("type", "url", "table", type=_is("postgresql"), url=_URL, table=TEXT, mode=_MODE),
]
_SECRET: dict[str, Schema] = {
    "webhook": {"secret": {"type": "string", "minLength": 16, "maxLength": 200}},
    "kafka": {
        "options": {
            "type": "object",
            "maxProperties": 64,
            "additionalProperties": {"type": ["string", "number", "boolean"]},
        }
    },
    "mqtt": {"password": TEXT},
    "postgresql": {"password": TEXT},
}


def _taken(sink: Schema) -> Schema:
    kind = sink["properties"]["type"]["const"]
    needed = ["secret"] if kind == "webhook" else []
    return given(*sink["required"], *needed, **{**sink["properties"], **_SECRET.get(kind, {})})


_FORMAT: Schema = {"enum": list(FORMATS)}
_FROM: Schema = {"enum": ["oldest", "now"]}
_ROW: dict[str, Any] = {
    "name": TEXT,
    "kind": or_null({"enum": ["stream", "keep"]}),
    "keep_ms": or_null(WHOLE),
    "gone_before": or_null(TIME),
    "expired": WHOLE,
    "confidential": TRUTH,
    "epoch": or_null(WHOLE),
}

BRIDGE_SCHEMAS: dict[str, Schema] = {
    "Source": closed(collection=NAME, query=TEXT),
    "Sink": {"oneOf": _SINKS, "type": "object"},
    "GivenSink": {"oneOf": [_taken(sink) for sink in _SINKS], "type": "object"},
    "GivenBridge": given(
        "sink",
        sources={
            **listed(given("collection", collection=NAME, query=TEXT)),
            "maxItems": limits.BRIDGE_SOURCES,
        },
        format=_FORMAT,
        sink=ref("GivenSink"),
        confidential=TRUTH,
        **{"from": _FROM},
    ),
    "Bridge": closed(
        name=TEXT,
        sources=listed(ref("Source")),
        format=_FORMAT,
        sink=ref("Sink"),
        confidential=TRUTH,
        state={"enum": ["paused", "runs", "waits"]},
        transactionId=WHOLE,
        delivered=WHOLE,
        lag=WHOLE,
        age_ms=WHOLE,
        parked=WHOLE,
        error=TEXT,
    ),
    "Bridges": closed(bridges=listed(ref("Bridge"))),
    "Named": closed(name=TEXT),
    "From": closed(**{"from": _FROM}),
    "Key": given(key=TEXT),
    "Parked": closed(id=TEXT, key=TEXT, reason=TEXT, replay=TRUTH, at=TIME, event=TEXT),
    "ParkedEvents": closed(parked=listed(ref("Parked"))),
    "Events": closed(events=WHOLE),
    "Collection": closed(**_ROW),
    "Collections": closed(collections=listed(ref("Collection"))),
    "Keep": closed(keep=LENGTH),
    "Concealed": closed(**_ROW, plain_before=TRUTH),
}

_BRIDGE = parameter("bridge", "The name of the bridge.", LABEL, "path")


def bridge_paths(prefix: str) -> dict[str, Schema]:
    """Return the paths."""

    def one(about: str, answer: str, body: str | None = None) -> Schema:
        return answered(about, answer, _BRIDGE, body=body)

    bridge = f"{prefix}/bridges/{{bridge}}"
    collections = f"{prefix}/collections"
    return {
        f"{prefix}/bridges": {"get": answered("All bridges.", "Bridges")},
        bridge: {
            "get": one("A bridge.", "Bridge"),
            "put": one("Make a bridge, or set it anew.", "Bridge", "GivenBridge"),
            "delete": one("Remove a bridge and what it has parked.", "Named"),
        },
        f"{bridge}/pause": {"post": one("Stop a bridge.", "Bridge")},
        f"{bridge}/resume": {"post": one("Let a bridge go on.", "Bridge")},
        f"{bridge}/reset": {"post": one("Let a bridge begin elsewhere.", "Bridge", "From")},
        f"{bridge}/parked": {"get": one("The oldest parked events.", "ParkedEvents")},
        f"{bridge}/replay": {"post": one("Send parked events again, or those of a key.", "Events", "Key")},
        f"{bridge}/skip": {"post": one("Forget parked events, or those of a key.", "Events", "Key")},
        collections: {"get": answered("Collections, and how long each is kept.", "Collections")},
        f"{collections}/{{collection}}/retention": {
            "put": answered("Keep readings for so long.", "Collection", COLLECTION, body="Keep"),
            "delete": answered("Keep readings for ever.", "Collection", COLLECTION),
        },
        f"{collections}/{{collection}}/confidential": {
            "put": answered(
                "Let a collection be confidential from now on. `plain_before`: something was written before, "
                "and stays in the clear.",
                "Concealed",
                COLLECTION,
            ),
        },
        f"{collections}/{{collection}}/rekey": {
            "post": answered("Begin another epoch of a confidential collection.", "Collection", COLLECTION),
        },
    }
