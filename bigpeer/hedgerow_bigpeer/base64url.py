"""Bytes as text in JSON: base64url without padding (RFC 4648 5), and hexadecimal."""

import base64
import binascii

from hedgerow.errors import HedgerowError


def to_base64(data: bytes) -> str:
    """Return bytes as base64url without padding (RFC 4648 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64(text: object, name: str) -> bytes:
    """Return the bytes of a base64url text without padding. Raises REQUEST_SYNTAX."""
    try:
        if not isinstance(text, str):
            raise ValueError
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise HedgerowError("REQUEST_SYNTAX", f"`{name}` is no base64url") from None
    return data


def from_hex(text: str, name: str) -> bytes:
    """Return the bytes of a hexadecimal text. Raises REQUEST_SYNTAX."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise HedgerowError("REQUEST_SYNTAX", f"`{name}` is not hexadecimal") from None
