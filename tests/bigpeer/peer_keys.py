"""A peer's keys in tests: it answers challenges, and issues credentials under a delegation."""

import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from hedgerow.crypto.claims import author_of
from hedgerow_bigpeer.auth import cose, proof
from hedgerow_bigpeer.auth.apps import App
from hedgerow_bigpeer.auth.credential import CTI_BYTES, SALT_BYTES, Credential
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.proof import Challenge, Proof
from hedgerow_bigpeer.auth.scope import Entry


class PeerKeys:
    """Two key pairs, and the author of one log."""

    def __init__(self) -> None:
        self.agreement_key = ec.generate_private_key(ec.SECP256R1())
        self.sealing_key = ec.generate_private_key(ec.SECP256R1())
        self.agreement = cose.compress(self.agreement_key.public_key())
        self.sealing = cose.compress(self.sealing_key.public_key())
        self.salt = os.urandom(SALT_BYTES)
        self.author = author_of(self.sealing, self.salt)

    def prove(self, app_id: str, challenge: Challenge, *, log: bool = True) -> Proof:
        """Answer a challenge."""
        author = (self.author, self.salt) if log else (None, None)
        unsigned = Proof(self.agreement, self.sealing, challenge.challenge, b"", b"", *author)
        covered = proof.statement(app_id, unsigned)
        shared = self.agreement_key.exchange(ec.ECDH(), cose.load_point(challenge.point))
        return unsigned._replace(
            signature=cose.raw_signature(self.sealing_key, covered),
            tag=proof.agreed_tag(shared, challenge.challenge, covered),
        )

    def enrol(self, app: App, delegation: Credential, peer: "PeerKeys", /, **changes: Any) -> bytes:
        """Issue a credential to another peer, as a delegate; `changes` are to its claims."""
        at = now()
        values: dict[str, Any] = {
            "app": app.id,
            "user": "board",
            "expires": at + 86_400,
            "issued": at,
            "number": os.urandom(CTI_BYTES),
            "agreement": peer.agreement,
            "sealing": peer.sealing,
            "scope": (Entry("readings", 2),),
            "mode": app.mode,
            "mesh": app.mesh_id,
            "author": peer.author,
            "salt": peer.salt,
            "under": delegation.number,
        }
        return Credential(**{**values, **changes}).sign(self.sealing_key)
