"""A peer's keys in tests: it answers challenges, and issues credentials under a delegation."""

import os
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec

from hedgerow.crypto import credentials as core
from hedgerow.crypto.claims import author_of
from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.port import finish
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer.auth import cose, proof
from hedgerow_bigpeer.auth.apps import App
from hedgerow_bigpeer.auth.credential import CTI_BYTES, SALT_BYTES, Credential
from hedgerow_bigpeer.auth.database import now
from hedgerow_bigpeer.auth.membership import Membership
from hedgerow_bigpeer.auth.proof import Challenge, Proof
from hedgerow_bigpeer.auth.scope import Entry

# What boards have signed for credentials that delegates issued to them, by those.
PROOFS: dict[bytes, bytes] = {}


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
        """Issue a credential to another peer, which proves its keys for it, as a delegate; `changes` are to
        its claims.
        """
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
        given = Credential(**{**values, **changes})
        body = given.sign(self.sealing_key)
        shown = Proof(
            peer.agreement, peer.sealing, given.number + (given.under or b""), b"", b"", given.author
        )
        PROOFS[body] = cose.raw_signature(peer.sealing_key, proof.statement(app.id, shown))
        return body


def met(member: Membership, delegation: bytes, body: bytes) -> str:
    """Show a credential in a session, beside its delegation; return the code, "" if it goes on."""
    found = core.Credential(body)
    finish(member.trust.accept(found, core.Credential(delegation).value))
    try:
        member.meet(greeting_of(found))
    except HedgerowError as error:
        return error.code
    return ""


def greeting_of(found: core.Credential) -> Greeting:
    """Return what a session is to a Membership in which a credential was shown."""
    channel = SimpleNamespace(remote=found.name)
    return cast(Greeting, SimpleNamespace(channel=channel, done=True, claims=found.claims))


def proofs_of(bodies: Sequence[bytes]) -> list[bytes]:
    """Return the proofs of credentials that delegates issued, b"" for what nobody has proven anything for."""
    return [PROOFS.get(body, b"") for body in bodies]
