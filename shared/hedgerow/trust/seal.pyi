from collections.abc import Sequence
from typing import Final, Protocol

from ..crypto.rules import Rules

SEAL_HASH: Final = 0
SEAL_SIGNED: Final = 1
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

class _Signer(Protocol):
    @property
    def credential(self) -> bytes: ...
    def sign(self, message: bytes) -> bytes: ...

def signed_part(
    author: bytes, first: int, last: int, h16s: Sequence[bytes], previous: bytes, credential: bytes
) -> bytes: ...
def make_seal(
    author: bytes,
    first: int,
    last: int,
    h16s: Sequence[bytes],
    previous: bytes,
    signer: _Signer | None = None,
) -> bytes: ...
def check_seal(author: bytes, body: bytes, h16s: Sequence[bytes], rules: Rules | None = None) -> bool: ...
def names_holder(author: bytes, seal: Seal, rules: Rules | None = None) -> bool: ...
def bare_seals(
    author: bytes, first: int, last: int, signer: _Signer | None = None
) -> list[tuple[int, int, bytes]]: ...
def is_bare(author: bytes, body: bytes, rules: Rules | None = None) -> bool: ...
def seal_hash(body: bytes) -> bytes: ...
