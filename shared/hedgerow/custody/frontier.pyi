from collections.abc import Mapping
from typing import Final

PROOF_NONE: Final = 0
NO_PROOF: bytes

class Frontier:
    keeper: bytes
    incarnation: int
    position: int
    numbers: Mapping[bytes, int]
    def __init__(
        self, keeper: bytes, incarnation: int, position: int, numbers: Mapping[bytes, int]
    ) -> None: ...
    def covers(self, author: bytes, number: int) -> bool: ...
    def reaches(self, other: Frontier | None) -> bool: ...
    def later(self, other: Frontier | None) -> bool: ...
    def encode(self) -> bytes: ...
    @staticmethod
    def decode(data: bytes) -> Frontier: ...
