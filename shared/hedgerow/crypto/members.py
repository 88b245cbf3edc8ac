"""What a peer with a credential knows of others: credentials and revocations, in its log (SPEC 11.13)."""

from hashlib import sha256

from .. import limits
from ..codec.varint import read_uint, write_uint
from ..custody.receipt import PROOF_MAC, Receipt
from ..errors import HedgerowError
from ..log import STATE_CONFIG
from ..operation import CLOCK
from . import claims
from .batches import Batch
from .cose import Sign1, name_of
from .credentials import Credential, Trust
from .forks import FORK, Fork
from .port import finish
from .proofs import is_proof, pair_key, tag
from .rules import FORBIDDEN, REVOKED, Rules
from .words import GROUP, ISSUER, REVOCATION, Word, Words, unfold

__all__ = ("ISSUER", "REVOCATION", "Members", "Proofs")

_BATCH = b"batch"
_PRIVATE = limits.const(32)
_POSITION = b"statements to"
# With the first 8 bytes of the hash of what is kept behind it.
_KEPT = b"s:"


class Members(Rules):
    """Rules that a log keeps, and the sealing key of the own `identity`.

    `trust` says who is believed, `own` is the own credential, None before there is one; `ready` says that it
    names the author of the log, so that seals can be signed. `group` keeps the group key. `on_judged(author)`
    is called when verdicts over an author may have changed.
    """

    def __init__(
        self, log: object, trust: Trust, identity: object, sealed_under: object = None, group: object = None
    ):
        Rules.__init__(self, self._verify_at_once, sealed_under)
        self._log = log
        self.trust = trust
        self.identity = identity
        self.own: Credential | None = None
        self.on_judged: object = None
        self._proofs = Proofs(identity, trust.mode)
        # Revocations that are news, as letters carry them: the mesh engine says them.
        self.fresh: list = []
        self.words = Words(log, trust, identity.p256, group)
        self.group = group
        # Delegations as they came, and the keys of whom they have brought in, by number.
        self._delegations: dict = {}
        self._under: dict = {}
        for key, value in log.items(STATE_CONFIG):
            if key[:2] == _KEPT and len(key) == 10:
                # It was verified when it came.
                self._enter(value, False)

    def _verify_at_once(self, key: bytes, message: bytes, signature: bytes) -> bool:
        return finish(self.identity.p256.verify(key, message, signature))

    # ---- the own seals

    @property
    def ready(self) -> bool:
        return self.own is not None and self.own.claims.author == self._log.author

    @property
    def credential(self) -> bytes:
        """The name of the own credential."""
        return self.own.name

    def sign(self, message: bytes) -> bytes:
        return finish(self.identity.sign(message))

    def enrol(self, own: Credential) -> None:
        """Take a credential of one's own."""
        self.own = own
        self.add(own.name, own.claims)

    def permit(self, number: int, changes: list, schemas: dict) -> None:
        """Refuse changes that the own credential does not allow, before they are written: WRITE_FORBIDDEN,
        WRITE_REVOKED.
        """
        author = self._log.author
        for change in changes:
            if change[0] == CLOCK or self.own is None:
                continue
            last = self._last.get(author)
            if last is not None and number > last:
                raise HedgerowError(REVOKED, self.own.claims.subject)
            schema = schemas[change[1]]
            if not self._may(self.own.claims, author, number, change, schema):
                raise HedgerowError(FORBIDDEN, schema.collection)

    # ---- receipts

    def prove(self, receipt: Receipt) -> Receipt:
        """Return a receipt of our own with its proof, or as it is if no credential of its author is known."""
        author = self.holder(receipt.author)
        return self._proofs.prove(receipt, author.agreement) if author else receipt

    def proves(self, receipt: Receipt) -> bool:
        """Say whether a receipt over what we wrote ourselves is by a keeper that is known."""
        keeper = self.holder(receipt.keeper)
        if keeper is None or not keeper.kinds & claims.KEEPS or not self.trust.stands(keeper):
            return False
        return self._proofs.proves(receipt, keeper.agreement)

    def take_batch(self, data: bytes, peer: object) -> list:
        """Return the receipts in a keeper's batch, which is kept for others; none of a keeper that is not
        known. RECEIPT_INVALID.
        """
        batch = Batch(data, self.trust.app)
        keeper = self.holder(batch.keeper)
        if keeper is None or not keeper.kinds & claims.KEEPS or not self.trust.stands(keeper):
            return []
        finish(batch.verify(self.identity.p256, keeper.sealing))
        moments = {place: moment for moment, place, _ in self._batches()}
        free = [place for place in range(limits.MAX_BATCHES) if place not in moments]
        place = free[0] if free else min([(moment, place) for place, moment in moments.items()])[1]
        self._log.put(STATE_CONFIG, _BATCH + bytes((place,)), batch.data)
        return batch.receipts()

    def batches(self, vector: list) -> list:
        """Return the batches, the latest first, of those whose holder of a vector would learn something."""
        found = []
        known = {entry[0]: entry[-1] for entry in vector}
        for _, _, batch in sorted(self._batches(), reverse=True):
            news = [author for author, number in batch.entries if known.get(author, number) < number]
            if news:
                found.append(batch.data)
                known.update({author: number for author, number in batch.entries if author in news})
        return found

    def _batches(self) -> list:
        """Return [(moment, place, batch)] of those that are kept."""
        found = []
        for place in range(limits.MAX_BATCHES):
            kept = self._log.get(STATE_CONFIG, _BATCH + bytes((place,)))
            if kept:
                batch = Batch(kept, self.trust.app)
                found.append((batch.moment, place, batch))
        return found

    # ---- what others say

    @property
    def position(self) -> int:
        """Up to which place the Big Peer's statements are here."""
        return int.from_bytes((self._log.get(STATE_CONFIG, _POSITION) or b"")[:8], "big")

    def asking(self, incarnation: int = 0) -> bytes:
        """Return what asks a keeper of an incarnation for those that are not here: a varint.

        A store that was put back gives places anew: to one of another incarnation they say nothing.
        """
        out = bytearray()
        kept = self._log.get(STATE_CONFIG, _POSITION) or b""
        write_uint(out, self.position if kept[8:] == _incarnation(incarnation) else 0)
        return bytes(out)

    def take(self, body: bytes, incarnation: int = 0) -> None:
        """Take a statement as frames of a keeper carry it; what is not believed is passed over. It is not
        durable yet. STATEMENT_INVALID for what has no such form.
        """
        position, at = read_uint(body, 0)
        statement = bytes(body[at:])
        try:
            author = self._enter(statement, True)
        except HedgerowError as error:
            if error.code not in ("CREDENTIAL_ISSUER", "CREDENTIAL_RIGHTS"):
                raise HedgerowError("STATEMENT_INVALID", str(error)) from error
            author = None
        else:
            self._log.put(STATE_CONFIG, _KEPT + sha256(statement).digest()[:8], statement)
        kept = position.to_bytes(8, "big") + _incarnation(incarnation)
        if kept != self._log.get(STATE_CONFIG, _POSITION):
            self._log.put(STATE_CONFIG, _POSITION, kept)
        if author is not None and self.on_judged:
            self.on_judged(author)

    def take_word(self, statement: bytes) -> None:
        """Take a revocation or an issuer that any member passes on (SPEC 11.15); what no issuer that is known
        has signed is passed over. STATEMENT_INVALID.
        """
        word = self.words.hear(statement)
        if word is not None:
            self._log.put(STATE_CONFIG, _KEPT + word.name, word.statement)
            author = self._follow(word)
            self._spread(word)
            if author is not None and self.on_judged:
                self.on_judged(author)

    def take_brief(self, brief: bytes) -> bool:
        """Take a revocation as letters carry it; see take_word. Says that it need not be verified later."""
        self.take_word(unfold(brief, self.trust.app))
        return True

    def _spread(self, word: Word) -> None:
        brief = word.brief()
        if brief:
            self.fresh = self.fresh[1 - limits.MAX_FRESH :] + [brief]

    def meet(self, found: Credential) -> None:
        """Take a delegate's credential that a session has shown, once trust has accepted it; what an issuer
        has given comes as a statement. DELEGATION_FULL for one peer more than the delegation allows, as far
        as they were met here.
        """
        known = found.claims
        if known.under is None:
            return
        delegation = self.trust.delegation(known.under)
        if delegation is not None:
            under = self._under.setdefault(known.under, set())
            if known.sealing not in under and len(under) >= delegation.claims.delegation[1]:
                raise HedgerowError("DELEGATION_FULL", known.under.hex())
            under.add(known.sealing)
        if self.add(found.name, known) and self.on_judged:
            self.on_judged(known.author)

    def stands(self, known: claims.Claims) -> bool:
        """Say whether the holder of a credential is not revoked."""
        return self.trust.stands(known)

    def _enter(self, statement: bytes, verify: bool) -> bytes | None:
        """Take a credential or a word into account; return the author whose verdicts it may change."""
        if Sign1(statement).kind == FORK:
            return self._enter_fork(statement, verify)
        if Sign1(statement).kind is not None:
            word = Word(statement, self.trust.app)
            if word.kind == GROUP:
                # That would be kept, and told, beside all that anybody may know.
                raise HedgerowError("STATEMENT_INVALID", GROUP)
            if verify:
                finish(word.verify(self.identity.p256, self.trust.roots))
            if self.words.keep(word) and verify:
                self._spread(word)
            return self._follow(word)
        found = Credential(statement)
        if verify:
            finish(self.trust.verify(found, self._delegations.get(found.claims.under)))
        if found.claims.delegation is not None:
            self._delegations[found.claims.cti] = found.value
        if found.claims.under is None:
            # A delegate's clock is its own.
            self.trust.floor = max(self.trust.floor, found.claims.issued)
        news = self.add(found.name, found.claims)
        self._shut_out(found.claims)
        return found.claims.author if news else None

    def _enter_fork(self, statement: bytes, verify: bool) -> bytes | None:
        """Go by what an issuer says of an author that has forked."""
        fork = Fork(statement, self.trust.app)
        if verify:
            finish(fork.verify(self.identity.p256, self.trust.roots))
        self.trust.floor = max(self.trust.floor, fork.issued)
        return fork.author if self.quarantine(fork.author, fork.last) else None

    def _follow(self, word: Word) -> bytes | None:
        """Go by a word, however old; return the author whose verdicts it changes."""
        self.trust.floor = max(self.trust.floor, word.issued)
        if word.kind == ISSUER:
            self.trust.roots[name_of(word.point)] = word.point
            return None
        self.trust.revoke(word.cti, word.author, word.last)
        for known in self._named.values():
            self._shut_out(known)
        return word.author if self.revoke(word.author, word.cti, word.last) else None

    def _shut_out(self, known: claims.Claims) -> None:
        if known.cti in self.trust.revoked and known.sealing:
            self.trust.revoked_keys.add(known.sealing)


def _incarnation(number: int) -> bytes:
    return number.to_bytes(4, "big") if number else b""


class Proofs:
    """Makes and checks proofs of receipts for the holder of an `identity` in a mesh (mode and id); the keys
    shared with `most` others are remembered.
    """

    def __init__(self, identity: object, mesh: list, most: int = limits.MAX_CREDENTIALS):
        self._identity = identity
        self._mesh = mesh
        self._most = most
        self._keys: dict = {}

    def _key(self, public: bytes) -> bytes:
        key = self._keys.get(public)
        if key is None:
            if len(self._keys) >= self._most:
                self._keys.clear()
            own = self._identity
            key = self._keys[public] = finish(pair_key(own.p256, own.keys[:_PRIVATE], public, self._mesh))
        return key

    def prove(self, receipt: Receipt, public: bytes) -> Receipt:
        """Return a receipt with the proof for the author whose agreement key is given."""
        proof = tag(self._key(public), receipt)
        return Receipt(receipt.keeper, receipt.incarnation, receipt.author, receipt.number, PROOF_MAC, proof)

    def proves(self, receipt: Receipt, public: bytes) -> bool:
        """Say whether a receipt, over what we wrote, is by the keeper whose agreement key is given."""
        return is_proof(self._key(public), receipt)
