"""The side of a session that answers interests: what matches goes down, each thing once (SPEC 7.10).

It keeps no memory of whom it has answered: the position that the other side names says how far.
"""

from .. import limits
from ..codec import cbor
from ..codec.schema import CONFIDENTIAL, SCOPE_ALL, scope_of
from ..codec.segment import encode_segment, segment_schemas
from ..custody.skip import RECEIPTED, Skip
from ..document import document_ids
from ..log import ENTRY_SKIP
from ..operation import CLOCK, DELETE, decode_body
from . import frames
from .interest import write_marks

_READ_BYTES = limits.const(1024)
_REMEMBERED = limits.const(31)
# How often the log is read in one call: a condition that nothing fulfils must not hold up the link.
_READS = limits.const(8)


class _Asked:
    """One interest of the other side: its condition, and how far it is answered and said to be."""

    def __init__(self, interest: object):
        self.collection = interest.collection
        self.condition: object = None
        if interest.where:
            from ..query.condition import Condition

            self.condition = Condition(interest.where, interest.parameters)
        self.position = self.said = interest.position

    def wants(self, documents: object, document_id: object, history: list, without: object) -> bool:
        """Say whether a document has ever fulfilled the condition, or was deleted.

        `history` is its changes in the order of merging, of which those of the dots `without` do not count.
        Whoever has seen it fulfil the condition has to learn that it does so no more.
        """
        kept = [entry for entry in history if entry[:2] not in without]
        for count in range(1, len(kept) + 1):
            if kept[count - 1][3][0] == DELETE:
                return True
            document = documents.replay(document_id, kept[:count])
            if document is not None and self.condition.holds(document):
                return True
        return False


