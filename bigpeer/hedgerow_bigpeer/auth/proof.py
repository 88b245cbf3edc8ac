"""Proof of possession: a peer shows that it has the private halves of both keys it wants in a credential.

A challenge is remembered nowhere: it carries its end and a tag of ours, and the ephemeral key for the
agreement is derived from it. So who only asks for challenges takes up no room. One is good for one
credential.
"""

import hmac
import os
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hedgerow.codec import cbor
from hedgerow.crypto.claims import author_of
from hedgerow.errors import HedgerowError

from .. import limits
from . import cose
from .database import Database, now

CHALLENGE_BYTES = 40
TAG_BYTES = 16
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_INFO = b"hedgerow proof"


class Challenge(NamedTuple):
    """What a peer has to answer: 40 bytes, our ephemeral point (33 bytes), and until when (seconds)."""

    challenge: bytes
    point: bytes
    expires: int


class Proof(NamedTuple):
    """A peer's answer: its public keys (33 bytes each), the challenge, and what proves either key.

    `signature` (64 bytes, by the sealing key) and `tag` (16 bytes, under the agreement) cover statement().
    `author` (8 bytes) is that of its log, if it has one, and `salt` what it was made with.
    """

    agreement: bytes
    sealing: bytes
    challenge: bytes
    signature: bytes
    tag: bytes
    author: bytes | None = None
    salt: bytes | None = None


def statement(app_id: str, proof: Proof) -> bytes:
    """Return what both proofs cover."""
    parts = ["hedgerow proof", app_id, proof.challenge, proof.agreement, proof.sealing, proof.author or b""]
    return cbor.encode(parts)


def agreed_tag(shared: bytes, challenge: bytes, covered: bytes) -> bytes:
    """Return the tag under what was agreed: HMAC under a key that HKDF draws from the shared x coordinate."""
    key = HKDF(hashes.SHA256(), 32, salt=challenge, info=_INFO).derive(shared)
    return hmac.digest(key, covered, "sha256")[:TAG_BYTES]


class Challenger:
    """Makes challenges and judges the answers; all servers of one database have the same secret."""

    def __init__(self, database: Database) -> None:
        self._secret = database.secret("challenge", lambda: os.urandom(32))

    def make(self, app_id: str) -> Challenge:
        """Return a fresh challenge for an app."""
        expires = now() + limits.CHALLENGE_SECONDS
        begun = expires.to_bytes(8, "big") + os.urandom(16)
        challenge = begun + self._tag(app_id, begun)
        return Challenge(challenge, cose.compress(self._ephemeral(challenge).public_key()), expires)

    def check(self, app_id: str, proof: Proof) -> None:
        """Judge a proof; whether the challenge was used already is for whoever remembers that.

        Raises CHALLENGE_INVALID, POINT_INVALID, PROOF_INVALID, AUTHOR_TAKEN.
        """
        begun, tag = proof.challenge[:24], proof.challenge[24:]
        if len(proof.challenge) != CHALLENGE_BYTES or not hmac.compare_digest(tag, self._tag(app_id, begun)):
            raise HedgerowError("CHALLENGE_INVALID", "not ours")
        if int.from_bytes(begun[:8], "big") < now():
            raise HedgerowError("CHALLENGE_INVALID", "too old")
        if proof.agreement == proof.sealing:
            raise HedgerowError("POINT_INVALID", "one key for both purposes")
        agreement = cose.load_point(proof.agreement)
        covered = statement(app_id, proof)
        if not cose.is_signature(proof.sealing, proof.signature, covered):
            raise HedgerowError("PROOF_INVALID", "sealing key")
        shared = self._ephemeral(proof.challenge).exchange(ec.ECDH(), agreement)
        if not hmac.compare_digest(agreed_tag(shared, proof.challenge, covered), proof.tag):
            raise HedgerowError("PROOF_INVALID", "agreement key")
        if proof.author is not None and proof.author != author_of(proof.sealing, proof.salt or b""):
            raise HedgerowError("AUTHOR_TAKEN", "not made with this sealing key")

    def _tag(self, app_id: str, begun: bytes) -> bytes:
        return hmac.digest(self._secret, b"challenge" + app_id.encode() + begun, "sha256")[:TAG_BYTES]

    def _ephemeral(self, challenge: bytes) -> ec.EllipticCurvePrivateKey:
        wide = HKDF(hashes.SHA256(), 48, salt=challenge, info=b"hedgerow ephemeral").derive(self._secret)
        return ec.derive_private_key(int.from_bytes(wide, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
