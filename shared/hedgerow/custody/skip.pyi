from typing import Any, Final

SUPERSEDED: Final = 0
LOST: Final = 1
RECEIPTED: Final = 2
DROPPED: Final = 0
RESTORED: Final = 1
DAMAGED: Final = 2
THINNED: Final = 3
SEALED: Final = 6
REASONS: Final = ("dropped", "restored", "damaged", "thinned")

class Skip:
    first: int
    last: int
    kind: int
    detail: Any
    def __init__(self, first: int, last: int, kind: int, detail: object = None) -> None: ...
    def encode(self) -> bytes: ...
    @staticmethod
    def decode(data: bytes) -> Skip: ...
