"""Which encoding a request is in and which its answer is to be in, and the three codecs (SPEC 10.11).

Decimals are JSON numbers with their digits, CBOR tag 4, and MessagePack extension 4 holding the ASCII
text of the number.
"""

import io
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import cbor2
import msgpack

from hedgerow.codec import cbor
from hedgerow.codec.cbor import UNDEFINED, OpaqueFloat
from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.query.values import to_float

from .. import limits
from . import json_text

MSGPACK_DECIMAL = 4


class Encoding(NamedTuple):
    """One media type, with its way in and its way out."""

    media_type: str
    loads: Callable[[bytes], Any]
    dumps: Callable[[Any], bytes]


def request_encoding(content_type: str) -> Encoding:
    """Return the encoding of a body. Raises REQUEST_TYPE, also for a body whose type nothing is said about:
    that is what a browser can be made to send by any page.
    """
    name = content_type.partition(";")[0].strip().lower()
    encoding = _BY_NAME.get(name)
    if encoding is None:
        raise HedgerowError("REQUEST_TYPE", name[:100] or "no Content-Type")
    return encoding


def answer_encoding(accept: str, request: Encoding) -> Encoding:
    """Choose by Accept (RFC 9110 12.5.1): the greatest weight, of equals the earliest; for */* the request's.

    Raises REQUEST_ACCEPT.
    """
    best: tuple[float, Encoding] | None = None
    for part in (accept or "*/*").split(",")[: limits.ARGUMENTS]:
        name, _, parameters = part.partition(";")
        weight = _weight(parameters)
        encoding = _accepted(name.strip().lower(), request)
        if encoding is not None and weight > 0 and (best is None or weight > best[0]):
            best = (weight, encoding)
    if best is None:
        raise HedgerowError("REQUEST_ACCEPT", accept[:100])
    return best[1]


def _accepted(name: str, request: Encoding) -> Encoding | None:
    if name in ("*/*", "application/*"):
        return request
    return _BY_NAME.get(name)


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if math.isfinite(weight) else 0.0
    return 1.0


def _dump_json(value: Any) -> bytes:
    return json_text.render(value).encode("utf-8", "replace")


def _cbor_decimal(parts: Any, _immutable: bool) -> Decimal:
    """Read tag 4; the library's own way takes minutes over a mantissa of a megabyte."""
    if (
        not isinstance(parts, (list, tuple))
        or len(parts) != 2
        or not all(type(part) is int for part in parts)
    ):
        raise ValueError("tag 4 holds no two integers")
    exponent, mantissa = parts
    return Decimal(mantissa, exponent)


def _load_cbor(data: bytes) -> Any:
    stream = io.BytesIO(data)
    try:
        value = cbor2.CBORDecoder(stream, semantic_decoders={4: _cbor_decimal}).decode()
    # A decoder of hostile bytes and tags: whatever it raises is the sender's doing.
    except Exception as error:  # noqa: BLE001
        raise HedgerowError("REQUEST_SYNTAX", f"{type(error).__name__}: {error}"[:200]) from None
    if stream.tell() != len(data):
        raise HedgerowError("REQUEST_SYNTAX", "bytes follow the one item")
    return _own(value, 0)


def _load_json(data: bytes) -> Any:
    return _own(json_text.parse(data), 0)


def _dump_cbor(value: Any) -> bytes:
    buffer = bytearray()
    _cbor_into(buffer, value)
    return bytes(buffer)


def _cbor_into(buffer: bytearray, value: Any) -> None:
    """Append a value as the core encodes it, but without the limits of operations and in given order."""
    if isinstance(value, dict):
        cbor.head_into(buffer, 0xA0, len(value))
        for name, item in value.items():
            cbor.encode_into(buffer, name)
            _cbor_into(buffer, item)
    elif isinstance(value, (list, tuple)):
        cbor.head_into(buffer, 0x80, len(value))
        for item in value:
            _cbor_into(buffer, item)
    elif isinstance(value, str):
        data = value.encode("utf-8", "replace")
        cbor.head_into(buffer, 0x60, len(data))
        buffer += data
    elif isinstance(value, bytes):
        cbor.head_into(buffer, 0x40, len(value))
        buffer += value
    else:
        cbor.encode_into(buffer, None if value is UNDEFINED else value)


def _load_msgpack(data: bytes) -> Any:
    try:
        value = msgpack.unpackb(data, ext_hook=_extension, strict_map_key=False)
    except HedgerowError:
        raise
    except Exception as error:  # noqa: BLE001
        raise HedgerowError("REQUEST_SYNTAX", f"{type(error).__name__}: {error}"[:200]) from None
    return _own(value, 0)


def _extension(code: int, data: bytes) -> Decimal:
    if code != MSGPACK_DECIMAL:
        raise HedgerowError("REQUEST_VALUE", f"MessagePack extension {code}")
    try:
        return Decimal.parse(data.decode("ascii"))
    except UnicodeDecodeError:
        raise HedgerowError("DECIMAL_SYNTAX", "not ASCII") from None


def _dump_msgpack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(_msgpack_value(value))
    return packed


def _msgpack_value(value: Any) -> Any:
    """Turn what MessagePack does not know into what it knows."""
    if isinstance(value, dict):
        return {name: _msgpack_value(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_msgpack_value(item) for item in value]
    if isinstance(value, Decimal) or (isinstance(value, int) and not -(1 << 63) <= value < 1 << 64):
        return msgpack.ExtType(MSGPACK_DECIMAL, str(value).encode("ascii"))
    if value is UNDEFINED:
        return None
    return to_float(value) if isinstance(value, OpaqueFloat) else value


def _own(value: Any, depth: int) -> Any:
    """Check what a library decoded, and turn its decimals into ours. Raises REQUEST_VALUE."""
    if depth > limits.VALUE_DEPTH:
        raise HedgerowError("REQUEST_VALUE", f"nested deeper than {limits.VALUE_DEPTH}")
    if isinstance(value, int) and not -1 <= value >> 64 <= 0:
        raise HedgerowError("REQUEST_VALUE", "an integer outside -2^64 .. 2^64-1")
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, (bool, int, float, bytes, Decimal)):
        return value
    if isinstance(value, (list, tuple)):
        return [_own(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_key(name): _own(item, depth + 1) for name, item in value.items()}
    raise HedgerowError("REQUEST_VALUE", f"a value of type {type(value).__name__}")


def _key(name: Any) -> str:
    if not isinstance(name, str):
        raise HedgerowError("REQUEST_VALUE", "the name of a field is not text")
    return _text(name)


def _text(value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise HedgerowError("REQUEST_VALUE", "text with half a surrogate pair") from None
    return value


JSON = Encoding("application/json", _load_json, _dump_json)
CBOR = Encoding("application/cbor", _load_cbor, _dump_cbor)
MSGPACK = Encoding("application/msgpack", _load_msgpack, _dump_msgpack)
_BY_NAME = {encoding.media_type: encoding for encoding in (JSON, CBOR, MSGPACK)}
_BY_NAME["application/x-msgpack"] = MSGPACK
_BY_NAME["application/vnd.msgpack"] = MSGPACK
