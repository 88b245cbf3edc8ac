"""What goes down one session: operations that its interests ask for, marks, holes, the frontier (SPEC 10.13).

Nothing is remembered of whom it was sent to but the position that the other side names. A slice is read and
judged in threads: the loop has a turn after each.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence

from hedgerow.codec import cbor
from hedgerow.codec.schema import SCOPE_ALL
from hedgerow.codec.segment import encode_segment, segment_schemas
from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.document import Document
from hedgerow.limits import MARK_EVERY_MS, MAX_WANT_NUMBERS, MAX_WANTS
from hedgerow.operation import DELETE, HIDDEN, decode_body, scope_of_changes
from hedgerow.query.condition import Condition
from hedgerow.sync import frames
from hedgerow.sync.hello import Hello
from hedgerow.sync.interest import Interest, write_marks
from hedgerow.sync.session import Session

from . import limits
from .service import Service
from .store.merge import steps_of
from .store.rows import Arrival, Lost, Operation
from .view import seen

Dot = tuple[bytes, int]


def wanted(
    lost: Iterable[Lost], vector: Iterable[tuple[bytes, int, int, int]]
) -> list[tuple[bytes, int, int]]:
    """Return the ranges to ask for of what is lost, as many as one WANT takes.

    Whoever holds an author up to a number is asked for what is lost below that, the newest first; anybody
    else may have some of it beside the run.
    """
    held = {entry[0]: entry[1] for entry in vector}
    ranges: list[tuple[bytes, int, int]] = []
    for row in sorted(lost, key=lambda row: row.author not in held):
        last = min(row.last, held.get(row.author, row.first + MAX_WANT_NUMBERS - 1))
        while row.first <= last and len(ranges) < MAX_WANTS:
            first = max(row.first, last - MAX_WANT_NUMBERS + 1)
            ranges.append((row.author, first, last))
            last = first - 1
    return ranges


class _Asked:
    """One interest: what arrived up to `done` and matches has been queued; `after` is where to read on."""

    def __init__(self, interest: Interest) -> None:
        self.collection: str = interest.collection
        self.condition = Condition(interest.where, dict(interest.parameters)) if interest.where else None
        self.done: int = interest.position
        self.anew = not self.done
        self.after = _start(self.done)

    def reach(self, transaction: int) -> None:
        """Be answered up to a transaction."""
        self.done = transaction
        self.after = _start(transaction)

    def restart(self) -> None:
        """Begin anew."""
        self.done = 0
        self.anew = True
        self.after = _start(0)


class Giver:
    """Answers the interests and wants of one session.

    `came` maps authors to the (first, last) number that the other side has brought in it.
    """

    def __init__(self, service: Service, session: Session, came: Mapping[bytes, tuple[int, int]]) -> None:
        self._service = service
        self._session = session
        self._came = came
        self._peer = b""
        self._asked: list[_Asked] = []
        self._serial = 0
        self._owed = False
        self._said: list[int] = []
        self._said_at = 0
        self._picked = False
        self._wants: list[tuple[bytes, int, int]] = []
        # Chosen, but not made into frames: the other side has to give credit first.
        self._pending: deque[Operation] = deque()
        self._sent: OrderedDict[Dot, None] = OrderedDict()
        self._schemas: set[bytes] = set()
        self._frontier = 0

    def greet(self, remote: Hello) -> None:
        """Learn which schemas the other side has."""
        self._schemas.update(remote.schemas)

    async def ask(self, peer: bytes, interests: Sequence[Interest]) -> None:
        """Take the interests of the other side in the place of those before, and enrol it."""
        service = self._service
        self._serial += 1
        self._owed = True
        self._peer = peer
        # Who asks anew may have dropped what it was sent before.
        self._sent.clear()
        self._pending.clear()
        self._asked = [_Asked(interest) for interest in interests]
        self._said = [asked.done for asked in self._asked]
        # What the frontier was before this peer counts: it may have been retired.
        stable = await service.refresh_frontier()
        below = False
        for asked in self._asked:
            if asked.done > service.transaction:
                asked.restart()
            if asked.done < stable.collected:
                below = True
                asked.restart()
        position = min([asked.done for asked in self._asked], default=service.transaction)
        await service.store.confirm(peer, position, service.clock.utc())
        if self._asked:
            self._send_frontier(below=below)

    def want(self, ranges: Sequence[tuple[bytes, int, int]]) -> None:
        """Take holes that the other side asks for."""
        self._serial += 1
        self._owed = True
        self._wants = [*self._wants, *ranges][: limits.WANTS]

    def forget_schemas(self) -> None:
        """The other side takes back which schemas it has."""
        self._schemas.clear()

    def need_schemas(self, names: Iterable[bytes]) -> None:
        """Send schemas that the other side does not have yet."""
        self.send_schemas([name for name in names if name not in self._schemas])

    def send_schemas(self, names: Iterable[bytes]) -> None:
        """Send schemas by name, those that are known here."""
        for name in names:
            schema = self._service.schemas.get(name)
            if schema is not None:
                self._schemas.add(name)
                self._session.queue_schema(schema.encoded)

    def has_work(self) -> bool:
        """Say whether fill() would do something now."""
        more = self._pending or self._wants or any(self._is_behind(asked) for asked in self._asked)
        return bool(more) and self._session.room() > 0

    def _is_behind(self, asked: _Asked) -> bool:
        return asked.done < self._service.touched(asked.collection)

    def wakes(self, now: int) -> int | None:
        """Return the moment at which a mark is due, None for no such moment."""
        if self._asked and [asked.done for asked in self._asked] != self._said:
            due: int = self._said_at + MARK_EVERY_MS
            return max(now, due)
        return None

    async def fill(self) -> None:
        """Queue about one slice of what the other side lacks, as far as it has given credit."""
        if self._asked and self._service.frontier_said.position > self._frontier:
            self._send_frontier(below=False)
        behind = [asked for asked in self._asked if self._is_behind(asked)]
        if not self._pending and self._session.room() > 0:
            if self._wants:
                await self._answer(*self._wants.pop(0))
            elif behind:
                await self._go_on(behind[0])
        if self._pending and self._session.room() > 0:
            await self._send()
        for asked in self._asked:
            if not self._is_behind(asked):
                asked.reach(self._service.transaction)
        self._mark()

    # ---- interests

    async def _go_on(self, asked: _Asked) -> None:
        """Judge the next documents that were touched, and queue the operations that match."""
        service = self._service
        size = limits.DOWN_DOCUMENTS
        rows, newest = await service.store.touched(asked.collection, asked.after, size)
        ids = list(dict.fromkeys([row.id for row in rows]))
        histories = await service.store.operations_of(asked.collection, ids)
        chosen = await service.work(self._choose, asked, list(zip(ids, histories, strict=True)))
        self._take([Operation(*arrival[:3]) for arrival in chosen])
        if len(rows) < size:
            asked.reach(newest)
        else:
            # Another document may have been touched in the same transaction.
            asked.done = max(asked.done, rows[-1].transaction - 1)
            asked.after = (rows[-1].transaction, rows[-1].id)

    def _choose(self, asked: _Asked, documents: list[tuple[bytes, Sequence[Arrival]]]) -> list[Arrival]:
        """Return the operations to send, in the order of their arrival; runs in a thread."""
        chosen: dict[Dot, Arrival] = {}
        for key, history in documents:
            new = [arrival for arrival in history if arrival.transaction > asked.done]
            old = [arrival for arrival in history if arrival.transaction <= asked.done]
            if asked.condition is not None and not self._wanted(asked, key, old):
                new = list(history) if self._wanted(asked, key, history) else []
            chosen.update({arrival[:2]: arrival for arrival in new if self._may_lack(asked, arrival)})
        return sorted(chosen.values(), key=lambda arrival: (arrival.transaction, arrival[:2]))

    def _wanted(self, asked: _Asked, key: bytes, history: Sequence[Arrival]) -> bool:
        """Say whether some first changes of a document, in the order of their keys, fulfil the condition, or
        one of them deletes it: whoever has seen it fulfil the condition may have seen no more than them.

        What is confidential is no matter of conditions, whose answers would tell it: also who has a right to
        it asks for others, and passes on what comes. Whoever can read it judges for itself.
        """
        steps = steps_of(history, asked.collection, key, self._service.schemas, None)
        if any(step.change[0] in (DELETE, HIDDEN) for step in steps):
            return True
        whole = Document()
        for step in steps:
            whole.apply(step.change, step.schema, step.stamp, step.author)
        if self._matches(asked, key, whole):
            return True
        document = Document()
        for step in steps[:-1]:
            document.apply(step.change, step.schema, step.stamp, step.author)
            if self._matches(asked, key, document):
                return True
        return False

    def _matches(self, asked: _Asked, key: bytes, document: Document) -> bool:
        value = document.value()
        assert asked.condition is not None
        return value is not None and asked.condition.holds(seen(cbor.decode(key), value, None))

    def _may_lack(self, asked: _Asked, arrival: Arrival) -> bool:
        """Say whether the other side may lack an operation: it wrote it itself, or it brought it just now."""
        author, number = arrival[:2]
        first, last = self._came.get(author, (1, 0))
        return asked.anew or not (author == self._peer or first <= number <= last)

    # ---- wants

    async def _answer(self, author: bytes, first: int, last: int) -> None:
        """Send what is held of a range, and the skips that stand there."""
        operations, skips = await self._service.store.operations(author, first, last)
        for dot in [(entry.author, entry.number) for entry in operations]:
            self._sent.pop(dot, None)
        self._take(operations)
        for skip in skips:
            if Skip.decode(skip.body).kind != RECEIPTED:
                self._session.queue_skip(author, skip.body)

    # ---- frames

    def _take(self, operations: Iterable[Operation]) -> None:
        """Note what is to be sent, unless it was in this session, as far as that is remembered."""
        for entry in operations:
            if entry[:2] not in self._sent:
                self._sent[entry[:2]] = None
                self._pending.append(entry)
        while len(self._sent) > limits.SENT_DOTS:
            self._sent.popitem(last=False)

    async def _send(self) -> None:
        """Queue about a slice of what is pending."""
        size = 0
        operations: list[Operation] = []
        while self._pending and size < limits.DOWN_BYTES:
            operations.append(self._pending.popleft())
            size += len(operations[-1].body)
        for schemas, segment, count in await self._service.work(self._pack, operations):
            self.need_schemas(schemas)
            self._session.queue(frames.PICK, segment)
            self._picked = True
            self._service.counters.picked += count

    def _pack(self, operations: Sequence[Operation]) -> list[tuple[list[bytes], bytes, int]]:
        """Return what may leave as segments with their schemas; runs in a thread."""
        schemas = self._service.schemas
        runs: list[list[Operation]] = []
        size = 0
        for author, number, body in operations:
            if scope_of_changes(decode_body(body)[1], schemas) != SCOPE_ALL:
                continue
            follows = bool(runs) and runs[-1][-1][:2] == (author, number - 1)
            if not follows or size + len(body) > limits.PICK_BYTES or len(runs[-1]) >= limits.PICK_OPERATIONS:
                runs.append([])
                size = 0
            runs[-1].append(Operation(author, number, body))
            size += len(body)
        packed = []
        for run in runs:
            bodies = [entry.body for entry in run]
            segment = encode_segment(run[0].author, run[0].number, bodies, schemas)
            packed.append((segment_schemas(bodies), segment, len(bodies)))
        return packed

    def _mark(self) -> None:
        """Say how far the interests are answered: when all is said, or once in a while."""
        if self._pending:
            return
        newest = self._service.transaction
        positions = [asked.done for asked in self._asked]
        now = self._service.clock.uptime()
        level = not self._wants and min(positions, default=newest) >= newest
        due = positions != self._said and now - self._said_at >= MARK_EVERY_MS
        if (level and (self._owed or self._picked)) or due:
            self._session.queue(frames.MARK, write_marks(self._serial, positions))
            self._said = positions
            self._said_at = now
            self._owed = self._owed and not level
            self._picked = False

    def _send_frontier(self, *, below: bool) -> None:
        frontier = self._service.frontier_said
        if frontier.position:
            self._frontier = frontier.position
            self._session.queue(frames.FRONTIER, bytes([below]) + frontier.encode())


def _start(position: int) -> tuple[int, bytes]:
    """Return where the transactions after a position begin."""
    return position + 1, b""
