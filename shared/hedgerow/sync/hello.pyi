from collections.abc import Sequence
from typing import Any, Final

LEAF: Final = 0
RELAY: Final = 1
GATEWAY: Final = 2
KEEPER: Final = 3
HAS_TIME: Final = 1
WANTS_TIME: Final = 2
UPLINK: Final = 4
PARTIAL: Final = 8

class Hello:
    mesh: bytes
    author: bytes
    incarnation: int
    role: int
    distance: int
    flags: int
    max_record: int
    credit: int
    vector: Sequence[tuple[bytes, int, int, int]]
    schemas: Sequence[bytes]
    interests: Sequence[Any]
    keepers: Sequence[Any]
    name: str
    def __init__(
        self,
        mesh: bytes,
        author: bytes,
        *,
        incarnation: int = 1,
        role: int = 1,
        distance: int = 255,
        flags: int = 0,
        max_record: int = ...,
        credit: int = 4096,
        vector: Sequence[tuple[bytes, int, int, int]] = (),
        schemas: Sequence[bytes] = (),
        interests: Sequence[Any] = (),
        keepers: Sequence[Any] = (),
        name: str = "",
    ) -> None: ...
    def encode(self) -> bytes: ...
    @staticmethod
    def decode(data: bytes) -> Hello: ...
