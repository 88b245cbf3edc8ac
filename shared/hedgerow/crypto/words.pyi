from collections.abc import Generator
from typing import Any, Final

from ..mesh.group import Group
from .credentials import Trust
from .port import P256

REVOCATION: Final = "hg-rev"
ISSUER: Final = "hg-iss"
GROUP: Final = "hg-grp"
KEY: Final = 32

class Word:
    statement: bytes
    name: bytes
    kind: str
    issued: int
    about: bytes
    rank: tuple[int, int, bytes]
    point: bytes
    cti: bytes
    author: bytes
    last: int
    epoch: int
    key: bytes
    def __init__(self, statement: bytes, app: str) -> None: ...
    def brief(self) -> bytes: ...
    def verify(self, p256: P256, roots: dict[bytes, bytes]) -> Generator[None, None, None]: ...

def unfold(brief: bytes, app: str) -> bytes: ...

class Words:
    def __init__(self, log: Any, trust: Trust, p256: P256, group: Group | None = None) -> None: ...
    def digest(self) -> bytes: ...
    def all(self) -> list[bytes]: ...
    def hear(self, statement: bytes) -> Word | None: ...
    def keep(self, word: Word) -> bool: ...
