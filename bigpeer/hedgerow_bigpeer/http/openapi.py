"""The description of the HTTP Data API (OpenAPI 3.1): every answer has a closed schema; what is in documents,
and only that, is anything.
"""

import functools
from typing import Any

from hedgerow.limits import MAX_NAME, MAX_STATEMENT
from hedgerow_host.limits import STATEMENT_CHARACTERS

from .. import limits
from .answers import STATUS
from .timeseries import AGGREGATES

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_HEX: Schema = {"type": "string", "pattern": "^[0-9a-f]*$"}
_CURSOR: Schema = {"type": ["string", "null"]}
_CONDITION: Schema = {"type": "string", "maxLength": MAX_STATEMENT}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _closed(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _listed(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_SCHEMAS: dict[str, Schema] = {
    "Value": {"description": "What a field holds: any JSON value. Numbers have all their digits."},
    "Document": {
        "type": "object",
        "description": "A document with its `_id`; readings have `_time` besides.",
        "properties": {"_id": _ref("Value")},
        "additionalProperties": _ref("Value"),
    },
    "Row": {
        "type": "object",
        "description": "A row of a SELECT.",
        "additionalProperties": _ref("Value"),
    },
    "Statement": {
        "type": "object",
        "properties": {
            "statement": {
                "type": "string",
                "maxLength": STATEMENT_CHARACTERS,
                "description": "A statement in DQL.",
            },
            "args": {
                "type": ["object", "null"],
                "description": "The values of its :parameters.",
                "additionalProperties": _ref("Value"),
                "maxProperties": limits.ARGUMENTS,
            },
        },
        "required": ["statement"],
    },
    "Warning": _closed(_id=_ref("Value"), description=_TEXT),
    "Fault": {
        "type": "object",
        "properties": {"code": _TEXT, "description": _TEXT},
        "additionalProperties": False,
    },
    "Answer": _closed(
        transactionId=_WHOLE,
        queryType={"enum": ["select", "insert", "update", "delete", "create_index", "drop_index", "unknown"]},
        items=_listed(_ref("Row")),
        mutatedDocumentIds=_listed(_ref("Value")),
        warnings=_listed(_ref("Warning")),
        totalWarningsCount=_WHOLE,
        error=_ref("Fault"),
    ),
    "Problem": _closed(
        type={"type": "string", "pattern": "^urn:hedgerow:error:[A-Z_]+$"},
        title=_TEXT,
        status=_WHOLE,
        detail=_TEXT,
        code=_TEXT,
        error=_ref("Fault"),
    ),
    "Documents": _closed(transactionId=_WHOLE, items=_listed(_ref("Document")), next=_CURSOR),
    "Point": _closed(time=_TIME, document=_ref("Document")),
    "Aggregates": {
        "type": "object",
        "properties": {name: _ref("Value") for name in AGGREGATES},
        "additionalProperties": False,
    },
    "Window": _closed(
        start=_TIME,
        end=_TIME,
        group=_ref("Row"),
        readings=_WHOLE,
        fields={"type": "object", "additionalProperties": _ref("Aggregates")},
    ),
    "Series": _closed(
        transactionId=_WHOLE,
        collection=_TEXT,
        **{"from": _TIME},
        to=_TIME,
        untimed=_WHOLE,
        goneBefore={"anyOf": [_TIME, {"type": "null"}]},
        items=_listed({"anyOf": [_ref("Point"), _ref("Window")]}),
        next=_CURSOR,
    ),
    "Change": _closed(
        transactionId=_WHOLE,
        op={"enum": ["c", "u", "d"]},
        collection=_TEXT,
        _id=_ref("Value"),
        before={"anyOf": [_ref("Document"), {"type": "null"}]},
        after={"anyOf": [_ref("Document"), {"type": "null"}]},
        author=_HEX,
        number=_WHOLE,
        at=_TIME,
    ),
    "Changes": _closed(changes=_listed(_ref("Change")), next=_TEXT),
    "Lost": _closed(first=_WHOLE, last=_WHOLE, reason=_TEXT, time=_TEXT, summary=_ref("Value")),
    "Health": _closed(
        at={"anyOf": [_TIME, {"type": "null"}]},
        **{name: {"type": ["string", "null"]} for name in ("name", "firmware", "reset", "place")},
        **{
            name: {"type": ["integer", "null"]}
            for name in ("boots", "uptime_s", "heap_free", "log", "voltage_mv")
        },
        due_s={"type": ["number", "null"]},
        suspects=_listed({"type": "array", "items": {"type": ["string", "integer"]}}),
    ),
    "Peer": _closed(
        author=_HEX,
        name=_TEXT,
        held=_WHOLE,
        sealed=_WHOLE,
        receipted=_WHOLE,
        last_seen={"anyOf": [_TIME, {"type": "null"}]},
        refused={"type": ["string", "null"]},
        lost=_listed(_ref("Lost")),
        place={"type": ["string", "null"]},
        due_s={"type": ["number", "null"]},
        overdue={"type": "boolean"},
        connected={"type": "boolean"},
        health={"anyOf": [_ref("Health"), {"type": "null"}]},
    ),
    "Peers": _closed(transactionId=_WHOLE, peers=_listed(_ref("Peer"))),
}


def _parameter(name: str, about: str, schema: Schema, place: str = "query") -> Schema:
    return {
        "name": name,
        "in": place,
        "description": about,
        "required": place == "path",
        "schema": schema,
    }


_COLLECTION = _parameter(
    "collection", "The collection.", {"type": "string", "minLength": 1, "maxLength": MAX_NAME}, "path"
)
_LIMIT = _parameter(
    "limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": limits.MOST_PAGE_DOCUMENTS}
)
_WHERE = _parameter("where", "A condition in DQL.", _CONDITION)
_AFTER = _parameter("after", "The `next` of the page before.", _TEXT)
_NAMES: Schema = {"type": "string", "description": "Paths with commas between."}


def _refusals() -> Schema:
    problem = {"application/problem+json": {"schema": _ref("Problem")}}
    statuses = sorted({400, *STATUS.values()})
    return {str(status): {"description": "Refused.", "content": problem} for status in statuses}


def _read(about: str, answer: str, *parameters: Schema, events: bool = False) -> Schema:
    content: Schema = {"application/json": {"schema": _ref(answer)}}
    if events:
        content["text/event-stream"] = {"schema": _TEXT}
    return {
        "get": {
            "summary": about,
            "parameters": list(parameters),
            "responses": {"200": {"description": "The answer.", "content": content}, **_refusals()},
        }
    }


def _execute(summary: str) -> Schema:
    encodings = ("application/json", "application/cbor", "application/msgpack")
    answer = {"description": "The envelope.", "content": {"application/json": {"schema": _ref("Answer")}}}
    for encoding in encodings[1:]:
        # What these two carry has the same shape; a schema of JSON says nothing about their bytes.
        answer["content"][encoding] = {}  # type: ignore[index]
    position: Schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    headers = [
        _parameter("X-DITTO-TXN-ID", "Answer no older than this.", position, "header"),
        _parameter(
            "Idempotency-Key",
            "Do it once.",
            {"type": "string", "minLength": 1, "maxLength": limits.ANSWER_KEY, "pattern": "^[ -~]+$"},
            "header",
        ),
    ]
    return {
        "post": {
            "summary": summary,
            "parameters": headers,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _ref("Statement")}},
            },
            "responses": {str(status): answer for status in sorted({200, 400, *STATUS.values()})},
        }
    }


