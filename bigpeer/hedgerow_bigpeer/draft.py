"""One operation in the making: what a statement over HTTP changes (SPEC 10.8)."""

from collections.abc import Sequence
from typing import Any

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.schema import CONFIDENTIAL, GRANTS, HEALTH, KEEP, Schema
from hedgerow.document import Document, document_ids
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_CHANGES, MAX_OPERATION
from hedgerow.query.mutate import plan_delete, plan_insert, plan_update, set_merge_stamp
from hedgerow_host.dql import dot_of

from .auth.rights import KEEPER, Rule
from .service import Service
from .store.port import Keyed
from .store.rows import AbsentEntry, DocumentRow
from .strict import Strict
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
        #: Which documents must not exist: what another node writes meanwhile, no view of this one shows.
        self.absent: list[AbsentEntry] = []

    def body(self) -> bytes:
        """Return the operation in its stored form: what is confidential is encrypted. Raises the codes of
        operations.
        """
        changes, keys = self.changes, self._service.store.keys
        if keys is not None and any(schema.kind & CONFIDENTIAL for schema in self.schemas.values()):
            schemas = list(self.schemas.values())
            changes = keys.conceal(self._author, self._number, self._stamp, changes, schemas)
        try:
            return operation.encode_body(self._stamp, changes)
        except HedgerowError as error:
            if error.code == "OPERATION_TOO_LARGE":
                raise _too_much(error.code, f"{error.detail} bytes, {MAX_OPERATION} fit") from None
            raise

    def check(self) -> None:
        """Raise AUTH_FORBIDDEN if a document is changed that the rule does not cover, before and after, or
        that is another author's health (SPEC 5.15), or a grant.
        """
        for change, (schema, _) in zip(self.changes, self._origins, strict=True):
            if schema.collection == HEALTH and change[2] != self._author:
                raise HedgerowError("AUTH_FORBIDDEN", f"write {HEALTH}: a peer's word of itself")
            if schema.collection == GRANTS and self._rule is not KEEPER:
                raise HedgerowError("AUTH_FORBIDDEN", f"write {GRANTS}: what a Big Peer grants")
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

    def places(self) -> set[tuple[str, bytes]]:
        """Return collection and encoded id of the documents that are changed."""
        ids = document_ids(self._author, self._number, self.changes)
        return {
            (schema.collection, cbor.encode(document_id))
            for document_id, (schema, _) in zip(ids, self._origins, strict=True)
        }

    def mutated(self) -> list[Any]:
        """Return the ids of the documents that are changed, in order, each once."""
        ids = document_ids(self._author, self._number, self.changes)
        return list({cbor.encode(document_id): document_id for document_id in ids}.values())

    async def insert(
        self,
        snapshot: Keyed,
        collection: str,
        documents: Sequence[dict[str, Any]],
        policy: str,
        *,
        initial: bool,
        by_json: bool,
        strict: Strict | None = None,
    ) -> None:
        """Add documents by the statement's policy; with `strict` objects are registers, unless declared maps.

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
            plan = _plan_insert(collection, kind, document, policy, initial, existing, strict)
            if plan is not None and policy == "fail" and document_id is not None:
                self.absent.append(AbsentEntry(collection, cbor.encode(document_id)))
            if plan is not None:
                self._write(collection, plan, existing, strict)
            elif policy == "nothing":
                self.warnings.append((document_id, "a document with this id exists"))

    def update(
        self,
        row: DocumentRow,
        value: dict[str, Any],
        bound: tuple[list[Any], list[Any], Any],
        strict: Strict | None = None,
    ) -> None:
        """Change a document, which queries see as `value`; `bound` comes from `bind_update`."""
        existing = _document(row)
        assert existing is not None
        kind = self._kind(row.collection)
        for plan in plan_update(row.collection, kind, value["_id"], value, existing, *bound, self._author):
            self._write(row.collection, plan, existing, strict)

    def delete(self, row: DocumentRow) -> None:
        """Delete a document."""
        plan = plan_delete(row.collection, self._kind(row.collection), cbor.decode(row.id))
        self._add(row.collection, plan, _document(row))

    def _kind(self, collection: str) -> int:
        kind, keys = self._service.kinds.get(collection, KEEP), self._service.store.keys
        return kind | CONFIDENTIAL if keys is not None and keys.newest(collection) else kind

    def _write(
        self,
        collection: str,
        plan: tuple[list[Any], Schema],
        existing: Document | None,
        strict: Strict | None,
    ) -> None:
        """Add a change; if it writes registers, first one that unsets the maps in whose place they come."""
        change, schema = plan
        if strict is not None and change[0] == operation.UPDATE and existing is not None:
            paths = strict.replaced(schema.unpack(change[3]), existing.value() or {})
            if paths:
                nothing = Schema(collection, schema.kind, ())
                unset = {operation.UNSET: [path[0] if len(path) == 1 else list(path) for path in paths]}
                gone = [operation.UPDATE, nothing.name, change[2], nothing.pack({}), unset]
                self._add(collection, (gone, nothing), existing)
        self._add(collection, plan, existing)

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


def _plan_insert(
    collection: str,
    kind: int,
    document: dict[str, Any],
    policy: str,
    initial: bool,
    existing: Document | None,
    strict: Strict | None,
) -> tuple[list[Any], Schema] | None:
    if strict is not None and policy == "update_local_diff" and existing is not None and existing.exists():
        fields = {name: value for name, value in document.items() if name != "_id"}
        document = {**strict.differing(fields, existing.value() or {}), "_id": document["_id"]}
        policy = "update"
    return plan_insert(collection, kind, document, policy, initial, existing)


async def _find(
    snapshot: Keyed, collection: str, document_id: Any, by_json: bool
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
