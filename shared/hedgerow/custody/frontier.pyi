from collections.abc import Mapping
from typing import Final

PROOF_NONE: Final = 0
PROOF_SIGNED: Final = 1
NO_PROOF: bytes

class Frontier:
    keeper: bytes
    incarnation: int
    position: int
    numbers: Mapping[bytes, int]
    signature: bytes
    def __init__(
        self,
        keeper: bytes,
        incarnation: int,
        position: int,
        numbers: Mapping[bytes, int],
        signature: bytes = b"",
    ) -> None: ...
    def covers(self, author: bytes, number: int) -> bool: ...
    def may_cover(self, author: bytes, number: int) -> bool: ...
    def reaches(self, other: Frontier | None) -> bool: ...
    def later(self, other: Frontier | None) -> bool: ...
    def encode(self) -> bytes: ...
    def signed(self) -> bytes: ...
    @staticmethod
    def decode(data: bytes) -> Frontier: ...
