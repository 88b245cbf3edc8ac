from collections.abc import Mapping

from ..codec.schema import Schema

def verify_seal(
    log: object, schemas: Mapping[bytes, Schema], author: bytes, body: bytes, apart: bool = False
) -> None: ...
def hash_of_seal_before(log: object, author: bytes, first: int) -> bytes | None: ...
