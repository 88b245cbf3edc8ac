"""Merging operations into documents: rows in, changed rows and changes out, no database."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.schema import Schema
from hedgerow.document import Document, document_ids
from hedgerow.errors import HedgerowError

from .port import DocumentRow

log = logging.getLogger(__name__)

Load = Callable[[str, bytes], DocumentRow | None]


class Change(NamedTuple):
    """A row to write, what was visible before, and dot and stamp of the last operation that changed it."""

    row: DocumentRow
    before: bytes | None
    author: bytes
    number: int
    stamp: bytes


class _Working:
    """A document that is being merged."""

    def __init__(self, row: DocumentRow | None, collection: str, key: bytes) -> None:
        self.row = row or DocumentRow(collection, key, b"", None, None, None, None, b"")
        self.before = self.row.value
        self.document = Document()
        self.last: tuple[bytes, int, bytes] | None = None
        self.restore()

    def restore(self) -> None:
        """Go back to the last state that was good."""
        self.document = Document.decode(self.row.state) if self.row.state else Document()


class Merge:
    """One transaction's documents; `load` finds a row by collection and id."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._working: dict[tuple[str, bytes], _Working] = {}

    def apply(
        self, author: bytes, number: int, stamp: bytes, changes: list[list[Any]], schemas: dict[bytes, Schema]
    ) -> None:
        """Apply an operation's changes.

        A change that would make a document larger than can be kept is left out, and said so in the log:
        the operation stays held, and blocks nothing.
        """
        for change, document_id in zip(changes, document_ids(author, number, changes), strict=True):
            if change[0] == operation.CLOCK:
                continue
            schema = schemas[change[1]]
            key = cbor.encode(document_id)
            try:
                self._apply_one(change, schema, key, author, number, stamp)
            except HedgerowError as error:
                self._working[schema.collection, key].restore()
                log.warning("change of %s %d left out: %s", author.hex(), number, error)

    def _apply_one(
        self, change: list[Any], schema: Schema, key: bytes, author: bytes, number: int, stamp: bytes
    ) -> None:
        place = (schema.collection, key)
        working = self._working.get(place)
        if working is None:
            working = self._working[place] = _Working(self._load(*place), *place)
        if not working.document.apply(change, schema, stamp, author):
            return
        value = working.document.value()
        row = working.row._replace(
            state=working.document.encode(), value=None if value is None else cbor.encode(value)
        )
        if change[0] == operation.INSERT:
            rank = merged_stamp(change, stamp) + author
            if rank > row.rank:
                row = row._replace(author=author, number=number, stamp=stamp, rank=rank)
        working.row = row
        working.last = (author, number, stamp)

    def changes(self) -> Iterable[Change]:
        """Return what changed, in the order in which documents were first touched."""
        for working in self._working.values():
            if working.last is not None:
                yield Change(working.row, working.before, *working.last)


def merged_stamp(change: list[Any], stamp: bytes) -> bytes:
    """Return the stamp by which a change merges: its merge stamp, or its operation's."""
    options = change[-1] if isinstance(change[-1], dict) else {}
    merge: bytes | None = options.get(operation.MERGE_STAMP)
    return hlc.unwire(merge) if merge is not None else stamp
