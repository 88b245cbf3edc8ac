from typing import Any, Final, Protocol

KEY: Final = 32
STRANGE: Final = 0
NEWEST: Final = 1
BEFORE: Final = 2
APART: Final = 3

class _Store(Protocol):
    def read(self) -> bytes | None: ...
    def write(self, value: bytes) -> None: ...

class Group:
    base: bytes
    key: bytes
    before: bytes | None
    epoch: int
    issued: int
    due: int | None
    statement: bytes
    def __init__(self, base: bytes, store: _Store) -> None: ...
    def take(self, word: Any) -> None: ...
    def forget(self) -> None: ...
    def settle(self) -> None: ...
    def reads(self, frame: bytes) -> int: ...
