"""Schemas: one hash for one list of fields."""

import hashlib

from kit import raises

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import (
    KEEP,
    SCOPE_ALL,
    SCOPE_BIG_PEER,
    SCOPE_LOCAL,
    STREAM,
    Schema,
    is_stream,
    schema_for,
    scope_of,
)

READING = {"temperature": Decimal(394, -1), "board": "b1", "n": 7}


def test_fields_are_sorted_and_scaled() -> None:
    schema = schema_for("readings", STREAM, READING)
    assert schema.fields == (("board", None), ("n", None), ("temperature", -1))
    assert schema.encoded == cbor.encode(
        [1, "readings", 1, [["board", None], ["n", None], ["temperature", -1]]]
    )
    assert schema.hash == hashlib.sha256(schema.encoded).digest()
    assert schema.name == schema.hash[:4]
    other = {"n": 1, "temperature": Decimal(1, -1), "board": "b2"}
    assert schema_for("readings", STREAM, other).hash == schema.hash
    assert schema_for("readings", KEEP, other).hash != schema.hash


def test_decoding_gives_the_same_schema() -> None:
    schema = schema_for("c", KEEP, {("a", "b"): 1, "z": Decimal(1, 2), ("a", "c"): None})
    again = Schema.decode(schema.encoded)
    assert (again.encoded, again.hash, again.fields) == (schema.encoded, schema.hash, schema.fields)
    assert again.fields == ((("a", "b"), None), (("a", "c"), None), ("z", 2))


def test_values_lie_along_the_fields() -> None:
    schema = schema_for("readings", STREAM, READING)
    assert schema.pack(READING) == ["b1", 7, 394]
    assert schema.unpack(["b1", 7, 394]) == READING
    assert schema.pack({"n": 1}) == [cbor.UNDEFINED, 1, cbor.UNDEFINED]
    assert schema.unpack(schema.pack({"n": 1})) == {"n": 1}
    other = schema.unpack(schema.pack({"temperature": Decimal(3940, -2)}))["temperature"]
    assert (other.mantissa, other.exponent) == (3940, -2)
    assert schema.unpack(schema.pack({"temperature": None})) == {"temperature": None}
    raises("CHANGE_FIELDS", schema.pack, {"temperature": 39})
    raises("CHANGE_FIELDS", schema.unpack, [1, 2])


def test_refused_schemas() -> None:
    good = [["a", None], ["b", -1]]
    for value in (
        None,
        [1, "c", 0],
        [2, "c", 0, good],
        [1, "", 0, good],
        [1, "c" * 65, 0, good],
        [1, b"c", 0, good],
        [1, "c", 6, good],
        [1, "c", -1, good],
        [1, "c", False, good],
        [1, "c", 0, None],
        [1, "c", 0, [["a"]]],
        [1, "c", 0, [["b", None], ["a", None]]],
        [1, "c", 0, [["a", None], ["a", -1]]],
        [1, "c", 0, [["a", 128]]],
        [1, "c", 0, [["a", True]]],
        [1, "c", 0, [[1, None]]],
        [1, "c", 0, [["", None]]],
        [1, "c", 0, [[["a"], None]]],
        [1, "c", 0, [[["a"] * 9, None]]],
        [1, "c", 0, [["a", None], [["a", "b"], None]]],
        [1, "c", 0, [[["a", "b"], None], [["a", "b", "c"], None]]],
    ):
        raises("SCHEMA_INVALID", Schema.decode, cbor.encode(value))
    raises("SCHEMA_INVALID", schema_for, "c", KEEP, {1: 2, "a": 3})
    raises("SCHEMA_INVALID", schema_for, "c", KEEP, {("a", 1): 2})
    many = [[f"f{n:02d}", None] for n in range(65)]
    assert len(Schema.decode(cbor.encode([1, "c", 0, many[:64]])).fields) == 64
    raises("DOCUMENT_FIELDS", Schema.decode, cbor.encode([1, "c", 0, many]))


def test_a_kind_says_stream_and_scope() -> None:
    for kind, stream, scope in (
        (KEEP, False, SCOPE_ALL),
        (STREAM, True, SCOPE_ALL),
        (2, False, SCOPE_BIG_PEER),
        (3, True, SCOPE_BIG_PEER),
        (4, False, SCOPE_LOCAL),
        (5, True, SCOPE_LOCAL),
    ):
        assert (is_stream(kind), scope_of(kind)) == (stream, scope)
        assert Schema.decode(schema_for("c", kind, {"a": 1}).encoded).kind == kind
    assert len({schema_for("c", kind, {"a": 1}).hash for kind in range(6)}) == 6


def test_the_id_is_no_field() -> None:
    raises("SCHEMA_INVALID", schema_for, "cars", KEEP, {"_id": 7})
    raises("SCHEMA_INVALID", schema_for, "cars", KEEP, {("_id", "part"): 7})
