from collections.abc import Sequence
from typing import Any, Final

from ..codec.schema import Schema

WHOLE: Final = 32
OWN: Final = 16

def author_key(whole: bytes, author: bytes) -> bytes: ...
def read_keys(content: bytes) -> list[list[Any]]: ...
def join_keys(one: Sequence[list[Any]], two: Sequence[list[Any]]) -> list[list[Any]]: ...

class CollectionKeys:
    owner: bytes
    entries: list[list[Any]]
    def __init__(self, owner: bytes, entries: list[list[Any]]) -> None: ...
    def newest(self, collection: str) -> int: ...
    def find(self, collection: str, epoch: int) -> bytes | None: ...
    def conceal(
        self,
        author: bytes,
        number: int,
        stamp: bytes,
        changes: Sequence[list[Any]],
        schemas: Sequence[Schema],
    ) -> list[list[Any]]: ...
    def reveal(
        self, author: bytes, number: int, stamp: bytes, index: int, change: list[Any], schema: Schema
    ) -> list[Any] | None: ...

def is_open(change: list[Any], schema: Schema) -> bool: ...
