"""Signed objects and keys on P-256 as the Big Peer needs them: the core's cryptography, done in one go.

Only what has exactly our headers is read: the type (RFC 9596) of what is no credential is protected, so that
a signature over one kind of object is never one over another.
"""

import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hedgerow.crypto.cose import Sign1, name_of
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.signer import sign1
from hedgerow.errors import HedgerowError

POINT_BYTES = 33
KID_BYTES = 8
SIGNATURE_BYTES = 64
_ALGORITHM, _TYPE = 1, 16
_ES256 = -7
_KEY_TYPE, _EC2, _CURVE, _P256, _X, _Y = 1, 2, -1, 1, -2, -3
_CURVE_OF = P256(os.urandom)

kid_of = name_of


class Signed:
    """A COSE_Sign1: whose key signed it (`kid`, 8 bytes), and what (`payload`)."""

    def __init__(self, message: bytes, kind: str) -> None:
        self._object = Sign1(message)
        protected = {_ALGORITHM: _ES256, _TYPE: kind} if kind else {_ALGORITHM: _ES256}
        if self._object.protected != protected:
            raise HedgerowError("COSE_INVALID", "headers")
        if not isinstance(self._object.kid, bytes) or len(self._object.kid) != KID_BYTES:
            raise HedgerowError("COSE_INVALID", "kid")
        self.kid: bytes = self._object.kid
        self.payload = self._object.payload

    def is_by(self, point: bytes) -> bool:
        """Say whether the key of this compressed point made the signature."""
        return kid_of(point) == self.kid and finish(self._object.verify(_CURVE_OF, point))


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
    return finish(_CURVE_OF.sign(_private(key), data))


def is_signature(point: bytes, signature: object, data: bytes) -> bool:
    """Say whether 64 bytes are the ES256 signature of the key of a compressed point."""
    load_point(point)
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_BYTES:
        return False
    return finish(_CURVE_OF.verify(point, data, signature))


def sign(key: ec.EllipticCurvePrivateKey, payload: bytes, kind: str = "") -> bytes:
    """Return a tagged COSE_Sign1 over `payload`; `kind` is the type of what is no credential."""
    kid = kid_of(compress(key.public_key()))
    return finish(sign1(_CURVE_OF, _private(key), payload, kid, kind))


def read(message: bytes, kind: str = "") -> Signed:
    """Take a COSE_Sign1 of this kind apart; nothing is verified. Raises CREDENTIAL_INVALID."""
    try:
        return Signed(message, kind)
    except HedgerowError as error:
        raise HedgerowError("CREDENTIAL_INVALID", str(error)[:200]) from None


def cose_key(point: bytes) -> dict[int, object]:
    """Return a compressed point as a COSE_Key (RFC 9053 7.1.1): x, and the sign of y."""
    return {_KEY_TYPE: _EC2, _CURVE: _P256, _X: point[1:], _Y: point[0] == 3}


def point_of(key: Any) -> bytes:
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


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32, "big")
