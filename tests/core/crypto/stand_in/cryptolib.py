"""MicroPython's cryptolib for CPython, by `cryptography`: the two modes that boards have."""

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB


class aes:
    """AES in mode 1 (ECB) or 2 (CBC, which goes on where the last call ended)."""

    def __init__(self, key: bytes, mode: int, iv: bytes = b""):
        self._encryptor = Cipher(AES(key), CBC(iv) if mode == 2 else ECB()).encryptor()

    def encrypt(self, data: bytes) -> bytes:
        if len(data) % 16:
            raise ValueError("blksize % 16")
        return self._encryptor.update(data)
