"""Segments, operations and states under hypothesis: round trips and refusals by code."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM, Schema, schema_for
from hedgerow.codec.segment import decode_segment, encode_segment
from hedgerow.document import Document
from hedgerow.errors import CODES, HedgerowError
from hedgerow.operation import DELETE, INSERT, canonical, decode_body, encode_body

AUTHOR = bytes(range(8))
FIELDS = schema_for("c", STREAM, {"a": Decimal(0, -1), "b": 0, "c": ""})
SCHEMAS = {FIELDS.name: FIELDS}

cells: st.SearchStrategy[Any] = (
    st.integers(-(1 << 64), (1 << 64) - 1)
    | st.integers(-50, 50)
    | st.sampled_from([None, cbor.UNDEFINED, True, "x", Decimal(5, 2), 1.5, [1, {"k": b""}], {}])
)
moments = st.integers(0, (1 << 48) - 1) | st.integers(837_000_000_000, 837_000_100_000)
counters = st.just(0) | st.integers(0, 65535)


@st.composite
def bodies(draw: st.DrawFn) -> list[bytes]:
    """Runs of operations, most of them inserts that a columnar block can hold."""
    run = []
    for _ in range(draw(st.integers(1, 12))):
        stamp = hlc.pack(draw(moments), draw(counters))
        ident = draw(st.none() | st.none() | st.text("ab", max_size=3))
        change = [INSERT, FIELDS.name, ident, draw(st.lists(cells, min_size=3, max_size=3))]
        changes = [change] if draw(st.integers(0, 4)) else [change, [DELETE, FIELDS.name, 1]]
        run.append(encode_body(stamp, changes))
    return run


@given(st.integers(1, 1 << 31), bodies())
def test_segments_give_back_the_bytes(first: int, run: list[bytes]) -> None:
    data = encode_segment(AUTHOR, first, run, SCHEMAS)
    assert decode_segment(data, SCHEMAS) == (AUTHOR, first, run)


@given(st.integers(1, 1 << 31), bodies(), st.data())
def test_canonical_bytes_do_not_depend_on_packing(first: int, run: list[bytes], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(run)))
    packed = [run[:cut], run[cut:]]
    unpacked: list[bytes] = []
    for part in packed:
        if part:
            segment = encode_segment(AUTHOR, first + len(unpacked), part, SCHEMAS)
            unpacked += decode_segment(segment, SCHEMAS)[2]
    for at, body in enumerate(run):
        assert canonical(AUTHOR, first + at, unpacked[at], SCHEMAS) == canonical(
            AUTHOR, first + at, body, SCHEMAS
        )


@settings(max_examples=300)
@given(st.integers(0, 3), st.binary(max_size=50), st.booleans())
def test_any_bytes_are_a_segment_or_a_code(mode: int, tail: bytes, framed: bool) -> None:
    data = b"\x10" + AUTHOR + b"\x01" + bytes([3 << 2 | mode]) + FIELDS.name + tail if framed else tail
    try:
        for body in decode_segment(data, SCHEMAS)[2]:
            decode_body(body)
    except HedgerowError as error:
        assert error.code in CODES


@settings(max_examples=300)
@given(st.binary(max_size=50) | st.lists(cells, max_size=6).map(cbor.encode))
def test_any_bytes_are_an_operation_or_a_schema_or_a_code(data: bytes) -> None:
    for function in (decode_body, Schema.decode, Document.decode):
        try:
            function(data)
        except HedgerowError as error:
            assert error.code in CODES
