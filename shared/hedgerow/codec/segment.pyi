from collections.abc import Mapping, Sequence

from .schema import Schema

def encode_segment(
    author: bytes, first: int, bodies: Sequence[bytes], schemas: Mapping[bytes, Schema]
) -> bytes: ...
def decode_segment(
    data: bytes | bytearray | memoryview, schemas: Mapping[bytes, Schema]
) -> tuple[bytes, int, list[bytes]]: ...
def segment_schemas(bodies: Sequence[bytes]) -> list[bytes]: ...
