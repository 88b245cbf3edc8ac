"""One exchange: a session joined to a peer, as every board, gateway and Big Peer runs it on every link.

Operations, seals and skips go to a remote that is nearer a keeper; receipts and time go to whoever lacks
them (SPEC 7.7). The shell calls receive() with what came, and outgoing() until it returns b"": after each
receive(), after each commit of the peer, and at next_wakeup().
"""

from .. import limits
from ..codec.schema import Schema
from ..codec.segment import decode_segment, encode_segment, segment_schemas
from ..codec.varint import read_uint
from ..custody.skip import RECEIPTED, Skip
from ..errors import HedgerowError
from ..log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP
from ..operation import SOURCE_KEEPER, SOURCE_RELAYED
from . import frames, hello
from .session import Session

# Stored forms read from the log for one segment: few enough for a board's heap.
READ_BYTES = 2048

_HELD = 0
_SEALED = 1
_RECEIPTED = 2


class Exchange:
    """`central` is the side that opened the link, and the one that ends it: `linger_ms` after both sides had
    nothing more to say; with `linger_ms` None it stays open and carries what is committed meanwhile.

    `finished` says that the link can be closed, `error` why it ended early, `summary` what the other side
    said when it was last drained. `refused` maps authors of whom nothing more is taken, and names of schemas
    that could not be learnt, to the code that says why. `about` lists the authors of whom the other side is
    likely to hold anything: a small board has no room for what a gateway says of all the others.
    """

    def __init__(
        self,
        peer: object,
        now: int,
        *,
        linger_ms: int | None = 0,
        central: bool = False,
        about: list | None = None,
    ):
        self.peer = peer
        greeting = peer.hello(now, about)
        self.session = Session(greeting, now)
        self.summary: list | None = None
        self.operations_in = 0
        self.operations_out = 0
        self.refused: dict = {}
        self._central = central
        self._linger_ms = linger_ms
        self._up = False
        self._partial = bool(greeting.flags & hello.PARTIAL)
        self._theirs: dict = {}
        self._told: set = {entry[0] for entry in greeting.vector}
        # Authors that we do not hold, noted for the other side: as many as a peer of our size has room for.
        self._most = limits.MAX_AUTHORS + greeting.credit // 4
        self._known: set = set()
        self._stalled: set = set()
        self._blocked: set = set()
        self._asked: set = set()
        self._rewind = False
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

    def told(self) -> list:
        """Return [(author, receipted)]: what the other side knows to be receipted of its open authors."""
        return [(author, entry[_RECEIPTED]) for author, entry in self._theirs.items() if entry[_HELD]]

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
        if kind > frames.ERROR:
            self._apply_down(kind, value, now)
        elif kind == frames.SEGMENT:
            self._take(self._take_segment, value)
        elif kind == frames.SEAL or kind == frames.SKIP:
            author = value[0]
            if author not in self._stalled and author not in self.refused:
                try:
                    (peer.ingest_seal if kind == frames.SEAL else peer.ingest_skip)(*value)
                except HedgerowError as error:
                    self._refuse(author, error)
        elif kind == frames.SCHEMA:
            try:
                peer.ingest_schema(value)
            except HedgerowError as error:
                self._refuse(Schema.decode(value).name, error)
        elif kind == frames.RECEIPT:
            peer.ingest_receipt(value)
        elif kind == frames.HELLO:
            self._greet(value, now)
        elif kind == frames.HAVE:
            self._take_vector(value)
        elif kind == frames.WANT_SCHEMA:
            self._resend_schemas(value)
        elif kind == frames.TIME_ASK:
            self.session.queue_time(peer.utc(now), now)
        elif kind == frames.TIME:
            self._take_time(value, now)
        elif kind == frames.DRAINED:
            self.summary = value

    def _take(self, function: object, segment: bytes) -> None:
        """Take operations; what has just come from the other side needs no telling back."""
        level = self._giver is not None and self._giver.level()
        function(segment)
        if level:
            self._giver.skip_to_newest()

    def _apply_down(self, kind: int, value: object, now: int) -> None:
        if kind == frames.PICK or kind == frames.MARK or kind == frames.FRONTIER:
            if self._taker is None:
                raise HedgerowError("FRAME_UNEXPECTED", "type %d" % kind)
            if kind == frames.PICK:
                self._take(self._take_pick, value)
            elif kind == frames.MARK:
                self._taker.mark(value[0], value[1])
            else:
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
        if remote.role == hello.KEEPER:
            peer.note_keeper(remote.author, remote.incarnation)
        distance = peer.distance(now)
        level = remote.distance == distance and remote.role != hello.LEAF and peer.floods()
        self._up = remote.role == hello.KEEPER or remote.distance < distance or (level and not peer.keeper)
        self._known = set(remote.schemas)
        self._take_vector(remote.vector)
        peer.note_keepers(remote.author, remote.keepers)
        if self._up:
            peer.seal(now)
        if peer.role >= hello.GATEWAY:
            peer.down.want_lost([entry[0] for entry in remote.vector])
        self._say_interests(now)

    def _say_interests(self, now: int) -> None:
        """Tell the other side what is wanted here, if that is news."""
        if self._taker is not None:
            self._taker.say(now)
        elif self.peer.wants(now):
            from .taker import Taker

            self._taker = Taker(self, now)

    def _take_vector(self, entries: list) -> None:
        """Note what the other side holds; that is less than before only after it took back its schemas."""
        peer = self.peer
        answer: list = []
        rewind = self._rewind
        self._rewind = False
        for author, held, sealed, receipted in entries:
            if author == peer.author and held > peer.log.held(author):
                raise HedgerowError("SYNC_OWN_AUTHOR", "%d held elsewhere" % held)
            entry = [held, sealed, receipted]
            if author in self._theirs and not rewind:
                entry = [max(pair) for pair in zip(entry, self._theirs[author])]
            self._theirs[author] = entry
            self._blocked.discard(author)
            if self._partial and author not in self._told:
                answer.append(self._entry(author))
        if len(self._theirs) > self._most + len(peer.log.authors()):
            raise HedgerowError("AUTHORS_FULL", "%d spoken of" % len(self._theirs))
        self._tell(answer)

    def _tell(self, entries: list) -> None:
        if entries:
            self._told.update([entry[0] for entry in entries])
            self.session.queue_have(entries)

    def _entry(self, author: bytes) -> tuple:
        peer = self.peer
        return (author, peer.log.held(author), peer.log.sealed(author), peer.receipted(author))

    def _take_segment(self, data: bytes) -> None:
        peer = self.peer
        author = data[1:9]
        first = read_uint(data, 9)[0] if len(data) > 9 else 0
        stalled = author in self._stalled
        if author in self.refused or (stalled and first > peer.log.held(author) + 1):
            return
        schemas = peer.schemas
        if self.refused:
            schemas = {name: schema for name, schema in schemas.items() if name not in self.refused}
        try:
            author, first, bodies = decode_segment(data, schemas)
            self.operations_in += peer.ingest(author, first, bodies)
        except HedgerowError as error:
            if error.code != "SCHEMA_UNKNOWN" or stalled:
                self._refuse(author, error)
                return
            # What is under way behind it is passed over until the other side starts again from here.
            self._stalled.add(author)
            self.session.queue_want_schema([])
            self._tell([self._entry(author)])
            return
        self._stalled.discard(author)
        if author not in self._theirs:
            self._theirs[author] = [0, 0, 0]
        entry = self._theirs[author]
        entry[_HELD] = max(entry[_HELD], first + len(bodies) - 1)

    def _refuse(self, author: bytes, error: HedgerowError) -> None:
        """Take nothing more of an author or schema in this session; what is no author's doing ends it."""
        if author == self.peer.author or error.code[:7] in ("SEGMENT", "VARINT_"):
            raise error
        if len(self.refused) >= limits.MAX_AUTHORS:
            raise HedgerowError("AUTHORS_FULL", "too many refused")
        self.refused[author] = error.code

    def _resend_schemas(self, names: list) -> None:
        """Send schemas that the other side lacks; no names: it takes back what its hello said it knows."""
        if not names:
            self._known = set()
            self._rewind = True
        for name in names:
            if name in self.peer.schemas:
                self.session.queue_schema(self.peer.schemas[name].encoded)

    def _take_time(self, value: tuple | None, now: int) -> None:
        self._asking = False
        self._ask_at = now + limits.ASK_AGAIN_MS
        if value:
            utc_ms, error_ms, keeper = value
            try:
                self.peer.set_time(utc_ms, error_ms, SOURCE_KEEPER if keeper else SOURCE_RELAYED, now)
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
        wakeup = self.session.next_wakeup(now)
        if self._settled_at is not None and self._linger_ms is not None:
            wakeup = min(wakeup, self._settled_at + self._linger_ms)
        due = self.peer.seal_due() if self._up else None
        return wakeup if due is None else min(wakeup, due)

    def _fill(self, limit: int, now: int) -> bool:
        """Queue about one record of what the other side lacks, as far as it has given credit.

        Return whether that is all.
        """
        session = self.session
        peer = self.peer
        if not self._asking and now >= self._ask_at and session.remote.flags & hello.HAS_TIME:
            if peer.wants_time(now):
                self._asking = True
                session.queue_time_ask()
        for author, entry in self._theirs.items():
            self._send_receipt(author, entry)
        if not self._up:
            return self._give(limit, now)
        due = peer.seal_due()
        if due is not None and due <= now:
            peer.seal(now)
        complete = self._push_all(limit)
        # Who hangs up soon seals what was written meanwhile, or no receipt could cover it.
        if complete and self._linger_ms is not None and peer.seal(now):
            complete = self._push_all(limit)
        return complete and self._give(limit, now)

    def _give(self, limit: int, now: int) -> bool:
        """Queue what the other side's interests ask for; return whether that is all."""
        self._say_interests(now)
        giver = self._giver
        if giver is None:
            return True
        if not giver.fill(limit):
            return False
        giver.mark(now, self._linger_ms is not None)
        return True

    def _push_all(self, limit: int) -> bool:
        session = self.session
        for author in self.peer.authors():
            while self._lacks(author):
                if session.waiting() >= limit or session.room() <= 0:
                    return False
                self._push(author)
        return True

    def _send_receipt(self, author: bytes, entry: list) -> None:
        """Send a receipt that the other side lacks; to a relay it stands for the operations below it."""
        if self.session.remote.role == hello.KEEPER:
            return
        number = self.peer.receipted(author)
        if number > entry[_RECEIPTED]:
            for receipt in self.peer.receipts(author):
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
            if self.session.remote.flags & hello.PARTIAL:
                if author not in self._asked:
                    self._asked.add(author)
                    self._tell([self._entry(author)])
                return False
            if log.held(author) <= self.peer.receipted(author) and self.session.remote.role != hello.KEEPER:
                return False
            entry = self._theirs[author] = [0, 0, 0]
            self._send_receipt(author, entry)
        more = log.held(author) > entry[_HELD] or log.sealed(author) > entry[_SEALED]
        return more and author not in self._blocked

    def _push(self, author: bytes) -> None:
        """Queue the next of an author's entries that the other side lacks."""
        entry = self._theirs[author]
        entries = self.peer.log.read(author, entry[_HELD], entry[_SEALED], READ_BYTES)
        at = 0
        while at < len(entries):
            kind, first, last, body = entries[at]
            at += 1
            if kind == ENTRY_SEAL:
                self.session.queue_seal(author, body)
                entry[_SEALED] = last
                continue
            if first > entry[_HELD] + 1 or (kind == ENTRY_SKIP and Skip.decode(body).kind == RECEIPTED):
                if author == self.peer.author and first > entry[_HELD] + 1:
                    # It was receipted and left our log, and its keeper was put back to before that.
                    self.session.queue_skip(author, self.peer.lost_skip(entry[_HELD] + 1, first - 1))
                    entry[_HELD] = first - 1
                    return
                break
            if kind == ENTRY_SKIP:
                self.session.queue_skip(author, body)
            else:
                run = [body]
                while at < len(entries) and entries[at][0] == ENTRY_OP:
                    run.append(entries[at][3])
                    at += 1
                last = first + len(run) - 1
                self._send_run(author, first, run)
            entry[_HELD] = last
        else:
            if entries:
                return
        # What follows was evicted here, or lies with a keeper: it is another peer's to send.
        self._blocked.add(author)

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
        return entry is not None and entry[_RECEIPTED] < number <= entry[_HELD]

    def _settle(self, now: int) -> None:
        """All is said: tell the other side, and as the central end the session when it has said the same."""
        session = self.session
        summary = self.peer.summary()
        if self._said is None or (self._linger_ms is not None and summary != self._said):
            self._said = summary
            session.queue_drained(summary)
        if not self._central or self._linger_ms is None or self.summary is None:
            return
        if session.waiting() or session.sent != session.acknowledged or (self._taker and self._taker.waiting):
            return
        if self._settled_at is None:
            self._settled_at = now
        if now - self._settled_at >= self._linger_ms:
            session.close()
