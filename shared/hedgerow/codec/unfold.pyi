from collections.abc import Mapping

from .schema import Schema

def unfold(
    data: bytes | bytearray | memoryview, schemas: Mapping[bytes, Schema]
) -> tuple[bytes, int, list[bytes]]: ...
def check_fit(body: bytes, schemas: Mapping[bytes, Schema]) -> int: ...
