from typing import Any, Final

ISS: Final = 1
SUB: Final = 2
EXP: Final = 4
IAT: Final = 6
CTI: Final = 7
CNF: Final = 8
SCOPE: Final = 9
SEALING_KEY: Final = -65537
AUTHOR: Final = -65538
MODE: Final = -65539
METADATA: Final = -65540
KINDS: Final = -65541
DELEGATION: Final = -65542
UNDER: Final = -65543
LAST_NUMBER: Final = -65544
SALT: Final = -65545
EPOCH: Final = -65546
GROUP_KEY: Final = -65547

PRODUCTION: Final = 0
PLAYGROUND: Final = 1

KEEPS: Final = 1
GIVES_TIME: Final = 2
DELEGATES: Final = 4
REVOKES: Final = 8

READ: Final = 1
WRITE: Final = 2
ALL: Final = "*"

class Claims:
    values: dict[int, Any]
    issuer: str
    subject: str
    expires: int
    issued: int
    cti: bytes
    scope: list[list[Any]]
    sealing: bytes | None
    author: bytes | None
    mode: tuple[int, bytes] | list[Any] | None
    metadata: dict[Any, Any]
    kinds: int
    delegation: list[Any] | None
    under: bytes | None
    agreement: bytes
    def __init__(self, values: dict[int, Any]) -> None: ...
    @staticmethod
    def decode(payload: bytes) -> Claims: ...
    def encode(self) -> bytes: ...
    def check_greeting(self, author: bytes, keeper: bool) -> None: ...
    def may(self, collection: str, bits: int) -> list[str]: ...

def point_of(confirmation: object) -> bytes: ...
def author_of(sealing: bytes, salt: bytes) -> bytes: ...
def key_of(public: bytes) -> dict[int, Any]: ...
