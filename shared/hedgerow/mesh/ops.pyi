from collections.abc import Mapping

from ..codec.schema import Schema
from .frames import Op

def pack(
    author: bytes,
    number: int,
    stored: bytes,
    schemas: Mapping[bytes, Schema],
    before_ms: int | None,
    before: bytes | None = None,
) -> bytes | None: ...
def nearest(held: int, low: int) -> int: ...
def rebuild(
    op: Op,
    author: bytes,
    number: int,
    floor_ms: int,
    schemas: Mapping[bytes, Schema],
    windows: int = 1,
    before: bytes | None = None,
) -> bytes | None: ...
def nearest_byte(known: int, low: int) -> int: ...
