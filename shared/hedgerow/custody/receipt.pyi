from typing import Final

PROOF_NONE: Final = 0
PROOF_MAC: Final = 1
NO_PROOF: Final = b"\0\0\0\0\0\0\0\0"

class Receipt:
    keeper: bytes
    incarnation: int
    author: bytes
    number: int
    proof_kind: int
    proof: bytes
    def __init__(
        self,
        keeper: bytes,
        incarnation: int,
        author: bytes,
        number: int,
        proof_kind: int = 0,
        proof: bytes = ...,
    ) -> None: ...
    def encode(self) -> bytes: ...
    @staticmethod
    def decode(data: bytes) -> Receipt: ...
