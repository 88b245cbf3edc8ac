"""Messages to frames and back: two bytes of length (little-endian), then one message.

A frame of length 0 is a *poke*: the air reminds a host that it has not yet freed its ring.
"""

import struct
from collections.abc import Iterator
from dataclasses import fields
from types import ModuleType

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import commands, events
from hedgerow_boards.air.limits import FRAME_MAX
from hedgerow_boards.air.messages import Message

POKE = b"\0\0"


class _Layout:
    __slots__ = ("cls", "names", "packer", "tail")

    def __init__(self, cls: type[Message]) -> None:
        self.cls = cls
        self.packer = struct.Struct(cls.FORMAT.replace("<", "<B", 1))
        names = [field.name for field in fields(cls)]
        self.tail = names.pop() if cls.TAIL else None
        self.names = tuple(names)


def _layouts(module: ModuleType) -> list[_Layout]:
    found = [
        value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Message)
    ]
    return [_Layout(cls) for cls in found if cls is not Message]


_COMMANDS = {layout.cls.CODE: layout for layout in _layouts(commands)}
_EVENTS = {layout.cls.CODE: layout for layout in _layouts(events)}
_LAYOUTS = {layout.cls: layout for layout in (*_COMMANDS.values(), *_EVENTS.values())}


def encode(message: Message) -> bytes:
    """The frame of a message, length included."""
    layout = _LAYOUTS[type(message)]
    body = layout.packer.pack(message.CODE, *[getattr(message, name) for name in layout.names])
    if layout.tail is not None:
        body += getattr(message, layout.tail)
    if len(body) > FRAME_MAX:
        raise HedgerowError("AIR_FRAME_TOO_LONG", f"{len(body)} bytes")
    return len(body).to_bytes(2, "little") + body


def _decode(body: bytes, layouts: dict[int, _Layout]) -> Message:
    layout = layouts.get(body[0])
    if layout is None:
        raise HedgerowError("AIR_MESSAGE_UNKNOWN", f"code {body[0]}")
    size = layout.packer.size
    if len(body) < size or (layout.tail is None and len(body) > size):
        raise HedgerowError("AIR_MESSAGE_LENGTH", f"{len(body)} bytes for {layout.cls.__name__}")
    values = list(layout.packer.unpack_from(body))[1:]
    if layout.tail is not None:
        values.append(body[size:])
    return layout.cls(*values)


def decode_command(body: bytes) -> Message:
    """A message from a host. Raises HedgerowError AIR_MESSAGE_UNKNOWN or AIR_MESSAGE_LENGTH."""
    return _decode(body, _COMMANDS)


def decode_event(body: bytes) -> Message:
    """A message from the air. Raises HedgerowError AIR_MESSAGE_UNKNOWN or AIR_MESSAGE_LENGTH."""
    return _decode(body, _EVENTS)


class FrameReader:
    """Cuts a byte stream into frame bodies; raises HedgerowError AIR_FRAME_TOO_LONG."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= 2:
            length = int.from_bytes(buffer[start : start + 2], "little")
            if length > FRAME_MAX:
                raise HedgerowError("AIR_FRAME_TOO_LONG", f"{length} bytes")
            if len(buffer) - start - 2 < length:
                break
            yield bytes(buffer[start + 2 : start + 2 + length])
            start += 2 + length
        del buffer[:start]


def address_bytes(text: str) -> bytes:
    """`c0:00:00:00:00:01` to six bytes. Raises HedgerowError AIR_ADDRESS."""
    parts = text.split(":")
    try:
        raw = bytes(int(part, 16) for part in parts)
    except ValueError:
        raw = b""
    if len(raw) != 6:
        raise HedgerowError("AIR_ADDRESS", repr(text))
    return raw


def address_text(raw: bytes) -> str:
    return ":".join(f"{octet:02x}" for octet in raw)
