"""The Store port: everything the Big Peer asks of its database.

One store holds one application ("app") of many; the app and a shard lead every key in it. An implementation
passes tests/bigpeer/store_contract.py.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

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


Entry = Operation | SealEntry | SkipEntry | SchemaEntry | NameEntry


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
    submission that was taken to its end and the refusal of each that was not; `frontiers` those that moved.
    """

    transaction: int
    errors: Sequence[HedgerowError | None]
    frontiers: Sequence[Frontier]
    schemas: Sequence[bytes]
    clocks: Sequence[ClockRecord]
    written: Sequence[Written]
    operations: int
    documents: int


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


class OutboxRow(NamedTuple):
    """A change of a document's visible value: `op` is c, u or d; `before` and `after` are CBOR or None."""

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


class Snapshot(Protocol):
    """One consistent view of the store."""

    @property
    def transaction(self) -> int:
        """The newest transaction in the view."""
        ...

    async def documents(self, collection: str, after: bytes | None, limit: int) -> Sequence[DocumentRow]:
        """Return the next existing documents in the order of their ids, after the id `after`."""
        ...

    async def document(self, collection: str, document_id: bytes) -> DocumentRow | None:
        """Return one document, existing or not."""
        ...

    async def newest(self, collection: str, limit: int) -> Sequence[DocumentRow]:
        """Return the existing documents that changed last, newest transaction first."""
        ...


class Store(Protocol):
    """The database of one app; opened by its implementation, closed by close()."""

    @property
    def identity(self) -> Identity:
        """Who writes here."""
        ...

    async def ingest(self, submissions: Sequence[Submission], at: int) -> Ingested:
        """Take submissions in one durable transaction at `at` ms since 2000; one's refusal hurts no other.

        What is held already is passed over. Refusals: SYNC_GAP, SEAL_INVALID, SCHEMA_UNKNOWN and the codes
        of operations and schemas. Documents are merged and outbox rows written in the same transaction.
        """
        ...

    async def frontiers(self) -> Sequence[Frontier]:
        """Return every author known."""
        ...

    async def schemas(self) -> Sequence[bytes]:
        """Return every schema, encoded."""
        ...

    async def clocks(self) -> Sequence[ClockRecord]:
        """Return every clock record."""
        ...

    async def boundaries(self) -> Sequence[Written]:
        """Return the last operation before each clock record, and the last of each author."""
        ...

    async def tail(self, author: bytes) -> tuple[Sequence[tuple[int, bytes]], bytes]:
        """Return an author's unsealed operations as (number, H16), and the body of its last seal or b""."""
        ...

    async def outbox(self, after: int, limit: int) -> Sequence[OutboxRow]:
        """Return the changes that follow a `seq`, in order."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Open a consistent view."""
        ...

    async def close(self) -> None:
        """Close; what was ingested is durable."""
        ...
