"""What a peer tells others of itself: its distance, its vector, hellos, schemas, and the time."""

from hashlib import sha256

from . import limits
from .codec.schema import SCOPE_LOCAL, scope_of
from .custody.receipt import Receipt
from .errors import HedgerowError
from .operation import CLOCK, SOURCE_BOOT
from .sync import hello

UNKNOWN_DISTANCE = 255
# What a gateway says while it knows no way to a keeper: farther than any relay that knows one, nearer
# than a peer that knows nothing.
ALONE_DISTANCE = 100
MAX_HOPS = 15


class Presence:
    """The part of a Peer that is seen from outside; it needs the rest of it.

    `distance` is what it assumes while it knows no way to a keeper. `touched`, where somebody set it, holds
    the authors of whom anything changed since the listener looked; no bytes stand for all of them. `flooding`
    is whether operations flood, if somebody knows better than the count of authors here, and `way` the hops
    to a keeper, if somebody knows better than what was met; `carried` the authors whose operations are to be
    brought on from here, if not all: of others somebody else does that. `greeter(now, central)` makes what a
    session's keys come from (crypto.greeting), where sessions have keys. `before_receipt()` is called before
    a receipt of own operations is stored: what it frees may be gone after that.
    """

    touched: set | None = None
    flooding: bool | None = None
    way: int | None = None
    carried: object = None
    greeter: object = None
    before_receipt: object = None
    # What strangers have in the log while it is short (see strangers.admit); the last one for whom there was
    # no room, whose credential is asked for; how often that was.
    strange: dict | None = None
    stranger = b""
    crowded = 0
    # Schemas that no operation has used yet, oldest first, None where each that is durable has its own place;
    # and how far a search for others has come (places.look).
    loose: list | None = None
    search: list | None = None

    def __init__(self, role: int, distance: int, now: int):
        self.role = role
        self._fallback = min(distance, ALONE_DISTANCE) if role == hello.GATEWAY else distance
        self._near = (UNKNOWN_DISTANCE, now)
        self._floods = True
        self._summary: list | None = None
        # The authors of whom something changed last, and how often anything did.
        self.changes: list = []
        self.changed = 0

    def distance(self, now: int) -> int:
        """Return the hops to a keeper, 0 for a keeper."""
        if self.keeper:
            return 0
        return min(self._fallback, self._near[0] if self.way is None else self.way)

    def note_distance(self, remote: int, now: int) -> None:
        """Learn that a peer in reach is `remote` hops from a keeper."""
        hops = learnt(remote)
        if hops == UNKNOWN_DISTANCE:
            return
        near, expires = self._near
        # A way through us would come back longer: what is old yields only to who is not farther than we are.
        if hops <= near or (now >= expires and remote <= near):
            self._near = (hops, now + limits.DISTANCE_EXPIRY_MS)

    def touch(self, author: bytes) -> None:
        """Note that something of an author has changed; no bytes: of any."""
        if self.touched is not None:
            self.touched.add(author)
        self.changed += 1
        self.changes.append(author)
        if len(self.changes) > limits.KEPT_CHANGES:
            self.changes.pop(0)

    def changes_since(self, count: int) -> list | None:
        """Return the authors of whom something changed since `changed` was so many; None for any."""
        since = self.changed - count
        if since > len(self.changes):
            return None
        found = self.changes[len(self.changes) - since :]
        return None if b"" in found else found

    def authors(self) -> list:
        """Return the authors in the log whose operations travel."""
        return [author for author in self.log.authors() if self.writer_of(author) is None]

    def vector(self) -> list:
        """Return [(author, held, sealed, receipted)], open authors first."""
        entries = [
            (author, self.log.held(author), self.log.sealed(author), self.receipted(author))
            for author in self.authors()
        ]
        done = [entry for entry in entries if entry[1] <= entry[3]]
        return [entry for entry in entries if entry[1] > entry[3]] + done

    def hello(self, now: int, about: list | None = None) -> hello.Hello:
        """Return the hello of a session that starts now; its vector lists `about` alone, if given."""
        entries = self.vector()
        known = len(entries)
        if about is not None:
            entries = [entry for entry in entries if entry[0] in about]
        elif known > limits.MAX_AUTHORS:
            # Of what is receipted nothing needs to be said.
            entries = [entry for entry in entries if entry[1] > entry[3]]
        entries = entries[: limits.MAX_AUTHORS]
        partial = hello.PARTIAL if len(entries) < known else 0
        return hello.Hello(
            self.mesh,
            self.identity,
            incarnation=self.log.incarnation,
            role=self.role,
            distance=self.distance(now),
            flags=self.time_flags(now) | partial,
            credit=self._credit,
            vector=entries,
            schemas=self.shared_schemas(),
            keepers=self.ledger.required[self.author],
            name=self.name,
        )

    def time_flags(self, now: int) -> int:
        """Return HAS_TIME and WANTS_TIME as they are now."""
        return (hello.HAS_TIME if self.utc(now) else 0) | (hello.WANTS_TIME if self.wants_time(now) else 0)

    def floods(self) -> bool:
        """Say whether open operations go to neighbours as near a keeper too: while few authors have any."""
        if self.flooding is not None:
            return self.flooding
        count = sum([1 for entry in self.vector() if entry[1] > entry[3]])
        self._floods = count <= (limits.FLOOD_AUTHORS if self._floods else limits.FLOOD_AGAIN_AUTHORS)
        return self._floods

    def summary(self) -> list:
        """Return [count of open operations, digest of each bucket] over the authors with open operations.

        A keeper has none: what it holds is where it belongs.
        """
        if self._summary is None:
            # For those who are told: boards give it back with them.
            from .custody.digest import digest

            entries = [] if self.keeper else [(e[0], e[1], e[3]) for e in self.vector() if e[1] > e[3]]
            count = sum([held - receipted for _, held, receipted in entries])
            self._summary = [count] + digest(self.mesh, entries)
        return self._summary

    def status(self, now: int) -> dict:
        """Return {author: {"held", "sealed", "open", "receipted"}}."""
        return {
            author: {"held": held, "sealed": sealed, "open": max(0, held - receipted), "receipted": receipted}
            for author, held, sealed, receipted in self.vector()
        }

    # ---- schemas

    def ingest_schema(self, encoded: bytes, beside: list | None = None) -> bool:
        """Take a schema, durable with the first operation under it; say whether it is news. It takes no place
        of those named `beside` it, and is named there then.
        SCHEMA_CONFLICT if another one bears its name; SCHEMAS_FULL, below the limit for own ones, where all
        are in use; SCOPE_LOCAL for one of what never leaves its peer, lest others make a collection local.
        """
        known = self.schemas.get(sha256(encoded).digest()[:4])
        if known and known.encoded == encoded:
            # It is said again and again: what learns need not be loaded for that.
            if beside is not None and known.name not in beside:
                beside.append(known.name)
            return False
        from .places import learn

        return learn(self, encoded, beside)

    def keep_schemas(self, author: bytes, bodies: list) -> None:
        """Make the schemas durable that another author's operations, about to be taken, are the first to use.

        SCHEMAS_FULL where there is no place left for this author, LOG_FULL.
        """
        for name in self.loose or ():
            if [1 for body in bodies if name in body]:
                from .places import settle

                return settle(self, author, bodies)

    def shared_schemas(self) -> list:
        """Return the names of the schemas that others may see."""
        return [name for name in self.schemas if scope_of(self.schemas[name].kind) != SCOPE_LOCAL]

    def carries(self, author: bytes, number: int) -> bool:
        """Say whether an operation here is one that this peer has to bring to a keeper."""
        return author not in self._locals and self.receipted(author) < number <= self.log.held(author)

    # ---- receipts

    def receipts(self, author: bytes) -> list:
        """Return the receipts behind receipted()."""
        if self.keeper:
            number = self.receipted(author)
            found = Receipt(self.identity, self.log.incarnation, author, number)
            return [self.members.prove(found) if self.members else found] if number else []
        return self.ledger.receipts(author)

    def ingest_receipt(self, receipt: Receipt, by_keeper: bool = False, heard: int = 0) -> bool:
        """Take a receipt; say whether a frontier moved. Words of a keeper's past incarnations are ignored.

        Who has an identity forgets nothing of its own but for a proof, or what is shown to be the keeper's
        word (`by_keeper`, SPEC 5.6.6). `heard` is up to which number others are known to hold the author.
        One over operations under our own name that we do not hold proves their loss.
        """
        author = receipt.author
        hint = bool(self.members) and not by_keeper
        if hint and self.is_own(author) and self.members.proves(receipt):
            hint = False
        elif hint and (self.is_own(author) or not self.hearsay):
            return False
        before = self.receipted(author)
        if self.before_receipt and self.is_own(author) and before < receipt.number:
            self.before_receipt()
        if author == self.author and receipt.number > self.log.held(author):
            from .closing import prove

            prove(self, author, receipt.number, True)
        if not self.ledger.take(receipt, hint, max(heard, self.log.held(author)) if hint else 0):
            return False
        self._summary = None
        self.touch(author)
        if self.on_receipt and self.receipted(author) > before:
            self.on_receipt(author, self.receipted(author))
        return True

    def note_keeper(self, keeper: bytes, incarnation: int) -> None:
        """Learn a keeper's incarnation; its words of lower ones count no more."""
        self.ledger.note_keeper(keeper, incarnation)
        self._summary = None
        self.touch(b"")

    def note_keepers(self, author: bytes, keepers: list) -> None:
        """Learn whose receipts another author requires."""
        self.ledger.require(author, keepers)
        self.touch(author)

    def _admit(self, author: bytes, bodies: list) -> bool:
        """Refuse what goes beyond the share of strangers (SPEC 5.18); say whether what is taken counts.

        See crypto.strangers.admit. Nothing is loaded for it while there is room, and places.
        """
        if not self.members or self.keeper:
            return False
        log = self.log
        if self.strange is None and (log.held(author) or len(log.placed()) < limits.MAX_STRANGE_AUTHORS):
            return False
        if not self.members.ready:
            return False
        try:
            from .crypto.strangers import admit

            return admit(self, author, bodies)
        except MemoryError:
            raise HedgerowError("QUOTA_FULL", "no memory to tell whose it is") from None

    def _took(self, author: bytes, body: bytes) -> None:
        """Count an entry of a stranger that was taken, while there is little room."""
        if self.strange is not None:
            from .crypto.strangers import took

            took(self, author, body)

    def receipt(self, author: bytes) -> Receipt | None:
        """Return the lowest of the receipts behind receipted(), if there is one."""
        found = self.receipts(author)
        return min(found, key=_number_of) if found else None

    # ---- time

    def set_time(self, utc_ms: int, error_ms: int, source: int, now: int, proven: bool = False) -> bool:
        """Learn the time (ms since 2000, give or take `error_ms`); say whether it was taken.

        It is taken, and recorded as an operation, if there was none, or if the error shrinks by half and by
        100 ms at least, so that a clock set every minute does not fill the log. One that is `proven`, by
        whom a credential lets give it, also takes the place of one that is not and contradicts it, and gives
        way to no such one.
        """
        known = self.utc(now)
        wrong = known and abs(utc_ms - known[0]) > error_ms + known[1]
        if wrong and self._proven and not proven:
            return False
        wrong = wrong and proven and not self._proven
        if known and not wrong and (error_ms * 2 > known[1] or error_ms + 100 > known[1]):
            self._proven = self._proven or proven
            return False
        clock = self.clock
        before = clock.base_ms, clock.last, self.log.held(self.author)
        clock.jump(max(clock.base_ms, utc_ms - now))
        try:
            self.write([[CLOCK, self.epoch, now, clock.base_ms, source, utc_ms, error_ms]], (), now)
        except HedgerowError:
            if self.log.held(self.author) == before[2]:
                # A jump that is not recorded would falsify the uptimes of what is written later.
                clock.base_ms, clock.last = before[:2]
            raise
        self._time = (utc_ms, error_ms, now, source)
        self._proven = proven
        return True

    def withdraw_time(self, source: int) -> None:
        """Give the time no more, if it came from a source that does not vouch for it any longer."""
        if self._time and self._time[3] == source:
            self._time = None

    def utc(self, now: int) -> tuple | None:
        """Return (ms since 2000, error in ms), or None before this boot has met time."""
        if self._time is None:
            return None
        utc_ms, error_ms, at, _ = self._time
        return utc_ms + now - at, error_ms + (now - at) * limits.DRIFT_PPM // 1000000

    def time_source(self) -> int:
        """Return where the time came from, SOURCE_BOOT if there is none."""
        return self._time[3] if self._time else SOURCE_BOOT

    def doubts_time(self, now: int) -> bool:
        """Say whether a session should ask for the time: with keys also where it is not proven."""
        return self.wants_time(now) or bool(self.members and not self._proven)

    def wants_time(self, now: int) -> bool:
        """Say whether this peer has no time, or none within a second."""
        known = self.utc(now)
        return known is None or known[1] > limits.GOOD_TIME_MS


def learnt(remote: int) -> int:
    """Return the hops to a keeper by way of a peer with `remote`; UNKNOWN_DISTANCE for too many."""
    if remote >= (ALONE_DISTANCE + MAX_HOPS if remote >= ALONE_DISTANCE else MAX_HOPS):
        return UNKNOWN_DISTANCE
    return remote + 1


def _number_of(receipt: Receipt) -> tuple:
    return receipt.number, receipt.keeper
