"""The Big Peer as a member of its own mesh: its keys, its credential, and whom it believes in sessions."""

import os
from collections.abc import Callable
from typing import NamedTuple

from hedgerow.crypto import claims
from hedgerow.crypto import credentials as core
from hedgerow.crypto.channel import Answering, Member
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.forks import FORK, Fork
from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.identity import KEYS, Identity
from hedgerow.crypto.members import Proofs
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.proofs import pair_key
from hedgerow.crypto.resume import Resumables
from hedgerow.crypto.rules import Rules
from hedgerow.crypto.signer import sign_batch
from hedgerow.custody.frontier import Frontier
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow_host.fork import Evidence

from .. import limits
from .apps import App
from .credential import CTI_BYTES, Credential
from .database import Database, now
from .ledger import issued_of
from .registry import Registry
from .scope import ALL
from .vault import IDENTITY

USER = "big-peer"
_SEALING = slice(32, 64)
_KINDS = claims.KEEPS | claims.GIVES_TIME | claims.REVOKES


class Membership:
    """Begins the sessions of a store whose name is `keeper`, and lets `author`, its own, sign.

    The keys, and what they are a credential for, are those of all nodes.

    `refresh` before the first session, and now and then: what others change counts from then on.
    """

    def __init__(self, registry: Registry, app: App, keeper: bytes, author: bytes | None = None) -> None:
        """Raises IDENTITY_FILE."""
        self._registry = registry
        self._app = app
        self._keeper = keeper
        self._p256 = P256(os.urandom)
        self.identity = Identity(self._p256, _keys(registry.database, self._p256))
        mode = [app.mode, app.mesh_id]
        self.trust = core.Trust(self._p256, {}, app.id, mode, limits.KNOWN_CREDENTIALS)
        self._resumables = Resumables(limits.KNOWN_CREDENTIALS)
        self._mode = mode
        self._authors = tuple(dict.fromkeys((keeper, author or keeper)))
        self._own: dict[bytes, core.Credential] = {}
        self.rules = Rules(self._is_signature)
        self._proofs = Proofs(self.identity, mode, limits.KNOWN_CREDENTIALS)
        self._since = 0
        self.unjudged: set[bytes] = set()
        self._group = b""
        self._forked: set[bytes] = set()
        self._holders: dict[bytes, Claims] = {}

    def _is_signature(self, key: bytes, message: bytes, signature: bytes) -> bool:
        good: bool = finish(self._p256.verify(key, message, signature))
        return good

    def refresh(self) -> None:
        """Take what auth.db says now: revocations first, issuers, credentials, time; and have a credential
        oneself, which may fail without harm to the rest. `unjudged` has who is to be judged anew.
        """
        registry, app, at = self._registry, self._app, now()
        # Before the revocations are read that were written with it, or earlier; it counts after them.
        group = registry.groups.statement(app)
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
            kind = Sign1(body).kind
            if kind == FORK:
                fork = Fork(body, app.id)
                self._forked.add(fork.author)
                if self.rules.quarantine(fork.author, fork.last):
                    self.unjudged.add(fork.author)
            if kind is not None:
                continue
            # What auth.db has was issued to who has shown the keys in it, or countersigned for who has.
            self._learn(core.Credential(body), True)
        self._group = group
        self._stay_enrolled(at)

    def meet(self, greeting: Greeting) -> None:
        """Take the credential that the other side of a session has shown, as refresh() does those of auth.db.

        Raises AUTHOR_TAKEN if its author is somebody else's, DELEGATION_FULL for one peer too many,
        KEY_WORN_OUT for one log too many of a peer.
        """
        remote = greeting.channel.remote
        found = None if remote is None else self.trust.known(remote)
        if found is None:
            return
        if found.claims.under is not None:
            # What we have issued is bound already.
            self._admit(found)
        # A session shows the agreement key; who may issue may have put another's sealing key beside it.
        self._learn(found, found.signed.kid in self.trust.roots)

    def _admit(self, found: core.Credential) -> None:
        """Count who was met under a delegation, at all nodes together, and refuse who is one too many."""
        ledger, number, author = self._registry.ledger, found.claims.under, found.claims.author
        assert number is not None
        # Who seals nothing is somebody all the same.
        key = found.claims.sealing or found.agreement
        if ledger.has_met(number, author, key):
            return
        delegation = self.trust.delegation(number)
        limit = None if delegation is None else delegation.claims.delegation
        with self._registry.database.change():
            if limit and len(ledger.sealing_keys_under(number) - {key}) >= limit[1]:
                raise HedgerowError("DELEGATION_FULL", number.hex())
            if author is not None:
                ledger.note_author(self._app, number, author, key)
            ledger.note_met(number, key)

    def _learn(self, found: core.Credential, proven: bool) -> None:
        claims = found.claims
        if proven and claims.author is not None and claims.agreement != self.identity.agreement:
            known = self._holders.get(claims.author, claims)
            alike = (known.agreement, known.sealing) == (claims.agreement, claims.sealing)
            # Whoever vouches for another agreement key has its grants and receipts go there: not for that.
            if alike and (known.issued, known.cti or b"") <= (claims.issued, claims.cti or b""):
                self._holders[claims.author] = claims
        if self.rules.add(found.name, found.claims, proven) and found.claims.author is not None:
            self.unjudged.add(found.claims.author)

    def owner(self, greeting: Greeting | None) -> bytes | None:
        """Return the author that the other side of a session has shown by its keys to be, None for nobody."""
        if greeting is None or not greeting.done or greeting.channel.remote is None:
            return None
        author: bytes | None = greeting.claims.author
        is_shown = author is not None and self.rules.is_proven(author, greeting.channel.remote)
        return author if is_shown else None

    @property
    def standing(self) -> tuple[int, int]:
        """What is another when others are known, or shut out, than before."""
        return self.rules.count, len(self.trust.revoked)

    def holders(self) -> list[Claims]:
        """Return the newest credential of each author but those here, where it stands and has not expired; of
        those for the keys that it was first known with.
        """
        at, found = now(), [self._holders[author] for author in sorted(self._holders)]
        return [claims for claims in found if self.trust.stands(claims) and at < (claims.expires or 0)]

    def pair_with(self, agreement: bytes) -> bytes:
        """Return the key that is shared with the holder of an agreement key (SPEC 11.14)."""
        private = self.identity.keys[: _SEALING.start]
        key: bytes = finish(pair_key(self._p256, private, agreement, self._mode))
        return key

    def actor(self, greeting: Greeting | None) -> str:
        """Return who the other side is, as the audit log has it; "" for nobody known."""
        if greeting is None or not greeting.done:
            return ""
        return f"credential:{number_of(greeting.claims)}:{greeting.claims.subject}"

    def quarantine(self, actor: str, last: int, shown: Evidence, held: bytes) -> None:
        """Let nothing of an author count behind a number, everywhere; refresh() tells this node."""
        self._registry.forks.note(actor, self._app, last, shown, held)
        self.refresh()

    def stand_by(self, receipted: Callable[[bytes], int]) -> None:
        """Let all count that was receipted of authors that have forked, up to what `receipted(author)` says:
        receipts go on until every node has heard of a fork.
        """
        for author in tuple(self._forked):
            last, number = self.rules.forked(author), receipted(author)
            if last is not None and number > last:
                self._registry.forks.accept("system", self._app, author, number)
                if self.rules.quarantine(author, number):
                    self.unjudged.add(author)

    def note(self, actor: str, subject: str, error: HedgerowError) -> None:
        """Write down what somebody was refused."""
        action = "session.refuse" if subject == "session" else "seal.refuse"
        self._registry.audit.refuse(actor, action, subject, code=error.code)

    def suspect(self, actor: str, by: str, code: str, count: int) -> None:
        """Write down what a peer, `by`, had to refuse so often to who is no more to it than an address."""
        self._registry.audit.hear(actor, "radio.refuse", by, code=code, count=count)

    @property
    def credential(self) -> core.Credential | None:
        """The credential of the keeper, None before the first refresh()."""
        return self._own.get(self._keeper)

    # ---- what this store says

    def prove(self, receipt: Receipt) -> Receipt:
        """Return a receipt of this store with its proof, if a credential of its author is known."""
        author = self._holders.get(receipt.author) or self.rules.holder(receipt.author)
        return receipt if author is None else self._proofs.prove(receipt, author.agreement)

    def sign_batch(self, receipts: list[Receipt]) -> bytes:
        """Return a batch of receipts of this store (SPEC 5.6.7)."""
        own = self.identity
        private = own.keys[_SEALING]
        signed = sign_batch(self._p256, private, own.sealing, self._app.id, now(), receipts)
        batch: bytes = finish(signed)
        return batch

    def sign_frontier(self, frontier: Frontier) -> None:
        """Sign a stability frontier of this store (SPEC 5.11.6)."""
        frontier.signature = finish(self._p256.sign(self.identity.keys[_SEALING], frontier.signed()))

    # ---- the seals of this store

    def signer(self, author: bytes) -> "OwnSigner | None":
        """Return who signs the seals of an author, None where no credential here is for it."""
        found = self._own.get(author)
        return None if found is None else OwnSigner(found.name, self.identity)

    def statements(self, since: int) -> list[tuple[int, bytes]]:
        """Return (place, object) of what other peers are to know behind a place, in order."""
        return self._registry.database.statements(self._app.id, since)

    @property
    def group(self) -> bytes:
        """The newest group key as the issuer says it, b"" for none; for members alone."""
        return self._group

    def _stay_enrolled(self, at: int) -> None:
        for author in self._authors:
            own = self._own.get(author)
            if own is None or not self._is_good(own, at):
                self._own[author] = self._find(author, at) or self._issue(author, at)
                # Own seals name it from now on.
                self._learn(self._own[author], True)

    def _is_good(self, own: core.Credential, at: int) -> bool:
        return own.signed.kid in self.trust.roots and not self._is_worn(own.claims, at)

    def _is_worn(self, own: Claims, at: int) -> bool:
        return not self.trust.stands(own) or 2 * at >= own.issued + own.expires

    def _find(self, author: bytes, at: int) -> core.Credential | None:
        """Return what a node had issued to the same keys before: they need no other one."""
        body = self._registry.ledger.newest_of(self._app, author, self.identity.sealing)
        found = None if not body else core.Credential(body)
        if found is None or found.claims.kinds != _KINDS or not self._is_good(found, at):
            return None
        return found

    def _issue(self, author: bytes, at: int) -> core.Credential:
        registry, app = self._registry, self._app
        granted = Credential(
            app=app.id,
            user=USER,
            expires=at + limits.CREDENTIAL_SECONDS,
            issued=at,
            number=os.urandom(CTI_BYTES),
            agreement=self.identity.agreement,
            sealing=self.identity.sealing,
            scope=ALL,
            mode=app.mode,
            mesh=app.mesh_id,
            author=author,
            kinds=_KINDS,
        )
        with registry.database.change():
            body = granted.sign(registry.issuers.private(app))
            registry.ledger.add(issued_of(granted, body, "system", at))
            registry.audit.add("system", "credential.issue", granted.number.hex(), app=app.id, user=USER)
        return core.Credential(body)

    def greeting(self, now: int, *, optional: bool) -> Greeting:
        """Return the beginning of a session that somebody opens; `optional`: who has no keys may come too."""
        own = self.identity.own(self._own[self._keeper])
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


def _keys(database: Database, p256: P256) -> bytes:
    """Return the private keys that all servers of one database have in common; made if need be."""
    with database.change():
        keys = database.vault.load(IDENTITY)
        if keys is None:
            keys = Identity.make(p256).keys
            database.vault.save(IDENTITY, keys)
    if len(keys) != KEYS:
        raise HedgerowError("IDENTITY_FILE", f"{IDENTITY}: {len(keys)} bytes")
    return bytes(keys)
