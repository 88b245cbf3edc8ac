"""Operations: stored form, canonical bytes, limits."""

import hashlib

from kit import Random, raises
from samples import AUTHOR, NOW, PLANT, READING, SCHEMAS, random_operation, reading

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, SCOPE_ALL, schema_for
from hedgerow.operation import (
    CLOCK,
    COUNTER,
    DELETE,
    INITIAL,
    INSERT,
    UPDATE,
    canonical,
    decode_body,
    encode_body,
    h16,
    scope_of_changes,
)

STAMP = hlc.pack(NOW)


def test_stored_form_of_a_reading() -> None:
    body = reading(NOW, 512, 394)
    assert body == cbor.encode([hlc.wire(STAMP), [0, READING.name, None, [512, 394]]])
    assert decode_body(body) == (STAMP, [[INSERT, READING.name, None, [512, 394]]])
    assert len(body) == 23


def test_canonical_bytes_name_the_whole_hash() -> None:
    body = reading(NOW, 512, 394)
    expected = [1, AUTHOR, 7, hlc.wire(STAMP), [[0, READING.hash, None, [512, 394]]]]
    assert canonical(AUTHOR, 7, body, SCHEMAS) == cbor.encode(expected)
    assert h16(AUTHOR, 7, body, SCHEMAS) == hashlib.sha256(cbor.encode(expected)).digest()[:16]
    clock = encode_body(STAMP, [[CLOCK, 1, 2, 3, 0, None, 0]])
    assert canonical(AUTHOR, 8, clock, {}) == cbor.encode(
        [1, AUTHOR, 8, hlc.wire(STAMP), [[4, 1, 2, 3, 0, None, 0]]]
    )
    raises("SCHEMA_UNKNOWN", canonical, AUTHOR, 7, body, {})
    short = encode_body(STAMP, [[INSERT, READING.name, None, [1]]])
    raises("CHANGE_FIELDS", canonical, AUTHOR, 7, short, SCHEMAS)


def test_random_operations_round_trip() -> None:
    random = Random(12)
    for index in range(300):
        body = random_operation(random, NOW + index)
        stamp, changes = decode_body(body)
        assert encode_body(stamp, changes) == body
        first = canonical(AUTHOR, 1, body, SCHEMAS)
        assert first == canonical(AUTHOR, 1, body, SCHEMAS)
        assert first != canonical(AUTHOR, 2, body, SCHEMAS)


def test_size_limit_is_exact() -> None:
    schema = schema_for("c", KEEP, {"a": b"", "b": b""})
    spare = 3500 - len(encode_body(STAMP, [[INSERT, schema.name, None, [bytes(1700), bytes(300)]]])) + 300
    change = [INSERT, schema.name, None, [bytes(1700), bytes(spare)]]
    assert len(encode_body(STAMP, [change])) == limits.MAX_OPERATION == 3500
    change[3][1] += b"x"
    raises("OPERATION_TOO_LARGE", encode_body, STAMP, [change])
    raises("OPERATION_TOO_LARGE", decode_body, cbor.encode([hlc.wire(STAMP), change]))


def test_counts_are_limited() -> None:
    change = [DELETE, PLANT.name, 1]
    assert len(decode_body(encode_body(STAMP, [change] * 64))[1]) == 64
    raises("OPERATION_CHANGES", encode_body, STAMP, [change] * 65)
    raises("OPERATION_CHANGES", decode_body, cbor.encode([hlc.wire(STAMP)] + [change] * 65))
    raises("OPERATION_EMPTY", encode_body, STAMP, [])
    raises("OPERATION_EMPTY", decode_body, cbor.encode([hlc.wire(STAMP)]))
    raises("CHANGE_FIELDS", encode_body, STAMP, [[INSERT, PLANT.name, None, [0] * 65]])


