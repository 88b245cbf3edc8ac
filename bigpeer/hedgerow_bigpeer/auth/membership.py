"""The Big Peer as a member of its own mesh: its keys, its credential, and whom it believes in sessions."""

import os
from pathlib import Path
from typing import NamedTuple

from hedgerow.crypto import claims
from hedgerow.crypto import credentials as core
from hedgerow.crypto.batches import sign_batch
from hedgerow.crypto.channel import Answering, Member
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.identity import KEYS, Identity
from hedgerow.crypto.members import Proofs
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.resume import Resumables
from hedgerow.crypto.rules import Rules
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError

from .. import limits
from .apps import App
from .credential import CTI_BYTES, Credential
from .database import now
from .ledger import BIG_PEER, BY_ITSELF, issued_of
from .registry import Registry
from .scope import ALL

_SEALING = slice(32, 64)
_KINDS = claims.KEEPS | claims.GIVES_TIME | claims.REVOKES


class Membership:
    """Begins the sessions of a store whose name is `keeper`; its keys lie in `identity.key` in `directory`.

    `refresh` before the first session, and now and then: what others change counts from then on.
    """

    def __init__(self, registry: Registry, app: App, directory: Path, keeper: bytes) -> None:
        """Raises IDENTITY_FILE."""
        self._registry = registry
        self._app = app
        self._keeper = keeper
        self._p256 = P256(os.urandom)
        self.identity = Identity(self._p256, _keys(directory / "identity.key", self._p256))
        mode = [app.mode, app.mesh_id]
        self.trust = core.Trust(self._p256, {}, app.id, mode, limits.KNOWN_CREDENTIALS)
        self._resumables = Resumables(limits.KNOWN_CREDENTIALS)
        self._mode = mode
        self.credential: core.Credential | None = None
        self.rules = Rules(self._is_signature)
        self._proofs = Proofs(self.identity, mode, limits.KNOWN_CREDENTIALS)
        self._since = 0
        self.unjudged: set[bytes] = set()

    def _is_signature(self, key: bytes, message: bytes, signature: bytes) -> bool:
        good: bool = finish(self._p256.verify(key, message, signature))
        return good

    def refresh(self) -> None:
        """Take what auth.db says now: revocations first, issuers, credentials, time; and have a credential
        oneself, which may fail without harm to the rest. `unjudged` has who is to be judged anew.
        """
        registry, app, at = self._registry, self._app, now()
        self.trust.roots = {issuer.kid: issuer.point for issuer in registry.issuers.trusted(app)}
        revoked = registry.revocations.last_numbers(app)
        self.trust.revoked = {number: last for number, _, last in revoked}
        self.trust.revoked_keys = registry.revocations.sealing_keys(app)
        self.trust.floor = max(self.trust.floor, at)
        for number, author, last in revoked:
            if self.rules.revoke(author, number, last):
                self.unjudged.add(author)
        for place, body in registry.database.statements(app.id, self._since):
            self._since = place
            if Sign1(body).kind is not None:
                continue
            self._learn(core.Credential(body))
        self._stay_enrolled(at)

    def meet(self, greeting: Greeting) -> None:
        """Take the credential that the other side of a session has shown, as refresh() does those of auth.db.

        Raises AUTHOR_TAKEN if its author is somebody else's.
        """
        remote = greeting.channel.remote
        found = None if remote is None else self.trust.known(remote)
        if found is None:
            return
        author = found.claims.author
        if author is not None and found.claims.under is not None:
            # What we have issued belongs together; a delegate may name any author.
            assert found.claims.sealing is not None
            self._registry.ledger.bind_author(self._app, author, found.claims.sealing)
        self._learn(found)

    def _learn(self, found: core.Credential) -> None:
        if self.rules.add(found.name, found.claims) and found.claims.author is not None:
            self.unjudged.add(found.claims.author)

    def actor(self, greeting: Greeting | None) -> str:
        """Return who the other side is, as the audit log has it; "" for nobody known."""
        if greeting is None or not greeting.done:
            return ""
        return f"credential:{number_of(greeting.claims)}:{greeting.claims.subject}"

    def note(self, actor: str, subject: str, error: HedgerowError) -> None:
        """Write down what somebody was refused."""
        action = "session.refuse" if subject == "session" else "seal.refuse"
        self._registry.audit.refuse(actor, action, subject, code=error.code)

    # ---- what this store says

    def prove(self, receipt: Receipt) -> Receipt:
        """Return a receipt of this store with its proof, if a credential of its author is known."""
        author = self.rules.holder(receipt.author)
        return receipt if author is None else self._proofs.prove(receipt, author.agreement)

    def sign_batch(self, receipts: list[Receipt]) -> bytes:
        """Return a batch of receipts of this store (SPEC 5.6.7)."""
        own = self.identity
        private = own.keys[_SEALING]
        signed = sign_batch(self._p256, private, own.sealing, self._app.id, now(), receipts)
        batch: bytes = finish(signed)
        return batch

    def signer(self, author: bytes) -> "OwnSigner | None":
        """Return who signs the seals of an author, None where the credential is for another one."""
        if author != self._keeper or self.credential is None:
            return None
        return OwnSigner(self.credential.name, self.identity)

    def statements(self, since: int) -> list[tuple[int, bytes]]:
        """Return (place, object) of what other peers are to know behind a place, in order."""
        return self._registry.database.statements(self._app.id, since)

    def _stay_enrolled(self, at: int) -> None:
        own = self.credential
        if own is None or own.signed.kid not in self.trust.roots or self._is_worn(own.claims, at):
            self._issue(at)

    def _is_worn(self, own: Claims, at: int) -> bool:
        return not self.trust.stands(own) or 2 * at >= own.issued + own.expires

    def _issue(self, at: int) -> None:
        registry, app = self._registry, self._app
        granted = Credential(
            app=app.id,
            user=BIG_PEER,
            expires=at + limits.CREDENTIAL_SECONDS,
            issued=at,
            number=os.urandom(CTI_BYTES),
            agreement=self.identity.agreement,
            sealing=self.identity.sealing,
            scope=ALL,
            mode=app.mode,
            mesh=app.mesh_id,
            author=self._keeper,
            kinds=_KINDS,
        )
        with registry.database.change():
            body = granted.sign(registry.issuers.private(app))
            registry.ledger.add(issued_of(granted, body, BY_ITSELF, at))
            registry.audit.add("system", "credential.issue", granted.number.hex(), app=app.id, user=BIG_PEER)
        self.credential = core.Credential(body)
        # Own seals name it from now on.
        self._learn(self.credential)

    def greeting(self, now: int, *, optional: bool) -> Greeting:
        """Return the beginning of a session that somebody opens; `optional`: who has no keys may come too."""
        assert self.credential is not None
        own = self.identity.own(self.credential)
        # Handshakes of hosts are short: each connection has its own, and all know whom one has met.
        member = Member(own, Ephemerals(self._p256), self.trust, None, os.urandom, self._mode)
        member.resumables = self._resumables
        return Greeting(Answering(member, now), optional)

    def check(self, greeting: Greeting | None) -> HedgerowError | None:
        """Return why a session may not go on, if it may not."""
        if greeting is None or not greeting.done or self.trust.stands(greeting.claims):
            return None
        return HedgerowError("CREDENTIAL_REVOKED", number_of(greeting.claims))


class OwnSigner(NamedTuple):
    """Signs seals under the `credential` of this name."""

    credential: bytes
    identity: Identity

    def sign(self, message: bytes) -> bytes:
        """Return the signature of the sealing key, 64 bytes."""
        signature: bytes = finish(self.identity.sign(message))
        return signature


def number_of(found: Claims) -> str:
    """Return a credential's number as it stands in the audit log."""
    return found.cti.hex()


def _keys(path: Path, p256: P256) -> bytes:
    """Return the private keys in a file for its owner only; made if need be."""
    try:
        if not path.exists():
            fresh = path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(Identity.make(p256).keys)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        keys = path.read_bytes()
    except OSError as error:
        raise HedgerowError("IDENTITY_FILE", f"{path}: {error}") from None
    if len(keys) != KEYS:
        raise HedgerowError("IDENTITY_FILE", f"{path}: {len(keys)} bytes")
    return keys
