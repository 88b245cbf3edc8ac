from collections.abc import Sequence
from typing import Final

VERSION: Final = 1
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
    keepers: Sequence[bytes]
    name: str
    lowest: int
    highest: int
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
        keepers: Sequence[bytes] = (),
        name: str = "",
        lowest: int = 1,
        highest: int = 1,
    ) -> None: ...
    def encode(self) -> bytes: ...
    def version(self, other: Hello) -> int: ...
    @staticmethod
    def decode(data: bytes) -> Hello: ...
