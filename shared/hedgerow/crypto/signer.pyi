from collections.abc import Generator, Sequence

from ..custody.receipt import Receipt
from .port import P256

def sign1(
    p256: P256, private: bytes, payload: bytes, kid: bytes, kind: str = "", aad: bytes = b""
) -> Generator[None, None, bytes]: ...
def sign_batch(
    p256: P256, private: bytes, sealing: bytes, app: str, moment: int, receipts: Sequence[Receipt]
) -> Generator[None, None, bytes]: ...
