"""Delegations: a gateway enrols boards that never see the internet, within limits that a delegation sets.

The gateway signs their credentials with its own sealing key. When it next meets the Big Peer it shows them,
and what keeps to the limits is countersigned: the same claims under the app's issuer, which every peer knows.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError

from .. import limits
from . import cose
from .apps import App
from .authority import Authority, Granted
from .credential import CTI_BYTES, Credential, Limits, read_credential
from .database import now
from .ledger import issued_of
from .proof import Proof, statement
from .revocation import DELEGATION
from .scope import Entry, Scope

# Faults of this installation, which are nobody's verdict.
_FAULTS = ("REGISTRY_", "ISSUER_MISSING")


class Countersigned(NamedTuple):
    """What became of one credential: its `body` under the app's issuer, or the `error` why not."""

    body: bytes = b""
    error: HedgerowError | None = None


class Delegations:
    """Gives delegations, and countersigns what was issued under them."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._registry = authority.registry

    def delegate(
        self, app: App, body: bytes, proof: Proof, collections: Sequence[str], peers: int, seconds: int
    ) -> Granted:
        """Give the holder of a credential of the kind "delegate" a delegation.

        Raises DELEGATION_INVALID, what the proof raises, and what Authority.current raises.
        """
        self._registry.challenger.check(app.id, proof)
        holder, issued = self._authority.current(app, body)
        if (proof.agreement, proof.sealing) != (holder.agreement, holder.sealing):
            raise HedgerowError("PROOF_INVALID", "other keys than the credential's")
        if not holder.kinds & claims.DELEGATES or holder.delegation is not None or holder.under is not None:
            raise HedgerowError("AUTH_FORBIDDEN", "delegate")
        if not 0 < peers <= limits.DELEGATION_PEERS or not 0 < seconds <= limits.DELEGATION_SECONDS:
            raise HedgerowError("DELEGATION_INVALID", "at most 10000 peers, 30 days")
        names = tuple(dict.fromkeys(collections))
        if not 0 < len(names) <= limits.SCOPE_ENTRIES:
            raise HedgerowError("DELEGATION_INVALID", f"1 to {limits.SCOPE_ENTRIES} collections")
        scope = _reduced(holder.scope, names)
        at = now()
        delegation = holder._replace(
            number=os.urandom(CTI_BYTES),
            issued=at,
            expires=at + seconds,
            scope=scope,
            author=None,
            metadata=None,
            kinds=claims.DELEGATES,
            delegation=Limits(names, peers, at + seconds),
        )
        signed = delegation.sign(self._registry.issuers.private(app))
        with self._registry.database.change():
            self._authority.check_key(app, holder)
            since = at - limits.DELEGATION_SECONDS
            given = self._registry.ledger.count_since(app, holder.sealing, DELEGATION, since)
            if given >= limits.DELEGATIONS:
                raise HedgerowError("DELEGATION_INVALID", f"{given} in 30 days; another one later")
            row = issued_of(delegation, signed, DELEGATION, issued.identified, proof.challenge)
            self._registry.ledger.add(row)
            # Whoever is told of those that it brings in has to know it.
            self._registry.database.state(app.id, signed)
            self._registry.audit.add(
                f"peer:{holder.number.hex()}",
                "delegation.issue",
                delegation.number.hex(),
                app=app.id,
                user=holder.user,
                collections=names,
                peers=peers,
                expires=delegation.expires,
            )
        return Granted(delegation.number, delegation.user, delegation.expires, signed)

    def countersign(self, app: App, bodies: Sequence[bytes], proofs: Sequence[bytes]) -> list[Countersigned]:
        """Countersign credentials that delegates issued, each with a proof by the sealing key in it (SPEC
        12.6); each stands or falls alone, and is named in the log.

        It does not matter who brings them, nor how late: what they say is judged by their own times. Raises
        DELEGATION_INVALID for too many, ISSUER_MISSING, REGISTRY_FAILED: they are to be shown again then.
        """
        if len(bodies) > limits.COUNTERSIGNED_AT_ONCE:
            raise HedgerowError("DELEGATION_INVALID", f"at most {limits.COUNTERSIGNED_AT_ONCE} at once")
        shown = [*proofs, *[b""] * len(bodies)]
        return [self._countersign(app, body, proof) for body, proof in zip(bodies, shown, strict=False)]

    def _countersign(self, app: App, body: bytes, proof: bytes) -> Countersigned:
        subject, actor = "", f"app:{app.name}"
        try:
            credential, signed = read_credential(body)
            subject = credential.number.hex()
            delegation = self._delegation(app, credential, signed)
            actor = f"delegation:{delegation.number.hex()}:{delegation.user}"
            with self._registry.database.change():
                return Countersigned(self._judge(app, credential, signed, delegation, body, proof))
        except HedgerowError as error:
            if error.code.startswith(_FAULTS):
                raise
            self._registry.audit.refuse(
                actor,
                "delegation.refuse",
                subject,
                app=app.id,
                code=error.code,
                detail=error.detail,
            )
            return Countersigned(error=error)

    def _judge(
        self,
        app: App,
        credential: Credential,
        signed: cose.Signed,
        delegation: Credential,
        shown: bytes,
        proof: bytes,
    ) -> bytes:
        registry = self._registry
        if registry.revocations.is_revoked(delegation.number):
            raise HedgerowError("CREDENTIAL_REVOKED", f"delegation {delegation.number.hex()}")
        check_limits(app, credential, delegation)
        known = registry.ledger.find(app, credential.number)
        if known is not None:
            if cose.read(known.body).payload != signed.payload:
                raise HedgerowError("DELEGATION_INVALID", "two credentials of one number")
            return known.body
        _check_proof(app, credential, proof)
        self._authority.check_key(app, credential)
        assert delegation.delegation is not None
        enrolled = registry.ledger.sealing_keys_under(delegation.number)
        if credential.sealing not in enrolled and len(enrolled) >= delegation.delegation.peers:
            raise HedgerowError("DELEGATION_FULL", f"{delegation.delegation.peers} peers")
        if credential.author is not None:
            registry.ledger.bind_author(app, credential.author, credential.sealing)
        body = cose.sign(registry.issuers.private(app), signed.payload)
        # Seals name the credential as the delegate signed it.
        registry.database.state(app.id, shown)
        registry.ledger.add(issued_of(credential, body, DELEGATION, credential.issued))
        registry.audit.add(
            f"delegation:{delegation.number.hex()}:{delegation.user}",
            "credential.countersign",
            credential.number.hex(),
            app=app.id,
            user=credential.user,
            expires=credential.expires,
        )
        return body

    def _delegation(self, app: App, credential: Credential, signed: cose.Signed) -> Credential:
        """Return the delegation that a credential was issued under; it is ours, and its holder signed."""
        if credential.under is None or credential.app != app.id:
            raise HedgerowError("DELEGATION_INVALID", "issued under no delegation of this app")
        row = self._registry.ledger.find(app, credential.under)
        delegation = read_credential(row.body)[0] if row is not None and row.body else None
        if delegation is None or delegation.delegation is None:
            raise HedgerowError("DELEGATION_INVALID", "no such delegation")
        if not signed.is_by(delegation.sealing):
            raise HedgerowError("DELEGATION_INVALID", "not signed by the delegate")
        return delegation


def _check_proof(app: App, credential: Credential, signature: bytes) -> None:
    """Refuse what the sealing key in a credential has not signed for: a delegate could name another's, and
    what it gives would count in the place of what that has. Raises PROOF_INVALID.
    """
    assert credential.under is not None
    challenge = credential.number + credential.under
    shown = Proof(credential.agreement, credential.sealing, challenge, signature, b"", credential.author)
    if not cose.is_signature(credential.sealing, signature, statement(app.id, shown)):
        raise HedgerowError("PROOF_INVALID", "the sealing key has not signed for this credential")


def check_limits(app: App, credential: Credential, delegation: Credential) -> None:
    """Compare what was issued with what the delegation allows. Raises DELEGATION_INVALID, AUTHOR_TAKEN."""
    limit = delegation.delegation
    assert limit is not None
    if (credential.mode, credential.mesh) != (app.mode, app.mesh_id):
        raise HedgerowError("DELEGATION_INVALID", "another mode or mesh")
    if credential.kinds or credential.delegation is not None:
        raise HedgerowError("DELEGATION_INVALID", "a delegate gives no kinds, and delegates no further")
    early = delegation.issued - limits.CLOCK_SKEW_SECONDS
    if not early <= credential.issued <= delegation.expires or credential.expires > limit.expires:
        raise HedgerowError("DELEGATION_INVALID", "times beyond the delegation's")
    if credential.author not in (None, claims.author_of(credential.sealing, credential.salt or b"")):
        raise HedgerowError("AUTHOR_TAKEN", "not made with this sealing key")
    if not _covers(delegation.scope, credential.scope):
        raise HedgerowError("DELEGATION_INVALID", "rights beyond the delegation's")
    if credential.sealing == delegation.sealing or credential.agreement == delegation.agreement:
        raise HedgerowError("DELEGATION_INVALID", "a delegate enrols others, not itself")


def _covers(outer: Scope, inner: Scope) -> bool:
    """Say whether each right of `inner` is one of `outer`, under the same condition or under none."""
    return all(any(_within(entry, other) for other in outer) for entry in inner)


def _within(entry: Entry, other: Entry) -> bool:
    return (
        other.collection in (entry.collection, "*")
        and not entry.bits & ~other.bits
        and other.condition in ("", entry.condition)
    )


def _reduced(scope: Scope, collections: Sequence[str]) -> Scope:
    """Return the rights of a scope in these collections. Raises DELEGATION_INVALID for one without any."""
    found: list[Entry] = []
    for name in collections:
        entries = [entry._replace(collection=name) for entry in scope if entry.collection in (name, "*")]
        if not entries:
            raise HedgerowError("DELEGATION_INVALID", f"no right to {name}"[:200])
        found += entries
    kept = tuple(dict.fromkeys(found))
    if len(kept) > limits.SCOPE_ENTRIES:
        raise HedgerowError("DELEGATION_INVALID", f"{len(kept)} rules")
    return kept
