"""Write tests/core/data/vectors.json anew: `.venv/bin/python tests/core/make_vectors.py`."""

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "portable"), str(HERE.parents[1] / "shared")]

from vector_form import from_change, from_value, hexed  # noqa: E402

from hedgerow.clock import hlc  # noqa: E402
from hedgerow.codec import cbor  # noqa: E402
from hedgerow.codec.decimal import Decimal  # noqa: E402
from hedgerow.codec.schema import KEEP, SCOPE_BIG_PEER, SCOPE_LOCAL, STREAM, Schema, schema_for  # noqa: E402
from hedgerow.codec.segment import encode_segment  # noqa: E402
from hedgerow.document import Document, document_ids  # noqa: E402
from hedgerow.operation import (  # noqa: E402
    CLOCK,
    COUNTER,
    DELETE,
    INITIAL,
    INSERT,
    MERGE_STAMP,
    UNSET,
    UPDATE,
    canonical,
    encode_body,
    h16,
)

PATH = HERE / "data" / "vectors.json"
T = 837_000_000_000
A, B, C = bytes.fromhex("0123456789abcdef"), bytes.fromhex("a1a2a3a4a5a6a7a8"), b"\xff" * 8
GONE = cbor.UNDEFINED

READING = schema_for("readings", STREAM, {"humidity": Decimal(0, -1), "temperature": Decimal(0, -1)})
NOTE = schema_for("readings", STREAM, {"note": ""})
PLANT = schema_for("plants", KEEP, {"name": "", "pot": {}, "size": Decimal(0, -2)})
POT = schema_for("plants", KEEP, {("pot", "colour"): "", ("pot", "rim", "wide"): 0})
COUNTS = schema_for("plants", KEEP, {"watered": 0, ("pot", "litres"): 0})
LEAVES = schema_for("plants", KEEP, {"watered": 0})
EMPTY = schema_for("plants", KEEP, {})
AUDIT = schema_for("audit", STREAM + 2 * SCOPE_BIG_PEER, {"what": ""})
SETTING = schema_for("settings", KEEP + 2 * SCOPE_LOCAL, {"value": None})
ODD = schema_for("odd \u00e9\u20ac", KEEP, {"v": None})
SCHEMAS = [READING, NOTE, PLANT, POT, COUNTS, LEAVES, EMPTY, AUDIT, SETTING, ODD]
BY_NAME = {schema.name: schema for schema in SCHEMAS}
IDS = ["oak", 7, -8, b"\x00\xff", True, 1.5, Decimal(15, -1), ["site", [1, b"x"]], [A, 3]]
VALUES = [
    [None, False, -1, 23, 24, 255, 256, 65536, 1 << 32, (1 << 64) - 1, -(1 << 64)],
    [0.0, -0.0, 1.5, float("inf"), float("nan"), 1e-7, 65504.0, 5.960464477539063e-08],
    [Decimal(3940, -2), Decimal(-1, 127), Decimal(0, -127), Decimal((1 << 64) - 1, 3)],
    {"z": 1, "aa": {"b": [{}]}, "\u00e9": "\U0001f33f", "b": b"\x01"},
    "\u00fc\u20ac\U0001f33f" * 10,
    {},
    [],
]


def change(kind: int, schema: Schema, ident: Any, *values: Any, **options: Any) -> list[Any]:
    """Return a change; options are merge (a stamp) and unset (paths)."""
    result: list[Any] = [kind, schema.name, ident]
    if kind != DELETE:
        result.append(list(values))
    keys = {"merge": MERGE_STAMP, "unset": UNSET}
    if options:
        result.append({keys[name]: value for name, value in options.items()})
    return result


