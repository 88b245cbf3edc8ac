"""A board's identity at work: the names of its log, sessions with keys, signed seals (SPEC 11).

Loaded where the board has a credential; what only a session or a seal needs, when there is one.
"""

import os
import sys
from hashlib import sha256

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_FRESH, const
from hedgerow.log import STATE_CONFIG, STATE_VOUCHED, new_author
from hedgerow.mesh.group import Group
from hedgerow.operation import CLOCK, decode_body

from . import vault
from .modules import is_tight, unload

# Two private keys, the salt; then the author, and whether a log has had it.
_PRIVATE = const(32)
_SEALING_END = const(64)
_OWN = const(80)
_AUTHOR_END = const(88)
_CREDENTIAL_AT = const(8)
# Gateways and boards that it can meet again without a handshake.
_PEERS = const(8)
# Revocations from the air that no session has verified yet, with a place behind it.
_BRIEF = b"brief"
# As in hedgerow.crypto.vouched.
_VOUCHED = b"v"
_CRYPTO = "hedgerow.crypto."
# Loaded again for a key that is news.
_ROTATION = "hedgerow.crypto.rotation"


class Keyring:
    """What the vault has, for the peer of a `log`.

    `calls` is the address that the next connection of our own goes to. `handshakes` and `resumed` count
    sessions with keys, `multiplications` what was computed for them, `checks` that for what others
    have signed; `group` is the Group of a mesh whose own key is `base`. It judges nobody's changes.
    """

    verdict = None
    log: object = None
    calls = b""
    # Whether there are keys of confidential collections; from when on they are seen to, 0 for never; a grant
    # that a session has brought; since when there may be another that no gateway has told of, -1 for since
    # now; and until when the mesh is asked for it.
    confides = False
    due = missed = until = 0
    grant = b""
    # A batch of receipts from the air that is to be verified; what verifies it; the moment of the last one.
    batch = b""
    batching: object = None
    said_at = 0
    # See crypto.vouched: parts of others' credentials, what verifies one, from when on the next one may be,
    # those that failed, were good, or were asked for lately; the credential that the last session has shown;
    # whether something is lent.
    vouching: object = None
    vouch_at = 0
    refused: list = []
    believed: list = []
    asked: list = []
    shown: object = None
    lent = False

    def __init__(self, base: bytes):
        self.parts: dict = {}
        self.handshakes = self.resumed = self.multiplications = self.checks = 0
        # How often in a row a signature has found no room.
        self.unsigned = 0
        # The seal that is being signed in slices: its generator.
        self.signing: object = None
        self.group = Group(base, vault)
        self._member: object = None
        self._greeting: object = None
        self._words: object = None
        self.fresh: list = []
        # See Members.said.
        self.said: list = []
        self._place = 0
        # Credentials by the address at which they were met.
        self._met: dict = {}
        self._called = b""
        kept = vault.read(vault.KEYS) or b""
        self._keys = kept[:_OWN]
        self.author = kept[_OWN:_AUTHOR_END]
        self._used = kept[_AUTHOR_END:] == b"\1"
        # With the author that it names before it.
        given = vault.read(vault.CREDENTIAL) or b""
        self.named = given[:_CREDENTIAL_AT]
        self.value = given[_CREDENTIAL_AT:]
        self.credential = sha256(self.value).digest()[:8]

    def delegation(self) -> bytes | None:
        """Return what the gateway that issued the credential may do it by, None where an issuer has."""
        return vault.read(vault.DELEGATION)

    def vouchers(self) -> object:
        """Return what knows for whom the board carries without limits, loaded for a while (SPEC 5.18)."""
        from hedgerow.crypto.vouched import Vouched

        self.lent = True
        return Vouched(self)

    # ---- the log

    @property
    def ready(self) -> bool:
        """Whether the credential names the author of the log."""
        return bool(self.value) and self.named == self.log.author

    @property
    def moves(self) -> bool:
        """Whether the log is to go on under the author that the credential names."""
        return bool(self.value) and self.named == self.author != self.log.author

    def name_log(self, log: object = None) -> bytes:
        """Return the author of a log that begins now, or of one that goes on as another.

        No author comes twice: that of the keys is taken if no log has had it, or if this one has not.
        """
        if not self._keys:
            return new_author()
        if self._used and (log is None or log.author == self.author or log.held(self.author)):
            from hedgerow.crypto.identity import salted

            self._keys, self.author = salted(self._keys, os.urandom)
        self._used = True
        vault.write(vault.KEYS, self._keys + self.author + b"\1")
        return self.author

    def sign(self, message: bytes) -> bytes:
        """Return the sealing key's signature."""
        # Should it fail, to load what it needs, too.
        self.unsigned += 1
        from hedgerow.crypto.port import finish

        try:
            return finish(self.slices(message))
        finally:
            del finish
            if is_tight():
                self.settle()

    def slices(self, message: bytes) -> object:
        """Sign as sign() does: a generator that returns the signature."""
        from hedgerow.crypto.port import P256

        signed = yield from P256(os.urandom).sign(self._keys[_PRIVATE:_SEALING_END], message)
        self.unsigned = 0
        return signed

    def sign_soon(self, peer: object, now: int) -> bool:
        """Have what is unsealed signed in slices; False where it is made at once: a session waits for it,
        the board sleeps soon, or the last signature found no room.
        """
        if self._greeting is not None or peer.sleeper:
            return False
        if self.signing is None:
            if self.unsigned:
                return False
            from .sealing import steps

            # Until it is there.
            self.unsigned = 1
            self.signing = steps(peer, now)
        return True

    def sign_on(self) -> None:
        """Do a slice of the seal that is being signed; a session needs the heap, and seals at once."""
        try:
            if self._greeting is None:
                next(self.signing)
                return
        except (StopIteration, MemoryError):
            pass
        self.signing = None
        unload("hedgerow_device.sealing")
        if is_tight():
            self.settle()

    # ---- receipts

    def proves(self, receipt: object) -> bool:
        """Say whether a receipt over what this board wrote is by one of the keepers that it has keys with."""
        pair = self.pair_of(receipt.keeper)
        if pair is None:
            return False
        from hedgerow.crypto.proofs import is_proof

        try:
            return is_proof(pair, receipt)
        finally:
            del is_proof
            self.settle()

    def pair_of(self, keeper: bytes) -> bytes | None:
        """Return the key that this board shares with a keeper, None for who is none that it knows."""
        for name, shared, _ in vault.keepers():
            if name == keeper:
                return shared
        return None

    def grants_for(self, remote: object) -> list:
        """A board has none for others; who meets a gateway is told its own."""
        from hedgerow.sync.hello import GATEWAY

        if remote.role == GATEWAY:
            self.missed = 0
        return []

    def take_grant(self, data: bytes) -> None:
        """Keep a grant until no session needs the heap."""
        self.grant = data
        self.due = 1

    def filled(self, bodies: list) -> None:
        """Operations came down; one that grants keys is looked at once nothing else needs the heap."""
        for body in bodies:
            for change in decode_body(body)[1]:
                if change[0] != CLOCK and change[2] == self.named:
                    self.due = 1

    def take_batch(self, data: bytes, peer: object) -> list:
        """Return the receipts in a batch of a keeper that this board has keys with: none, and nothing is
        computed, where they are no news to the peer. RECEIPT_INVALID.
        """
        from hedgerow.crypto.batches import Batch
        from hedgerow.crypto.port import finish

        member = self._open()
        batch = Batch(data, member.trust.app)
        known = [author for author in peer.log.authors() if author != self.named]
        news = [entry for entry in batch.entries if entry[0] in known and peer.receipted(entry[0]) < entry[1]]
        for name, _, sealing in vault.keepers() if news else ():
            if name == batch.keeper:
                self._check(finish, batch.verify(member.ephemerals.p256, sealing))
                return batch.receipts(self.named)
        return []

    def take_said(self, brief: bytes, peer: object) -> bool:
        """Keep a batch from the air, one at a time, to be verified while no session runs."""
        self.batch = self.batch or brief
        return True

    def proves_frontier(self, frontier: object) -> bool:
        """Say whether a keeper that this board has keys with has signed a stability frontier."""
        for name, _, sealing in vault.keepers() if frontier.signature else ():
            if name == frontier.keeper:
                p256 = self._open().ephemerals.p256
                from hedgerow.crypto.port import finish

                return self._check(finish, p256.verify(sealing, frontier.signed(), frontier.signature))
        return False

    def batches(self, vector: list) -> list:
        """A board keeps none for others."""
        return []

    def tend(self, peer: object, now: int) -> None:
        """Now and then, while no session runs: see tending."""
        from .tending import tend

        tend(self, peer, now)

    # ---- sessions

    def greet(self, now: int, central: bool) -> object:
        """Return what the session that begins agrees its keys by. CREDENTIAL_UNKNOWN without a credential."""
        from hedgerow.crypto.greeting import Greeting

        self.parted()
        member = self._open()
        if central:
            from hedgerow.crypto.channel import Opening

            self._called = self.calls
            channel = Opening(member, now, self._met.get(self.calls), member.gate)
        else:
            from hedgerow.crypto.channel import Answering

            self._called = b""
            channel = Answering(member, now)
        self._greeting = Greeting(channel, False, False)
        return self._greeting

    def parted(self) -> None:
        """The connection of the last session is gone, and with it what it had begun."""
        greeting = self._greeting
        self._greeting = None
        if greeting is None:
            return
        channel = greeting.channel
        if greeting.done:
            self.resumed += channel.resumed
            self.handshakes += not channel.resumed
            if self._called:
                if len(self._met) >= _PEERS:
                    self._met = {}
                self._met[self._called] = channel.remote
        channel.close()
        p256 = self._member.ephemerals.p256
        self.multiplications += p256.multiplications
        p256.multiplications = 0
        found = self._member.trust.known(channel.remote) if greeting.done else None
        author = found and found.claims.author
        if author and author not in (self.log.get(STATE_VOUCHED, _VOUCHED) or b""):
            # It is kept once nothing else needs the heap.
            self.shown = author, found.value

    def rest(self) -> None:
        """Give back what only sessions and seals need, while none runs."""
        self._member = self._words = None
        unload(*[name for name in sys.modules if name.startswith(_CRYPTO)])

    def settle(self) -> None:
        """Rest, if no session runs."""
        if self._member is None:
            self.rest()

    def _open(self) -> object:
        if self._member is None:
            if not self.value:
                raise HedgerowError("CREDENTIAL_UNKNOWN", "hedgerow enroll")
            from hedgerow.crypto.channel import Member
            from hedgerow.crypto.credentials import Credential, Trust
            from hedgerow.crypto.ephemeral import Ephemerals
            from hedgerow.crypto.handshake import Gate, Own
            from hedgerow.crypto.port import P256
            from hedgerow.crypto.words import Words

            from .met import Met

            own = Credential(self.value)
            claims = own.claims
            p256 = P256(os.urandom)
            trust = Trust(p256, vault.issuers(), claims.issuer, claims.mode, _PEERS)
            trust.floor = claims.issued
            holder = Own(self._keys[:_PRIVATE], own.value, own.name, issuer=vault.read(vault.DELEGATION))
            # Who has slept through group keys has to get in, too.
            gate = Gate([self.group.base])
            self._member = Member(holder, Ephemerals(p256), trust, gate, os.urandom, list(claims.mode))
            self._words = Words(self.log, trust, p256, self.group)
            unload(_ROTATION)
            self._member.resumables = Met(_PEERS, trust)
            self._take_waiting(trust.app)
        return self._member

    # ---- what Members does on hosts

    def asking(self, _: int) -> bytes:
        """Return what asks a keeper for no statement: a board has no room for them."""
        return b"\xff\xff\xff\xff\x7f"

    def take(self, body: bytes, _: int) -> None:
        """Pass over a statement."""

    @property
    def words(self) -> object:
        """The revocations and issuers that the log keeps, while a session runs."""
        self._open()
        return self._words

    def take_word(self, statement: bytes) -> None:
        """See Members.take_word; a keeper that is revoked proves nothing any more."""
        word = self._check(self.words.hear, statement)
        self._follow(word)
        if word and word.author:
            self.fresh = self.fresh[1 - MAX_FRESH :] + [word.brief()]
            if self.confides:
                self.missed = -1

    def _follow(self, word: object) -> None:
        """Forget the keeper that a word shuts out."""
        if word and word.author:
            self.vouchers().shun(word.author)
            kept = vault.keepers()
            left = [entry for entry in kept if entry[0] != word.author]
            if left != kept:
                try:
                    vault.write(vault.KEEPERS, b"".join([b"".join(entry) for entry in left]))
                except OSError:
                    # A store that does not even take less is no reason to end a session.
                    pass

    def take_brief(self, brief: bytes) -> bool:
        """Keep a revocation from the air until a session verifies it, for what that takes is not in the heap
        now; say whether it is known already.
        """
        waiting = [self.log.get(STATE_CONFIG, _BRIEF + bytes((place,))) for place in range(MAX_FRESH)]
        if brief in waiting:
            return True
        self._place = (self._place + 1) % MAX_FRESH
        self.log.put(STATE_CONFIG, _BRIEF + bytes((self._place,)), brief)
        self.fresh = self.fresh[1 - MAX_FRESH :] + [brief]
        return False

    def _take_waiting(self, app: str) -> None:
        """Verify what came from the air; what nobody has signed is gone then."""
        for place in range(MAX_FRESH):
            key = _BRIEF + bytes((place,))
            brief = self.log.get(STATE_CONFIG, key)
            if brief:
                for step in (self._take_unfolded, self._forget):
                    try:
                        step(key, brief, app)
                    except HedgerowError:
                        # Nobody has signed it; or the log is full, which is no reason against a session.
                        pass

    def _take_unfolded(self, _: bytes, brief: bytes, app: str) -> None:
        from hedgerow.crypto.words import unfold

        self._follow(self._check(self._words.hear, unfold(brief, app)))

    def _forget(self, key: bytes, *_: object) -> None:
        self.log.put(STATE_CONFIG, key, b"")
        self.log.commit()

    def _check(self, work: object, what: object) -> object:
        """Do what verifies others' words, which counts apart."""
        p256 = self._member.ephemerals.p256
        before = p256.multiplications
        try:
            return work(what)
        finally:
            self.checks += p256.multiplications - before
            p256.multiplications = before

    def stands(self, claims: object) -> bool:
        """See Members.stands."""
        return self._open().trust.stands(claims)
