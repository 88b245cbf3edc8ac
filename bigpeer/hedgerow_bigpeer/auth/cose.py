"""COSE_Sign1 with ES256 (RFC 9052 4.2, RFC 9053 2.1), and keys on P-256, over the core's CBOR.

The only protected header besides the algorithm is the type (RFC 9596) of what is no credential, so that a
signature over one kind of object is never one over another.
"""

from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError

POINT_BYTES = 33
KID_BYTES = 8
SIGNATURE_BYTES = 64
_TAG = b"\xd2"
_ALGORITHM = 1
_KID = 4
_TYPE = 16
_ES256 = -7
_KEY_TYPE, _EC2, _CURVE, _P256, _X, _Y = 1, 2, -1, 1, -2, -3


class Signed(NamedTuple):
    """The parts of a COSE_Sign1: whose key (`kid`, 8 bytes), what, and the signature (64 bytes)."""

    kid: bytes
    payload: bytes
    protected: bytes
    signature: bytes

    def is_by(self, point: bytes) -> bool:
        """Say whether the key of this compressed point made the signature."""
        if kid_of(point) != self.kid:
            return False
        return is_signature(point, self.signature, _signed(self.protected, self.payload))


def kid_of(point: bytes) -> bytes:
    """Return the 8 bytes that name a key: the first of SHA-256 of its compressed point."""
    return sha256(point).digest()[:KID_BYTES]


def compress(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as its compressed point, 33 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def load_point(point: object) -> ec.EllipticCurvePublicKey:
    """Return the public key of a compressed point. Raises POINT_INVALID for what is not on the curve."""
    if not isinstance(point, bytes) or len(point) != POINT_BYTES or point[0] not in (2, 3):
        raise HedgerowError("POINT_INVALID", "not a compressed point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise HedgerowError("POINT_INVALID", "not on the curve") from None


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Sign with ES256 and a deterministic nonce (RFC 6979); 64 bytes, r and s."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def is_signature(point: bytes, signature: object, data: bytes) -> bool:
    """Say whether 64 bytes are the ES256 signature of the key of a compressed point."""
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        load_point(point).verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def sign(key: ec.EllipticCurvePrivateKey, payload: bytes, kind: str = "") -> bytes:
    """Return a tagged COSE_Sign1 over `payload`; `kind` is the type of what is no credential."""
    protected = _protected(kind)
    signature = raw_signature(key, _signed(protected, payload))
    kid = kid_of(compress(key.public_key()))
    return _TAG + cbor.encode([protected, {_KID: kid}, payload, signature])


def read(message: bytes, kind: str = "") -> Signed:
    """Take a COSE_Sign1 of this kind apart; nothing is verified. Raises CREDENTIAL_INVALID."""
    try:
        parts = cbor.decode(message[1:]) if message[:1] == _TAG else None
    except HedgerowError as error:
        raise HedgerowError("CREDENTIAL_INVALID", error.code) from None
    if not isinstance(parts, list) or len(parts) != 4:
        raise HedgerowError("CREDENTIAL_INVALID", "no COSE_Sign1")
    protected, unprotected, payload, signature = parts
    kid = unprotected.get(_KID) if isinstance(unprotected, dict) and len(unprotected) == 1 else None
    if protected != _protected(kind) or not isinstance(kid, bytes) or len(kid) != KID_BYTES:
        raise HedgerowError("CREDENTIAL_INVALID", "headers")
    if (
        not isinstance(payload, bytes)
        or not isinstance(signature, bytes)
        or len(signature) != SIGNATURE_BYTES
    ):
        raise HedgerowError("CREDENTIAL_INVALID", "payload or signature")
    return Signed(kid, payload, protected, signature)


def cose_key(point: bytes) -> dict[int, object]:
    """Return a compressed point as a COSE_Key (RFC 9053 7.1.1): x, and the sign of y."""
    return {_KEY_TYPE: _EC2, _CURVE: _P256, _X: point[1:], _Y: point[0] == 3}


def point_of(key: object) -> bytes:
    """Return the compressed point of a COSE_Key. Raises POINT_INVALID."""
    if not isinstance(key, dict) or set(key) != {_KEY_TYPE, _CURVE, _X, _Y}:
        raise HedgerowError("POINT_INVALID", "no COSE_Key of P-256")
    x, sign_of_y = key[_X], key[_Y]
    if key[_KEY_TYPE] != _EC2 or key[_CURVE] != _P256 or not isinstance(x, bytes) or len(x) != 32:
        raise HedgerowError("POINT_INVALID", "no COSE_Key of P-256")
    if not isinstance(sign_of_y, bool):
        raise HedgerowError("POINT_INVALID", "y is no sign")
    point = bytes([3 if sign_of_y else 2]) + x
    load_point(point)
    return point


def _protected(kind: str) -> bytes:
    return cbor.encode({_ALGORITHM: _ES256, _TYPE: kind} if kind else {_ALGORITHM: _ES256})


def _signed(protected: bytes, payload: bytes) -> bytes:
    return cbor.encode(["Signature1", protected, b"", payload])
