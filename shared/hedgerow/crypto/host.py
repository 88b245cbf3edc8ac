"""What curve.py and ccm.py do, by `cryptography`: the way of CPython. Both agree byte for byte."""

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..errors import HedgerowError

TAG = 8
_CURVE = ec.SECP256R1()


class P256:
    """See curve.P256."""

    def __init__(self, random: object):
        self.random = random
        self.multiplications = 0

    def make_key(self) -> object:
        """Make a key pair; the generator returns (private 32 bytes, public 33 bytes)."""
        while True:
            try:
                private = self.random(32)
                return private, (yield from self.public_of(private))
            except HedgerowError:
                pass

    def public_of(self, private: bytes) -> object:
        """Return the public key of a private one, compressed."""
        key = _private(private)
        self.multiplications += 1
        yield
        return key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    def agree(self, private: bytes, public: bytes) -> object:
        """Return the 32 bytes that both sides share; POINT_INVALID, KEY_INVALID."""
        other = _public(public)
        key = _private(private)
        self.multiplications += 1
        yield
        return key.exchange(ec.ECDH(), other)

    def sign(self, private: bytes, message: bytes) -> object:
        """Return the signature of a message: r and s, 32 bytes each, ever the same for it; KEY_INVALID."""
        key = _private(private)
        self.multiplications += 1
        yield
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True)))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def verify(self, public: bytes, message: bytes, signature: bytes) -> object:
        """Say whether a signature is of that message and key; POINT_INVALID."""
        key = _public(public)
        self.multiplications += 2
        yield
        if len(signature) != 64:
            return False
        r = int.from_bytes(signature[:32], "big")
        s = int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def _private(private: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        if len(private) != 32:
            raise ValueError
        return ec.derive_private_key(int.from_bytes(private, "big"), _CURVE)
    except ValueError as error:
        raise HedgerowError("KEY_INVALID", "%d bytes" % len(private)) from error


def _public(public: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(
            _CURVE, b"\2" + public if len(public) == 32 else public
        )
    except ValueError as error:
        raise HedgerowError("POINT_INVALID", "%d bytes" % len(public)) from error


def _cipher(key: bytes, nonce: bytes, aad: bytes, size: int) -> AESCCM:
    if len(key) != 16 or len(nonce) != 13 or len(aad) >= 0xFF00 or size >> 16:
        raise HedgerowError("CIPHER_INVALID", "%d bytes" % size)
    return AESCCM(key, tag_length=TAG)


def seal(key: bytes, nonce: bytes, aad: bytes, data: bytes) -> bytes:
    """Return the encrypted data and its tag; CIPHER_INVALID for what has no such size."""
    return _cipher(key, nonce, aad, len(data)).encrypt(nonce, bytes(data), aad)


def unseal(key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
    """Return the data; TAG_INVALID where anything was altered, CIPHER_INVALID for what has no such size."""
    try:
        if len(sealed) < TAG:
            raise InvalidTag
        return _cipher(key, nonce, aad, len(sealed) - TAG).decrypt(nonce, bytes(sealed), aad)
    except InvalidTag as error:
        raise HedgerowError("TAG_INVALID", "%d bytes" % len(sealed)) from error
