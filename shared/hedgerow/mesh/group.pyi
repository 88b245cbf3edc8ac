from typing import Final, Protocol

STRANGE: Final = 0
APART: Final = 1
NEWEST: Final = 2
BEFORE: Final = 3
KEPT: Final = "group"
STATEMENT_AT: Final = 74

class _Store(Protocol):
    def read(self, name: str, /) -> bytes | None: ...
    def write(self, name: str, value: bytes, /) -> None: ...

class Group:
    base: bytes
    key: bytes
    before: bytes | None
    due: int | None
    store: _Store
    def __init__(self, base: bytes, store: _Store) -> None: ...
    def reads(self, frame: bytes) -> int: ...
    def turn(self, now: int) -> bytes: ...
