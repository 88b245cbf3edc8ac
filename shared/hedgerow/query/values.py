"""One total order over all values, and exact numbers (SPEC 10.2).

MISSING < NULL < false < true < number < string < bytes < array < object. Numbers compare by value,
exactly, whether they are integers, decimals or floats; NaN is below every other number and equal to
itself. MISSING is the codec's UNDEFINED: what a path finds where no field is.
"""

import binascii
import struct

from ..codec.cbor import UNDEFINED, OpaqueFloat
from ..codec.decimal import Decimal
from ..errors import HedgerowError

MISSING = UNDEFINED

_NUMBER = 4
_NAN = (_NUMBER, -3)
_MINUS_INFINITY = (_NUMBER, -2)
_INFINITY = (_NUMBER, 2)
_COMPLEMENT = "9876543210"


def order_key(value: object) -> tuple:
    """Return a hashable tuple: equal for equal values, and tuples sort as the values do."""
    if value is MISSING:
        return (0,)
    if value is None:
        return (1,)
    if value is False:
        return (2,)
    if value is True:
        return (3,)
    if isinstance(value, str):
        return (5, value)
    if isinstance(value, (list, tuple)):
        return (7, tuple([order_key(item) for item in value]))
    if isinstance(value, dict):
        return (8, tuple(sorted([(order_key(name), order_key(item)) for name, item in value.items()])))
    if isinstance(value, (bytes, bytearray)):
        return (6, bytes(value))
    return _number_key(value)


def kind(value: object) -> int:
    """Return the class of a value as a number: its place in the order, false and true together."""
    if value is MISSING:
        return 0
    if value is None:
        return 1
    if value is False or value is True:
        return 3
    if isinstance(value, str):
        return 5
    if isinstance(value, (bytes, bytearray)):
        return 6
    if isinstance(value, (list, tuple)):
        return 7
    if isinstance(value, dict):
        return 8
    return _NUMBER


def is_number(value: object) -> bool:
    """Tell numbers from everything else; booleans are not numbers."""
    return value is not False and value is not True and isinstance(value, (int, Decimal, float, OpaqueFloat))


def is_float(value: object) -> bool:
    """Tell binary floating point from exact numbers."""
    return isinstance(value, (float, OpaqueFloat))


def exact(value: object) -> tuple | None:
    """Return a number as (mantissa, power of ten) without any rounding; None for NaN and infinities."""
    if isinstance(value, int):
        return value, 0
    if isinstance(value, Decimal):
        return value.mantissa, value.exponent
    bits = _float_bits(value)
    power = bits >> 52 & 0x7FF
    fraction = bits & 0xFFFFFFFFFFFFF
    if power == 0x7FF:
        return None
    if power:
        fraction |= 1 << 52
    power = (power or 1) - 1075
    while fraction and not fraction & 1:
        fraction >>= 1
        power += 1
    if bits >> 63:
        fraction = -fraction
    if not fraction or power >= 0:
        return (fraction << power if fraction else 0), 0
    return fraction * 5**-power, power


def number(mantissa: int, exponent: int) -> object:
    """Return an exact result: an integer where that fits, else a decimal with that exponent."""
    if exponent > 0 and -1 <= mantissa * 10**exponent >> 64 <= 0:
        mantissa *= 10**exponent
        exponent = 0
    try:
        result = Decimal(mantissa, exponent)
    except HedgerowError:
        raise HedgerowError("QUERY_NUMBER_RANGE", "the result has more digits than a number holds") from None
    return result if exponent else mantissa


def shortest(mantissa: int, exponent: int) -> tuple:
    """Drop the zeros at the end of a fraction."""
    while exponent < 0 and not mantissa % 10:
        mantissa //= 10
        exponent += 1
    return mantissa, exponent


def to_float(value: object) -> float:
    """Return the nearest float of this machine."""
    if isinstance(value, Decimal):
        if value.exponent < 0:
            return value.mantissa / 10**-value.exponent
        return float(value.mantissa * 10**value.exponent)
    if isinstance(value, OpaqueFloat):
        return struct.unpack(">d", struct.pack(">Q", _float_bits(value)))[0]
    return float(value)


def base64url(data: bytes) -> str:
    """Return base64url without padding."""
    text = str(binascii.b2a_base64(data), "ascii").rstrip("\n=")
    return text.replace("+", "-").replace("/", "_")


def text_form(value: object) -> object:
    """Return the value with all bytes in it, names of fields apart, as base64url text (SPEC 10.11)."""
    if isinstance(value, (bytes, bytearray)):
        return base64url(value)
    if isinstance(value, (list, tuple)):
        return [text_form(item) for item in value]
    if isinstance(value, dict):
        return {name: text_form(item) for name, item in value.items()}
    return value


def _float_bits(value: object) -> int:
    data = value.bits if isinstance(value, OpaqueFloat) else struct.pack(">d", value)
    return struct.unpack(">Q", data)[0]


def _number_key(value: object) -> tuple:
    """Sign, place of the first digit, digits: compares as the number does, at any size."""
    parts = exact(value)
    if parts is None:
        bits = _float_bits(value)
        if bits & 0xFFFFFFFFFFFFF:
            return _NAN
        return _MINUS_INFINITY if bits >> 63 else _INFINITY
    mantissa, exponent = parts
    if not mantissa:
        return (_NUMBER, 0)
    digits = str(abs(mantissa))
    place = len(digits) + exponent
    digits = digits.rstrip("0")
    if mantissa > 0:
        return (_NUMBER, 1, place, digits)
    # The colon sorts after every digit, so that -3.9 comes after -3.94.
    return (_NUMBER, -1, -place, "".join([_COMPLEMENT[int(digit)] for digit in digits]) + ":")
