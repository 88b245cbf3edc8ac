"""Records of a session under AES-CCM: keys of each direction, new ones as it goes on, nonces by sequence.

The form is that of records without security (SPEC 7.3), in kind 1.
"""

import struct

from .. import limits
from ..errors import HedgerowError
from . import port
from .kdf import expand

VERSION_KIND = 0x11
HEAD = 5
TAG = 8
SECRET = 32


def record_nonce(iv: bytes, sequence: int) -> bytes:
    """Return the 13-byte iv with the record's 40-bit sequence number XORed into its last five bytes."""
    tail = int.from_bytes(iv[8:], "big") ^ sequence & 0xFFFFFFFFFF
    return iv[:8] + tail.to_bytes(5, "big")


class RecordKeys:
    """One direction: records are sealed, or opened, in the order of their sequence numbers from 0.

    After limits.REKEY_RECORDS of them comes the next key, from a secret that cannot be led back.
    """

    def __init__(self, secret: bytes):
        self._secret = secret
        self._until = 0

    def _at(self, sequence: int) -> tuple:
        """Return (key, nonce)."""
        if sequence < self._until - limits.REKEY_RECORDS:
            raise HedgerowError("RECORD_SEQUENCE", "%d again" % sequence)
        while sequence >= self._until:
            keys = expand(self._secret, b"hedgerow record", 16 + 13 + SECRET)
            self._key = keys[:16]
            self._iv = keys[16:29]
            self._secret = keys[29:]
            self._until += limits.REKEY_RECORDS
        return self._key, record_nonce(self._iv, sequence)

    def seal(self, sequence: int, payload: bytes) -> bytes:
        """Return the record with this payload; a number must never come twice."""
        key, nonce = self._at(sequence)
        head = struct.pack(">HBH", 3 + len(payload) + TAG, VERSION_KIND, sequence & 0xFFFF)
        return head + port.seal(key, nonce, head, payload)

    def unseal(self, record: bytes, sequence: int) -> bytes:
        """Return the payload of a whole record that must have this number.

        RECORD_VERSION, RECORD_SEQUENCE, RECORD_TAG.
        """
        head = bytes(record[:HEAD])
        if len(record) < HEAD + TAG or head[2] != VERSION_KIND or head[0] << 8 | head[1] != len(record) - 2:
            raise HedgerowError("RECORD_VERSION", "%d bytes" % len(record))
        if head[3] << 8 | head[4] != sequence & 0xFFFF:
            raise HedgerowError("RECORD_SEQUENCE", "%d expected" % sequence)
        key, nonce = self._at(sequence)
        try:
            return port.unseal(key, nonce, head, bytes(record[HEAD:]))
        except HedgerowError as error:
            raise HedgerowError("RECORD_TAG", "%d bytes" % len(record)) from error
