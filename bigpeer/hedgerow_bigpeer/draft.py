"""One operation in the making: what a statement over HTTP changes (SPEC 10.8)."""

from collections.abc import Sequence
from typing import Any

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.schema import HEALTH, KEEP, Schema
from hedgerow.document import Document, document_ids
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_CHANGES, MAX_OPERATION
from hedgerow.query.mutate import plan_delete, plan_insert, plan_update, set_merge_stamp
from hedgerow_host.dql import dot_of

from .auth.rights import Rule
from .service import Service
from .store.port import Snapshot
from .store.rows import DocumentRow
from .view import seen


class Draft:
    """Changes that become operation `number` of `author` at `stamp`; `warnings` are (document id, text).

    `rule` says which documents may be changed.
    """

    def __init__(self, service: Service, author: bytes, number: int, stamp: bytes, rule: Rule) -> None:
        self._service = service
        self._author = author
        self._number = number
        self._stamp = stamp
        self._rule = rule
        self._latest: dict[tuple[str, bytes], bytes] = {}
        self._origins: list[tuple[Schema, Document | None]] = []
        self.changes: list[list[Any]] = []
        self.schemas: dict[bytes, Schema] = {}
        self.warnings: list[tuple[Any, str]] = []

    def body(self) -> bytes:
        """Return the operation in its stored form. Raises the codes of operations."""
        try:
            return operation.encode_body(self._stamp, self.changes)
        except HedgerowError as error:
            if error.code == "OPERATION_TOO_LARGE":
                raise _too_much(error.code, f"{error.detail} bytes, {MAX_OPERATION} fit") from None
            raise

    def check(self) -> None:
        """Raise AUTH_FORBIDDEN if a document is changed that the rule does not cover, before and after, or
        that is another author's health (SPEC 5.15).
        """
        for change, (schema, _) in zip(self.changes, self._origins, strict=True):
            if schema.collection == HEALTH and change[2] != self._author:
                raise HedgerowError("AUTH_FORBIDDEN", f"write {HEALTH}: a peer's word of itself")
        if self._rule.is_whole:
            return
        after: dict[bytes, tuple[Any, Document]] = {}
        ids = document_ids(self._author, self._number, self.changes)
        for document_id, change, (schema, existing) in zip(ids, self.changes, self._origins, strict=True):
            key = cbor.encode(document_id)
            if key not in after:
                after[key] = (document_id, existing or Document())
                self._need(*after[key])
            after[key][1].apply(change, schema, self._stamp, self._author)
        for document_id, document in after.values():
            self._need(document_id, document)

    def _need(self, document_id: Any, document: Document) -> None:
        value = document.value()
        if value is not None and not self._rule.covers(seen(document_id, value, None)):
            raise HedgerowError("AUTH_FORBIDDEN", f"write {document_id!r}"[:200])

    def mutated(self) -> list[Any]:
        """Return the ids of the documents that are changed, in order, each once."""
        ids = document_ids(self._author, self._number, self.changes)
        return list({cbor.encode(document_id): document_id for document_id in ids}.values())

    async def insert(
        self,
        snapshot: Snapshot,
        collection: str,
        documents: Sequence[dict[str, Any]],
        policy: str,
        *,
        initial: bool,
        by_json: bool,
    ) -> None:
        """Add documents by the statement's policy.

        With `by_json` an `_id` also names the document whose dot has that JSON form. Raises QUERY_CONFLICT.
        """
        kind = self._kind(collection)
        met: set[bytes] = set()
        for document in documents:
            existing = None
            document_id = document.get("_id")
            if document_id is not None:
                operation.check_id(document_id)
                document_id, row = await _find(snapshot, collection, document_id, by_json)
                document = {**document, "_id": document_id}
                key = cbor.encode(document_id)
                if key in met:
                    raise HedgerowError("QUERY_CONFLICT", f"one _id twice: {document_id!r}"[:200])
                met.add(key)
                existing = _document(row)
            plan = plan_insert(collection, kind, document, policy, initial, existing)
            if plan is not None:
                self._add(collection, plan, existing)
            elif policy == "nothing":
                self.warnings.append((document_id, "a document with this id exists"))

    def update(
        self, row: DocumentRow, value: dict[str, Any], sets: list[Any], applies: list[Any], unsets: Any
    ) -> None:
        """Change a document, which queries see as `value`; the rest comes from `bind_update`."""
        existing = _document(row)
        assert existing is not None
        kind = self._kind(row.collection)
        for plan in plan_update(
            row.collection, kind, value["_id"], value, existing, sets, applies, unsets, self._author
        ):
            self._add(row.collection, plan, existing)

    def delete(self, row: DocumentRow) -> None:
        """Delete a document."""
        plan = plan_delete(row.collection, self._kind(row.collection), cbor.decode(row.id))
        self._add(row.collection, plan, _document(row))

    def _kind(self, collection: str) -> int:
        return self._service.kinds.get(collection, KEEP)

    def _add(self, collection: str, plan: tuple[list[Any], Schema], existing: Document | None) -> None:
        """Add a change, with a merge stamp if the document has a stamp that is not below the operation's."""
        change, schema = plan
        if len(self.changes) >= MAX_CHANGES:
            raise _too_much("OPERATION_CHANGES", f"more than {MAX_CHANGES} changes")
        if change[0] != operation.INITIAL and change[2] is not None:
            place = (collection, cbor.encode(change[2]))
            latest = self._latest.get(place) or (existing.stamp() if existing is not None else b"")
            self._latest[place] = self._stamp
            if latest >= self._stamp:
                self._latest[place] = hlc.above(latest)
                set_merge_stamp(change, self._latest[place])
        self.changes.append(change)
        self._origins.append((schema, existing))
        self.schemas[schema.name] = schema


async def _find(
    snapshot: Snapshot, collection: str, document_id: Any, by_json: bool
) -> tuple[Any, DocumentRow | None]:
    """Return the id that is meant, and its row if it has one."""
    row = await snapshot.document(collection, cbor.encode(document_id))
    dot = dot_of(document_id) if row is None and by_json else None
    if dot is not None:
        found = await snapshot.document(collection, cbor.encode(dot))
        if found is not None:
            return dot, found
    return document_id, row


def _document(row: DocumentRow | None) -> Document | None:
    return Document.decode(row.state) if row is not None and row.state else None


def _too_much(code: str, reason: str) -> HedgerowError:
    advice = "one statement is one operation; split it, or narrow WHERE, for instance by ranges of _id"
    return HedgerowError(code, f"{reason}: {advice}")
