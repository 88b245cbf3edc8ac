from collections.abc import Generator, Sequence
from typing import Any

from ..custody.receipt import Receipt

def pair_key(
    p256: Any, private: bytes, public: bytes, mesh: Sequence[object]
) -> Generator[None, None, bytes]: ...
def tag(key: bytes, receipt: Receipt) -> bytes: ...
def is_proof(key: bytes, receipt: Receipt) -> bool: ...