class Giver:
    """Answers the interests of one session; `exchange` is its owner."""

    def __init__(self, exchange: object):
        self._exchange = exchange
        self._peer = exchange.peer
        self._log = exchange.peer.log
        self._asked: list = []
        self._serial = 0
        self._owed = False
        # Who begins anew may have lost what it wrote itself.
        self._anew = False
        self._wants: list = []
        self._said_at: int | None = None
        # Whether fill() has stopped before its time was over, and goes on when it is called again.
        self.more = False
        self._picked = 0
        # Dots sent in this session, as far as they are remembered: one document may be met twice.
        self._sent: list = []

    def ask(self, interests: list) -> None:
        """Take the interests of the other side in the place of those before."""
        self._serial += 1
        self._owed = True
        self._asked = [_Asked(interest) for interest in interests]
        newest = self._log.position()
        collected = self._peer.down.collected
        below = b"\0"
        for asked in self._asked:
            if asked.position < collected or asked.position > newest:
                # What it has not been told of may be gone here without a trace: it has to begin anew.
                asked.position = asked.said = 0
                below = b"\1"
            self._anew = self._anew or not asked.position
        if self._peer.keeper and self._asked:
            self._note_taker(min([asked.position for asked in self._asked]))
        frontier = self._peer.down.frontier
        # Who does not know of all deletes below its frontier says nothing of it, and is not trusted below it.
        if frontier is not None and self._asked and self._vouches():
            self._exchange.session.queue(frames.FRONTIER, below + frontier.encode())

    def _vouches(self) -> bool:
        """Say whether what is here of all that is asked for lies under every delete below our frontier."""
        subscriptions = self._peer.down.subscriptions
        return self._peer.keeper or not [1 for a in self._asked if not subscriptions.vouches(a.collection)]

    def _note_taker(self, position: int) -> None:
        """As a keeper, learn how far a peer has been told, once we hold what it wrote before it was."""
        remote = self._exchange.remote
        wrote = [entry[1] for entry in remote.vector if entry[0] == remote.author]
        stability = self._peer.down.stability
        if self._serial > 1 or (wrote and self._log.held(remote.author) < wrote[0]):
            position = min(position, stability.positions.get(remote.author, 0))
        stability.note(remote.author, position)

    def want(self, ranges: list) -> None:
        """Take holes that the other side asks for."""
        self._serial += 1
        self._owed = True
        self._wants = (self._wants + ranges)[: limits.MAX_WANTS]

    def level(self) -> list:
        """Return the interests that need not be told of what comes next from the other side itself.

        They are answered up to the newest arrival, and have no condition: what comes may make a document
        fulfil one, of which the other side has no more than that.
        """
        newest = self._log.position()
        return [asked for asked in self._asked if asked.condition is None and asked.position == newest]

    def skip_to_newest(self, level: list) -> None:
        """Count as answered what has just come from the other side itself."""
        for asked in level:
            asked.position = self._log.position()

    # ---- out

    def fill(self, limit: int) -> bool:
        """Queue about a record of what the other side lacks; say whether that is all."""
        session = self._exchange.session
        self.more = False
        reads = _READS
        while self._wants:
            if session.waiting() >= limit or session.room() <= 0:
                return False
            self._answer(*self._wants.pop(0))
        for asked in self._asked:
            while asked.position < self._log.position():
                if session.waiting() >= limit or session.room() <= 0:
                    return False
                if not reads:
                    self.more = True
                    return False
                reads -= 1
                self._go_on(asked)
        return True

    def mark(self, now: int, complete: bool, last: bool) -> None:
        """Say how far all is answered: once for each question, then with what was sent, or once in a while.

        `complete` says that all is said, `last` that the link ends then. What a link brought that breaks
        before need not come again.
        """
        if self._said_at is None:
            self._said_at = now
        positions = [asked.position for asked in self._asked]
        moved = positions != [asked.said for asked in self._asked]
        due = moved and now - self._said_at >= limits.MARK_EVERY_MS
        if due or (complete and (self._owed or (moved and (last or self._picked)))):
            self._owed = self._owed and not complete
            self._said_at = now
            self._picked = 0
            for asked in self._asked:
                asked.said = asked.position
            self._exchange.session.queue(frames.MARK, write_marks(self._serial, positions))

    def _go_on(self, asked: _Asked) -> None:
        """Look at the next arrivals, and queue what an interest asks for."""
        entries = self._log.since(asked.position, _READ_BYTES)
        if not entries:
            asked.position = self._log.position()
            return
        batch = [entry[1:3] for entry in entries]
        chosen: list = []
        met: list = []
        for _, author, number, body in entries:
            for document_id in self._touched(asked.collection, author, number, body):
                encoded = cbor.encode(document_id)
                if encoded not in met:
                    met.append(encoded)
                    chosen += self._of_document(asked, document_id, batch)
        asked.position = entries[-1][0]
        self._send(chosen)

    def _touched(self, collection: str, author: bytes, number: int, body: bytes) -> list:
        """Return the ids of the documents of a collection that an operation changes, if it may leave."""
        touched: list = []
        changes = decode_body(body)[1]
        for change, document_id in zip(changes, document_ids(author, number, changes)):
            if change[0] != CLOCK:
                schema = self._peer.schemas[change[1]]
                if schema.collection == collection and scope_of(schema.kind) == SCOPE_ALL:
                    touched.append(document_id)
        return touched

    def _of_document(self, asked: _Asked, document_id: object, batch: list) -> list:
        """Return the dots to send of a document that changed: what came just now, or all if it was not wanted
        before.
        """
        documents = self._peer.down.documents
        history = documents.history(asked.collection, document_id)
        dots: list = []
        for entry in history:
            if entry[:2] not in dots:
                dots.append(entry[:2])
        new = [dot for dot in dots if dot in batch]
        if [1 for dot in new if self._below(dot)] and [1 for entry in history if entry[3][0] == DELETE]:
            # Who has collected the document already must not get it back without its delete.
            return dots
        if [1 for entry in history if entry[4].kind & CONFIDENTIAL]:
            # Which of these go must not tell what they say; what came before in the clear may not have gone.
            return dots if [1 for entry in history if not entry[4].kind & CONFIDENTIAL] else new
        if asked.condition is None or asked.wants(documents, document_id, history, batch):
            return new
        if asked.wants(documents, document_id, history, ()):
            return dots
        # Who was told of more than is left here may have seen the document fulfil the condition.
        unsure = asked.position < self._peer.down.thinned or documents.pruned(asked.collection, document_id)
        return new if asked.position and unsure else []

    def _below(self, dot: tuple) -> bool:
        """Say whether an operation may have been collected by others."""
        frontier = self._peer.down.frontier
        return frontier is not None and frontier.covers(dot[0], dot[1])

    def _answer(self, author: bytes, first: int, last: int) -> None:
        """Send what is held of a range that the other side wants, and the skips that stand there."""
        if self._peer.writer_of(author):
            return
        dots = []
        for number in range(first, last + 1):
            body = self._log.fetch(author, number)
            if body is not None and self._peer.down.scope_of(body) == SCOPE_ALL:
                dots.append((author, number))
        self._send(dots, True)
        if dots and dots[-1][1] == last:
            return
        for kind, low, high, body in self._log.read(author, first - 1, limits.MAX_NUMBER, _READ_BYTES):
            if kind == ENTRY_SKIP and low <= last and high >= first and Skip.decode(body).kind != RECEIPTED:
                self._exchange.session.queue_skip(author, body)

    def _send(self, dots: list, wanted: bool = False) -> None:
        """Queue operations, consecutive ones together; `wanted` ones whatever is known of the other side."""
        run: list = []
        start = None
        remote = self._exchange.remote.author
        for author, number in dots:
            if not wanted and (
                (author == remote and not self._anew and not self._below((author, number)))
                or (author, number) in self._sent
                or self._exchange.courier.knows(author, number)
            ):
                continue
            self._sent = self._sent[-_REMEMBERED:] + [(author, number)]
            body = self._log.fetch(author, number)
            if body is None or self._peer.down.scope_of(body) != SCOPE_ALL:
                continue
            size = sum([len(entry) for entry in run])
            if start and (start[0] != author or start[1] + len(run) != number or size > _READ_BYTES):
                self._send_run(start, run)
                run = []
            if not run:
                start = (author, number)
            run.append(body)
        if run:
            self._send_run(start, run)

    def _send_run(self, start: tuple, bodies: list) -> None:
        exchange = self._exchange
        exchange.courier.queue_schemas(segment_schemas(bodies))
        segment = encode_segment(start[0], start[1], bodies, self._peer.schemas)
        exchange.session.queue(frames.PICK, segment)
        exchange.courier.operations_out += len(bodies)
        self._picked += len(bodies)