def test_every_value_depth_that_is_stored_is_also_hashed() -> None:
    schema = schema_for("c", KEEP, {"a": 1})
    value = 0
    for _ in range(limits.MAX_VALUE_DEPTH):
        value = {"k": value}
    body = encode_body(STAMP, [[INSERT, schema.name, 1, [value]]])
    assert canonical(AUTHOR, 1, body, {schema.name: schema})
    raises("CBOR_DEPTH", encode_body, STAMP, [[INSERT, schema.name, 1, [[value]]]])


def test_refused_operations() -> None:
    for body in (b"\xf6", b"\x80", b"\xa0"):
        raises("OPERATION_INVALID", decode_body, body)
    raises("CBOR_TRUNCATED", decode_body, b"")
    raises("STAMP_INVALID", decode_body, cbor.encode([bytes(8), [DELETE, PLANT.name, 1]]))
    raises("STAMP_INVALID", decode_body, cbor.encode([5, [DELETE, PLANT.name, 1]]))


def test_refused_changes() -> None:
    name = PLANT.name
    above, below = hlc.wire(hlc.above(STAMP)), hlc.wire(STAMP)
    for code, change in (
        ("CHANGE_INVALID", None),
        ("CHANGE_INVALID", []),
        ("CHANGE_INVALID", [None, name, 1, []]),
        ("CHANGE_INVALID", [True, name, 1, []]),
        ("CHANGE_INVALID", [6, name, 1, []]),
        ("CHANGE_INVALID", [COUNTER, name, None, []]),
        ("CHANGE_INVALID", [COUNTER, name, 1]),
        ("CHANGE_INVALID", [COUNTER, name, 1, [], {2: ["a"]}]),
        ("CHANGE_FIELDS", [COUNTER, name, 1, None]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [5]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [None]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [[b"", 5, 0]]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [["", 5]]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [[bytes(15), 5]]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [[bytes(16), True]]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [[bytes(16), 1.5]]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [[bytes(16), 1 << 63]]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [[bytes(16), -1 - (1 << 63)]]]),
        ("COUNTER_INVALID", [COUNTER, name, 1, [[bytes(16), Decimal(1 << 63, -2)]]]),
        ("CHANGE_INVALID", [-1, name, 1, []]),
        ("CHANGE_INVALID", [INSERT, name, 1]),
        ("CHANGE_INVALID", [INSERT, name, 1, [], {1: above}, 0]),
        ("CHANGE_INVALID", [INSERT, name[:3], 1, []]),
        ("CHANGE_INVALID", [INSERT, "abcd", 1, []]),
        ("CHANGE_INVALID", [INITIAL, name, None, []]),
        ("CHANGE_INVALID", [UPDATE, name, None, []]),
        ("CHANGE_INVALID", [DELETE, name, None]),
        ("CHANGE_INVALID", [DELETE, name, 1, []]),
        ("CHANGE_INVALID", [DELETE, name, 1, {}]),
        ("CHANGE_INVALID", [INSERT, name, 1, [], {1: below}]),
        ("CHANGE_INVALID", [INITIAL, name, 1, [], {1: above}]),
        ("CHANGE_INVALID", [INSERT, name, 1, [], {2: ["a"]}]),
        ("CHANGE_INVALID", [UPDATE, name, 1, [], {2: []}]),
        ("CHANGE_INVALID", [UPDATE, name, 1, [], {2: ["a"] * 65}]),
        ("CHANGE_INVALID", [UPDATE, name, 1, [], {3: 0}]),
        ("SCHEMA_INVALID", [UPDATE, name, 1, [], {2: [["a"]]}]),
        ("SCHEMA_INVALID", [UPDATE, name, 1, [], {2: [1]}]),
        ("STAMP_INVALID", [UPDATE, name, 1, [], {1: 5}]),
        ("CHANGE_FIELDS", [INSERT, name, 1, None]),
        ("CHANGE_FIELDS", [INSERT, name, 1, {}]),
        ("DOCUMENT_ID", [INSERT, name, {}, []]),
        ("DOCUMENT_ID", [INSERT, name, [1, None], []]),
        ("DOCUMENT_ID", [INSERT, name, "x" * 129, []]),
        ("DOCUMENT_ID", [DELETE, name, cbor.UNDEFINED]),
        ("DOCUMENT_INVALID", [INSERT, name, 1, [[cbor.UNDEFINED]]]),
        ("DOCUMENT_INVALID", [INSERT, name, 1, [{"a": cbor.UNDEFINED}]]),
        ("SCHEMA_INVALID", [INSERT, name, 1, [{1: 2}]]),
        ("SCHEMA_INVALID", [INSERT, name, 1, [{"": 2}]]),
        ("SCHEMA_INVALID", [INSERT, name, 1, [[{"x" * 65: 2}]]]),
    ):
        raises(code, encode_body, STAMP, [change])
        raises(code, decode_body, cbor.encode([hlc.wire(STAMP), change]))


