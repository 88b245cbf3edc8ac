"""What the description says of statements, live queries, the data resources and the status."""

from hedgerow.limits import MAX_STATEMENT
from hedgerow_host.limits import STATEMENT_CHARACTERS

from .. import limits
from .answers import STATUS
from .schemas import (
    HEX,
    LENGTH,
    NAME,
    TEXT,
    TIME,
    TRUTH,
    WHOLE,
    Schema,
    closed,
    foreign,
    json_of,
    listed,
    operation,
    or_null,
    parameter,
    ref,
)
from .timeseries import AGGREGATES

_CURSOR: Schema = {"type": ["string", "null"]}
_CONDITION: Schema = {"type": "string", "maxLength": MAX_STATEMENT}

_LOST: Schema = {
    "first": WHOLE,
    "last": WHOLE,
    "reason": TEXT,
    "time": TEXT,
    "summary": or_null(listed(WHOLE)),
}
_AUTHOR: Schema = {
    "author": HEX,
    "name": TEXT,
    "held": WHOLE,
    "sealed": WHOLE,
    "receipted": WHOLE,
    "last_seen": or_null(TIME),
    "refused": or_null(TEXT),
}

SCHEMAS: dict[str, Schema] = {
    "Value": {"description": "What a field holds: any JSON value. Numbers have all their digits."},
    "Document": {
        "type": "object",
        "description": "A document with its `_id`; readings have `_time` besides.",
        "properties": {"_id": ref("Value")},
        "additionalProperties": ref("Value"),
    },
    "Row": {
        "type": "object",
        "description": "A row of a SELECT.",
        "additionalProperties": ref("Value"),
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
                "additionalProperties": ref("Value"),
                "maxProperties": limits.ARGUMENTS,
            },
        },
        "required": ["statement"],
    },
    "Warning": closed(_id=ref("Value"), description=TEXT),
    "Fault": {
        "type": "object",
        "properties": {"code": TEXT, "description": TEXT},
        "additionalProperties": False,
    },
    "Answer": closed(
        transactionId=WHOLE,
        queryType={"enum": ["select", "insert", "update", "delete", "create_index", "drop_index", "unknown"]},
        items=listed(ref("Row")),
        mutatedDocumentIds=listed(ref("Value")),
        warnings=listed(ref("Warning")),
        totalWarningsCount=WHOLE,
        error=ref("Fault"),
    ),
    "Problem": closed(
        type={"type": "string", "pattern": "^urn:hedgerow:error:[A-Z_]+$"},
        title=TEXT,
        status=WHOLE,
        detail=TEXT,
        code=TEXT,
        error=ref("Fault"),
    ),
    "Documents": closed(transactionId=WHOLE, items=listed(ref("Document")), next=_CURSOR),
    "Point": closed(time=TIME, document=ref("Document")),
    "Aggregates": {
        "type": "object",
        "properties": {name: ref("Value") for name in AGGREGATES},
        "additionalProperties": False,
    },
    "Window": closed(
        start=TIME,
        end=TIME,
        group=ref("Row"),
        readings=WHOLE,
        fields={"type": "object", "additionalProperties": ref("Aggregates")},
    ),
    "Series": closed(
        transactionId=WHOLE,
        collection=TEXT,
        **{"from": TIME},
        to=TIME,
        untimed=WHOLE,
        goneBefore={
            **or_null(TIME),
            "description": "Of readings that came before it some may have expired; null if none have.",
        },
        items=listed({"anyOf": [ref("Point"), ref("Window")]}),
        next=_CURSOR,
    ),
    "Change": closed(
        transactionId=WHOLE,
        op={"enum": ["c", "u", "d"]},
        collection=TEXT,
        _id=ref("Value"),
        before=or_null(ref("Document")),
        after=or_null(ref("Document")),
        author=HEX,
        number=WHOLE,
        at=TIME,
    ),
    "Changes": closed(changes=listed(ref("Change")), next=TEXT),
    "Lost": closed(**_LOST),
    "Health": closed(
        at=or_null(TIME),
        **{name: {"type": ["string", "null"]} for name in ("name", "firmware", "reset", "place")},
        **{
            name: {"type": ["integer", "null"]}
            for name in ("boots", "uptime_s", "heap_free", "log", "voltage_mv")
        },
        due_s={"type": ["number", "null"]},
        suspects=listed({"type": "array", "items": {"type": ["string", "integer"]}}),
    ),
    "Peer": closed(
        **_AUTHOR,
        lost=listed(ref("Lost")),
        place={"type": ["string", "null"]},
        due_s={"type": ["number", "null"]},
        overdue=TRUTH,
        connected=TRUTH,
        health=or_null(ref("Health")),
    ),
    "Peers": closed(transactionId=WHOLE, peers=listed(ref("Peer"))),
    "Author": closed(**_AUTHOR),
    "Status": closed(
        author=HEX,
        keeper=HEX,
        incarnation=WHOLE,
        name=TEXT,
        app=TEXT,
        transaction=WHOLE,
        connections=WHOLE,
        authors=listed(ref("Author")),
        lost=listed(closed(author=HEX, **_LOST)),
    ),
    "Healthy": closed(ok=TRUTH, transaction=WHOLE),
    "Ok": closed(ok=TRUTH),
}


