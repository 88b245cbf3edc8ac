"""Floats in CBOR, by their bits (SPEC 1.7). `single` says that the VM's floats have 32 bits.

Loaded when the first float is met: what is recorded are integers and decimals.
"""

import struct

from ..errors import HedgerowError


class OpaqueFloat:
    """A 64-bit float that this VM cannot hold: `bits` are its 8 big-endian bytes.

    It encodes as it was authored, and orders among its kind and against floats by value.
    """

    def __init__(self, bits: bytes):
        self.bits = bits

    def __repr__(self) -> str:
        return f"OpaqueFloat({self.bits!r})"

    def __hash__(self) -> int:
        return hash(self.bits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpaqueFloat) and self.bits == other.bits

    def __lt__(self, other: object) -> bool:
        return _float_order(self) < _float_order(other)

    def __gt__(self, other: object) -> bool:
        return _float_order(self) > _float_order(other)


def _float_order(value: object) -> int:
    """Return an integer that orders like the float does (IEEE 754 bits, negatives reversed)."""
    bits = value.bits if isinstance(value, OpaqueFloat) else struct.pack(">d", value)
    number = int.from_bytes(bits, "big")
    return (1 << 63) - number if number >> 63 else number


def decode_float(raw: bytes, single: bool) -> object:
    """Return the float of its whole item (head and 2, 4 or 8 bytes), or an OpaqueFloat."""
    size = len(raw) - 1
    value = _half(raw[1:]) if size == 2 else struct.unpack(">f" if size == 4 else ">d", raw[1:])[0]
    bits = raw[1:] if size == 8 else struct.pack(">d", value)
    if encode_bits(bits) != raw:
        raise HedgerowError("CBOR_NOT_SHORTEST", "float")
    # Whatever fits 32 bits is refused above, so on such a VM no float64 that gets here can be held.
    return OpaqueFloat(bits) if size == 8 and single else value


def _half(raw: bytes) -> float:
    """Return the value of a 16-bit float; not every MicroPython has struct's format "e"."""
    number = int.from_bytes(raw, "big")
    exponent = number >> 10 & 0x1F
    fraction = number & 0x3FF
    if exponent:
        bits = (exponent + (224 if exponent == 31 else 112)) << 23 | fraction << 13
        value = struct.unpack(">f", bits.to_bytes(4, "big"))[0]
    else:
        value = fraction / 16777216
    return -value if number >> 15 else value


def bits_of(value: float, single: bool) -> bytes:
    """Return the 8 bytes of a float, rounded to 32 bits if `single`."""
    if single:
        value = struct.unpack(">f", struct.pack(">f", value))[0]
    return struct.pack(">d", value)


def encode_bits(bits: bytes) -> bytes:
    """Return the shortest item that holds a float64, given by its bits: integers only, exact on every VM."""
    number = int.from_bytes(bits, "big")
    sign = number >> 63
    biased = (number >> 52) & 0x7FF
    fraction = number & 0xFFFFFFFFFFFFF
    if biased == 0x7FF:
        return b"\xf9\x7e\x00" if fraction else (b"\xf9\xfc\x00" if sign else b"\xf9\x7c\x00")
    if not biased and not fraction:
        return b"\xf9\x80\x00" if sign else b"\xf9\x00\x00"
    exponent = biased - 1023
    for head, width, lowest, size in ((b"\xf9", 10, -14, 2), (b"\xfa", 23, -126, 4)):
        dropped = 52 - width + max(0, lowest - exponent)
        if exponent <= 1 - lowest and dropped <= 52 and not fraction & ((1 << dropped) - 1):
            # The leading one bit of a normal number adds the 1 that its biased exponent still lacks.
            short = (max(exponent - lowest, 0) << width) + ((1 << 52 | fraction) >> dropped)
            return head + (short | sign << (size * 8 - 1)).to_bytes(size, "big")
    return b"\xfb" + bits
