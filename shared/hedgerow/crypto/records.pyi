from typing import Final

VERSION_KIND: Final = 0x11
HEAD: Final = 5
TAG: Final = 8
SECRET: Final = 32

class RecordKeys:
    def __init__(self, secret: bytes) -> None: ...
    def seal(self, sequence: int, payload: bytes) -> bytes: ...
    def unseal(self, record: bytes, sequence: int) -> bytes: ...
