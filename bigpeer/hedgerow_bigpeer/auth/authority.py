"""The Authentication Service: a third party's word about a user becomes a credential of ours."""

import asyncio
import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from hedgerow.errors import HedgerowError

from .. import limits
from . import tokens
from .apps import App
from .credential import CTI_BYTES, Credential, read_credential
from .database import now
from .identity import Identity, IdentityProviders
from .ledger import Issued, issued_of
from .outbound import Outbound
from .proof import Proof
from .registry import Registry

Result = TypeVar("Result")


class Granted(NamedTuple):
    """What a login gives: the `body` of a credential, or a `token` for HTTP where no keys were shown."""

    number: bytes
    user: str
    expires: int
    body: bytes = b""
    token: str = ""
    client_info: Any = None


class Authority:
    """Logins, renewals and tokens of all apps of a registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._outbound = Outbound()
        self.identities = IdentityProviders(self._outbound)

    async def close(self) -> None:
        """Close connections to identity providers."""
        await self._outbound.close()

    async def log_in(self, app: App, provider_name: str, token: str, proof: Proof | None) -> Granted:
        """Exchange a token of an identity provider.

        Raises PROVIDER_UNKNOWN and what asking it, the proof and the credential's limits raise; a refusal
        stands in the audit log.
        """
        registry = self.registry
        try:
            if proof is not None:
                # Before anybody else is asked: who has no keys costs the identity provider nothing.
                await work(registry.challenger.check, app.id, proof)
            provider = await work(registry.providers.get, app, provider_name)
            identity = await self.identities.identify(app, provider, token)
            return await work(self._grant, app, provider_name, identity, proof)
        except HedgerowError as error:
            await work(self._note_refusal, app, provider_name, error)
            raise

    async def renew(self, app: App, body: bytes, proof: Proof) -> Granted:
        """Give a credential in the place of one that has not expired, without asking the identity provider.

        The peer shows both keys again; it may have another log by now. Raises what the proof raises,
        CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED.
        """
        try:
            await work(self.registry.challenger.check, app.id, proof)
            return await work(self._renew, app, body, proof)
        except HedgerowError as error:
            await work(self._note_refusal, app, "renewal", error)
            raise

    def current(self, app: App, body: bytes) -> tuple[Credential, Issued]:
        """Return a credential that is ours and counts now.

        Raises CREDENTIAL_INVALID, CREDENTIAL_EXPIRED, CREDENTIAL_REVOKED, CREDENTIAL_UNKNOWN.
        """
        registry = self.registry
        credential, signed = read_credential(body)
        if credential.app != app.id or not registry.issuers.is_signed(app, signed):
            raise HedgerowError("CREDENTIAL_INVALID", "no issuer of this app")
        issued = registry.ledger.get(app, credential.number)
        self.check_key(app, credential)
        if credential.expires <= now():
            raise HedgerowError("CREDENTIAL_EXPIRED", credential.number.hex())
        return credential, issued

    def check_key(self, app: App, credential: Credential) -> None:
        """Refuse the holder of anything that is revoked: keys, not numbers, say who it is.

        Raises CREDENTIAL_REVOKED; within the change that is to give something.
        """
        if credential.sealing in self.registry.revocations.sealing_keys(app):
            raise HedgerowError("CREDENTIAL_REVOKED", f"a key of {credential.user}"[:200])

    def _grant(self, app: App, provider: str, identity: Identity, proof: Proof | None) -> Granted:
        if proof is None:
            return self._grant_token(app, provider, identity)
        at = now()
        credential = Credential(
            app=app.id,
            user=identity.user,
            expires=at + max(identity.seconds, limits.CREDENTIAL_LEAST_SECONDS),
            issued=at,
            number=os.urandom(CTI_BYTES),
            agreement=proof.agreement,
            sealing=proof.sealing,
            scope=identity.scope,
            mode=app.mode,
            mesh=app.mesh_id,
            author=proof.author,
            metadata=identity.metadata or None,
            kinds=identity.kinds,
        )
        granted = self._issue(app, credential, provider, at, proof)
        return granted._replace(client_info=identity.client_info)

    def _grant_token(self, app: App, provider: str, identity: Identity) -> Granted:
        registry = self.registry
        number, at = os.urandom(CTI_BYTES), now()
        expires = at + min(identity.seconds, limits.TOKEN_SECONDS)
        token = tokens.make(registry.issuers, app, identity.user, number, expires, identity.scope)
        row = Issued(
            number, app.id, identity.user, provider, b"", b"", None, at, expires, at, None, None, b""
        )
        with registry.database.change():
            registry.ledger.add(row)
            registry.audit.add(
                f"provider:{provider}", "token.issue", number.hex(), app=app.id, user=identity.user
            )
        return Granted(number, identity.user, expires, token=token, client_info=identity.client_info)

    def _renew(self, app: App, body: bytes, proof: Proof) -> Granted:
        before, issued = self.current(app, body)
        if (proof.agreement, proof.sealing) != (before.agreement, before.sealing):
            raise HedgerowError("PROOF_INVALID", "other keys than the credential's")
        if before.delegation is not None:
            raise HedgerowError("DELEGATION_INVALID", "a delegation is not renewed; ask for another one")
        provider = self.registry.providers.get(app, issued.provider)
        at = now()
        end = issued.identified + provider.renewal_seconds
        if at >= end:
            raise HedgerowError("CREDENTIAL_EXPIRED", "the identity provider has to be asked again")
        seconds = min(before.expires - before.issued, provider.session_seconds)
        credential = before._replace(
            number=os.urandom(CTI_BYTES),
            issued=at,
            expires=at + seconds,
            author=proof.author if proof.author is not None else before.author,
            mesh=app.mesh_id,
            under=None,
            salt=None,
        )
        return self._issue(app, credential, issued.provider, issued.identified, proof)

    def _issue(
        self, app: App, credential: Credential, provider: str, identified: int, proof: Proof
    ) -> Granted:
        registry = self.registry
        body = credential.sign(registry.issuers.private(app))
        with registry.database.change():
            self.check_key(app, credential)
            if credential.author is not None:
                registry.ledger.bind_author(app, credential.author, credential.sealing)
            registry.ledger.add(issued_of(credential, body, provider, identified, proof.challenge))
            registry.audit.add(
                f"provider:{provider}",
                "credential.issue",
                credential.number.hex(),
                app=app.id,
                user=credential.user,
                expires=credential.expires,
                kinds=credential.kinds,
            )
        return Granted(credential.number, credential.user, credential.expires, body)

    def _note_refusal(self, app: App, provider: str, error: HedgerowError) -> None:
        self.registry.audit.refuse(f"provider:{provider}"[:80], "login.refuse", app.id, code=error.code)


async def work(function: Callable[..., Result], *args: Any) -> Result:
    """Run what reads or writes auth.db, or hashes, away from the event loop."""
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)
