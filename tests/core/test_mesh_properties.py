"""Whatever is said in frames is read as it was said; whatever was recorded fits the frames it should fit."""

import csv
from itertools import pairwise
from pathlib import Path

import fuzz_mesh
import pytest
from fuzz_mesh import KEY, MESH
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import Random
from samples import AUTHOR

from hedgerow.clock import hlc
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM, Schema, schema_for
from hedgerow.mesh import asks, frames, letters, ops, tag, tells
from hedgerow.mesh.seen import Seen, who_of
from hedgerow.operation import INSERT, encode_body

DATA = Path(__file__).parents[2] / "boards" / "hedgerow_boards" / "data"
SHORT = st.binary(min_size=3, max_size=3)
U16 = st.integers(0, 0xFFFF)
BYTE = st.integers(0, 255)
START = hlc.stamp_ms(hlc.pack(315_532_800_000))


def air(kind: int, body: bytes, hop: int = 0xF8) -> bytes:
    """Send a body over the air: the frame that arrives."""
    payload = b"\x02\x0a\x04" * (len(body) < 10) + frames.advertise(frames.make(kind, MESH, body, KEY, hop))
    assert len(payload) <= 31
    at = frames.find(memoryview(payload))
    frame = bytes(payload[at : frames.end(payload, at)])
    assert tag.check(KEY, frame) and frame[3] == hop and frame[0] == frames.VERSION | kind
    return frame


@given(st.lists(st.tuples(SHORT, U16, BYTE), min_size=1, max_size=3), st.integers(0, 3), BYTE)
def test_have(entries: list[tuple[bytes, int, int]], log2: int, bucket: int) -> None:
    bucket &= (1 << log2) - 1
    assert asks.decode_have(air(frames.HAVE, asks.encode_have(log2, bucket, entries))) == (
        log2,
        bucket,
        entries,
    )


@given(st.lists(st.tuples(SHORT, U16, U16), min_size=1, max_size=2))
def test_wanted_operations(entries: list[tuple[bytes, int, int]]) -> None:
    assert asks.decode_want(air(frames.WANT, asks.encode_want(0, entries))) == (0, entries)


@given(st.integers(0, 1), st.lists(st.binary(min_size=6, max_size=6), min_size=1, max_size=3))
def test_ack(what: int, keys: list[bytes]) -> None:
    assert asks.decode_ack(air(frames.ACK, asks.encode_ack(what, keys))) == (what, keys)


@given(st.binary(min_size=8, max_size=8), BYTE, SHORT, st.integers(0, (1 << 32) - 1))
def test_receipt(keeper: bytes, incarnation: int, author: bytes, number: int) -> None:
    frame = air(frames.RECEIPT, tells.encode_receipt(keeper, incarnation, author, number))
    assert tells.decode_receipt(frame) == (keeper[:4], incarnation, author, number, bytes(8))


@given(st.integers(0, (1 << 48) - 1), U16, st.integers(0, 4), BYTE, SHORT, U16)
def test_time(utc: int, error: int, source: int, hops: int, asker: bytes, counter: int) -> None:
    told = (utc, error, source, hops, asker, counter)
    assert tells.decode_time(air(frames.TIME, tells.encode_time(*told))) == told


