from collections.abc import Sequence
from typing import Final

from .tag import link_tag as link_tag

VERSION: Final = 0x20
STATE: Final = 0
OP: Final = 1
WANT: Final = 2
HAVE: Final = 3
RECEIPT: Final = 4
TIME: Final = 5
ANNOUNCE: Final = 6
LETTER_UP: Final = 7
LETTER_DOWN: Final = 8
ACK: Final = 9
CALL: Final = 10
HAS_TIME: Final = 1
WANTS_TIME: Final = 2
UPLINK: Final = 4
CONNECTABLE: Final = 8
ROLE_SHIFT: Final = 4
GRADIENT: Final = 64
UNKNOWN: Final = 31

def find(payload: bytes | bytearray | memoryview) -> int: ...
def end(payload: bytes | bytearray | memoryview, at: int) -> int: ...
def identity(payload: bytes | bytearray | memoryview, at: int, end: int) -> int: ...
def advertise(frame: bytes) -> bytes: ...
def make(kind: int, mesh: bytes, body: bytes, key: bytes, hop: int = ...) -> bytes: ...
def with_hop(frame: bytes, code: int, repeat: int) -> bytes: ...
def code_of(distance: int) -> int: ...
def distance_of(code: int) -> int: ...

class State:
    mesh: bytes
    counter: int
    bucket: int
    digest: bytes
    open_count: int
    distance: int
    flags: int
    role: int
    author: bytes
    log2: int
    window: int
    def __init__(
        self,
        mesh: bytes,
        counter: int,
        bucket: int,
        digest: bytes,
        open_count: int,
        distance: int,
        flags: int,
        role: int,
        author: bytes,
        log2: int = 2,
        window: int = 0,
    ) -> None: ...

def encode_state(state: State, key: bytes, base: bytes = b"") -> bytes: ...
def decode_state(frame: bytes) -> State: ...

class Op:
    author: bytes
    number: int
    check: bytes
    schema: bytes
    ms: int
    values: Sequence[int]
    def __init__(
        self, author: bytes, number: int, check: bytes, schema: bytes, ms: int, values: Sequence[int]
    ) -> None: ...

def encode_op(op: Op) -> bytes: ...
def decode_op(frame: bytes) -> Op: ...
def ack_key(frame: bytes) -> bytes: ...
