"""UUIDs, and the arguments of `bluetooth` as its C code takes them."""

_VALUE_MAX = 512


def raw_bytes(data):
    """Anything with a buffer, a str included, as bytes; no more than an attribute can hold."""
    return bytes(memoryview(data)[:_VALUE_MAX])


def whole(value):
    """An int or bool as int, else TypeError."""
    if not isinstance(value, (int, bool)):
        raise TypeError(f"can't convert {type(value).__name__} to int")
    return int(value)


def _refuse(*args):
    raise TypeError("unsupported for UUID")


class UUID(bytearray):
    """UUID(int up to 65535, 2, 4 or 16 bytes least significant first, or hexadecimal digits).

    The type has a buffer and nothing else of a bytearray's; the emulator blanks those of events through it.
    """

    def __init__(self, value_):
        if isinstance(value_, int):
            if value_ > 0xFFFF:
                raise ValueError("invalid UUID")
            raw = bytes((value_ & 255, value_ >> 8 & 255))
        else:
            raw = bytes(memoryview(value_))
            if len(raw) not in (2, 4, 16):
                raw = _parse(raw)
        super().__init__(raw)

    def __hash__(self):
        return hash(bytes(self))

    def __eq__(self, other):
        return isinstance(other, UUID) and bytes(self) == bytes(other)

    def __lt__(self, other):
        return _order(self, other) < 0

    def __le__(self, other):
        return _order(self, other) <= 0

    def __gt__(self, other):
        return _order(self, other) > 0

    def __ge__(self, other):
        return _order(self, other) >= 0

    def __bool__(self):
        return True

    def __repr__(self):
        text = "".join(f"{octet:02x}" for octet in reversed(bytes(self)))
        if len(text) < 32:
            return f"UUID(0x{text})"
        return f"UUID('{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}')"

    __str__ = __repr__
    __len__ = __getitem__ = __setitem__ = __iter__ = append = extend = decode = _refuse


def _parse(text):
    """Most significant digit first, hyphens anywhere."""
    digits = bytearray()
    for octet in text:
        if octet == 0x2D:
            continue
        if octet not in b"0123456789abcdefABCDEF":
            raise ValueError("invalid char in UUID")
        digits.append(octet)
    if len(digits) > 32:
        raise ValueError("UUID too long")
    if len(digits) < 32:
        raise ValueError("UUID too short")
    return bytes(int(bytes(digits[at : at + 2]), 16) for at in range(30, -2, -2))


def _order(one, other):
    """Of one size the bytes decide, else the sizes."""
    if not isinstance(other, UUID):
        raise TypeError("unsupported types for comparison")
    one, other = bytes(one), bytes(other)
    if len(one) != len(other):
        return len(one) - len(other)
    return 1 if one > other else -(one < other)


def blank(uuid):
    """Overwrite it, as the stack overwrites an event's after the handler."""
    memoryview(uuid)[:] = bytes(len(bytes(uuid)))