@given(st.binary(min_size=1, max_size=128), st.randoms(use_true_random=False))
def test_letters(content: bytes, random: object) -> None:
    content = bytes((content[0] & 0x7F,)) + content[1:]
    bodies = letters.split(content)
    assert len(bodies) <= (len(content) + 15) // 16
    todo = [air(frames.LETTER_UP, body) for body in bodies] * 2
    random.shuffle(todo)  # type: ignore[attr-defined]
    table = letters.Letters()
    assert [found for found in (table.take(frame, 0) for frame in todo) if found is not None] == [content]


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    st.integers(1, (1 << 32) - 1),
    st.integers(START, START + (1 << 40)),
    st.integers(1, 1 << 24),
)
def test_operations(values: list[int], number: int, ms: int, after: int) -> None:
    """An OP is made of an operation exactly if its values fit 8 bytes; and then it comes back whole."""
    schema = Schema("things", STREAM, tuple((name, -1 if at % 2 else None) for at, name in enumerate("abcd")))
    schema = Schema("things", STREAM, schema.fields[: len(values)])
    schemas = {schema.name: schema}
    stored = encode_body(hlc.pack(ms), [[INSERT, schema.name, None, values]])
    body = ops.pack(AUTHOR, number, stored, schemas, ms - after)
    size = sum(-(-((value if value >= 0 else ~value).bit_length() + 1) // 7) for value in values)
    assert (body is None) == (size > 8)
    if body is not None:
        op = frames.decode_op(air(frames.OP, body))
        held = number - 1
        assert ops.rebuild(op, AUTHOR, ops.nearest(held, op.number), ms - after, schemas) == stored


@pytest.mark.parametrize("kind", fuzz_mesh.READ)
@given(st.binary(max_size=20))
@settings(max_examples=200)
def test_bodies_of_anything(kind: int, body: bytes) -> None:
    payload = frames.advertise(frames.make(kind, MESH, body, KEY))
    try:
        fuzz_mesh.read_payload(payload)
    except fuzz_mesh.HedgerowError as error:
        assert error.code == "BEACON_INVALID" or error.code.startswith("VARINT_")


def _seattle() -> list[Decimal]:
    with (DATA / "seattle-hourly-temperature-2010.csv").open() as file:
        rows = list(csv.reader(line for line in file if not line.startswith("#")))
    return [Decimal.parse(row[1]) for row in rows[1:]]


def test_every_real_reading_of_two_values_fits_one_advertisement() -> None:
    """A year of temperatures in tenths and hundredths, with a humidity or a voltage in hundredths beside
    them as the Intel lab's motes had it (2.69 V): at most 31 bytes, own or relayed, and back exactly."""
    celsius = schema_for("readings", STREAM, {"t": Decimal(0, -2), "v": Decimal(0, -2)})
    fahrenheit = schema_for("readings", STREAM, {"temperature": Decimal(0, -1), "humidity": Decimal(0, -2)})
    schemas = {celsius.name: celsius, fahrenheit.name: fahrenheit}
    longest = 0
    hourly = [Decimal.parse(text) for text in ("100.00", "0.00", "45.09", "2.69")]
    temperatures = _seattle()
    assert len(temperatures) > 8000 and all(value.exponent == -1 for value in temperatures)
    ms = START
    for number, value in enumerate(temperatures, 65_000):
        for schema, values in (
            (fahrenheit, [hourly[number % 4].mantissa, value.mantissa]),
            (celsius, [(value.mantissa - 320) * 50 // 9, 269 - number % 40]),
        ):
            stored = encode_body(hlc.pack(ms), [[INSERT, schema.name, None, values]])
            body = ops.pack(AUTHOR, number, stored, schemas, ms - 3_600_000)
            assert body is not None
            own = frames.make(frames.OP, MESH, body, KEY)
            relayed = frames.with_hop(own, 4, number)
            longest = max(longest, len(frames.advertise(own)), len(frames.advertise(relayed)))
            op = frames.decode_op(relayed)
            assert ops.rebuild(op, AUTHOR, number, ms - 3_600_000, schemas) == stored
        ms += 3_600_000
    # 5 of the 8 bytes for values are the most (100.00 % takes 3).
    assert longest == 28


def test_copies_of_a_frame_are_seen_whoever_sends_them() -> None:
    """1,000 frames, each from up to 5 senders with other hop bytes: none new twice, none missed."""
    seen = Seen(1024)
    random = Random(1)
    new = told = 0
    for number in range(1000):
        body = frames.encode_op(frames.Op(b"aut", number, b"ck", b"sc", number * 977, [number % 80]))
        frame = frames.make(frames.OP, MESH, body, KEY)
        counts = []
        for at in range(5):
            sender = b"\1" + random.bytes(6)
            payload = frames.advertise(frames.with_hop(frame, at, at))
            counts.append(seen.note(frames.identity(payload, 4, len(payload)), who_of(sender)))
        new += counts.count(0)
        assert counts[0] == 0 and all(later >= before for before, later in pairwise(counts))
        told += counts[-1]
    # By 3 bits of 5 addresses 3.9 are told apart.
    assert new == 1000 and 3600 < told < 4100
