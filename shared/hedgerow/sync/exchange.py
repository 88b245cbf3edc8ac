"""One exchange: a session joined to a peer, as every board, gateway and Big Peer runs it on every link.

Operations, seals and skips go to a remote that is nearer a keeper; receipts and time go to whoever lacks
them (SPEC 7.7). The shell calls receive() with what came, and outgoing() until it returns b"": after each
receive(), after each commit of the peer, and at next_wakeup().
"""

from .. import limits
from ..codec.schema import Schema
from ..codec.segment import decode_segment, segment_schemas
from ..codec.varint import read_uint
from ..errors import HedgerowError
from ..operation import SOURCE_KEEPER, SOURCE_RELAYED
from . import frames, hello
from .courier import Courier
from .session import Session

# Kinds of a credential (crypto.claims).
KEEPS = limits.const(1)
GIVES_TIME = limits.const(2)


class Exchange:
    """`central` is the side that opened the link, and the one that ends it: `linger_ms` after both sides had
    nothing more to say; with `linger_ms` None it stays open and carries what is committed meanwhile.

    `finished` says that the link can be closed, `error` why it ended early, `summary` what the other side
    said when it was last drained. `refused` maps authors of whom nothing more is taken, and names of schemas
    that could not be learnt, to the code that says why. `about` lists the authors of whom the other side is
    likely to hold anything: a small board has no room for what a gateway says of all the others. `keys` is
    Session's.
    """

    def __init__(
        self,
        peer: object,
        now: int,
        *,
        linger_ms: int | None = 0,
        central: bool = False,
        about: list | None = None,
        keys: object = None,
    ):
        self.peer = peer
        greeting = peer.hello(now, about)
        self.session = Session(greeting, now, keys or (peer.greeter and peer.greeter(now, central)))
        self.summary: list | None = None
        self.courier = Courier(peer, self.session, greeting)
        self.operations_in = 0
        self.refused: dict = {}
        self._central = central
        self._linger_ms = linger_ms
        self._up = False
        # Frames that the other side may lack: revocations, issuers, batch receipts, its grant; whether it has
        # asked.
        self._news: list = []
        self._told_words = False
        # The other side has words that it has not said to the end.
        self._owed = False
        self._stalled: set = set()
        # What it has brought: the one that comes next takes no place of these.
        self._schemas: list = []
        self._started = now
        self._asking = False
        self._ask_at = now
        self._said: list | None = None
        self._settled_at: int | None = None
        # The way down is loaded where somebody has interests.
        self._taker: object = None
        self._giver: object = None

    @property
    def remote(self) -> hello.Hello | None:
        """The other side's hello, once it has come."""
        return self.session.remote

    @property
    def error(self) -> HedgerowError | None:
        return self.session.error

    @property
    def finished(self) -> bool:
        return self.session.closed

    @property
    def bytes_in(self) -> int:
        return self.session.bytes_in

    @property
    def bytes_out(self) -> int:
        return self.session.bytes_out

    @property
    def operations_out(self) -> int:
        return self.courier.operations_out

    def told(self) -> list:
        """Return [(author, receipted, held, sealed)]: what the other side knows to be receipted of its open
        authors; and how far it holds durably what is its to carry on from here, 0 if nothing is."""
        return self.courier.told(self.settled and self._up and self.remote.role != hello.LEAF)

    @property
    def settled(self) -> bool:
        """Whether both sides have said that this is all, and what was sent is durable over there.

        The farewell of the side that hangs up may get lost with the link.
        """
        session = self.session
        said = self._said is not None and self.summary is not None
        return said and session.sent == session.acknowledged and not session.waiting()

    # ---- in

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes from the link. What they bring is durable in the log when this returns."""
        events = self.session.receive(data, now)
        try:
            try:
                for kind, value in events:
                    self._apply(kind, value, now)
            finally:
                # What came before a fault stands: it counts as held, and others are told so.
                if events:
                    self.peer.commit()
        except HedgerowError as error:
            self.session.fail(error)
            return
        self.session.grant()

    def _apply(self, kind: int, value: object, now: int) -> None:
        peer = self.peer
        if kind >= frames.STATEMENTS:
            # What is said to peers without a credential is nothing to them.
            if peer.members and self.session.keys:
                self._hear(kind, value)
        elif kind > frames.ERROR:
            self._apply_down(kind, value, now)
        elif kind == frames.SEGMENT:
            self._take(self._take_segment, value)
        elif kind == frames.SEAL or kind == frames.SKIP:
            author = value[0]
            if author not in self._stalled and author not in self.refused:
                try:
                    (peer.ingest_seal if kind == frames.SEAL else peer.ingest_skip)(*value)
                except HedgerowError as error:
                    if error.code != "SEAL_INVALID" or not self._doubts(author, value[1], now):
                        self._refuse(author, error)
        elif kind == frames.SCHEMA:
            try:
                peer.ingest_schema(value, self._schemas)
            except HedgerowError as error:
                self._refuse(Schema.decode(value).name, error)
        elif kind == frames.RECEIPT:
            peer.ingest_receipt(value, self._shows_keeper() and self.remote.author == value.keeper)
        elif kind == frames.HELLO:
            self._greet(value, now)
        elif kind == frames.HAVE:
            self.courier.take_vector(value)
        elif kind == frames.WANT_SCHEMA:
            self.courier.resend_schemas(value)
        elif kind == frames.TIME_ASK:
            self.session.queue_time(peer.utc(now), now)
        elif kind == frames.TIME:
            self._take_time(value, now)
        elif kind == frames.DRAINED:
            self.summary = value

    def _take(self, function: object, segment: bytes) -> None:
        """Take operations; what has just come from the other side needs no telling back."""
        level = self._giver.level() if self._giver is not None else []
        function(segment)
        if level:
            self._giver.skip_to_newest(level)

    def _apply_down(self, kind: int, value: object, now: int) -> None:
        if kind == frames.PICK or kind == frames.MARK or kind == frames.FRONTIER:
            if self._taker is None:
                raise HedgerowError("FRAME_UNEXPECTED", "type %d" % kind)
            if kind == frames.PICK:
                self._take(self._take_pick, value)
            elif kind == frames.MARK:
                self._taker.mark(value[0], value[1])
                if not self._taker.waiting:
                    self.courier.check_claim()
            elif self.session.trusts(KEEPS | GIVES_TIME):
                # What a peer forgets for it does not come back: the word of who only records is not enough.
                self._taker.pass_frontier(value[0], value[1], now)
            return
        if self._giver is None:
            from .giver import Giver

            self._giver = Giver(self)
        if kind == frames.WANT:
            self._giver.want(value)
        else:
            self._giver.ask(value)
            self.peer.note_interests(value, now)

    def _take_pick(self, segment: bytes) -> None:
        self.operations_in += self._taker.take(segment)

    def _greet(self, remote: hello.Hello, now: int) -> None:
        peer = self.peer
        peer.note_distance(remote.distance, now)
        if remote.role == hello.KEEPER and (not peer.members or self._shows_keeper()):
            peer.note_keeper(remote.author, remote.incarnation)
        distance = peer.distance(now)
        level = remote.distance == distance and remote.role != hello.LEAF and peer.floods()
        self._up = remote.role == hello.KEEPER or remote.distance < distance or (level and not peer.keeper)
        # Another gateway may have brought what one waits for.
        self._up = self._up or (peer.keeper and remote.role == hello.GATEWAY)
        self.courier.greet(remote)
        peer.note_keepers(remote.author, remote.keepers)
        if self._up:
            peer.seal(now)
        if peer.members and self.session.keys:
            if remote.role == hello.KEEPER:
                self.session.queue(frames.STATEMENTS, peer.members.asking(remote.incarnation))
            else:
                self._news += [(frames.BATCH, batch) for batch in peer.members.batches(remote.vector)]
                self._news += [(frames.GRANT, grant) for grant in peer.members.grants_for(remote)]
                # What is larger than its credit never comes.
                self._news = [entry for entry in self._news if len(entry[1]) + 3 < remote.credit]
            self.session.queue(frames.WORDS, peer.members.words.digest())
        if peer.role >= hello.GATEWAY:
            lost = [entry[:2] for entry in remote.vector if peer.lost(entry[0])]
            if lost:
                peer.down.want_lost(lost)
        self._say_interests(now)

    def _hear(self, kind: int, value: bytes) -> None:
        """Take what a member says of members; tell it the words that are here if it has others."""
        members = self.peer.members
        if kind == frames.STATEMENT:
            # Only a keeper is asked.
            if self._shows_keeper():
                members.take(value, self.remote.incarnation)
        elif kind == frames.WORDS:
            if self._told_words:
                self._owed = False
            elif value != members.words.digest():
                self._told_words = self._owed = True
                self._news += [(frames.WORD, word) for word in members.words.all()]
                # Once more, for that is all: who hangs up waits for it.
                self._news.append((frames.WORDS, value))
        elif kind == frames.WORD:
            members.take_word(value)
            if not members.stands(self.session.keys.claims):
                raise HedgerowError("CREDENTIAL_REVOKED", "by a word of its own session")
        elif kind == frames.GRANT:
            members.take_grant(value)
        elif kind == frames.BATCH:
            for receipt in members.take_batch(value, self.peer):
                self.peer.ingest_receipt(receipt, True)

    def _tell_news(self) -> bool:
        """Queue what members are to know as far as there is room; say whether that is all."""
        session = self.session
        while self._news and session.room() > frames.frame_size(len(self._news[0][1])):
            session.queue(*self._news.pop(0))
        return not self._news

    def _shows_keeper(self) -> bool:
        """Say whether the other side has shown by its keys that it is a keeper."""
        return self.session.keys is not None and self.session.trusts(KEEPS)

    def _say_interests(self, now: int) -> None:
        """Tell the other side what is wanted here, if that is news."""
        if self._taker is not None:
            self._taker.say(now)
        elif self.peer.wants(now, self.remote.role == hello.KEEPER):
            from .taker import Taker

            self._taker = Taker(self, now)

    def _take_segment(self, data: bytes) -> None:
        peer = self.peer
        author = data[1:9]
        first = read_uint(data, 9)[0] if len(data) > 9 else 0
        stalled = author in self._stalled
        if author in self.refused or (stalled and first > peer.log.held(author) + 1):
            return
        try:
            author, first, bodies = self.decode(data)
            self.operations_in += peer.ingest(author, first, bodies)
        except HedgerowError as error:
            if error.code != "SCHEMA_UNKNOWN" or stalled:
                self._refuse(author, error)
                return
            self._restart(author)
            return
        self._stalled.discard(author)
        self.courier.note_held(author, first + len(bodies) - 1)

    def _restart(self, author: bytes) -> None:
        """Pass over what is under way of an author until the other side starts again from what is here."""
        if len(self._stalled) >= limits.MAX_AUTHORS:
            raise HedgerowError("AUTHORS_FULL", "too many are to start again")
        self._stalled.add(author)
        self.session.queue_want_schema([])
        self.courier.tell([self.courier.entry(author)])

    def _doubts(self, author: bytes, seal: bytes, now: int) -> bool:
        """Have the operations come again that a seal does not fit; say whether there were any to give up."""
        from ..trust.verify import doubt

        if not doubt(self.peer, author, seal, now):
            return False
        self._restart(author)
        return True

    def decode(self, segment: bytes) -> tuple:
        """Return (author, first number, stored forms) of a segment.

        What another schema is meant for than the one that bears its name here is refused with its code.
        """
        schemas = self.peer.schemas
        if self.refused:
            schemas = {name: schema for name, schema in schemas.items() if name not in self.refused}
        author, first, bodies = decode_segment(segment, schemas)
        for name in segment_schemas(bodies) if self.refused else ():
            if name in self.refused:
                raise HedgerowError(self.refused[name], repr(name))
        return author, first, bodies

    def _refuse(self, author: bytes, error: HedgerowError) -> None:
        """Take nothing more of an author or schema in this session; what is no author's doing ends it."""
        if author == self.peer.author or error.code[:7] in ("SEGMENT", "VARINT_"):
            raise error
        if len(self.refused) >= limits.MAX_AUTHORS:
            raise HedgerowError("AUTHORS_FULL", "too many refused")
        self.refused[author] = error.code
        if self.courier.theirs(author)[0]:
            # What was sent of it is not here.
            self.courier.tell([self.courier.entry(author)])

    def _take_time(self, value: tuple | None, now: int) -> None:
        self._asking = False
        self._ask_at = now + limits.ASK_AGAIN_MS
        if value and self.session.trusts(GIVES_TIME):
            utc_ms, error_ms, keeper = value
            try:
                source = SOURCE_KEEPER if keeper else SOURCE_RELAYED
                self.peer.set_time(utc_ms, error_ms, source, now, bool(self.peer.members))
            except HedgerowError:
                # A full log cannot note the time. The receipts that make room come on this link.
                pass

    # ---- out

    def outgoing(self, limit: int, now: int) -> bytes:
        """Return the next bytes for the link, a record of at most `limit` bytes, or b"" for nothing now."""
        session = self.session
        if session.remote and not session.ending:
            try:
                if self._overdue(now):
                    session.close()
                elif self._fill(limit, now) and not self._asking:
                    self._settle(now)
            except HedgerowError as error:
                session.fail(error)
        return session.outgoing(limit, now)

    def _overdue(self, now: int) -> bool:
        """Say whether a link that is to be short has lasted too long; what is left goes with the next one."""
        short = self._central and self._linger_ms is not None
        return short and now - self._started >= limits.MAX_EXCHANGE_MS

    def next_wakeup(self, now: int) -> int:
        """Return the moment at which outgoing() must be called even if nothing happens before."""
        if self._giver is not None and self._giver.more:
            return now
        wakeup = self.session.next_wakeup(now)
        if self._settled_at is not None and self._linger_ms is not None:
            wakeup = min(wakeup, self._settled_at + self._lingers())
        due = self.peer.seal_due() if self._up else None
        return wakeup if due is None else min(wakeup, due)

    def _lingers(self) -> int:
        """Return how long to wait once all is said."""
        return max(self._linger_ms, limits.WORDS_MS) if self._owed else self._linger_ms

    def _fill(self, limit: int, now: int) -> bool:
        """Queue about one record of what the other side lacks, as far as it has given credit.

        Return whether that is all.
        """
        session = self.session
        peer = self.peer
        if not self._asking and now >= self._ask_at and session.remote.flags & hello.HAS_TIME:
            if peer.doubts_time(now):
                self._asking = True
                session.queue_time_ask()
        self.courier.send_receipts()
        if not self._tell_news():
            return False
        if not self._up:
            return self._give(limit, now)
        due = peer.seal_due()
        if due is not None and due <= now:
            peer.seal(now)
        complete = self.courier.push_all(limit)
        # Who hangs up soon seals what was written meanwhile, or no receipt could cover it.
        if complete and self._linger_ms is not None and peer.seal(now):
            complete = self.courier.push_all(limit)
        return complete and self._give(limit, now)

    def _give(self, limit: int, now: int) -> bool:
        """Queue what the other side's interests ask for; return whether that is all."""
        self._say_interests(now)
        giver = self._giver
        if giver is None:
            return True
        complete = giver.fill(limit)
        giver.mark(now, complete, self._linger_ms is not None)
        return complete

    def _settle(self, now: int) -> None:
        """All is said: tell the other side, and as the central end the session when it has said the same."""
        session = self.session
        if self._said is None or self._linger_ms is not None:
            # A link that stays open says it once: with many authors it is costly to make.
            summary = self.peer.summary()
            if summary != self._said:
                self._said = summary
                session.queue_drained(summary)
        if not self._central or self._linger_ms is None or self.summary is None:
            return
        if session.waiting() or session.sent != session.acknowledged or (self._taker and self._taker.waiting):
            return
        if self._settled_at is None:
            self._settled_at = now
        if now - self._settled_at >= self._lingers():
            session.close()
