"""Segments: what comes out is what went in, in few bytes; bad ones are refused."""

from kit import Random, raises
from samples import AUTHOR, DEEP, NOW, PLANT, READING, SCHEMAS, random_operation, reading, readings

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.codec.segment import decode_segment, encode_segment, segment_schemas
from hedgerow.codec.varint import write_uint
from hedgerow.operation import CLOCK, INSERT, decode_body, encode_body

# The modules, compiled from their sources, take most of the usual one.
HEAP = "500k"


def _round_trip(first: int, bodies: list) -> int:
    data = encode_segment(AUTHOR, first, bodies, SCHEMAS)
    assert decode_segment(data, SCHEMAS) == (AUTHOR, first, bodies)
    assert decode_segment(memoryview(data), SCHEMAS)[2] == bodies
    return len(data)


def test_fifty_readings_cost_under_five_bytes_each() -> None:
    for seed in range(5):
        assert _round_trip(1001, readings(Random(seed), 50)) <= 5 * 50


def test_one_reading_costs_at_most_26_bytes() -> None:
    assert _round_trip(1, [reading(NOW, 512, 394)]) == 25
    assert _round_trip(9999, [reading(NOW, 512, 394)]) == 26


def test_random_operations_round_trip() -> None:
    random = Random(31)
    for _ in range(60):
        bodies = [random_operation(random, NOW + index * 1000) for index in range(random.between(1, 12))]
        _round_trip(random.between(1, 1 << 20), bodies)


def test_readings_around_a_clock_record_share_one_segment() -> None:
    random = Random(3)
    before = [reading(index * 250 + random.below(80), 500, 390 + index) for index in range(20)]
    jump = encode_body(hlc.pack(NOW), [[CLOCK, 1, 5000, NOW - 5000, 2, NOW, 30]])
    size = _round_trip(5, before + [jump] + readings(random, 20))
    assert size < len(jump) + 40 * 5


def test_stamps_of_any_kind() -> None:
    top = (1 << 48) - 1
    for moments in (
        [(0, 0), (0, 1), (0, 65535)],
        [(0, 0), (top, 65535)],
        [(top, 0), (0, 0), (top, 0)],
        [(5, 9)] * 7,
        [(100 + index * 37, 0) for index in range(256)],
    ):
        _round_trip(1, [reading(ms, 1, 1, counter) for ms, counter in moments])


def test_columns_of_any_kind() -> None:
    cases = (
        [[5, 5]] * 4,
        [[n, -3 * n] for n in range(30)],
        [[None, 1], [2, None], [3, 4]],
        [[1 << 63, 0], [-(1 << 62), 1], [0, 5]],
        [[(1 << 60), -(1 << 61)], [-(1 << 61), (1 << 60)], [0, 0]],
    )
    for rows in cases:
        bodies = [
            encode_body(hlc.pack(NOW + n), [[INSERT, READING.name, None, rows[n]]]) for n in range(len(rows))
        ]
        _round_trip(1, bodies)
    constant = [reading(NOW + n * 10, 500, n * 2) for n in range(120)]
    assert _round_trip(1, constant) < 1.5 * 120


def test_every_field_of_a_schema_may_be_missing() -> None:
    values = [["a", {}, None], ["b", {"x": 1}, 5]]
    bodies = [encode_body(hlc.pack(NOW + n), [[INSERT, PLANT.name, None, values[n]]]) for n in range(2)]
    _round_trip(1, bodies + [encode_body(hlc.pack(NOW), [[INSERT, DEEP.name, None, ["red", 3]]])])


def test_what_does_not_fit_the_schema_travels_as_it_is() -> None:
    body = encode_body(hlc.pack(NOW), [[INSERT, READING.name, None, [1]]])
    _round_trip(1, [body])
    unknown = encode_body(hlc.pack(NOW), [[INSERT, b"????", None, [1]]])
    _round_trip(1, [unknown])
    assert segment_schemas([body, unknown, reading(NOW, 1, 2)]) == [READING.name, b"????"]


def test_schemas_of_any_operation() -> None:
    random = Random(5)
    for at in range(200):
        body = random_operation(random, NOW + at)
        names: list = []
        for change in decode_body(body)[1]:
            if change[0] != CLOCK and change[1] not in names:
                names.append(change[1])
        assert segment_schemas([body]) == names


def test_unknown_schema() -> None:
    data = encode_segment(AUTHOR, 1, [reading(NOW, 1, 2)], SCHEMAS)
    raises("SCHEMA_UNKNOWN", decode_segment, data, {})