def test_stored_form_of_counters() -> None:
    values = [[b"", -(1 << 63)], cbor.UNDEFINED, [bytes(range(16)), Decimal((1 << 63) - 1, -2)]]
    change = [COUNTER, PLANT.name, 1, values, {1: hlc.wire(hlc.above(STAMP))}]
    body = encode_body(STAMP, [change])
    assert body == cbor.encode([hlc.wire(STAMP), change])
    again = decode_body(body)[1][0]
    assert again[3][2][1].exponent == -2 and encode_body(STAMP, [again]) == body
    assert canonical(AUTHOR, 1, body, SCHEMAS) == cbor.encode(
        [1, AUTHOR, 1, hlc.wire(STAMP), [[5, PLANT.hash] + change[2:]]]
    )
    short = encode_body(STAMP, [[COUNTER, PLANT.name, 1, values[:2]]])
    raises("CHANGE_FIELDS", canonical, AUTHOR, 1, short, SCHEMAS)


def test_an_operation_has_one_scope() -> None:
    schemas, deletes = {}, []
    for kind in range(6):
        schema = schema_for("c", kind, {"a": 1})
        schemas[schema.name] = schema
        deletes.append([DELETE, schema.name, 1])
    clock = [CLOCK, 1, 2, 3, 0, None, 0]
    for first in range(6):
        for second in range(6):
            changes = [deletes[first], deletes[second]]
            if first >> 1 == second >> 1:
                assert scope_of_changes(changes, schemas) == first >> 1
            else:
                raises("SCOPE_MIXED", scope_of_changes, changes, schemas)
    assert scope_of_changes([clock], {}) == SCOPE_ALL
    assert scope_of_changes([deletes[1], clock], schemas) == SCOPE_ALL
    raises("SCOPE_MIXED", scope_of_changes, [clock, deletes[2]], schemas)
    raises("SCHEMA_UNKNOWN", scope_of_changes, [deletes[0]], {})


def test_refused_clock_records() -> None:
    good = [CLOCK, 1, 1000, NOW, 2, NOW, 40]
    assert decode_body(encode_body(STAMP, [good]))[1] == [good]
    for at, value in (
        (1, -1),
        (1, 1 << 32),
        (2, 1 << 48),
        (2, None),
        (3, 1.5),
        (4, 5),
        (4, True),
        (4, 0),
        (5, 1 << 48),
        (5, "now"),
        (6, 1 << 40),
        (6, None),
    ):
        bad = list(good)
        bad[at] = value
        raises("CLOCK_RECORD_INVALID", encode_body, STAMP, [bad])
    raises("CLOCK_RECORD_INVALID", encode_body, STAMP, [good + [0]])
    raises("CLOCK_RECORD_INVALID", encode_body, STAMP, [good[:6]])


def test_damaged_operations_are_refused_by_code() -> None:
    from hedgerow.errors import CODES, HedgerowError

    random = Random(13)
    refused = 0
    for index in range(800):
        body = bytearray(random_operation(random, NOW + index))
        for _ in range(random.between(1, 3)):
            body[random.below(len(body))] = random.below(256)
        try:
            stamp, changes = decode_body(body)
            assert encode_body(stamp, changes) == bytes(body)
            canonical(AUTHOR, 1, body, SCHEMAS)
        except HedgerowError as error:
            assert error.code in CODES
            refused += 1
    assert refused > 100
