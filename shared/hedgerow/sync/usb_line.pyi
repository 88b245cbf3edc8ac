from typing import Final

VERSION: Final = 1
MARK: Final = b"~"
MOST: Final = 66
PAYLOAD: Final = 31
HELLO: Final = 1
SAY: Final = 2
HUSH: Final = 3
TAKEN: Final = 4
BOARD: Final = 17
HEARD: Final = 18
SAID: Final = 19
STATUS: Final = 20
DONE: Final = 0
FAILED: Final = 1
HUSHED: Final = 2
WINDOW: Final = 64
ALIVE_MS: Final = 10000

def encode(kind: int, body: bytes = b"") -> bytes: ...
def decode(line: bytes) -> tuple[int, bytes]: ...
def encode_say(sequence: int, connectable: bool, events: int, payload: bytes) -> bytes: ...
def decode_say(body: bytes) -> tuple[int, bool, int, bytes]: ...
def decode_heard(body: bytes) -> tuple[bytes, int, int, bytes]: ...
def numbers(body: bytes, form: str) -> tuple[int | bytes, ...]: ...

class Lines:
    def __init__(self) -> None: ...
    @property
    def text(self) -> bytes: ...
    def feed(self, data: bytes) -> list[bytes]: ...