def test_encoding_limits() -> None:
    body = reading(NOW, 1, 2)
    raises("SEGMENT_TOO_LONG", encode_segment, AUTHOR, 1, [], SCHEMAS)
    raises("SEGMENT_TOO_LONG", encode_segment, AUTHOR, 1, [body] * 257, SCHEMAS)
    raises("SEGMENT_TOO_LONG", encode_segment, AUTHOR, 1, [bytes(3000)] * 3, SCHEMAS)
    raises("SEGMENT_INVALID", encode_segment, AUTHOR[:7], 1, [body], SCHEMAS)
    raises("SEGMENT_INVALID", encode_segment, AUTHOR, 0, [body], SCHEMAS)
    raises("SEGMENT_INVALID", encode_segment, AUTHOR, limits.MAX_NUMBER, [body] * 2, SCHEMAS)


def _segment(*parts: object) -> bytes:
    """Return a segment of hand-made parts: bytes as they are, integers as varints."""
    buffer = bytearray(b"\x10" + AUTHOR + b"\x01")
    for part in parts:
        if isinstance(part, int):
            write_uint(buffer, part)
        else:
            buffer.extend(part)
    return bytes(buffer)


def test_refused_segments() -> None:
    name, body = READING.name, reading(NOW, 1, 2)
    good = _segment(1 << 2 | 2, name, NOW << 1, 2, 4)
    assert decode_segment(good, SCHEMAS)[2] == [body]
    for code, data in (
        ("SEGMENT_TRUNCATED", b""),
        ("SEGMENT_TRUNCATED", good[:9]),
        ("SEGMENT_TOO_LONG", good[:10]),
        ("SEGMENT_VERSION", b"\x11" + good[1:]),
        ("SEGMENT_VERSION", b"\x20" + good[1:]),
        ("SEGMENT_INVALID", good[:9] + b"\x00" + good[10:]),
        ("SEGMENT_INVALID", good[:9] + b"\x80\x80\x80\x80\x10" + good[10:]),
        ("SEGMENT_INVALID", _segment(1 << 2 | 3)),
        ("SEGMENT_TOO_LONG", _segment(0)),
        ("SEGMENT_TOO_LONG", _segment(257 << 2 | 2, name)),
        ("SEGMENT_TRUNCATED", _segment(1 << 2, 30, body)),
        ("CBOR_TRUNCATED", _segment(1 << 2, 3, body)),
        ("OPERATION_EMPTY", _segment(1 << 2, 8, b"\x81\x46\0\0\0\0\0\1")),
        ("SEGMENT_TRUNCATED", _segment(1 << 2 | 2, name[:3])),
        ("SEGMENT_TRUNCATED", _segment(1 << 2 | 1, name, 0)),
        ("SEGMENT_INVALID", _segment(1 << 2 | 1, name, 0, 4, 0)),
        ("VARINT_TRUNCATED", _segment(1 << 2 | 2, name, 0, 4)),
        ("CLOCK_RANGE", _segment(1 << 2 | 2, name, 1 << 49, 2, 4)),
        ("CLOCK_RANGE", _segment(1 << 2 | 2, name, 1, 65536, 2, 4)),
        ("CLOCK_RANGE", _segment(2 << 2 | 2, name, 0, 0, 1, 0, 2, 2, 4, 4)),
        ("DOCUMENT_INVALID", _segment(1 << 2 | 1, name, 0, 0, b"\x81\xf7", 0, b"\x00")),
        ("SEGMENT_TOO_LONG", _segment(256 << 2 | 1, name, 0, 0, bytes(256), 1, b"\x58\x40" + bytes(64))),
    ):
        raises(code, decode_segment, data, SCHEMAS)


def test_every_cut_and_many_flips_are_refused_by_code() -> None:
    from hedgerow.errors import CODES, HedgerowError

    random = Random(77)
    bodies = [random_operation(random, NOW + n * 500) for n in range(6)] + readings(random, 6)
    data = encode_segment(AUTHOR, 300, bodies, SCHEMAS)
    for size in range(len(data)):
        try:
            author, first, held = decode_segment(data[:size], SCHEMAS)
            assert (author, first) == (AUTHOR, 300) and held == bodies[: len(held)]
        except HedgerowError as error:
            assert error.code in CODES
    for _ in range(800):
        damaged = bytearray(data)
        damaged[random.below(len(data))] = random.below(256)
        try:
            for body in decode_segment(damaged, SCHEMAS)[2]:
                decode_body(body)
        except HedgerowError as error:
            assert error.code in CODES
