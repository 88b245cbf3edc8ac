"""The other side of a login: a peer's two key pairs, and its answers to challenges, in HTTP's JSON."""

import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from hedgerow.errors import HedgerowError

from ..base64url import from_base64, to_base64
from . import cose, proof
from .proof import Proof

_CURVE = ec.SECP256R1()
_KEY_BYTES = 32


class Holder:
    """Two private keys, and the random bytes (16) that its log was formatted with."""

    def __init__(self, agreement: int, sealing: int, salt: bytes) -> None:
        self._agreement = ec.derive_private_key(agreement, _CURVE)
        self._sealing = ec.derive_private_key(sealing, _CURVE)
        self._salt = salt
        self.agreement = cose.compress(self._agreement.public_key())
        self.sealing = cose.compress(self._sealing.public_key())
        self.author = proof.author_of(self.sealing, salt)

    @classmethod
    def create(cls) -> "Holder":
        """Make new keys."""
        agreement, sealing = (ec.generate_private_key(_CURVE).private_numbers() for _ in range(2))
        return cls(agreement.private_value, sealing.private_value, os.urandom(proof.SALT_BYTES))

    @classmethod
    def load(cls, kept: dict[str, Any]) -> "Holder":
        """Take keys as save() gave them. Raises POINT_INVALID."""
        try:
            parts = [from_base64(kept.get(name), name) for name in ("agreement", "sealing", "salt")]
            agreement, sealing = (int.from_bytes(part, "big") for part in parts[:2])
            return cls(agreement, sealing, parts[2])
        except (HedgerowError, ValueError):
            raise HedgerowError("POINT_INVALID", "no private keys") from None

    def save(self) -> dict[str, str]:
        """Return the private keys as JSON, for a file that only their owner reads."""
        numbers = [key.private_numbers().private_value for key in (self._agreement, self._sealing)]
        parts = [number.to_bytes(_KEY_BYTES, "big") for number in numbers]
        names = ("agreement", "sealing", "salt")
        return {name: to_base64(part) for name, part in zip(names, [*parts, self._salt], strict=True)}

    def prove(self, challenge: dict[str, Any]) -> dict[str, str]:
        """Answer a challenge as the Big Peer gave it. Raises REQUEST_SYNTAX, POINT_INVALID."""
        given = from_base64(challenge.get("challenge"), "challenge")
        point = cose.load_point(from_base64(challenge.get("point"), "point"))
        unsigned = Proof(self.agreement, self.sealing, given, b"", b"", self.author, self._salt)
        covered = proof.statement(str(challenge.get("app")), unsigned)
        shared = self._agreement.exchange(ec.ECDH(), point)
        signed = unsigned._replace(
            signature=cose.raw_signature(self._sealing, covered),
            tag=proof.agreed_tag(shared, given, covered),
        )
        return {name: to_base64(value) for name, value in signed._asdict().items() if value is not None}
