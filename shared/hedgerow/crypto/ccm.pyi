from typing import Any, Final

aes: Any
TAG: Final = 8

def seal(key: bytes, nonce: bytes, aad: bytes, data: bytes) -> bytes: ...
def unseal(key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes: ...
