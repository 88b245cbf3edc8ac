"""The 13-byte nonces of AES-CCM-16-64-128 for records (SPEC 8)."""


def record_nonce(iv: bytes, sequence: int) -> bytes:
    """Return the 13-byte iv with the record's 40-bit sequence number XORed into its last five bytes."""
    tail = int.from_bytes(iv[8:], "big") ^ sequence & 0xFFFFFFFFFF
    return iv[:8] + tail.to_bytes(5, "big")
