"""Where the items of CBOR that the store holds begin and end, without decoding them; and their JSON.

What boards measure comes again and again, so short items are worked out once.
"""

import functools
from collections.abc import Callable
from typing import Any

from hedgerow.codec import cbor

#: Items of so many bytes are kept, so many of them.
SHORT = 32
KEPT = 8192

Write = Callable[[Any], str]
_DECIMAL = b"\xc4\x82"
_ID = b"\x63_id"


def end_of(data: bytes, at: int) -> int:
    """Return the offset after the item at an offset. Raises the CBOR codes, or IndexError at the end."""
    size = SIZES[data[at]]
    if size:
        return at + size
    if data[at : at + 2] == _DECIMAL:
        middle = at + 2 + SIZES[data[at + 2]]
        size = SIZES[data[middle]]
        if size and middle > at + 2:
            return middle + size
    end: int = cbor.decode_at(data, at)[1]
    return end


def document_text(document_id: bytes, fields: bytes, write: Write) -> str:
    """Return the JSON of a document with its `_id`, given both as CBOR; `write` makes it of a value."""
    count, at = _map(fields)
    parts = [f'"_id":{item_text(document_id, write)}']
    for _ in range(count):
        begin = end_of(fields, at)
        end = end_of(fields, begin)
        if fields[at:begin] != _ID:
            parts.append(f"{item_text(fields[at:begin], write)}:{item_text(fields[begin:end], write)}")
        at = end
    return "{" + ",".join(parts) + "}"


def item_text(raw: bytes, write: Write) -> str:
    """Return what `write` makes of an item."""
    return _kept_text(raw, write) if len(raw) <= SHORT else write(cbor.decode(raw))


@functools.lru_cache(maxsize=KEPT)
def _kept_text(raw: bytes, write: Write) -> str:
    return write(cbor.decode(raw))


def _map(data: bytes) -> tuple[int, int]:
    """Return the number of entries of a map, and where they begin."""
    major, count, at = cbor.read_head(data, 0)
    if major != 5:
        raise ValueError("no map")
    return count, at


def _size(first: int) -> int:
    """Return the size of an item by its first byte; 0 where that does not tell."""
    major, info = first >> 5, first & 31
    if major < 2:
        return 1 if info < 24 else 1 + (1 << info - 24) if info < 28 else 0
    if major < 4:
        return 1 + info if info < 24 else 0
    return 1 if first in (0xF4, 0xF5, 0xF6) else 0


SIZES = bytes([_size(first) for first in range(256)])
