"""UUIDs, and anything with a buffer as bytes."""

_VALUE_MAX = 512


def raw_bytes(data):
    """Anything with a buffer, a str included, as bytes; no more than an attribute can hold."""
    return bytes(memoryview(data)[:_VALUE_MAX])


class UUID(bytes):
    """UUID(int up to 65535, 2, 4 or 16 bytes least significant first, or a str of 36 characters)."""

    def __init__(self, value):
        if isinstance(value, int):
            if not 0 <= value <= 0xFFFF:
                raise ValueError("invalid UUID")
            raw = bytes((value & 255, value >> 8))
        elif isinstance(value, str):
            digits = value.replace("-", "")
            if len(digits) != 32:
                raise ValueError("invalid UUID")
            raw = bytes(int(digits[at : at + 2], 16) for at in range(30, -2, -2))
        else:
            raw = raw_bytes(value)
            if len(raw) not in (2, 4, 16):
                raise ValueError("invalid UUID")
        super().__init__(raw)

    def __hash__(self):
        return hash(bytes(self))

    def __repr__(self):
        text = "".join(f"{octet:02x}" for octet in reversed(bytes(self)))
        if len(text) < 32:
            return f"UUID(0x{text})"
        return f"UUID('{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}')"

    __str__ = __repr__
