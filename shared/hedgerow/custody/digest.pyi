from collections.abc import Iterable
from typing import Final

BUCKETS: Final = 4

def digest(key: bytes, entries: Iterable[tuple[bytes, int, int]], buckets: int = 4) -> list[bytes]: ...
