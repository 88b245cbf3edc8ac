"""The CBOR codec against cbor2, and against any bytes at all."""

import decimal
import struct
import sys
from types import FrameType

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.errors import CODES, HedgerowError

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.binary(max_size=20)
    | st.builds(Decimal, st.integers(-(1 << 60), 1 << 60), st.integers(-127, 127))
)
# cbor2 sorts keys by length first (RFC 7049), which is the bytewise order where all keys are text.
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text("abcdefé", max_size=9), inner, max_size=5)
    ),
    max_leaves=20,
)


def to_cbor2(value: object) -> object:
    """Replace our decimals by the standard library's, which cbor2 knows."""
    if isinstance(value, Decimal):
        return decimal.Decimal(
            (value.mantissa < 0, tuple(map(int, str(abs(value.mantissa)))), value.exponent)
        )
    if isinstance(value, list):
        return [to_cbor2(item) for item in value]
    if isinstance(value, dict):
        return {key: to_cbor2(item) for key, item in value.items()}
    return value


@given(values)
def test_bytes_are_those_of_cbor2(value: object) -> None:
    data = cbor.encode(value)
    assert data == cbor2.dumps(to_cbor2(value), canonical=True)
    assert cbor.decode(data) == value


def test_not_a_number_has_one_encoding() -> None:
    assert cbor.encode(float("nan")) == cbor2.dumps(float("nan"), canonical=True) == bytes.fromhex("f97e00")


def test_every_half_float_is_read_as_cbor2_reads_it() -> None:
    for number in range(0x10000):
        item = b"\xf9" + number.to_bytes(2, "big")
        if number & 0x7FFF > 0x7C00 and number != 0x7E00:
            with pytest.raises(HedgerowError):
                cbor.decode(item)
        else:
            value = cbor.decode(item)
            assert struct.pack(">d", value) == struct.pack(">d", cbor2.loads(item))
            assert cbor.encode(value) == item


def check_any(data: bytes) -> None:
    """Insist on a value that has exactly these bytes, or on a code."""
    try:
        value = cbor.decode(data)
    except HedgerowError as error:
        assert error.code in CODES
    else:
        assert cbor.encode(value) == data


@settings(max_examples=500)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_code(data: bytes) -> None:
    check_any(data)


@given(values, st.data())
def test_damaged_bytes_are_a_value_or_a_code(value: object, data: st.DataObject) -> None:
    item = bytearray(cbor.encode(value))
    item[data.draw(st.integers(0, len(item) - 1))] = data.draw(st.integers(0, 255))
    check_any(bytes(item))
    check_any(bytes(item[: data.draw(st.integers(0, len(item)))]))


@pytest.mark.parametrize("head", [b"\x81", b"\xa1\x00", b"\xc4\x82", b"\x82\x00", b"\xa1\x81"])
def test_nesting_never_recurses_deeply(head: bytes) -> None:
    before = sys.getrecursionlimit()
    frame: FrameType | None = sys._getframe()
    depth = 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    sys.setrecursionlimit(depth + 60)
    try:
        with pytest.raises(HedgerowError):
            cbor.decode(head * 5000)
    finally:
        sys.setrecursionlimit(before)


def test_every_unicode_border_agrees_with_python() -> None:
    borders = [0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF]
    for code in borders:
        assert cbor.decode(cbor.encode(chr(code))) == chr(code)
    for lead in range(0x80, 0x100):
        for tail in (
            b"",
            b"\x80",
            b"\xbf",
            b"\x80\x80",
            b"\x9f\xbf",
            b"\xa0\x80",
            b"\x8f\xbf\xbf",
            b"\x90\x80\x80",
        ):
            data = bytes([lead]) + tail
            try:
                text = data.decode()
            except UnicodeDecodeError:
                with pytest.raises(HedgerowError) as caught:
                    cbor.decode(bytes([0x60 + len(data)]) + data)
                assert caught.value.code == "CBOR_TEXT"
            else:
                assert cbor.decode(bytes([0x60 + len(data)]) + data) == text
