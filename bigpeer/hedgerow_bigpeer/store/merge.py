"""Merging operations into documents: rows in, changed rows and changes out, no database."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hedgerow import operation
from hedgerow.codec import cbor
from hedgerow.codec.schema import Schema
from hedgerow.crypto.confidential import CollectionKeys
from hedgerow.document import Document, document_ids, key_of
from hedgerow.errors import HedgerowError

from .ahead import dot_author, is_ahead, stays_out
from .reading import Reading
from .reveal import UNREADABLE, read_operation
from .rows import Arrival, DocumentRow

log = logging.getLogger(__name__)

Dot = tuple[bytes, int, bytes]


class Change(NamedTuple):
    """A row to write, what was visible before, and dot and stamp of the last operation that changed it.

    `facets` are known of what was not merged; `is_new` says that there is no row yet.
    """

    row: DocumentRow
    before: bytes | None
    author: bytes
    number: int
    stamp: bytes
    facets: str | None
    is_new: bool


class Documents:
    """What merging asks of the store; `keys` reveal what is confidential."""

    keys: CollectionKeys | None = None

    def load_document(self, collection: str, key: bytes) -> DocumentRow | None:
        """Return a document's row, None for a document that was never touched."""
        raise NotImplementedError

    def touch(self, collection: str, key: bytes, author: bytes, number: int, *, is_new: bool = False) -> None:
        """Note that an operation has a change of a document; `is_new` if that was never noted before."""
        raise NotImplementedError

    def arrivals(self, collection: str, key: bytes) -> Sequence[Arrival]:
        """Return the operations that touched a document, in the order of their arrival."""
        raise NotImplementedError

    def hold_out(self, author: bytes, number: int, stamp: bytes) -> None:
        """Note that something of an operation is out of the view until its time comes."""
        raise NotImplementedError

    def why_not(self, author: bytes, number: int, change: list[Any], schema: Schema) -> str:
        """Return the code of why a change does not count, "" if it does."""
        raise NotImplementedError

    def note_refused(self, author: bytes, number: int, code: str) -> None:
        """Note that something of an operation does not count."""
        raise NotImplementedError


class _Working:
    """A document that is being merged."""

    def __init__(self, row: DocumentRow | None, collection: str, key: bytes) -> None:
        self.is_new = row is None
        self.row = row or DocumentRow(collection, key, b"", None, None, None, None, b"")
        self.before = self.row.value
        self.facets: str | None = None
        self.last: Dot | None = None
        self.touched: Dot | None = None
        self._document: Document | None = None

    def become(self, reading: Reading) -> None:
        """Be a document that nobody has written to."""
        self.row, self.facets = reading.row, reading.facets

    @property
    def document(self) -> Document:
        """The last state that was good, with what was merged since."""
        if self._document is None:
            self._document = Document.decode(self.row.state) if self.row.state else Document()
        return self._document

    def restore(self) -> None:
        """Go back to the last state that was good."""
        self._document = None

    def clear(self) -> None:
        """Forget everything but what was visible before."""
        self.row = DocumentRow(self.row.collection, self.row.id, b"", None, None, None, None, b"")
        self.facets = None
        self.restore()

    def apply(self, change: list[Any], schema: Schema, dot: Dot) -> None:
        """Merge a change.

        One that would make the document larger than can be kept is left out, and said so in the log: the
        operation stays held, and blocks nothing.
        """
        try:
            self._apply(change, schema, dot)
        except HedgerowError as error:
            self.restore()
            log.warning("change of %s %d left out: %s", dot[0].hex(), dot[1], error)

    def _apply(self, change: list[Any], schema: Schema, dot: Dot) -> None:
        author, number, stamp = dot
        if not self.document.apply(change, schema, stamp, author):
            return
        value = self.document.value()
        row = self.row._replace(
            state=self.document.encode(), value=None if value is None else cbor.encode(value)
        )
        if change[0] == operation.INSERT:
            rank = key_of(change, schema, stamp, author)
            if rank > row.rank:
                row = row._replace(author=author, number=number, stamp=stamp, rank=rank)
        self.row, self.facets = row, None
        self.last = dot


