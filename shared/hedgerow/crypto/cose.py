"""COSE_Sign1 with ES256 and COSE_Encrypt0 with AES-CCM-16-64-128 (RFC 9052, 9053).

Written with their tags, 18 and 16; read with them or without, and inside the tag of a CWT (61) too.
"""

from hashlib import sha256

from ..codec import cbor
from ..errors import HedgerowError
from .cipher import seal, unseal

_ALGORITHM = 1
_CRITICAL = 2
_KID = 4
_IV = 5
_TYPE = 16
_ES256 = -7
_CCM = 10
_SIGN1 = b"\xd2"
_ENCRYPT0 = b"\xd0"
_CWT = b"\xd8\x3d"


def untagged(data: bytes) -> bytes:
    """Return the object without its tags: as EDHOC has credentials."""
    if data[:2] == _CWT:
        data = data[2:]
    return data[1:] if data[:1] in (_SIGN1, _ENCRYPT0) else data


def name_of(public: bytes) -> bytes:
    """Return the 8 bytes by which a compressed key is named, as the `kid` of what it signs."""
    return sha256(public).digest()[:8]


class Sign1:
    """A signed object: `payload`, `kid` (or None), `kind` (the header `typ`, or None), `protected` headers,
    `signature` (64 bytes).

    `verify` says whether a key signed it; until then nothing in it is anybody's word.
    """

    def __init__(self, data: bytes):
        """Read one; COSE_INVALID, or a code of CBOR."""
        head, self.protected, unprotected, self.payload, self.signature = _read(data, 4)
        if self.protected.get(_ALGORITHM) != _ES256 or _CRITICAL in self.protected:
            raise HedgerowError("COSE_INVALID", "algorithm")
        self.kid = self.protected.get(_KID, unprotected.get(_KID))
        self.kind = self.protected.get(_TYPE)
        if self.kid is not None and not isinstance(self.kid, bytes):
            raise HedgerowError("COSE_INVALID", "kid")
        if len(self.signature) != 64:
            raise HedgerowError("COSE_INVALID", "%d of signature" % len(self.signature))
        self._head = head

    def verify(self, p256: object, public: bytes, aad: bytes = b"") -> object:
        """Return whether the key signed it: a generator of slices; POINT_INVALID."""
        return p256.verify(public, to_sign(self._head, aad, self.payload), self.signature)


def join(payload: bytes, kid: bytes, kind: str, signature: bytes) -> bytes:
    """Return the object that has these parts."""
    return _SIGN1 + cbor.encode([header(kind), {_KID: kid}, payload, signature])


def header(kind: str) -> bytes:
    """Return the protected headers of an object of this kind, "" for none."""
    headers: dict = {_ALGORITHM: _ES256}
    if kind:
        headers[_TYPE] = kind
    return cbor.encode(headers)


def to_sign(head: bytes, aad: bytes, payload: bytes) -> bytes:
    """Return the bytes that a signature covers (RFC 9052, 4.4)."""
    return cbor.encode(["Signature1", head, aad, payload])


def encrypt0(key: bytes, iv: bytes, payload: bytes, kid: bytes = b"", aad: bytes = b"") -> bytes:
    """Seal a payload under a key of 16 bytes and an IV of 13 that must never come again with it."""
    head = cbor.encode({_ALGORITHM: _CCM})
    headers: dict = {_IV: iv}
    if kid:
        headers[_KID] = kid
    sealed = seal(key, iv, _encrypted(head, aad), payload)
    return _ENCRYPT0 + cbor.encode([head, headers, sealed])


def decrypt0(keys: object, data: bytes, aad: bytes = b"") -> bytes:
    """Return the payload; `keys(kid)` gives the key by its name (b"" for none), or None.

    COSE_INVALID, KEY_UNKNOWN, TAG_INVALID, or a code of CBOR.
    """
    head, protected, unprotected, sealed = _read(data, 3)
    iv = unprotected.get(_IV)
    if protected != {_ALGORITHM: _CCM} or not isinstance(iv, bytes) or len(iv) != 13:
        raise HedgerowError("COSE_INVALID", "algorithm")
    kid = unprotected.get(_KID, b"")
    key = keys(kid) if isinstance(kid, bytes) else None
    if key is None:
        raise HedgerowError("KEY_UNKNOWN", "of an encrypted object")
    return unseal(key, iv, _encrypted(head, aad), sealed)


def _encrypted(head: bytes, aad: bytes) -> bytes:
    return cbor.encode(["Encrypt0", head, aad])


def _read(data: bytes, count: int) -> list:
    """Return [protected bytes, protected, unprotected, and the byte strings that follow]."""
    parts = cbor.decode(untagged(data))
    if not isinstance(parts, list) or len(parts) != count:
        raise HedgerowError("COSE_INVALID", "shape")
    for at in range(count):
        if not isinstance(parts[at], dict if at == 1 else bytes):
            raise HedgerowError("COSE_INVALID", "part %d" % at)
    protected = cbor.decode(parts[0]) if parts[0] else {}
    if not isinstance(protected, dict):
        raise HedgerowError("COSE_INVALID", "protected")
    return [parts[0], protected] + parts[1:]