@functools.cache
def description() -> dict[str, Any]:
    """Return the document."""
    lengths = {"type": "string", "pattern": "^[1-9][0-9]{0,8}(ms|s|m|h|d)$"}
    series = (
        _COLLECTION,
        _parameter("from", "Readings from this time on.", _TIME),
        _parameter("to", "Readings before this time.", _TIME),
        _parameter("window", "Aggregate in windows of this length.", lengths),
        _parameter("fields", "Only these.", _NAMES),
        _parameter("aggregates", f"Of {', '.join(AGGREGATES)}.", _NAMES),
        _parameter("group", "A window for each value of these.", _NAMES),
        _WHERE,
        _LIMIT,
        _AFTER,
    )
    changes = (
        _parameter("since", "The `next` of the answer before, or `now`.", _TEXT),
        _parameter("collection", "Only this one.", {"type": "string", "minLength": 1, "maxLength": MAX_NAME}),
        _LIMIT,
        _parameter(
            "wait",
            "Seconds to wait for the first.",
            {"type": "integer", "minimum": 0, "maximum": limits.CHANGES_WAIT_SECONDS},
        ),
    )
    prefix = "/api/hedgerow/v1"
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hedgerow Big Peer", "version": "1", "license": {"name": "Apache-2.0"}},
        "security": [{}, {"bearer": []}],
        "paths": {
            "/api/v4/store/execute": _execute("Run one DQL statement that declares what is no register."),
            "/api/v5/store/execute": _execute("Run one DQL statement."),
            f"{prefix}/collections/{{collection}}/documents": _read(
                "A page of a collection.", "Documents", _COLLECTION, _WHERE, _LIMIT, _AFTER
            ),
            f"{prefix}/timeseries/{{collection}}": _read("A range of time.", "Series", *series),
            f"{prefix}/changes": _read("What changed since.", "Changes", *changes, events=True),
            f"{prefix}/peers": _read("Who writes here.", "Peers"),
        },
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
