"""The 13-byte nonces of AES-CCM-16-64-128 for beacons and records (SPEC 8)."""

import struct


def beacon_nonce(kind: int, author: bytes, epoch: int, counter: int) -> bytes:
    """Return kind u8 | first 4 bytes of the author | boot epoch u32 | counter u32, big-endian.

    The key belongs to one author and boot epoch, so kind and counter alone make the nonce unique.
    """
    return struct.pack(">B4sII", kind & 0xFF, author[:4], epoch & 0xFFFFFFFF, counter & 0xFFFFFFFF)


def record_nonce(iv: bytes, sequence: int) -> bytes:
    """Return the 13-byte iv with the record's 40-bit sequence number XORed into its last five bytes."""
    tail = int.from_bytes(iv[8:], "big") ^ sequence & 0xFFFFFFFFFF
    return iv[:8] + tail.to_bytes(5, "big")
