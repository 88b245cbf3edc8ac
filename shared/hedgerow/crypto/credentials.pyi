from collections.abc import Generator
from typing import Any

from .claims import Claims
from .cose import Sign1
from .port import P256

class Credential:
    value: bytes
    name: bytes
    signed: Sign1
    claims: Claims
    agreement: bytes
    def __init__(self, data: bytes) -> None: ...

class Trust:
    roots: dict[bytes, bytes]
    revoked: dict[bytes, int]
    floor: int
    def __init__(self, p256: P256, roots: dict[bytes, bytes], app: str, mode: list[Any]) -> None: ...
    def find(self, label: int, value: bytes) -> Credential | None: ...
    def accept(self, found: Credential, issuer: bytes | None = None) -> Generator[None, None, None]: ...
    def expired(self, found: Credential, grace: int = 0) -> bool: ...
    def keep(self, found: Credential) -> None: ...
