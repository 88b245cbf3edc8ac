"""Open operations for gateways: what one brought, another need not ask for on the air (SPEC 7.7.1)."""

from collections.abc import Mapping, Sequence

from hedgerow.codec.segment import encode_segment, segment_schemas
from hedgerow.sync import hello
from hedgerow.sync.session import Session

from . import limits
from .down import Giver
from .intake import Intake
from .service import Service
from .store.rows import Operation


class Sharing:
    """What is open here of the authors that the other side of one session carries, if that is a gateway.

    `told` says up to which number it knows an author to be receipted, for each that it carries.
    """

    def __init__(
        self, service: Service, session: Session, intake: Intake, giver: Giver, told: Mapping[bytes, int]
    ) -> None:
        self._service = service
        self._session = session
        self._intake = intake
        self._giver = giver
        self._told = told
        # Up to where something was sent; of whom there may be more to send, oldest first.
        self._sent: dict[bytes, int] = {}
        self._due: dict[bytes, None] = {}

    def look(self, author: bytes) -> None:
        """Something may have come of an author: send it, unless the other side brought it itself."""
        remote = self._session.remote
        if remote is None or remote.role != hello.GATEWAY:
            return
        if author not in (remote.author, self._service.store.identity.author):
            if self._service.frontier(author).held > self._reach(author):
                self._due[author] = None

    def rewind(self) -> None:
        """The other side passes over what uses a schema that it lacks, until it says what it holds."""
        self._sent.clear()

    def has_work(self) -> bool:
        """Say whether fill() would do something now."""
        return bool(self._due) and self._session.room() > 0

    async def fill(self) -> None:
        """Queue the next open operations of one author, as far as the other side has given credit."""
        if not self.has_work():
            return
        author = next(iter(self._due))
        del self._due[author]
        first = self._reach(author) + 1
        last = min(self._service.frontier(author).held, first + limits.PICK_OPERATIONS - 1)
        operations, _ = await self._service.store.operations(author, first, last)
        bodies = _run(operations, first)
        if not bodies:
            # A skip stands there: that is said with the receipt that covers it.
            return
        segment = await self._service.work(encode_segment, author, first, bodies, self._service.schemas)
        if self._intake.refuses(author):
            # Who is asked for what it has itself would take that for ours.
            return
        self._giver.need_schemas(segment_schemas(bodies))
        self._session.queue_segment(segment)
        self._sent[author] = first + len(bodies) - 1
        self._service.counters.shared += len(bodies)
        self.look(author)

    def _reach(self, author: bytes) -> int:
        """Return up to which number the other side holds an author, or knows it to be receipted."""
        brought = self._intake.came.get(author, (0, 0))[1]
        said = self._intake.offered.get(author, 0)
        return max(self._told.get(author, 0), self._sent.get(author, 0), brought, said)


def _run(operations: Sequence[Operation], first: int) -> list[bytes]:
    """Return the operations that follow on each other from `first` on, as many as one segment takes."""
    bodies: list[bytes] = []
    size = 0
    for _, number, body in operations:
        if number != first + len(bodies) or (bodies and size + len(body) > limits.PICK_BYTES):
            break
        bodies.append(body)
        size += len(body)
    return bodies
