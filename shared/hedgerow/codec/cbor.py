"""Deterministic CBOR (RFC 8949 section 4.2.1), strict in both directions (SPEC 1).

Values: None, bool, int (-2^64 .. 2^64-1), float, str, bytes, list or tuple, dict with keys of int, str
or bytes, Decimal (tag 4) and UNDEFINED. What has another encoding than the one this module writes is
refused, so that equal values always have equal bytes and bytes can be hashed and signed as received.
"""

import struct

from .. import limits
from ..errors import HedgerowError
from .decimal import Decimal


class _Undefined:
    """CBOR's undefined: a value that was not given, unlike null, which was."""

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED = _Undefined()


# True where floats have 32 bits, as on an ESP32. Tests set it to run that case on any VM.
single_floats = struct.pack(">d", 0.1) != b"\x3f\xb9\x99\x99\x99\x99\x99\x9a"


def encode(value: object) -> bytes:
    """Return the one encoding of a value."""
    buffer = bytearray()
    encode_into(buffer, value)
    return bytes(buffer)


def encode_into(buffer: bytearray, value: object, depth: int = 0) -> None:
    """Append the encoding of a value to a buffer."""
    if value is None:
        buffer.append(0xF6)
    elif value is True:
        buffer.append(0xF5)
    elif value is False:
        buffer.append(0xF4)
    elif isinstance(value, int):
        major, number = (0x00, value) if value >= 0 else (0x20, -1 - value)
        if number >> 64:
            raise HedgerowError("CBOR_INT_RANGE", str(value))
        head_into(buffer, major, number)
    elif isinstance(value, str):
        data = _utf8(value)
        head_into(buffer, 0x60, _bounded(len(data), limits.MAX_TEXT))
        buffer.extend(data)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        head_into(buffer, 0x40, _bounded(len(value), limits.MAX_TEXT))
        buffer.extend(value)
    elif isinstance(value, Decimal):
        buffer.extend(b"\xc4\x82")
        encode_into(buffer, value.exponent)
        encode_into(buffer, value.mantissa)
    elif value is UNDEFINED:
        buffer.append(0xF7)
    else:
        _encode_container(buffer, value, depth + 1)


def _encode_container(buffer: bytearray, value: object, depth: int) -> None:
    if isinstance(value, (list, tuple, dict)) and depth > limits.MAX_DEPTH:
        raise HedgerowError("CBOR_DEPTH", str(depth))
    if isinstance(value, (list, tuple)):
        head_into(buffer, 0x80, _bounded(len(value), limits.MAX_ARRAY))
        for item in value:
            encode_into(buffer, item, depth)
    elif isinstance(value, dict):
        head_into(buffer, 0xA0, _bounded(len(value), limits.MAX_MAP))
        entries = []
        for key in value:
            if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
                raise HedgerowError("CBOR_KEY_TYPE", repr(key)[:48])
            entries.append((encode(key), key))
        entries.sort(key=lambda entry: entry[0])
        for data, key in entries:
            buffer.extend(data)
            encode_into(buffer, value[key], depth)
    else:
        from . import floats

        if isinstance(value, float):
            buffer.extend(floats.encode_bits(floats.bits_of(value, single_floats)))
        elif isinstance(value, floats.OpaqueFloat):
            buffer.extend(floats.encode_bits(value.bits))
        else:
            raise HedgerowError("CBOR_TYPE", str(type(value)))


def head_into(buffer: bytearray, major: int, number: int) -> None:
    """Append an item's head: its major type (in the top three bits) with the shortest argument."""
    if number < 24:
        buffer.append(major | number)
    elif number < 0x100:
        buffer.append(major | 24)
        buffer.append(number)
    elif number < 0x10000:
        buffer.append(major | 25)
        buffer.extend(number.to_bytes(2, "big"))
    elif number >> 32 == 0:
        buffer.append(major | 26)
        buffer.extend(number.to_bytes(4, "big"))
    else:
        buffer.append(major | 27)
        buffer.extend(number.to_bytes(8, "big"))


def _bounded(length: int, limit: int) -> int:
    if length > limit:
        raise HedgerowError("CBOR_TOO_LONG", str(length))
    return length


def decode(data: bytes) -> object:
    """Return the value of bytes that hold exactly one item."""
    value, at = decode_at(data, 0)
    if at != len(data):
        raise HedgerowError("CBOR_TRAILING", str(len(data) - at))
    return value


