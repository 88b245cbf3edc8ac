"""The Store port: everything the Big Peer asks of its database.

One store holds one application ("app") of many; the app and a shard lead every key in it. An implementation
passes tests/bigpeer/store_contract.py.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.crypto.rules import Rules
from hedgerow.errors import HedgerowError

from .filter import TRUE as EVERY_ONE
from .filter import Filter
from .rows import (
    Arrival,
    ClockRecord,
    Collected,
    DocumentRow,
    Expired,
    Frontier,
    Identity,
    Index,
    Ingested,
    KeptAnswer,
    Lost,
    Operation,
    OutboxRow,
    Place,
    Retained,
    SkipEntry,
    Stable,
    Submission,
    Touched,
    Written,
)
from .sql import Connection

Result = TypeVar("Result")


class Keyed(Protocol):
    """What is looked up by ids."""

    async def document(self, collection: str, document_id: bytes) -> DocumentRow | None:
        """Return one document, existing or not."""
        ...

    async def some(self, collection: str, ids: Sequence[bytes]) -> Sequence[DocumentRow]:
        """Return those of these documents that exist, in the order of their ids."""
        ...


class Snapshot(Keyed, Protocol):
    """One consistent view of the store."""

    @property
    def transaction(self) -> int:
        """The newest transaction in the view."""
        ...

    async def documents(
        self, collection: str, after: bytes | None, limit: int, wanted: Filter = EVERY_ONE
    ) -> Sequence[DocumentRow]:
        """Return the next existing documents in the order of their ids, after the id `after`: those that a
        filter lets through. Raises QUERY_TIMEOUT.
        """
        ...

    async def ordered(
        self,
        collection: str,
        path: str,
        after: tuple[str, bytes] | None,
        limit: int,
        wanted: Filter,
        *,
        falling: bool,
    ) -> Sequence[tuple[str, DocumentRow]]:
        """Return the next existing documents with a facet of a path, and these, in the order of (facet, id)
        after such a place; `falling` turns the facets round, and the ids not.
        """
        ...

    async def newest(self, collection: str, limit: int) -> Sequence[DocumentRow]:
        """Return the existing documents that changed last, newest transaction first."""
        ...


class Store(Protocol):
    """The database of one app; opened by its implementation, closed by close(). `rules` say what counts of
    what is ingested, and who signs seals; None: all does, and nobody. `keys` reveal what is confidential:
    what they do not shows nowhere, and is kept and given like all else. `outdated` is why it has to be opened
    anew: it refuses everything then. `gaps` are (last, first): transactions between them, if there were any,
    were lost when the store was put back.
    """

    rules: Rules | None
    keys: CollectionKeys | None
    outdated: HedgerowError | None
    gaps: list[tuple[int, int]]

    @property
    def identity(self) -> Identity:
        """Who writes here."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other nodes write to the same database."""
        ...

    async def follow(self, after: int) -> Ingested | None:
        """Return what all nodes together did after a transaction, up to the newest stable one; None if that
        is no newer. Of a shared store this, and not `ingest`, says what has happened so far; what is told may
        have been told before.
        """
        ...

    async def ingest(self, submissions: Sequence[Submission], at: int) -> Ingested:
        """Take submissions in one durable transaction at `at` ms since 2000; one's refusal hurts no other.

        What is held already is passed over. Refusals: SYNC_GAP, SEAL_INVALID, SCHEMA_UNKNOWN, SCOPE_LOCAL,
        SCOPE_MIXED and the codes of operations and schemas. Documents are merged and outbox rows written in
        the same transaction. Operations whose time has come by `at` enter the view first.
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

    async def refused(self) -> Sequence[tuple[bytes, str, int, int]]:
        """Return (author, code, how many, the last number) of the operations of which something does not
        count.
        """
        ...

    async def boundaries(self) -> Sequence[Written]:
        """Return the last operation before each clock record, and the last of each author."""
        ...

    async def tail(self, author: bytes) -> tuple[Sequence[tuple[int, bytes]], bytes]:
        """Return an author's unsealed operations as (number, H16), and the body of its last seal or b""."""
        ...

    async def outbox(self, after: tuple[int, int], limit: int) -> Sequence[OutboxRow]:
        """Return the changes that follow a (transaction, seq), in the order of these.

        None ever appears before one that was returned: what a transaction that is not stable yet may still
        come before is not told. Those of one document are in the order in which they were made.
        """
        ...

    async def trim(self, before: int, limit: int) -> int:
        """Forget the changes of the outbox that came before a moment (ms since 2000), the oldest first and so
        many at most; return how many went.
        """
        ...

    async def trimmed(self) -> int:
        """Return the greatest transaction of which a change was forgotten by trim(), 0 for none."""
        ...

    async def transact(self, function: Callable[[Connection, tuple[str, int]], Result]) -> Result:
        """Run a function of the database and the app's key in one transaction: for tables that hold no
        documents.
        """
        ...

    async def answer(self, caller: str, key: str, at: int) -> KeptAnswer | None:
        """Return what was answered to a request of this key, None after ANSWER_MS."""
        ...

    async def touched(
        self, collection: str, after: tuple[int, bytes], limit: int
    ) -> tuple[Sequence[Touched], int]:
        """Return what was touched after (transaction, id), in the order of these, and the newest transaction.

        An operation that is collected has touched nothing; one that entered the view has done so then.
        """
        ...

    async def operations_of(self, collection: str, ids: Sequence[bytes]) -> Sequence[Sequence[Arrival]]:
        """Return for each document the operations held that touched it, in the order of their arrival."""
        ...

    async def operations(
        self, author: bytes, first: int, last: int
    ) -> tuple[Sequence[Operation], Sequence[SkipEntry]]:
        """Return what is held of a range of an author's numbers, and the skips that lie in it; for what has
        expired stand skips that name themselves.
        """
        ...

    async def lost(self, limit: int) -> Sequence[Lost]:
        """Return ranges of operations of which their author says that they are lost, by author and number:
        somebody else may have them.
        """
        ...

    async def confirm(self, peer: bytes, position: int, at: int) -> None:
        """Note durably up to which transaction a peer holds what it subscribes to; it may fall.

        One beyond MAX_TAKERS is not waited for.
        """
        ...

    async def stable(self, silent_since: int, before: int) -> Stable:
        """Retire the peers that have been silent since a moment, and return the stability frontier, which
        covers only what came before another (both in ms since 2000).
        """
        ...

    async def collect(self, position: int, after: tuple[str, bytes], limit: int) -> Collected:
        """Look at the next documents after (collection, id), and remove what nobody needs.

        That are superseded operations, and documents that are deleted, whose last touch came at or before
        transaction `position`. Of an operation all of whose changes went stays a skip.
        """
        ...

    async def retention(self) -> Sequence[Retained]:
        """Return of which collections readings are not kept for ever, or have expired, by name."""
        ...

    async def retain(self, collection: str, keep: int) -> None:
        """Keep readings of a collection for so many ms from the transaction that touched them last; 0 for
        ever. Raises RETENTION_INVALID.
        """
        ...

    async def expire(
        self, collection: str, now: int, lowest: int, after: Place | None, limit: int
    ) -> Expired:
        """Look at the next documents of a collection behind `after`, the oldest first, and remove those that
        were not touched for longer than they are kept; documents that do not exist only up to the transaction
        `lowest`, which every subscriber has been told.

        A document stays if it is one that lives on, or while an operation that touched it has no receipt. No
        change of it is told. What is held, sealed and receipted stays so.
        """
        ...

    async def create_index(self, index: Index) -> None:
        """Keep an index, which is there when this returns. Raises INDEX_EXISTS, INDEXES_FULL."""
        ...

    async def drop_index(self, collection: str, name: str) -> None:
        """Keep an index no more. Raises INDEX_UNKNOWN."""
        ...

    def indexed(self, collection: str) -> Collection[str]:
        """Return the paths of a collection that this node knows to be indexed."""
        ...

    async def indexes(self) -> Sequence[Index]:
        """Return the indexes, by collection and name."""
        ...

    def snapshot(self, seconds: float | None = None) -> AbstractAsyncContextManager[Snapshot]:
        """Open a consistent view; `seconds` bound the time that each reading from it may take."""
        ...

    async def close(self) -> None:
        """Close; what was ingested is durable."""
        ...
