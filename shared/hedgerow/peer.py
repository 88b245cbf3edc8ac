"""A peer: one log, the author who writes it, its clock, its receipts, and what it tells the others."""

from . import limits
from .codec.schema import CONFIDENTIAL, KEEP, SCOPE_LOCAL, Schema, schema_for, scope_of
from .custody.ledger import Ledger
from .custody.skip import LOST, RECEIPTED, Skip
from .errors import HedgerowError
from .log import CLOSED, ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG, STATE_SCHEMA, local_author
from .operation import CLOCK, INSERT, SOURCE_BOOT, encode_body, h16
from .presence import UNKNOWN_DISTANCE, Presence
from .sync import hello
from .trust.seal import NO_SEAL, Seal, make_seal, seal_hash

EPOCH = b"epoch"
_KEEPER = b"keeper"


class Peer(Presence):
    """A peer on an open log; `now` is milliseconds since this process or board started.

    `kinds` maps collections to STREAM or KEEP (the default). A `keeper` makes receipts and checks seals.
    `distance` is what it assumes while it knows no way to a keeper. `on_receipt(author, number)` is called
    when a receipted frontier moves up. `keepers` names up to three keepers whose receipts its operations need
    all; without it those of any one do. `quota` is how many open operations of one other author it carries.
    `identity` is its name towards others: the author, of a keeper the first one that its store ever had.
    `verdict(author, number, stamp, change, schema)` says whether a change may be; what may not is kept and
    passed on like all else, and never shows. `former` maps the authors under which the log was written before
    to the number at which each is closed (see closing); `claimed` is how much others say to hold of ours.
    `members` (a gateway's crypto.members) judge seals and changes, and sign own seals once `ready`; without
    them, and on boards, there is `hearsay`: a receipt over what others wrote counts whoever brings it.
    """

    # When the ends of former authors are written, 0 for not soon, None for nothing to write.
    closing_at: int | None = None
    _anew = False
    # What is here of confidential collections' keys (crypto.confidential), and who is told of operations that
    # came down, as they may grant some.
    collection_keys: object = None
    on_filled: object = None
    sleeper: object = None  # of a board that sleeps deeply

    def __init__(
        self,
        log: object,
        now: int,
        *,
        name: str = "",
        role: int = hello.RELAY,
        mesh: bytes = bytes(3),
        kinds: dict | None = None,
        keeper: bool = False,
        distance: int = UNKNOWN_DISTANCE,
        credit: int = 4096,
        on_receipt: object = None,
        keepers: tuple = (),
        quota: int = limits.MAX_NUMBER,
        verdict: object = None,
        members: object = None,
    ):
        self.log = log
        self.keeper = keeper
        # A store that was copied goes on as another author; what was local before stays so.
        self._locals: dict = {}
        authors = log.authors()
        for writer in authors:
            if local_author(writer) in authors:
                self._locals[local_author(writer)] = writer
        self.former: dict = {}
        for key, value in log.items(STATE_CONFIG):
            if key[:1] == CLOSED and len(key) == 9:
                self.former[key[1:]] = int.from_bytes(value[:4], "big")
        self.take_author()
        self.name = name
        Presence.__init__(self, hello.KEEPER if keeper else role, distance, now)
        self.mesh = mesh
        self.kinds = dict(kinds or {})
        self.on_receipt = on_receipt
        self.members = members
        self.hearsay = not members or role < hello.GATEWAY
        self.verdict = members.verdict if members else verdict
        self.quota = quota
        # Authors of whom operations were given up that their seal did not fit: up to which number these are
        # to come whole, and until when none are given up again.
        self.doubts: dict = {}
        self._credit = credit
        self._listeners: list = []
        self._time, self._proven = None, False
        # When a tail without a seal began to wait for one.
        self.sealed_at = now
        self.schemas: dict = {}
        for key, encoded in log.items(STATE_SCHEMA):
            schema = Schema.decode(encoded) if encoded else None
            if schema:
                self.schemas[schema.name] = schema
            if not schema or schema.name != key:
                self.loose = []
        self.ledger = Ledger(log, self.author, keepers)
        for author in self.former:
            self.ledger.required[author] = tuple(keepers)
        self._down: object = None
        # Whether it has ever subscribed; wants() says whether it does now, and takes room.
        self.may_want = log.get(STATE_CONFIG, b"interests") is not None
        from .start import resume

        self._h16s, self._previous, self.clock, self.epoch = resume(self)
        if self.former or log.damaged:
            from .closing import boot

            boot(self)
        self._boot(now)

    # ---- start

    def take_author(self, anew: bool = False) -> None:
        """Write under the log's author from now on; `anew`: it is to begin with a clock record."""
        self.author = self.log.author
        self.local = local_author(self.author)
        self._locals[self.local] = self.author
        self.identity = self._identity() if self.keeper else self.author
        self.claimed = 0
        self._anew = anew
        self._h16s: list = []
        self._previous = NO_SEAL
        self._summary = None

    def _identity(self) -> bytes:
        """Return a keeper's name: it stays when its store is restored under a new author (SPEC 5.6.2)."""
        stored = self.log.get(STATE_CONFIG, _KEEPER)
        if stored is None:
            stored = self.author
            self.log.put(STATE_CONFIG, _KEEPER, stored)
        return stored

    def _boot(self, now: int) -> None:
        self.log.put(STATE_CONFIG, EPOCH, self.epoch.to_bytes(4, "big"))
        self._anew = False
        self.write([[CLOCK, self.epoch, now, self.clock.base_ms, SOURCE_BOOT, None, 0]], (), now)

    def introduce(self, now: int) -> None:
        """Make sure that the author may be written under: a former one never, a new one from its clock on."""
        if self.author in self.former:
            from .closing import renew

            renew(self)
        if self._anew:
            self._anew = False
            known = self.utc(now)
            source = self._time[3] if known else SOURCE_BOOT
            record = [CLOCK, self.epoch, now, self.clock.base_ms, source] + list(known or (None, 0))
            try:
                self.write([record], (), now)
            except HedgerowError:
                self._anew = True
                raise

    # ---- own operations

    def insert(self, collection: str, document: dict, now: int) -> int:
        """Write a document whose id is its dot; return its number. It is durable on return."""
        schema = schema_for(collection, self.kind_of(collection), document)
        return self.write([[INSERT, schema.name, None, schema.pack(document)]], [schema], now)

    def kind_of(self, collection: str) -> int:
        """Return the kind of a collection: as configured, else as others know it, else keep; confidential
        where a key of it is here.
        """
        kind = self.kinds.get(collection)
        if kind is None:
            found = sorted([s.name for s in self.schemas.values() if s.collection == collection])
            kind = KEEP
            if found:
                kind = self.kinds[collection] = self.schemas[found[0]].kind
        keys = self.collection_keys
        if keys and scope_of(kind) != SCOPE_LOCAL and keys.newest(collection):
            kind |= CONFIDENTIAL
        return kind

    def write(
        self, changes: list, schemas: list, now: int, local: bool = False, stamp: bytes | None = None
    ) -> int:
        """Write one operation of these changes, durable on return; return its number.

        `schemas` are those that the changes name. A `local` operation never leaves this peer, and has a
        number of its own. `stamp` is one that the clock gave out before, and nothing was written since.
        """
        self.introduce(now)
        author = self.local if local else self.author
        number = self.log.held(author) + 1
        stamp = stamp or self.clock.tick(now)
        for schema in schemas:
            if schema.kind & CONFIDENTIAL:
                from .reveal import conceal

                changes = conceal(self, author, number, stamp, changes, schemas)
                break
        body = encode_body(stamp, changes)
        for schema in schemas:
            self._add_schema(schema, schemas)
        mark = None if local else h16(author, number, body, self.schemas)
        if mark:
            # Before the operation, as memory may run out: each mark stands for the number at its place.
            self._h16s.append(mark)
        try:
            self.log.append(ENTRY_OP, author, number, number, body)
        finally:
            if mark and self.log.held(author) < number:
                self._h16s.pop()
        if len(self._h16s) >= limits.SEAL_EVERY:
            self.append_seal(now)
        self._arrived(author, number, body)
        self.touch(author)
        self.commit()
        return number

    def writer_of(self, local: bytes) -> bytes | None:
        """Return the author whose local author this is, None if it is no local author of this store."""
        return self._locals.get(local)

    def is_own(self, author: bytes) -> bool:
        """Say whether this log is, or was, written under an author."""
        return author == self.author or author in self.former

    def _check_foreign(self, author: bytes, number: int) -> None:
        """Refuse what others send under a name that only this store writes under."""
        if author == self.author or author in self._locals:
            raise HedgerowError("SYNC_OWN_AUTHOR", str(number))

    def meet_own(self, author: bytes, number: int) -> None:
        """Operations up to `number` that we do not hold have come: under our own name they prove a loss."""
        if self.is_own(author):
            from .closing import prove

            prove(self, author, number)

    def _arrived(self, author: bytes, number: int, body: bytes) -> None:
        if self._down is not None:
            self._down.arrived(author, number, body)

    # ---- documents, and the way down

    @property
    def down(self) -> object:
        """Documents, subscriptions and what belongs to them (see Down), loaded when first asked for."""
        if self._down is None:
            from .down import Down

            self._down = Down(self)
        return self._down

    def wants(self, now: int, keeper: bool = False) -> bool:
        """Say whether this peer has something to ask of others, or of a `keeper`, for itself or others."""
        if self._down is None and not self.may_want:
            return False
        return bool(self.down.subscriptions.active(now, keeper) or self.down.holes())

    def note_interests(self, interests: list, now: int) -> None:
        """Take on a neighbour's interests, where they may go on."""
        if self.role != hello.LEAF and not self.keeper:
            for interest in interests:
                self.down.subscriptions.adopt(interest, now)

    def append_seal(self, now: int, at_once: bool = False) -> None:
        """Seal what is unsealed; durable after commit()."""
        while self._to_seal():
            self.put_seal(self.unsealed(), self.members, now)

    def unsealed(self) -> tuple:
        """Return what the next seal is over: (author, first, last, the H16s, hash of the seal before)."""
        marks = self._h16s[: limits.MAX_SEAL_OPERATIONS]
        first = self.log.held(self.author) - len(self._h16s) + 1
        return self.author, first, first + len(marks) - 1, marks, self._previous

    def put_seal(self, run: tuple, signer: object, now: int) -> None:
        """Seal what unsealed() gave, if nothing has been sealed since; `signer` as make_seal() has it."""
        author, first, last, marks, previous = run
        body = make_seal(author, first, last, marks, previous, signer)
        previous, left = seal_hash(body), self._h16s[len(marks) :]
        self.log.append(ENTRY_SEAL, author, first, last, body)
        # Nothing that takes memory lies between the seal and these.
        self._previous = previous
        self._h16s = left
        self.touch(author)
        self.sealed_at = now

    def _to_seal(self) -> bool:
        return bool(self._h16s) and (self.members is None or self.members.ready)

    def seal(self, now: int) -> bool:
        """Seal the own operations that no seal covers yet; say whether there were any."""
        if self.closing_at is not None:
            from .closing import step

            step(self, now)
        if not self._to_seal():
            return False
        self.append_seal(now)
        self.commit()
        return True

    def seal_due(self) -> int | None:
        """Return the moment from which an unsealed tail deserves a seal of its own, None without a tail."""
        if self.closing_at is not None:
            return self.closing_at
        return self.sealed_at + limits.SEAL_DELAY_MS if self._to_seal() else None

    def commit(self) -> None:
        """Make all that was taken in durable, and tell the listeners."""
        self.log.commit()
        self._summary = None
        for listener in self._listeners:
            listener()

    def add_listener(self, listener: object) -> None:
        """Call `listener()` after each commit."""
        self._listeners.append(listener)

    def remove_listener(self, listener: object) -> None:
        """Call it no more."""
        self._listeners.remove(listener)

    # ---- what others send; durable after commit()

    def takes(self, author: bytes) -> bool:
        """Say whether another open operation of another author is within its limit (SPEC 5.13)."""
        return author in self.former or self.log.held(author) < self.receipted(author) + self.quota

    def regain(self) -> bool:
        """Give others the room again that they had before the log was full; say whether there is any."""
        return False

    def ingest(self, author: bytes, first: int, bodies: list) -> int:
        """Take operations `first`, `first` + 1, ... of another author, as decode_segment gave them.

        Returns how many were news; numbers that are held are passed over. SYNC_GAP if they do not join what
        is held or receipted. Those under our own name that we do not hold make us go on under another one.
        """
        held = self.log.held(author)
        fresh = bodies[max(0, held + 1 - first) :]
        if not fresh:
            return 0
        if author in self._locals:
            raise HedgerowError("SYNC_OWN_AUTHOR", str(first))
        self.check_schemas(fresh)
        self.meet_own(author, first + len(bodies) - 1)
        if held + len(fresh) > self.receipted(author) + self.quota and author not in self.former:
            raise HedgerowError("QUOTA_FULL", "%d open" % (held - self.receipted(author)))
        first = max(first, held + 1)
        if author in self.former and first > max(held, self.receipted(author)) + 1:
            return self.down.fill(author, first, fresh, True)
        strange = self._admit(author, fresh)
        self._bridge(author, held, first)
        self.keep_schemas(author, fresh)
        for number, body in enumerate(fresh, first):
            self.log.append(ENTRY_OP, author, number, number, body)
            self._arrived(author, number, body)
            if strange:
                self._took(author, body)
        self.ledger.reach(author, number)
        self.touch(author)
        return len(fresh)

    def check_schemas(self, bodies: list) -> None:
        """Refuse operations that do not fit their schemas, or that should not have left their peer.

        One that was taken all the same would spoil every look at its documents.
        """
        from .codec.unfold import check_fit

        for body in bodies:
            if check_fit(body, self.schemas) == SCOPE_LOCAL:
                # A board that only records does without it.
                from .codec.segment import segment_schemas

                raise HedgerowError("SCOPE_LOCAL", repr(segment_schemas([body])))

    def _bridge(self, author: bytes, held: int, first: int) -> None:
        """Let a receipt stand for operations that lie between what is held and `first`."""
        if first > held + 1:
            if not self.keeper:
                self.ledger.reach(author, first - 1, True)
            if self.keeper or first > self.receipted(author) + 1:
                raise HedgerowError("SYNC_GAP", "%d on %d" % (first, held))
            note = Skip(held + 1, first - 1, RECEIPTED)
            self.log.append(ENTRY_SKIP, author, note.first, note.last, note.encode())

    def ingest_skip(self, author: bytes, body: bytes) -> None:
        """Take a skip of another author."""
        skip = Skip.decode(body)
        held = self.log.held(author)
        if skip.last <= held:
            return
        self._check_foreign(author, skip.first)
        if self.keeper and (skip.kind == LOST or self.members):
            from .trust.lost import check_lost

            check_lost(self.log, author, skip, self.members)
        first = max(skip.first, held + 1)
        strange = self._admit(author, (body,))
        self._bridge(author, held, first)
        self.log.append(ENTRY_SKIP, author, first, skip.last, body)
        if strange:
            self._took(author, body)
        self.touch(author)

    def lost(self, author: bytes) -> list:
        """Return [(first, last)] of an author's operations that are said to be lost."""
        return [(first, last) for first, last, kind in self.log.missing(author) if kind == LOST]

    def ingest_seal(self, author: bytes, body: bytes) -> None:
        """Take a seal; gateways and keepers check it against the operations that they hold (SEAL_INVALID)."""
        seal = Seal.decode(body)
        sealed = self.log.sealed(author)
        if seal.last <= sealed:
            return
        self._check_foreign(author, seal.first)
        base = sealed if self.keeper else max(sealed, self.receipted(author))
        apart = seal.first > base + 1
        if apart:
            from .trust.lost import spans
        if seal.last > self.log.held(author) or (apart and not spans(self.log, author, base, seal.first)):
            raise HedgerowError("SYNC_GAP", "seal %d-%d" % (seal.first, seal.last))
        if self.role >= hello.GATEWAY:
            from .trust.verify import verify_seal

            verify_seal(self.log, self.schemas, author, body, apart or base > sealed, self.members)
        strange = self._admit(author, (body,))
        self.log.append(ENTRY_SEAL, author, seal.first, seal.last, body)
        if strange:
            self._took(author, body)
        self.touch(author)

    def _add_schema(self, schema: Schema, beside: list = ()) -> None:
        known = self.schemas.get(schema.name)
        if known is None or (self.loose and schema.name in self.loose):
            if self.loose is not None or len(self.schemas) >= limits.MAX_SCHEMAS:
                from .places import place

                return place(self, schema, beside)
            self.log.put(STATE_SCHEMA, schema.name, schema.encoded)
            self.schemas[schema.name] = schema
        elif known.hash != schema.hash:
            raise HedgerowError("SCHEMA_CONFLICT", repr(schema.name))

    # ---- receipts

    def receipted(self, author: bytes) -> int:
        """Return the number up to which a keeper holds an author."""
        if self.keeper:
            return min(self.log.held(author), self.log.sealed(author))
        return self.ledger.receipted(author)
