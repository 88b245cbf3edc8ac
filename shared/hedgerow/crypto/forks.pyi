from collections.abc import Generator
from typing import Final

from .port import P256

FORK: Final[str]

class Fork:
    author: bytes
    last: int
    issued: int
    def __init__(self, statement: bytes, app: str) -> None: ...
    def verify(self, p256: P256, roots: dict[bytes, bytes]) -> Generator[None, None, None]: ...

def payload(app: str, issued: int, author: bytes, last: int) -> bytes: ...
