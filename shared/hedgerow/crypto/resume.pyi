from collections.abc import Callable
from typing import Final

from .credentials import Trust

NAME: Final = 6
NONCE: Final = 8
TAG: Final = 8
FIRST: Final = 14
SECOND: Final = 16

class Resumable:
    secret: bytes
    remote: bytes
    cti: bytes
    own: bytes
    until: int
    began: bool
    contacts: int
    def __init__(
        self, secret: bytes, remote: bytes, cti: bytes, own: bytes, until: int, began: bool
    ) -> None: ...
    def pack(self) -> bytes: ...
    @staticmethod
    def unpack(data: bytes) -> Resumable: ...
    def name(self, we: bool, nonce: bytes) -> bytes: ...

class Resumables:
    entries: list[Resumable]
    def __init__(self, most: int = ...) -> None: ...
    def add(self, entry: Resumable) -> None: ...
    def drop(self, entry: Resumable) -> None: ...
    def usable(self, entry: Resumable, own: bytes, trust: Trust) -> bool: ...
    def with_peer(self, remote: bytes) -> Resumable | None: ...
    def called(self, message: bytes) -> Resumable | None: ...

class _Side:
    entry: Resumable
    done: bool
    secrets: tuple[bytes, bytes] | None
    def __init__(self, entry: Resumable) -> None: ...

class Beginner(_Side):
    first: bytes
    def __init__(self, entry: Resumable, random: Callable[[int], bytes]) -> None: ...
    def answer(self, message: bytes) -> bytes: ...

class Answerer(_Side):
    second: bytes
    def __init__(self, entry: Resumable, message: bytes, random: Callable[[int], bytes]) -> None: ...
    def finish(self, message: bytes) -> None: ...