class Merge:
    """One transaction's documents over a store; `at` is trusted time in ms since 2000."""

    def __init__(self, store: Documents, at: int) -> None:
        self._store = store
        self._at = at
        self._working: dict[tuple[str, bytes], _Working] = {}

    def apply(
        self, author: bytes, number: int, stamp: bytes, changes: list[list[Any]], schemas: dict[bytes, Schema]
    ) -> None:
        """Apply the changes of an operation that was kept just now, as they are read."""
        dot = (author, number, stamp)
        ahead = is_ahead(stamp, self._at)
        for change, document_id in zip(changes, document_ids(author, number, changes), strict=True):
            if change[0] == operation.CLOCK:
                continue
            schema = schemas[change[1]]
            key = cbor.encode(document_id)
            self._store.touch(schema.collection, key, author, number)
            working = self._open(schema.collection, key)
            working.touched = dot
            hidden = change[0] == operation.HIDDEN
            code = UNREADABLE if hidden else self._store.why_not(author, number, change, schema)
            if code:
                self._store.note_refused(author, number, code)
                continue
            # Who calls a document by its dot may be ahead in it, until another writes there.
            owner = None if change[2] is None else dot_author(document_id)
            if ahead or (owner is not None and owner != author):
                self._settle(working, change, schema, dot, owner, schemas)
            else:
                working.apply(change, schema, dot)

    def insert(self, author: bytes, number: int, reading: Reading) -> bool:
        """Apply an operation that was never held and is one insert, if there is nothing to merge it with; say
        whether that was so.
        """
        if is_ahead(reading.stamp, self._at):
            return False
        place = (reading.row.collection, reading.row.id)
        if place in self._working or self._store.load_document(*place) is not None:
            return False
        self._store.touch(*place, author, number, is_new=True)
        working = self._working[place] = _Working(None, *place)
        working.last = working.touched = (author, number, reading.stamp)
        working.become(reading)
        return True

    def _settle(
        self,
        working: _Working,
        change: list[Any],
        schema: Schema,
        dot: Dot,
        owner: bytes | None,
        schemas: dict[bytes, Schema],
    ) -> None:
        """Apply a change where the rule of ahead.py has a say."""
        author, number, stamp = dot
        others = False
        if owner is not None:
            arrivals = self._store.arrivals(working.row.collection, working.row.id)
            others = any(arrival.author != owner for arrival in arrivals)
            if owner != author and any(is_ahead(arrival.stamp, self._at) for arrival in arrivals):
                self.rebuild(working.row.collection, working.row.id, schemas)
                return
        document_id = cbor.decode(working.row.id)
        if is_ahead(stamp, self._at) and stays_out(change, document_id, author, others=others):
            self._store.hold_out(author, number, stamp)
        else:
            working.apply(change, schema, dot)

    def rebuild(
        self, collection: str, key: bytes, schemas: dict[bytes, Schema], gone: Dot | None = None
    ) -> None:
        """Merge a document anew from its operations: what is in view may have changed, or one is `gone`."""
        working = self._open(collection, key)
        working.clear()
        if gone is not None:
            working.last = working.touched = gone
        document_id = cbor.decode(key)
        arrivals = self._store.arrivals(collection, key)
        for author, number, body, stamp, _ in arrivals:
            others = any(arrival.author != dot_author(document_id) for arrival in arrivals)
            found = changes_of(author, number, body, collection, key, schemas, self._store.keys)
            for change, schema in found:
                if change[0] == operation.HIDDEN or self._store.why_not(author, number, change, schema):
                    continue
                if is_ahead(stamp, self._at) and stays_out(change, document_id, author, others=others):
                    self._store.hold_out(author, number, stamp)
                else:
                    working.apply(change, schema, (author, number, stamp))
            working.touched = (author, number, stamp)

    def _open(self, collection: str, key: bytes) -> _Working:
        place = (collection, key)
        working = self._working.get(place)
        if working is None:
            working = self._working[place] = _Working(self._store.load_document(*place), *place)
        return working

    def changes(self) -> Iterable[Change]:
        """Return what was touched, in the order in which documents were first touched."""
        for working in self._working.values():
            dot = working.last or working.touched
            if dot is not None:
                yield Change(working.row, working.before, *dot, working.facets, working.is_new)


def changes_of(
    author: bytes,
    number: int,
    body: bytes,
    collection: str,
    key: bytes,
    schemas: dict[bytes, Schema],
    keys: CollectionKeys | None,
) -> Iterable[tuple[list[Any], Schema]]:
    """Return the changes of an operation that are of one document, as they are read, each with its schema."""
    changes = read_operation(author, number, body, schemas, keys)
    for change, document_id in zip(changes, document_ids(author, number, changes), strict=True):
        if change[0] != operation.CLOCK and schemas[change[1]].collection == collection:
            if cbor.encode(document_id) == key:
                yield change, schemas[change[1]]


class Step(NamedTuple):
    """One change of a document."""

    change: list[Any]
    schema: Schema
    stamp: bytes
    author: bytes


def steps_of(
    arrivals: Sequence[Arrival],
    collection: str,
    key: bytes,
    schemas: dict[bytes, Schema],
    keys: CollectionKeys | None,
) -> list[Step]:
    """Return the changes of a document, as they are read, in the order of their keys."""
    found = [
        (key_of(change, schema, arrival.stamp, arrival.author), arrival, change, schema)
        for arrival in arrivals
        for change, schema in changes_of(*arrival[:3], collection, key, schemas, keys)
    ]
    found.sort(key=lambda entry: (entry[0], entry[1][:2]))
    return [Step(change, schema, arrival.stamp, arrival.author) for _, arrival, change, schema in found]


def touched_by(
    author: bytes, number: int, body: bytes, schemas: dict[bytes, Schema]
) -> Iterable[tuple[str, bytes]]:
    """Return collection and id of every document that an operation changes, each once."""
    return places_of(author, number, operation.decode_body(body)[1], schemas)


def places_of(
    author: bytes, number: int, changes: list[list[Any]], schemas: dict[bytes, Schema]
) -> dict[tuple[str, bytes], None]:
    """Return collection and id of every document that changes are about, each once."""
    return dict.fromkeys(
        (schemas[change[1]].collection, cbor.encode(document_id))
        for change, document_id in zip(changes, document_ids(author, number, changes), strict=True)
        if change[0] != operation.CLOCK
    )
