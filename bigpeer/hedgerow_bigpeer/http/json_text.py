"""JSON with every digit of a decimal: numbers never pass through binary floating point (SPEC 10.11)."""

import json
import math
from json.encoder import encode_basestring as quoted
from typing import Any, NoReturn

from hedgerow.codec.cbor import UNDEFINED, OpaqueFloat
from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.query.values import base64url, to_float


def parse(data: bytes) -> Any:
    """Read UTF-8 JSON; numbers with a point or a power become decimals. Raises REQUEST_SYNTAX."""
    try:
        return json.loads(
            data.decode("utf-8"),
            parse_float=Decimal.parse,
            parse_int=_integer,
            parse_constant=_refuse,
            object_pairs_hook=_object,
        )
    except HedgerowError as error:
        raise HedgerowError("REQUEST_SYNTAX", str(error)) from None
    except (ValueError, RecursionError) as error:
        raise HedgerowError("REQUEST_SYNTAX", str(error)[:200]) from None


def render(value: Any) -> str:
    """Write a value as JSON; bytes as unpadded base64url, NaN and infinities as null (RFC 8949 6.1)."""
    if value is None or value is UNDEFINED:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{quoted(_key(name))}:{render(item)}" for name, item in value.items()]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([render(item) for item in value]) + "]"
    if isinstance(value, (float, OpaqueFloat)):
        number = to_float(value)
        return repr(number) if math.isfinite(number) else "null"
    if isinstance(value, (bytes, bytearray)):
        return quoted(base64url(value))
    raise TypeError(f"no JSON for {type(value).__name__}")


def _key(name: object) -> str:
    if isinstance(name, (bytes, bytearray)):
        return base64url(name)
    return str(name)


def _integer(text: str) -> int | Decimal:
    if len(text) > 40:
        raise HedgerowError("DECIMAL_RANGE", text[:40] + "...")
    return int(text)


def _refuse(text: str) -> NoReturn:
    raise HedgerowError("REQUEST_SYNTAX", f"{text} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise HedgerowError("REQUEST_SYNTAX", "an object names a field twice")
    return result
