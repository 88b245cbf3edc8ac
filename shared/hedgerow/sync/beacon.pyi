from typing import Final

from .beacon_op import Op

COMPANY: Final = b"\xff\xff"
STATE: Final = 0
OP: Final = 1
HAS_TIME: Final = 1
WANTS_TIME: Final = 2
UPLINK: Final = 4
CONNECTABLE: Final = 8
ROLE_SHIFT: Final = 4
NO_TAG: bytes
VERSION: Final = 0x10

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
    tag: bytes
    log2: int
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
        tag: bytes = ...,
        log2: int = 2,
    ) -> None: ...

def encode_state(state: State) -> bytes: ...
def advertise(data: bytes | bytearray) -> bytes: ...
def decode(data: bytes | bytearray | memoryview) -> State | Op | None: ...
