from collections.abc import Generator, Sequence
from typing import Final

from ..custody.receipt import Receipt
from .port import P256

BATCH: Final = "hg-rct"

class Batch:
    data: bytes
    keeper: bytes
    incarnation: int
    moment: int
    entries: list[tuple[bytes, int]]
    def __init__(self, data: bytes, app: str) -> None: ...
    def receipts(self, but: bytes = b"") -> list[Receipt]: ...
    def covers(self, other: Batch) -> bool: ...
    def fold(self) -> bytes: ...
    def verify(self, p256: P256, sealing: bytes) -> Generator[None, None, None]: ...

def unfold_batch(
    brief: bytes, app: str, keepers: Sequence[tuple[bytes, bytes]]
) -> tuple[Batch, bytes] | None: ...
