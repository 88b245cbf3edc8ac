"""What a peer with a credential knows of others: credentials and revocations, in its log (SPEC 11.13)."""

from hashlib import sha256

from .. import limits
from ..codec.varint import read_uint, write_uint
from ..custody.receipt import PROOF_MAC, Receipt
from ..errors import HedgerowError
from ..log import STATE_CONFIG
from ..operation import CLOCK
from . import claims
from .batches import Batch, unfold_batch
from .cose import Sign1, name_of
from .credentials import Credential, Trust
from .forks import FORK, Fork
from .port import finish
from .proofs import is_proof, pair_key, tag
from .rules import FORBIDDEN, REVOKED, Rules, check_author
from .words import GROUP, ISSUER, REVOCATION, Word, Words, unfold

__all__ = ("ISSUER", "REVOCATION", "Members", "Proofs")

_BATCH = b"batch"
# Sessions in which a board is told its grant.
_TELL_GRANT = limits.const(3)
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
        # Batches to be said in letters, [(what is said, entries)]; the moment of the last one.
        self.said: list = []
        self._said_at = 0
        # Gives the grant (SPEC 11.17.4) that is here for an author, None for none; boards are told it in
        # sessions, and how often each was.
        self.grant_of: object = None
        self._granted: dict = {}
        # The short names of boards for which there is one that no session has told them.
        self.owed: set = set()
        self.words = Words(log, trust, identity.p256, group)
        self.group = group
        # Delegations as they came, and whom they have brought in, by number: authors by sealing keys.
        self._delegations: dict = {}
        self._under: dict = {}
        for key, value in log.items(STATE_CONFIG):
            if key[:2] == _KEPT and len(key) == 10:
                # It was verified when it came.
                self._enter(value, False)

    def _verify_at_once(self, key: bytes, message: bytes, signature: bytes) -> bool:
        return finish(self.identity.p256.verify(key, message, signature))

    # ---- strangers

    @property
    def strange_room(self) -> tuple:
        """What all have together whose credential is not known: bytes, authors (SPEC 5.18)."""
        return limits.MAX_STRANGE_BYTES, limits.HOST_SHARES * limits.MAX_STRANGE_AUTHORS

    def vouchers(self) -> object:
        """Return what knows whose credentials are known: this."""
        return self

    def vouches(self, author: bytes) -> bool:
        """Say whether an author's credential is known, or boards of this mesh have none."""
        return self.group is None or self.knows(author)

    def credential_lacks(self, name: bytes) -> int:
        """Ask for none: sessions and statements bring them."""
        return -1

    def credential_part(self, short: bytes, index: int) -> bytes:
        """Say none."""
        return b""

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
        keeper = self._keeper(receipt.keeper)
        return keeper is not None and self._proofs.proves(receipt, keeper.agreement)

    def proves_frontier(self, frontier: object) -> bool:
        """Say whether a keeper that is known has signed a stability frontier (SPEC 5.11.6)."""
        keeper = self._keeper(frontier.keeper)
        signature = frontier.signature
        return bool(keeper and signature) and self._verify_at_once(
            keeper.sealing, frontier.signed(), signature
        )

    def pair_of(self, author: bytes) -> bytes | None:
        """Return the key that we share with a keeper (SPEC 11.14), None for who is none that is known."""
        keeper = self._keeper(author)
        return None if keeper is None else self._proofs.key(keeper.agreement)

    def _keeper(self, author: bytes) -> claims.Claims | None:
        """Return the newest credential by which an author is a keeper, None for who is none that is known, or
        is revoked: a delegate may issue later ones for any author, of no kind.
        """
        for entry in reversed(self._of.get(author, ())):
            found = self._named[entry[2]]
            if found.kinds & claims.KEEPS:
                return found if self.trust.stands(found) else None
        return None

    def take_batch(self, data: bytes, peer: object) -> list:
        """Return the receipts in a keeper's batch, which is kept for others; none of a keeper that is not
        known. RECEIPT_INVALID.
        """
        batch = Batch(data, self.trust.app)
        keeper = self._keeper(batch.keeper)
        if keeper is None:
            return []
        kept = self._batches()
        if not [1 for _, _, known in kept if known.data == data]:
            # What is kept was verified when it came.
            finish(batch.verify(self.identity.p256, keeper.sealing))
        self._say(batch)
        if [1 for _, _, known in kept if known.covers(batch)]:
            # The one for a letter.
            return batch.receipts(self._mine())
        moments = {place: moment for moment, place, _ in kept}
        free = [place for place in range(limits.MAX_BATCHES) if place not in moments]
        place = free[0] if free else min([(moment, place) for place, moment in moments.items()])[1]
        self._log.put(STATE_CONFIG, _BATCH + bytes((place,)), batch.data)
        return batch.receipts(self._mine())

    def take_said(self, brief: bytes, peer: object) -> bool:
        """Go by a batch from a letter, if its keeper is known and it is time for one. Says that it need not
        be verified later. RECEIPT_INVALID.
        """
        keepers = [(author, self._keeper(author)) for author in self._of if author[:4] == brief[:4]]
        known = [(name, found.sealing) for name, found in keepers if found]
        found = unfold_batch(brief, self.trust.app, known)
        if found is None or not self._is_due(found[0]):
            return True
        batch, sealing = found
        finish(batch.verify(self.identity.p256, sealing))
        self._say(batch)
        known = peer.log.authors()
        for receipt in batch.receipts(self._mine()):
            if receipt.author in known:
                peer.ingest_receipt(receipt, True)
        return True

    def _mine(self) -> bytes:
        author = self.own.claims.author if self.own else None
        return author or b""

    def _is_due(self, batch: Batch) -> bool:
        return batch.moment >= self._said_at + limits.BATCH_APART_S

    def _say(self, batch: Batch) -> None:
        """Have it said in a letter, if it fits one, and none was for about an hour."""
        brief = batch.fold()
        if brief and self._is_due(batch):
            self._said_at = batch.moment
            self.said = self.said[-1:] + [(brief, batch.entries)]

    def grants_for(self, remote: object) -> list:
        """Return the grant that is here for who has said a hello, [] once it was told that a few times."""
        author = remote.author
        grant = self.grant_of(author) if self.grant_of else None
        told, times = self._granted.get(author, (grant, 0))
        self.owed.discard(author[:3])
        if grant is None or (told == grant and times >= _TELL_GRANT):
            return []
        self._granted[author] = (grant, times + 1 if told == grant else 1)
        return [grant]

    def owe(self, author: bytes) -> None:
        """Note that a grant for somebody has come: a session is worth its price where another was told."""
        grant = self.grant_of(author) if self.grant_of else None
        if grant is not None and self._granted.get(author, (None, 0))[0] != grant:
            self.owed.add(author[:3])

    def take_grant(self, data: bytes) -> None:
        """Pass over a grant: who keeps documents has it as one."""

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

    def meet(self, found: Credential, proven: bool = False) -> None:
        """Take a delegate's credential that a session has shown, once trust has accepted it; what an issuer
        has given comes as a statement. `proven`: see Rules; a session shows the agreement key alone.
        DELEGATION_FULL for one peer more than the delegation allows, as far as they were met here;
        AUTHOR_TAKEN, and KEY_WORN_OUT for one log more of a peer than it may have.
        """
        known = found.claims
        if known.under is None:
            return
        delegation = self.trust.delegation(known.under)
        if delegation is not None:
            under = self._under.setdefault(known.under, {})
            if known.sealing not in under and len(under) >= delegation.claims.delegation[1]:
                raise HedgerowError("DELEGATION_FULL", known.under.hex())
            authors = under.get(known.sealing, set())
            if known.author is not None:
                # Of each delegation by itself: whoever has another's wears out no key of this one's peers.
                owner = known.sealing if known.author in authors else self.owner(known.author)
                check_author(known.author, known.sealing, owner, len(authors))
                authors = authors | {known.author}
            under[known.sealing] = authors
        if self.add(found.name, known, proven or found.signed.kid in self.trust.roots) and self.on_judged:
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

    def key(self, public: bytes) -> bytes:
        """Return the key shared with the holder of an agreement key."""
        key = self._keys.get(public)
        if key is None:
            if len(self._keys) >= self._most:
                self._keys.clear()
            own = self._identity
            key = self._keys[public] = finish(pair_key(own.p256, own.keys[:_PRIVATE], public, self._mesh))
        return key

    def prove(self, receipt: Receipt, public: bytes) -> Receipt:
        """Return a receipt with the proof for the author whose agreement key is given."""
        proof = tag(self.key(public), receipt)
        return Receipt(receipt.keeper, receipt.incarnation, receipt.author, receipt.number, PROOF_MAC, proof)

    def proves(self, receipt: Receipt, public: bytes) -> bool:
        """Say whether a receipt, over what we wrote, is by the keeper whose agreement key is given."""
        return is_proof(self.key(public), receipt)