def decode_at(data: bytes, at: int, depth: int = 0) -> tuple:
    """Return (value, offset after it) of the item at an offset."""
    major, number, after = read_head(data, at)
    if major == 0:
        return number, after
    if major == 1:
        return -1 - number, after
    if major == 7:
        return _decode_simple(data, at, number, after)
    if major == 6:
        return _decode_decimal(data, number, after)
    left = len(data) - after
    if major < 4:
        _bounded(number, limits.MAX_TEXT)
        if number > left:
            raise HedgerowError("CBOR_TRUNCATED", str(at))
        raw = bytes(data[after : after + number])
        return (raw if major == 2 else _text(raw)), after + number
    if depth >= limits.MAX_DEPTH:
        raise HedgerowError("CBOR_DEPTH", str(at))
    _bounded(number, limits.MAX_ARRAY if major == 4 else limits.MAX_MAP)
    if number > left:
        raise HedgerowError("CBOR_TRUNCATED", str(at))
    if major == 5:
        return _decode_map(data, number, after, depth + 1)
    items = []
    while number:
        item, after = decode_at(data, after, depth + 1)
        items.append(item)
        number -= 1
    return items, after


def read_head(data: bytes, at: int) -> tuple:
    """Return (major type 0 .. 7, argument, offset after the head); of a float the argument is its length."""
    if at >= len(data):
        raise HedgerowError("CBOR_TRUNCATED", str(at))
    major, number = data[at] >> 5, data[at] & 31
    at += 1
    if number < 24:
        return major, number, at
    if number > 27:
        raise HedgerowError("CBOR_INDEFINITE" if number == 31 else "CBOR_RESERVED", str(at - 1))
    size = 1 << (number - 24)
    if at + size > len(data):
        raise HedgerowError("CBOR_TRUNCATED", str(at))
    if major == 7:
        return major, number, at + size
    number = int.from_bytes(bytes(data[at : at + size]), "big")
    if number < 24 or (size > 1 and not number >> (size * 4)):
        raise HedgerowError("CBOR_NOT_SHORTEST", str(at - 1))
    return major, number, at + size


def _decode_map(data: bytes, count: int, at: int, depth: int) -> tuple:
    entries = {}
    last = b""
    while count:
        start = at
        key, at = decode_at(data, at, depth)
        if isinstance(key, bool) or not isinstance(key, (int, str, bytes)):
            raise HedgerowError("CBOR_KEY_TYPE", str(start))
        raw = bytes(data[start:at])
        if raw <= last:
            raise HedgerowError("CBOR_KEY_ORDER", str(start))
        last = raw
        entries[key], at = decode_at(data, at, depth)
        count -= 1
    return entries, at


def _decode_decimal(data: bytes, tag: int, at: int) -> tuple:
    if tag != 4 or at >= len(data) or data[at] != 0x82:
        raise HedgerowError("CBOR_TAG", str(tag))
    parts = []
    at += 1
    for _ in range(2):
        major, number, at = read_head(data, at)
        if major > 1:
            raise HedgerowError("CBOR_TAG", "a decimal of something else than integers")
        parts.append(number if major == 0 else -1 - number)
    return Decimal(parts[1], parts[0]), at


def _decode_simple(data: bytes, at: int, info: int, after: int) -> tuple:
    if info > 24:
        from . import floats

        return floats.decode_float(bytes(data[at:after]), single_floats), after
    if not 20 <= info <= 23:
        raise HedgerowError("CBOR_SIMPLE", str(at))
    return (False, True, None, UNDEFINED)[info - 20], after


def _utf8(text: str) -> bytes:
    try:
        data = text.encode()
    except ValueError as error:
        raise HedgerowError("CBOR_TEXT", "a lone surrogate") from error
    # As many characters as bytes: all of it is ASCII.
    if len(data) != len(text):
        _check_utf8(data)
    return data


def _text(data: bytes) -> str:
    try:
        text = str(data, "utf-8")
    except ValueError as error:
        raise HedgerowError("CBOR_TEXT", "malformed") from error
    if len(text) != len(data):
        _check_utf8(data)
    return text


def _check_utf8(data: bytes) -> None:
    """Refuse what RFC 3629 does; MicroPython's own check lets surrogates and overlong forms pass."""
    at, size = 0, len(data)
    while at < size:
        first = data[at]
        at += 1
        if first < 0x80:
            continue
        extra = 1 if 0xC2 <= first < 0xE0 else 2 if 0xE0 <= first < 0xF0 else 3 if 0xF0 <= first < 0xF5 else 0
        if not extra or at + extra > size:
            raise HedgerowError("CBOR_TEXT", str(at - 1))
        number = first & (0x3F >> extra)
        for byte in data[at : at + extra]:
            if byte & 0xC0 != 0x80:
                raise HedgerowError("CBOR_TEXT", str(at))
            number = number << 6 | byte & 0x3F
        if number < (0, 0x80, 0x800, 0x10000)[extra] or 0xD800 <= number < 0xE000 or number > 0x10FFFF:
            raise HedgerowError("CBOR_TEXT", str(at - 1))
        at += extra


def __getattr__(name: str) -> object:
    # A board that meets no float has no use for what handles them.
    if name == "OpaqueFloat":
        from .floats import OpaqueFloat

        return OpaqueFloat
    raise AttributeError(name)
