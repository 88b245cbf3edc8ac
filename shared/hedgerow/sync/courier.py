"""The way up, one session's part of it: who holds what, and sending what the other side lacks (SPEC 7.7)."""

from .. import limits
from ..codec.segment import encode_segment, segment_schemas
from ..custody.skip import RECEIPTED, Skip
from ..errors import HedgerowError
from ..log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP
from . import hello

# All authors are looked at each time that so many looks were at what is new, of receipts and of the rest, and
# where there are more authors than that, so many.
_ALL_EVERY = limits.const(64)
# Stored forms read from the log for one segment: few enough for a board's heap.
READ_BYTES = 2048

_HELD = 0
_SEALED = 1
_RECEIPTED = 2
# What it takes for receipted, by whatever keeper: it may have dropped that.
_CLAIMED = 3


class Courier:
    """What the other side of a session holds, as it said and as it was sent; `greeting` is our own hello.

    `operations_out` counts what was sent.
    """

    def __init__(self, peer: object, session: object, greeting: hello.Hello):
        self.peer = peer
        self.session = session
        self.operations_out = 0
        self._partial = bool(greeting.flags & hello.PARTIAL)
        self._theirs: dict = {}
        self._told: set = {entry[0] for entry in greeting.vector}
        # Authors that we do not hold, noted for the other side: as many as a peer of our size has room for.
        self._most = limits.MAX_AUTHORS + greeting.credit // 4
        self._known: set = set()
        # Author -> the number behind which we have nothing that may follow.
        self._stuck: dict = {}
        self._asked: set = set()
        self._rewind = False
        self._claim = (b"", 0)
        # Of whom the other side does not take what it was sent.
        self._refused: list = []
        # How much had changed when all had been looked at, for receipts and for the rest; whose vector came.
        self._looked = [-1, -1]
        self._fresh: list = []
        self._calls = 0

    def greet(self, remote: hello.Hello) -> None:
        """Take the other side's hello."""
        self._known = set(remote.schemas)
        self.take_vector(remote.vector)

    def told(self, over: bool) -> list:
        """Return [(author, receipted, held, sealed)]: what the other side knows of its open authors; and if
        they were handed `over`, how far it holds them, else 0."""
        refused = self._refused if over else self._theirs
        return [
            (a, entry[_RECEIPTED], entry[_HELD] * (a not in refused), entry[_SEALED] * (a not in refused))
            for a, entry in self._theirs.items()
            if entry[_HELD]
        ]

    def theirs(self, author: bytes) -> tuple:
        """Return (held, sealed) of an author over there, as it was said and sent."""
        entry = self._theirs.get(author)
        return (entry[_HELD], entry[_SEALED]) if entry else (0, 0)

    def take_vector(self, entries: list) -> None:
        """Note what the other side holds; that is less than before only after it took back its schemas."""
        peer = self.peer
        answer: list = []
        rewind = self._rewind
        self._rewind = False
        for author, held, sealed, receipted in entries:
            if author == peer.author and held > peer.log.held(author):
                self._ask_for_own(held)
            claimed = receipted
            if peer.keeper:
                # What it knows beyond our own word may be our word of before a restore.
                receipted = min(receipted, peer.receipted(author))
            entry = [held, sealed, receipted, claimed]
            if author in self._theirs and not rewind:
                if held < self._theirs[author][_HELD]:
                    self._refused.append(author)
                entry = [max(pair) for pair in zip(entry, self._theirs[author])]
            self._theirs[author] = entry
            self._fresh.append(author)
            self._stuck.pop(author, None)
            if self._partial and author not in self._told:
                answer.append(self.entry(author))
        if len(self._theirs) > self._most + len(peer.log.authors()):
            raise HedgerowError("AUTHORS_FULL", "%d spoken of" % len(self._theirs))
        self.tell(answer)

    def _ask_for_own(self, held: int) -> None:
        """Somebody says to hold more of our author than we do: let it show the newest operations."""
        peer = self.peer
        peer.claimed = max(peer.claimed, held)
        self._claim = (peer.author, held)
        first = max(peer.log.held(peer.author) + 1, held - limits.MAX_WANT_NUMBERS + 1)
        peer.down.want(peer.author, first, held)

    def check_claim(self) -> None:
        """After the answer: who shows none of them leaves it open whether our storage was set back."""
        author, held = self._claim
        if author == self.peer.author and held > self.peer.log.held(author):
            raise HedgerowError("SYNC_OWN_AUTHOR", "%d held elsewhere" % held)

    def tell(self, entries: list) -> None:
        if entries:
            self._told.update([entry[0] for entry in entries])
            self.session.queue_have(entries)

    def entry(self, author: bytes) -> tuple:
        peer = self.peer
        return (author, peer.log.held(author), peer.log.sealed(author), peer.receipted(author))

    def resend_schemas(self, names: list) -> None:
        """Send schemas that the other side lacks; no names: it takes back what its hello said it knows."""
        if not names:
            self._known = set()
            self._rewind = True
        shared = self.peer.shared_schemas() if names else []
        for name in names:
            if name in shared:
                self.session.queue_schema(self.peer.schemas[name].encoded)

    def push_all(self, limit: int) -> bool:
        session = self.session
        peer = self.peer
        carried = peer.carried
        authors = self._news(0)
        if authors is None or carried is not None:
            authors = peer.authors()
        for author in authors:
            while (carried is None or author in carried) and self._lacks(author):
                if carried is not None and session.remote.role < hello.GATEWAY:
                    if self._theirs[author][_HELD] < carried[author].handed:
                        # Somebody else was given what comes before it, and carries it on.
                        break
                if session.waiting() >= limit or session.room() <= 0:
                    self._looked[0] = -1
                    return False
                self._push(author)
        return True

    def _news(self, which: int) -> list | None:
        """Return the authors to look at, None for all: what is the same as before needs no look each time."""
        peer = self.peer
        looked = self._looked[which]
        self._looked[which] = peer.changed
        self._calls += 1
        if looked < 0 or self._calls % max(_ALL_EVERY, len(self._theirs)) < 2:
            return None
        found = peer.changes_since(looked)
        if found is not None:
            found = [author for author in found + self._fresh if peer.writer_of(author) is None]
        if which == 0:
            self._fresh = []
        return found

    def _send_receipt(self, author: bytes, entry: list) -> None:
        """Send a receipt that the other side lacks; to a relay it stands for the operations below it."""
        if self.session.remote.role == hello.KEEPER:
            return
        number = self.peer.receipted(author)
        if number > entry[_RECEIPTED]:
            for receipt in self.peer.receipts(author) + self.peer.ledger.hints(author):
                if receipt.number > entry[_RECEIPTED]:
                    self.session.queue_receipt(receipt)
            entry[_RECEIPTED] = number
        entry[_HELD] = max(entry[_HELD], entry[_RECEIPTED])
        entry[_SEALED] = max(entry[_SEALED], entry[_RECEIPTED])

    def _lacks(self, author: bytes) -> bool:
        """Say whether there is something of an author that the other side lacks and that we may send."""
        log = self.peer.log
        entry = self._theirs.get(author)
        if entry is None:
            if self._is_receipted(author):
                return False
            if self.session.remote.flags & hello.PARTIAL:
                if author not in self._asked:
                    self._asked.add(author)
                    self.tell([self.entry(author)])
                return False
            entry = self._theirs[author] = [0, 0, 0, 0]
            self._send_receipt(author, entry)
        if self._stuck.get(author) == entry[_HELD] and not self._passes(author, entry):
            return False
        return log.held(author) > entry[_HELD] or log.sealed(author) > entry[_SEALED]

    def _passes(self, author: bytes, entry: list) -> bool:
        """Say whether a keeper has receipted meanwhile what others brought it and we do not hold."""
        number = self._receipted(author)
        if number <= entry[_HELD]:
            return False
        entry[_HELD] = number
        entry[_SEALED] = max(entry[_SEALED], number)
        return True

    def _is_receipted(self, author: bytes) -> bool:
        """Say whether nothing of an author needs to be sent: a keeper has it all, this one if it is one."""
        log = self.peer.log
        return max(log.held(author), log.sealed(author)) <= self._receipted(author)

    def _receipted(self, author: bytes) -> int:
        """Return up to where the other side lacks nothing of an author: to a keeper its own word counts."""
        remote = self.session.remote
        if remote.role == hello.KEEPER:
            return self.peer.ledger.receipted_by(author, remote.author)
        return self.peer.receipted(author)

    def _push(self, author: bytes) -> None:
        """Queue the next of an author's entries that the other side lacks."""
        entry = self._theirs[author]
        log = self.peer.log
        entries = log.read(author, entry[_HELD], entry[_SEALED], READ_BYTES)
        if not entries and self._say_lost(author, entry, log.held(author)):
            return
        at = 0
        while at < len(entries):
            kind, first, last, body = entries[at]
            at += 1
            # What is to be held over there before this entry makes sense.
            before = last if kind == ENTRY_SEAL else first - 1
            if before > entry[_HELD] or (kind == ENTRY_SKIP and Skip.decode(body).kind == RECEIPTED):
                if self._say_lost(author, entry, before):
                    return
                break
            if kind == ENTRY_SEAL:
                if first > entry[_SEALED] + 1 and self.peer.is_own(author):
                    self._bridge_seals(author, entry[_SEALED] + 1, first - 1)
                self.session.queue_seal(author, body)
                entry[_SEALED] = last
                continue
            if kind == ENTRY_SKIP:
                self.session.queue_skip(author, body)
            else:
                run = [body]
                while at < len(entries) and entries[at][0] == ENTRY_OP and entries[at][1] == first + len(run):
                    run.append(entries[at][3])
                    at += 1
                last = first + len(run) - 1
                self._send_run(author, first, run)
            entry[_HELD] = last
        else:
            if entries:
                return
        # What follows was evicted here, or lies with a keeper: it is another peer's to send.
        self._stuck[author] = entry[_HELD]

    def _say_lost(self, author: bytes, entry: list, last: int) -> bool:
        """Say that own operations are gone which the other side lacks up to `last`; whether there are any.

        They are lost here, or were receipted and left our log and their keeper was put back to before that.
        """
        if not self.peer.is_own(author) or last <= entry[_HELD]:
            return False
        from ..closing import restored_skip

        skip = restored_skip(self.peer, entry[_HELD] + 1, last)
        if skip:
            self.session.queue_skip(author, skip)
            entry[_HELD] = last
        return True

    def _bridge_seals(self, author: bytes, first: int, last: int) -> None:
        """Send seals in the place of own ones that are lost, or gone with what they covered."""
        from ..trust.seal import bare_seals

        for _, _, body in bare_seals(author, first, last, self.peer.members):
            self.session.queue_seal(author, body)

    def _send_run(self, author: bytes, first: int, bodies: list) -> None:
        self.queue_schemas(segment_schemas(bodies))
        self.session.queue_segment(encode_segment(author, first, bodies, self.peer.schemas))
        self.operations_out += len(bodies)

    def queue_schemas(self, names: list) -> None:
        """Queue the schemas that the other side does not know yet."""
        for name in names:
            if name not in self._known:
                self._known.add(name)
                self.session.queue_schema(self.peer.schemas[name].encoded)

    def knows(self, author: bytes, number: int) -> bool:
        """Say whether the other side has an operation: above what it knows receipted it has no holes."""
        entry = self._theirs.get(author)
        return entry is not None and max(entry[_RECEIPTED:]) < number <= entry[_HELD]

    def send_receipts(self) -> None:
        """Queue the receipts that the other side lacks."""
        authors = self._news(1)
        for author in list(self._theirs) if authors is None else authors:
            entry = self._theirs.get(author)
            if entry is not None:
                self._send_receipt(author, entry)

    def note_held(self, author: bytes, number: int) -> None:
        """Note that the other side has sent an author's operations up to a number."""
        if author not in self._theirs:
            self._theirs[author] = [0, 0, 0, 0]
        entry = self._theirs[author]
        entry[_HELD] = max(entry[_HELD], number)
