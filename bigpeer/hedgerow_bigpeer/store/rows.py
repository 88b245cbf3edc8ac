"""What goes into a Store and what comes out of it, row by row."""

from collections.abc import Sequence
from typing import NamedTuple

from hedgerow.errors import HedgerowError


class Identity(NamedTuple):
    """Who this store is.

    `keeper` (8 bytes) is the name on its receipts for ever, and `incarnation` rises when the store is found
    copied or put back; `author` (8 bytes) writes its own operations and `epoch` (16 bytes) names it in change
    feeds: both are new then. `boot` counts how often it was opened.
    """

    keeper: bytes
    author: bytes
    incarnation: int
    epoch: bytes
    boot: int


class Operation(NamedTuple):
    """One operation in its stored form."""

    author: bytes
    number: int
    body: bytes


class SealEntry(NamedTuple):
    """An author's seal."""

    author: bytes
    body: bytes


class SkipEntry(NamedTuple):
    """A skip in the place of operations of an author."""

    author: bytes
    body: bytes


class SchemaEntry(NamedTuple):
    """A schema in its encoded form."""

    encoded: bytes


class NameEntry(NamedTuple):
    """What an author calls itself."""

    author: bytes
    name: str


class JudgeEntry(NamedTuple):
    """That other rules hold for what an author wrote."""

    author: bytes


class CutEntry(NamedTuple):
    """That an author has sealed operations with these H16 (16 bytes each), the first under number `first`:
    where others are held that no seal covers, they and what follows go.
    """

    author: bytes
    first: int
    marks: tuple[bytes, ...]


class AnswerEntry(NamedTuple):
    """What is answered to a caller's request of this key. Refused if it has an answer [REQUEST_REPEATED]."""

    caller: str
    key: str
    fingerprint: bytes
    answer: bytes


class KeptAnswer(NamedTuple):
    """An answer that was kept, and the transaction that did what was asked."""

    fingerprint: bytes
    answer: bytes
    transaction: int


class Refused(NamedTuple):
    """That something of an operation does not count, and why: a code."""

    author: bytes
    number: int
    code: str


class ExpiredEntry(NamedTuple):
    """That readings of a collection have expired since the last one."""

    collection: str


class AbsentEntry(NamedTuple):
    """That a document of the next operation does not exist. Refused if it does [QUERY_CONFLICT]: another node
    may have been first.
    """

    collection: str
    id: bytes


Entry = (
    Operation
    | SealEntry
    | SkipEntry
    | SchemaEntry
    | NameEntry
    | JudgeEntry
    | CutEntry
    | AnswerEntry
    | ExpiredEntry
    | AbsentEntry
)


class Submission(NamedTuple):
    """Entries that belong together. A refused entry undoes all of a `whole` submission; of any other the
    entries before it stand, and those after it are not looked at.
    """

    entries: Sequence[Entry]
    whole: bool = True


class Frontier(NamedTuple):
    """How far an author's log is held, sealed and receipted here; `last_seen` is ms since 2000."""

    author: bytes
    name: str
    held: int
    sealed: int
    receipted: int
    last_seen: int


class ClockRecord(NamedTuple):
    """A clock record of an author, as `hedgerow.clock.timemap.TimeMap.add` takes it; times in ms."""

    author: bytes
    number: int
    epoch: int
    uptime: int
    base: int
    source: int
    utc: int | None
    error: int


class Written(NamedTuple):
    """That an operation was written at a stamp: what a TimeMap takes note of."""

    author: bytes
    number: int
    stamp: bytes


class Ingested(NamedTuple):
    """What one transaction did.

    `transaction` is its id, or that of the one before if nothing changed; `errors` has None for each
    submission that was taken to its end and the refusal of each that was not; `frontiers` those that moved;
    `due` the moment (ms since 2000) at which the next operation enters the view, None for none; `collections`
    those of which a document was touched; `refused` what does not count since then; `expired` the collections
    of which readings have expired; `cut` the authors of whom something went: their frontiers may have fallen.
    """

    transaction: int
    errors: Sequence[HedgerowError | None]
    frontiers: Sequence[Frontier]
    schemas: Sequence[bytes]
    clocks: Sequence[ClockRecord]
    written: Sequence[Written]
    operations: int
    documents: int
    due: int | None
    collections: Sequence[str]
    refused: Sequence[Refused] = ()
    expired: Sequence[str] = ()
    cut: Sequence[bytes] = ()


class DocumentRow(NamedTuple):
    """A document: `id` and `value` are CBOR, `value` None while it does not exist.

    `author`, `number` and `stamp` are those of the operation with its greatest insert, None if that is an
    INITIAL.
    """

    collection: str
    id: bytes
    state: bytes
    value: bytes | None
    author: bytes | None
    number: int | None
    stamp: bytes | None
    rank: bytes


class Arrival(NamedTuple):
    """An operation that touched a document, and the transaction in which it came or entered the view."""

    author: bytes
    number: int
    body: bytes
    stamp: bytes
    transaction: int


class Touched(NamedTuple):
    """A document, and a transaction that touched it."""

    transaction: int
    id: bytes


class Stable(NamedTuple):
    """Transactions: what came up to `lowest` is old enough, and every subscriber of today has been told it;
    `position` is the greatest that this ever was, and `numbers` the dots of that; up to `collected` deleted
    documents may be gone.
    """

    lowest: int
    position: int
    numbers: dict[bytes, int]
    collected: int


class Lost(NamedTuple):
    """Operations that their author says it has lost, and how: see hedgerow.trust.lost.show."""

    author: bytes
    first: int
    last: int
    reason: str
    time: str
    summary: list[int] | None


class Collected(NamedTuple):
    """What one call of collect() removed; `after` is where the next one goes on, None at the end."""

    operations: int
    documents: int
    after: tuple[str, bytes] | None


#: Where expire() goes on: the transaction that touched a document last, and its id.
Place = tuple[int, bytes]


class Retained(NamedTuple):
    """For how many ms readings of a collection are kept, 0 for ever; what came before `gone` (ms since 2000,
    0 for nothing) may have expired, and so many `operations` have.
    """

    collection: str
    keep: int
    gone: int
    operations: int


class Expired(NamedTuple):
    """What one call of expire() removed; `after` is where the next one goes on, None at the end."""

    operations: int
    documents: int
    after: Place | None


#: In the place of an outbox row's collection: it is about the times of an author's operations.
TIMES = ""


class OutboxRow(NamedTuple):
    """A change of a document's visible value: `op` is c, u or d; `before` and `after` are CBOR or None.

    Of the collection TIMES, `after` is a `corrections.Correction`, `number` the clock record that brought it.
    """

    seq: int
    transaction: int
    collection: str
    id: bytes
    op: str
    before: bytes | None
    after: bytes | None
    author: bytes
    number: int
    stamp: bytes
    at: int


class Index(NamedTuple):
    """An index that was asked for; `path` is what `facets.name_of` calls it."""

    collection: str
    name: str
    path: str