COLLECTION = parameter("collection", "The collection.", NAME, "path")
_LIMIT = parameter(
    "limit", "How many at most.", {"type": "integer", "minimum": 1, "maximum": limits.MOST_PAGE_DOCUMENTS}
)
_WHERE = parameter("where", "A condition in DQL.", _CONDITION)
_AFTER = parameter("after", "The `next` of the page before.", TEXT)
_NAMES: Schema = {"type": "string", "description": "Paths with commas between."}


def _read(about: str, answer: str, *parameters: Schema, events: bool = False) -> Schema:
    content = json_of(answer)
    if events:
        content["text/event-stream"] = {"schema": TEXT}
    return {"get": operation(about, content, *parameters)}


def _execute(summary: str) -> Schema:
    encodings = ("application/json", "application/cbor", "application/msgpack")
    answer = {"description": "The envelope.", "content": {"application/json": {"schema": ref("Answer")}}}
    for encoding in encodings[1:]:
        # What these two carry has the same shape; a schema of JSON says nothing about their bytes.
        answer["content"][encoding] = {}  # type: ignore[index]
    position: Schema = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    headers = [
        parameter("X-DITTO-TXN-ID", "Answer no older than this.", position, "header"),
        parameter(
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
                "content": {"application/json": {"schema": ref("Statement")}},
            },
            "responses": {str(status): answer for status in sorted({200, 400, *STATUS.values()})},
        }
    }


def _live() -> Schema:
    content = {"text/event-stream": {"schema": TEXT}}
    return {"post": operation("Answer a SELECT, and tell how its answer changes.", content, body="Statement")}


def _probe(about: str, answer: str) -> Schema:
    content = {"description": about, "content": json_of(answer)}
    responses = {"200": content, "403": foreign({}), "503": content}
    return {"get": {"summary": about, "parameters": [], "responses": responses}}


def data_paths(prefix: str) -> dict[str, Schema]:
    """Return the paths."""
    series = (
        COLLECTION,
        parameter("from", "Readings from this time on.", TIME),
        parameter("to", "Readings before this time.", TIME),
        parameter("window", "Aggregate in windows of this length.", LENGTH),
        parameter("fields", "Only these.", _NAMES),
        parameter("aggregates", f"Of {', '.join(AGGREGATES)}.", _NAMES),
        parameter("group", "A window for each value of these.", _NAMES),
        _WHERE,
        _LIMIT,
        _AFTER,
    )
    changes = (
        parameter("since", "The `next` of the answer before, or `now`.", TEXT),
        parameter("collection", "Only this one.", NAME),
        _LIMIT,
        parameter(
            "wait",
            "Seconds to wait for the first.",
            {"type": "integer", "minimum": 0, "maximum": limits.CHANGES_WAIT_SECONDS},
        ),
    )
    metrics = {"text/plain": {"schema": TEXT}}
    return {
        "/api/v4/store/execute": _execute("Run one DQL statement that declares what is no register."),
        "/api/v5/store/execute": _execute("Run one DQL statement."),
        f"{prefix}/live": _live(),
        f"{prefix}/collections/{{collection}}/documents": _read(
            "A page of a collection.", "Documents", COLLECTION, _WHERE, _LIMIT, _AFTER
        ),
        f"{prefix}/timeseries/{{collection}}": _read("A range of time.", "Series", *series),
        f"{prefix}/changes": _read("What changed since.", "Changes", *changes, events=True),
        f"{prefix}/peers": _read("Who writes here.", "Peers"),
        f"{prefix}/status": _read("Who writes here, and how far each has come.", "Status"),
        "/metrics": {"get": operation("Metrics in the text format of Prometheus.", metrics)},
        "/healthz": _probe("Whether it serves.", "Healthy"),
        "/livez": _probe("Whether it needs not be started anew.", "Ok"),
        "/readyz": _probe("Whether to send it anybody.", "Ok"),
    }
