from collections.abc import Callable, Sequence
from typing import Any, Final

from ..codec.schema import Schema
from .claims import Claims

FORBIDDEN: Final = "WRITE_FORBIDDEN"
REVOKED: Final = "WRITE_REVOKED"

class Rules:
    sealed_under: Callable[[bytes, int], bytes | None] | None
    def __init__(
        self,
        verify: Callable[[bytes, bytes, bytes], bool],
        sealed_under: Callable[[bytes, int], bytes | None] | None = None,
    ) -> None: ...
    def add(self, name: bytes, claims: Claims) -> bool: ...
    def revoke(self, author: bytes, cti: bytes, last: int) -> bool: ...
    @property
    def count(self) -> int: ...
    def knows(self, author: bytes) -> bool: ...
    def check_seal(self, author: bytes, credential: bytes, signed: bytes, signature: bytes) -> bool: ...
    def check_word(self, author: bytes, signed: bytes, signature: bytes) -> bool: ...
    def verdict(
        self, author: bytes, number: int, stamp: bytes, change: Sequence[Any], schema: Schema
    ) -> bool: ...
    def why_not(
        self,
        author: bytes,
        number: int,
        change: Sequence[Any],
        schema: Schema,
        sealed_under: Callable[[bytes, int], bytes | None] | None = None,
    ) -> str: ...
