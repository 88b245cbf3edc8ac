"""Variable-length integers: unsigned LEB128 in its shortest form, and zigzag for signed ones (SPEC 1.11)."""

from ..errors import HedgerowError


def write_uint(buffer: bytearray, number: int) -> None:
    """Append an integer of 0 .. 2^64-1 as LEB128."""
    if number < 0 or number >> 64:
        raise HedgerowError("VARINT_RANGE", str(number))
    while number > 0x7F:
        buffer.append(number & 0x7F | 0x80)
        number >>= 7
    buffer.append(number)


def read_uint(data: bytes, at: int) -> tuple:
    """Return (integer, offset after it)."""
    number = shift = 0
    size = len(data)
    while True:
        if at >= size:
            raise HedgerowError("VARINT_TRUNCATED", str(at))
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise HedgerowError("VARINT_RANGE", "more than ten bytes")
    if shift and not byte:
        raise HedgerowError("VARINT_NOT_SHORTEST", str(number))
    if number >> 64:
        raise HedgerowError("VARINT_RANGE", str(number))
    return number, at


def write_int(buffer: bytearray, number: int) -> None:
    """Append an integer of -2^63 .. 2^63-1 as zigzag LEB128: 0, -1, 1, -2 become 0, 1, 2, 3."""
    write_uint(buffer, number << 1 if number >= 0 else ~number << 1 | 1)


def read_int(data: bytes, at: int) -> tuple:
    """Return (signed integer, offset after it)."""
    number, at = read_uint(data, at)
    return (~(number >> 1) if number & 1 else number >> 1), at
