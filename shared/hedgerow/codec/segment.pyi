from collections.abc import Mapping, Sequence
from typing import Final

from .schema import Schema

HEAD: Final = 0x10
PLAIN: Final = 0
COLUMNS: Final = 1
DELTAS: Final = 2
RAW: Final = 0
CONSTANT: Final = 1
DELTA: Final = 2
LINEAR: Final = 3

def encode_segment(
    author: bytes, first: int, bodies: Sequence[bytes], schemas: Mapping[bytes, Schema]
) -> bytes: ...
def decode_segment(
    data: bytes | bytearray | memoryview, schemas: Mapping[bytes, Schema]
) -> tuple[bytes, int, list[bytes]]: ...
def segment_schemas(bodies: Sequence[bytes]) -> list[bytes]: ...
