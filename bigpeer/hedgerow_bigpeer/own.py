"""What the Big Peer itself writes: the documents that come in over HTTP, as operations of its own author."""

import asyncio
from typing import Any, NamedTuple

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.schema import KEEP, Schema, schema_for
from hedgerow.document import Document, document_ids
from hedgerow.errors import HedgerowError
from hedgerow.limits import SEAL_EVERY
from hedgerow.query.values import order_key
from hedgerow.trust.seal import NO_SEAL, make_seal, seal_hash
from hedgerow_host.dql import dot_of

from .service import Service
from .store.port import DocumentRow, Entry, NameEntry, Operation, SchemaEntry, SealEntry, Snapshot


class Written(NamedTuple):
    """What an INSERT did: the ids of the documents that it changed, in order, and why others were not."""

    ids: list[Any]
    warnings: list[tuple[Any, str]]


class OwnAuthor:
    """The author of this store. One statement is one operation; a write is durable on return."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._author = service.store.identity.author
        self._lock = asyncio.Lock()
        self._marks: list[bytes] = []
        self._previous = NO_SEAL
        self._clock = hlc.Clock(0)

    async def start(self) -> None:
        """Go on where the store ends, and write the clock record of this boot."""
        service = self._service
        marks, seal = await service.store.tail(self._author)
        self._marks = [mark for _, mark in marks]
        self._previous = seal_hash(seal) if seal else NO_SEAL
        last = hlc.ZERO
        for written in await service.store.boundaries():
            if written.author == self._author:
                last = max(last, written.stamp)
        uptime, utc = service.clock.uptime(), service.clock.utc()
        base = max(0, utc - uptime)
        self._clock = hlc.Clock(base, last)
        boot = service.store.identity.boot
        record = [operation.CLOCK, boot, uptime, base, operation.SOURCE_KEEPER, utc, service.clock.error_ms]
        async with self._lock:
            await self._write([record], [NameEntry(self._author, service.config.name)], hlc.ZERO, seal=True)

    async def stop(self) -> None:
        """Seal what is not sealed yet."""
        async with self._lock:
            if self._marks:
                await self._service.submit([self._seal()])

    async def insert(
        self,
        collection: str,
        documents: list[dict[str, Any]],
        policy: str,
        *,
        initial: bool,
        by_json: bool = False,
    ) -> Written:
        """Write documents in one operation; `policy` is the statement's ON ID CONFLICT.

        With `by_json` an `_id` also names the document whose dot has that JSON form.

        Raises QUERY_CONFLICT, and the codes of documents, schemas and operations. A caller that goes away
        does not stop a write: the next one must follow on it.
        """
        return await asyncio.shield(
            asyncio.create_task(
                self._insert(_Plan(self._service, collection, policy, initial, by_json), documents)
            )
        )

    async def _insert(self, plan: "_Plan", documents: list[dict[str, Any]]) -> Written:
        async with self._lock:
            async with self._service.store.snapshot() as snapshot:
                for document in documents:
                    await plan.add(dict(document), snapshot)
            if plan.changes:
                number = self._service.frontier(self._author).held + 1
                await self._write(plan.changes, plan.schemas(), plan.above, seal=False)
                ids = document_ids(self._author, number, plan.changes)
            else:
                ids = []
            return Written(ids, plan.warnings)

    async def _write(self, changes: list[Any], entries: list[Entry], above: bytes, *, seal: bool) -> None:
        service = self._service
        stamp = self._clock.tick(service.clock.uptime())
        if above > stamp:
            # A merge stamp keeps our clock where it is, however far ahead another's was.
            for change in changes:
                _raise_above(change, above)
        body = operation.encode_body(stamp, changes)
        number = service.frontier(self._author).held + 1
        schemas = dict(service.schemas)
        for entry in entries:
            if isinstance(entry, SchemaEntry):
                schema = Schema.decode(entry.encoded)
                schemas[schema.name] = schema
        mark = operation.h16(self._author, number, body, schemas)
        self._marks.append(mark)
        kept = (self._marks[:-1], self._previous)
        submission = [*entries, Operation(self._author, number, body)]
        if seal or len(self._marks) >= SEAL_EVERY:
            submission.append(self._seal())
        try:
            await service.submit(submission)
        except HedgerowError:
            self._marks, self._previous = kept
            raise

    def _seal(self) -> SealEntry:
        last = self._service.frontier(self._author).sealed + len(self._marks)
        body = make_seal(self._author, last - len(self._marks) + 1, last, self._marks, self._previous)
        self._previous = seal_hash(body)
        self._marks = []
        return SealEntry(self._author, body)


class _Plan:
    """The changes of one INSERT, made document by document against what exists."""

    def __init__(self, service: Service, collection: str, policy: str, initial: bool, by_json: bool) -> None:
        self._service = service
        self._collection = collection
        self._policy = policy
        self._by_json = by_json
        self._kind = operation.INITIAL if initial else operation.INSERT
        self._seen: set[bytes] = set()
        self._schemas: dict[bytes, Schema] = {}
        self.changes: list[list[Any]] = []
        self.warnings: list[tuple[Any, str]] = []
        self.above = hlc.ZERO

    async def add(self, document: dict[str, Any], snapshot: Snapshot) -> None:
        """Plan for one document."""
        document_id = document.pop("_id", None)
        kind = self._kind
        if document_id is not None:
            operation.check_id(document_id)
            document_id, row = await self._find(document_id, snapshot)
            key = cbor.encode(document_id)
            if key in self._seen or (row is not None and row.value is not None):
                if self._policy == "fail" or key in self._seen:
                    raise HedgerowError("QUERY_CONFLICT", f"{self._collection} {document_id!r}"[:200])
                if self._policy == "nothing":
                    self.warnings.append((document_id, "a document with this id exists"))
                    return
                kind = operation.UPDATE
                document = self._differing(document, row)
                if not document:
                    return
            self._seen.add(key)
            if row is not None and kind != operation.INITIAL:
                latest = Document.decode(row.state).merge_stamp(hlc.ZERO)
                self.above = max(self.above, latest or hlc.ZERO)
        schema = schema_for(self._collection, self._service.kinds.get(self._collection, KEEP), document)
        self._schemas[schema.name] = schema
        self.changes.append([kind, schema.name, document_id, schema.pack(document)])

    async def _find(self, document_id: Any, snapshot: Snapshot) -> tuple[Any, DocumentRow | None]:
        """Return the id that is meant, and its row if it has one."""
        row = await snapshot.document(self._collection, cbor.encode(document_id))
        dot = dot_of(document_id) if row is None and self._by_json else None
        if dot is not None:
            found = await snapshot.document(self._collection, cbor.encode(dot))
            if found is not None:
                return dot, found
        return document_id, row

    def schemas(self) -> list[Entry]:
        """Return the schemas that the store has yet to learn."""
        known = self._service.schemas
        return [SchemaEntry(schema.encoded) for name, schema in self._schemas.items() if name not in known]

    def _differing(self, document: dict[str, Any], row: DocumentRow | None) -> dict[str, Any]:
        if self._policy != "update_local_diff" or row is None or row.value is None:
            return document
        current: Any = cbor.decode(row.value)
        return {
            name: value
            for name, value in document.items()
            if name not in current or order_key(current[name]) != order_key(value)
        }


def _raise_above(change: list[Any], stamp: bytes) -> None:
    if change[0] in (operation.INSERT, operation.UPDATE):
        change.append({operation.MERGE_STAMP: stamp})
