"""Cursors: places that a client hands back as it got them."""

from typing import Any

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError

from ..base64url import from_base64, to_base64

_LONGEST = 400


def write_cursor(*parts: Any) -> str:
    """Return a cursor of these parts."""
    return to_base64(cbor.encode(list(parts)))


def read_cursor(name: str, text: str, *types: type) -> list[Any]:
    """Return the parts of a cursor that a parameter holds. Raises REQUEST_SYNTAX."""
    try:
        if len(text) > _LONGEST:
            raise ValueError
        parts = cbor.decode(from_base64(text, name))
    except (ValueError, HedgerowError):
        parts = None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(types):
        raise HedgerowError("REQUEST_SYNTAX", f"`{name}` is no cursor")
    return parts
