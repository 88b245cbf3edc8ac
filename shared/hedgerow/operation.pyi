from collections.abc import Mapping, Sequence
from typing import Any, Final

from .codec.schema import Schema

INSERT: Final = 0
INITIAL: Final = 1
UPDATE: Final = 2
DELETE: Final = 3
CLOCK: Final = 4
COUNTER: Final = 5
HIDDEN: Final = 6
MERGE_STAMP: Final = 1
UNSET: Final = 2
SOURCE_BOOT: Final = 0
SOURCE_JUMP: Final = 1
SOURCE_GATEWAY: Final = 2
SOURCE_RELAYED: Final = 3
SOURCE_KEEPER: Final = 4

def encode_body(stamp: bytes, changes: Sequence[list[Any]]) -> bytes: ...
def decode_body(body: bytes | bytearray) -> tuple[bytes, list[list[Any]]]: ...
def check_change(change: object, stamp: bytes) -> None: ...
def check_value(value: object, depth: int = 0) -> None: ...
def check_id(value: object) -> None: ...
def scope_of_changes(changes: Sequence[list[Any]], schemas: Mapping[bytes, Schema]) -> int: ...
def canonical(author: bytes, number: int, body: bytes, schemas: Mapping[bytes, Schema]) -> bytes: ...
def h16(author: bytes, number: int, body: bytes, schemas: Mapping[bytes, Schema]) -> bytes: ...
