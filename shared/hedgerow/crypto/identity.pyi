from collections.abc import Generator

from .credentials import Credential
from .handshake import Own
from .port import P256

KEYS: int

class Identity:
    keys: bytes
    p256: P256
    agreement: bytes
    sealing: bytes
    author: bytes
    def __init__(self, p256: P256, keys: bytes) -> None: ...
    @staticmethod
    def make(p256: P256) -> Identity: ...
    def reformatted(self) -> Identity: ...
    def own(self, credential: Credential, issuer: bytes | None = None) -> Own: ...
    def sign(self, message: bytes) -> Generator[None, None, bytes]: ...
    def prove(self, app: str, challenge: bytes, point: bytes) -> dict[str, bytes]: ...