def operations() -> list[tuple[bytes, int, bytes, list[list[Any]]]]:
    """Return (author, number, stamp, changes) of every operation, an author's in order."""
    rows: list[tuple[bytes, int, list[list[Any]]]] = []
    late = hlc.pack(T + 900)
    rows += [(A, T, [[CLOCK, 3, 5000, T - 5000, 2, T, 40], change(INSERT, READING, None, 512, 394)])]
    rows += [(A, T + 60_013 * at, [change(INSERT, READING, None, 512 + at, 394 - at)]) for at in (1, 2, 3, 4)]
    rows += [(A, T + 300_000, [change(INSERT, READING, None, Decimal(5123, -2), None)])]
    rows += [(A, T + 300_001, [change(INSERT, READING, None, GONE, 1), change(INSERT, NOTE, None, "two")])]
    rows += [(A, T + 300_002, [change(UPDATE, READING, [A, 3], 7, GONE)])]
    # One document under three authors
    rows += [(B, T, [change(INITIAL, PLANT, "oak", "default", GONE, 100)])]
    rows += [(C, T + 50, [change(INITIAL, PLANT, "oak", "default", GONE, 100)])]
    rows += [(B, T + 10, [change(INSERT, PLANT, "oak", "Oak", {"colour": "red", "rim": {}}, GONE)])]
    rows += [(C, T + 10, [change(UPDATE, PLANT, "oak", "Quercus", {"mark": b"x"}, 1234)])]
    rows += [(C, T + 60, [change(UPDATE, POT, "oak", "blue", 3)])]
    rows += [(B, T + 70, [change(UPDATE, EMPTY, "oak", unset=["size", ["pot", "mark"]])])]
    rows += [(B, T + 80, [change(COUNTER, COUNTS, "oak", [b"", 25], [b"", 2])])]
    rows += [(C, T + 81, [change(COUNTER, LEAVES, "oak", [b"", -1])])]
    rows += [(B, T + 90, [change(COUNTER, COUNTS, "oak", GONE, [b"", Decimal(75, -1)])])]
    # A delete, and what comes after it
    rows += [(C, T + 100, [change(INSERT, PLANT, 7, "Fern", 5, 1), change(INSERT, PLANT, -8, "Moss", [], 2)])]
    rows += [(C, T + 101, [change(COUNTER, LEAVES, 7, [b"", 9]), change(DELETE, PLANT, -8)])]
    rows += [(B, T + 102, [change(DELETE, EMPTY, 7)])]
    rows += [(C, T + 102, [change(INSERT, PLANT, 7, GONE, GONE, 3)])]
    rows += [(C, T + 103, [change(COUNTER, LEAVES, 7, [hlc.pack(T + 102) + B, 4])])]
    rows += [(B, T + 104, [change(UPDATE, PLANT, 9, "nobody", GONE, GONE)])]
    # A slow clock, and a restart with it
    rows += [(B, T + 105, [change(UPDATE, LEAVES, 7, 100, merge=late)])]
    rows += [(C, T + 106, [change(COUNTER, LEAVES, 7, [late + B, 1], merge=hlc.above(late))])]
    rows += [(C, T + 107, [change(DELETE, EMPTY, "gone", merge=hlc.pack(T + 5000)[:6])])]
    rows += [(C, T + 108, [change(INSERT, EMPTY, "gone")])]
    # Scopes, ids and values
    rows += [(C, T + 200, [change(INSERT, AUDIT, None, "door opened")])]
    rows += [(B, T + 200, [change(INSERT, SETTING, "volume", 11)])]
    rows += [(B, T + 201 + at, [change(INSERT, ODD, ident, at)]) for at, ident in enumerate(IDS)]
    rows += [(C, T + 300, [change(INSERT, ODD, "values", VALUES[0])])]
    rows += [(C, T + 301 + at, [change(UPDATE, ODD, "values", value)]) for at, value in enumerate(VALUES)]
    rows += [(A, T + 400_000, [[CLOCK, 4, 0, T, 0, None, 0]])]
    numbers = {A: 0, B: 0, C: (1 << 32) - 60}
    result = []
    for author, ms, changes in rows:
        numbers[author] += 1
        stamp = hlc.pack(ms, 258 if ms == T + 300_002 else 0)
        for one in changes:
            if isinstance(one[-1], dict) and MERGE_STAMP in one[-1]:
                one[-1][MERGE_STAMP] = hlc.wire((one[-1][MERGE_STAMP] + b"\0\0")[:8])
        result.append((author, numbers[author], stamp, changes))
    return result


def build() -> dict[str, Any]:
    """Return the content of the file."""
    content: dict[str, Any] = {"schemas": [], "operations": [], "segments": [], "documents": []}
    for schema in SCHEMAS:
        fields = [[name if isinstance(name, str) else list(name), scale] for name, scale in schema.fields]
        row = {"collection": schema.collection, "kind": schema.kind, "fields": fields}
        content["schemas"].append({**row, "encoded": hexed(schema.encoded), "hash": hexed(schema.hash)})
    documents: dict[tuple[str, bytes], tuple[Any, Document]] = {}
    bodies: dict[bytes, list[bytes]] = {}
    first: dict[bytes, int] = {}
    for author, number, stamp, changes in operations():
        body = encode_body(stamp, changes)
        bodies.setdefault(author, []).append(body)
        first.setdefault(author, number)
        content["operations"].append(
            {
                "author": hexed(author),
                "number": number,
                "stamp": hexed(stamp),
                "changes": [from_change(one) for one in changes],
                "stored": hexed(body),
                "canonical": hexed(canonical(author, number, body, BY_NAME)),
                "h16": hexed(h16(author, number, body, BY_NAME)),
            }
        )
        for one, ident in zip(changes, document_ids(author, number, changes), strict=True):
            if one[0] != CLOCK:
                schema = BY_NAME[one[1]]
                key = (schema.collection, cbor.encode(ident))
                documents.setdefault(key, (ident, Document()))[1].apply(one, schema, stamp, author)
    for author, run in bodies.items():
        for part in (run[:1], run[1:5], run):
            at = first[author] + (part is not run and part[0] is not run[0])
            segment = hexed(encode_segment(author, at, part, BY_NAME))
            row = {"author": hexed(author), "first": at, "count": len(part), "segment": segment}
            content["segments"].append(row)
    for (collection, _), (ident, document) in documents.items():
        row = {"collection": collection, "id": from_value(ident), "value": from_value(document.value())}
        content["documents"].append({**row, "state": hexed(document.encode())})
    return content


def text() -> str:
    """Return the file: one line for each row."""
    parts = []
    for name, rows in build().items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        parts.append(f'"{name}": [\n{lines}\n]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
