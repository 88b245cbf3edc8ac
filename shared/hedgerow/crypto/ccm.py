"""AES-CCM-16-64-128 (RFC 3610, RFC 9053 4.2) for boards: 16-byte keys, 13-byte nonces, tags of 8 bytes.

All counter blocks are encrypted in one call and all of the MAC in another; XOR goes over whole integers.
"""

try:
    from cryptolib import aes
except ImportError:
    # CPython has host.py.
    aes = None

from ..errors import HedgerowError
from .kdf import same

TAG = 8
_ECB = 1
_CBC = 2


def _padding(size: int) -> bytes:
    return bytes(-size & 15)


def _stream(key: bytes, nonce: bytes, size: int) -> bytes:
    """Return the block for the tag, and the key stream of so many bytes and more."""
    head = b"\1" + nonce
    blocks = b"".join([head + number.to_bytes(2, "big") for number in range((size + 31) // 16)])
    return aes(key, _ECB).encrypt(blocks)


def _xor(data: bytes, stream: bytes) -> bytes:
    size = len(data)
    number = int.from_bytes(data, "big") ^ int.from_bytes(stream[:size], "big")
    return number.to_bytes(size, "big")


def _check(key: bytes, nonce: bytes, aad: bytes, size: int) -> None:
    if len(key) != 16 or len(nonce) != 13 or len(aad) >= 0xFF00 or size >> 16:
        raise HedgerowError("CIPHER_INVALID", "%d bytes" % size)


def _mac(key: bytes, nonce: bytes, aad: bytes, data: bytes) -> bytes:
    # 8 bytes of tag, 2 of length.
    blocks = (b"\x59" if aad else b"\x19") + nonce + len(data).to_bytes(2, "big")
    if aad:
        blocks += len(aad).to_bytes(2, "big") + aad + _padding(2 + len(aad))
    blocks += data + _padding(len(data))
    return aes(key, _CBC, bytes(16)).encrypt(blocks)[-16:]


def seal(key: bytes, nonce: bytes, aad: bytes, data: bytes) -> bytes:
    """Return the encrypted data and its tag; CIPHER_INVALID for what has no such size."""
    _check(key, nonce, aad, len(data))
    mac = _mac(key, nonce, aad, data)
    stream = _stream(key, nonce, len(data))
    return _xor(data, stream[16:]) + _xor(mac[:TAG], stream)


def unseal(key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
    """Return the data; TAG_INVALID where anything was altered, CIPHER_INVALID for what has no such size."""
    size = len(sealed) - TAG
    if size < 0:
        raise HedgerowError("TAG_INVALID", "%d bytes" % len(sealed))
    _check(key, nonce, aad, size)
    stream = _stream(key, nonce, size)
    data = _xor(sealed[:size], stream[16:])
    if not same(_xor(_mac(key, nonce, aad, data)[:TAG], stream), sealed[size:]):
        raise HedgerowError("TAG_INVALID", "%d bytes" % len(sealed))
    return data
