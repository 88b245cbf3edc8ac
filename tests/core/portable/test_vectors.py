"""The golden vectors for other implementations: this one makes exactly these bytes, on every VM."""

import hashlib

from kit import Random, load_json
from vector_form import from_change, from_value, hexed, to_change, to_schema, to_value, unhexed

from hedgerow.codec import cbor
from hedgerow.codec.segment import decode_segment, encode_segment
from hedgerow.document import Document, document_ids
from hedgerow.operation import CLOCK, canonical, decode_body, encode_body, h16

HEAP = "800k"
VECTORS = load_json("vectors.json")
SCHEMAS = {}
for form in VECTORS["schemas"]:
    SCHEMAS[unhexed(form["hash"])[:4]] = to_schema(form)


def test_schemas() -> None:
    for form in VECTORS["schemas"]:
        schema = to_schema(form)
        assert hexed(schema.encoded) == form["encoded"]
        assert hexed(schema.hash) == form["hash"] == hexed(hashlib.sha256(schema.encoded).digest())


def test_operations() -> None:
    kinds = set()
    for form in VECTORS["operations"]:
        changes = [to_change(change) for change in form["changes"]]
        kinds |= {change[0] for change in changes}
        body = encode_body(unhexed(form["stamp"]), changes)
        assert hexed(body) == form["stored"], form
        stamp, again = decode_body(body)
        assert (hexed(stamp), [from_change(change) for change in again]) == (form["stamp"], form["changes"])
        author, number = unhexed(form["author"]), form["number"]
        assert hexed(canonical(author, number, body, SCHEMAS)) == form["canonical"]
        assert hexed(h16(author, number, body, SCHEMAS)) == form["h16"]
    assert kinds == {0, 1, 2, 3, 4, 5} and len(VECTORS["operations"]) >= 40


def test_segments() -> None:
    for form in VECTORS["segments"]:
        numbers = range(form["first"], form["first"] + form["count"])
        bodies = [
            unhexed(row["stored"])
            for row in VECTORS["operations"]
            if row["author"] == form["author"] and row["number"] in numbers
        ]
        assert len(bodies) == form["count"]
        data = encode_segment(unhexed(form["author"]), form["first"], bodies, SCHEMAS)
        assert hexed(data) == form["segment"]
        assert decode_segment(data, SCHEMAS) == (unhexed(form["author"]), form["first"], bodies)


def test_documents_in_any_order() -> None:
    parts = []
    for form in VECTORS["operations"]:
        author = unhexed(form["author"])
        changes = [to_change(change) for change in form["changes"]]
        ids = document_ids(author, form["number"], changes)
        for change, ident in zip(changes, ids):
            if change[0] != CLOCK:
                schema = SCHEMAS[change[1]]
                place = (schema.collection, cbor.encode(ident))
                parts.append((place, change, schema, unhexed(form["stamp"]), author))
    documents = {}
    for part in Random(3).shuffle(parts):
        documents.setdefault(part[0], Document()).apply(*part[1:])
    assert len(documents) == len(VECTORS["documents"])
    shown = 0
    for form in VECTORS["documents"]:
        document = documents[form["collection"], cbor.encode(to_value(form["id"]))]
        assert from_value(document.value()) == form["value"], form
        assert hexed(document.encode()) == form["state"]
        shown += form["value"] is not None
    assert 0 < shown < len(documents)
