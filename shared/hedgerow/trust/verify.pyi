from collections.abc import Mapping

from ..codec.schema import Schema

def verify_seal(log: object, schemas: Mapping[bytes, Schema], author: bytes, body: bytes) -> None: ...
