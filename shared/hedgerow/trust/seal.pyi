from collections.abc import Sequence
from typing import Final

SEAL_HASH: Final = 0
NO_CREDENTIAL: bytes
NO_SEAL: bytes

class Seal:
    first: int
    last: int
    credential: bytes
    previous: bytes
    kind: int
    signature: bytes
    def __init__(
        self, first: int, last: int, credential: bytes, previous: bytes, kind: int, signature: bytes
    ) -> None: ...
    @staticmethod
    def decode(body: bytes) -> Seal: ...

def make_seal(author: bytes, first: int, last: int, h16s: Sequence[bytes], previous: bytes) -> bytes: ...
def check_seal(author: bytes, body: bytes, h16s: Sequence[bytes]) -> bool: ...
def bare_seals(author: bytes, first: int, last: int) -> list[tuple[int, int, bytes]]: ...
def is_bare(author: bytes, body: bytes) -> bool: ...
def seal_hash(body: bytes) -> bytes: ...
