"""Changes as readers see them: the outbox, change by change, as far as a reader may read."""

from collections.abc import Callable
from typing import Any, NamedTuple

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError

from .auth.rights import Rights, Rule
from .clock import rfc3339
from .store.rows import TIMES, OutboxRow
from .view import seen

Place = tuple[int, int]


class Change(NamedTuple):
    """A change of a document: `op` is c, u or d; `before` and `after` are documents with their `_id`, None
    where there is none.
    """

    transaction: int
    seq: int
    op: str
    collection: str
    document_id: Any
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    author: bytes
    number: int
    stamp: bytes
    at: int

    @property
    def place(self) -> Place:
        """Where it stands in the outbox."""
        return self.transaction, self.seq


def change_of(row: OutboxRow) -> Change:
    """Return the change that a row is about."""
    document_id = cbor.decode(row.id)
    sides = [
        None if value is None else seen(document_id, cbor.decode(value), None)
        for value in (row.before, row.after)
    ]
    return Change(
        row.transaction,
        row.seq,
        row.op,
        row.collection,
        document_id,
        sides[0],
        sides[1],
        row.author,
        row.number,
        row.stamp,
        row.at,
    )


def as_seen(change: Change, covers: Callable[[dict[str, Any]], bool]) -> Change | None:
    """Return a change as somebody sees it who sees some documents only; None if there is nothing to see.

    A document that comes into sight is new, and one that leaves it is deleted.
    """
    before = change.before if change.before is not None and covers(change.before) else None
    after = change.after if change.after is not None and covers(change.after) else None
    if before is None and after is None:
        return None
    op = "c" if before is None else "d" if after is None else "u"
    # By their bytes: Python finds 1 and true equal. A field `_id` is written, and not seen.
    if op == "u" and before == after and cbor.encode(before) == cbor.encode(after):
        return None
    return change._replace(op=op, before=before, after=after)


class Reader:
    """One reader of the outbox: of one collection, or of all that it may read."""

    def __init__(self, rights: Rights, collection: str | None) -> None:
        """Raises AUTH_FORBIDDEN if the one collection may not be read."""
        self._rights = rights
        self._collection = collection
        self._rules: dict[str, Rule | None] = {}
        if collection is not None:
            self._rules[collection] = rights.to_read(collection)

    def read(self, rows: list[OutboxRow]) -> list[Change]:
        """Return what the reader sees of rows."""
        found = []
        for row in rows:
            # Times are derived, and no part of what changes show.
            if row.collection == TIMES or self._collection not in (None, row.collection):
                continue
            rule = self._rule(row.collection)
            shown = None if rule is None else as_seen(change_of(row), rule.covers)
            if shown is not None:
                found.append(shown)
        return found

    def _rule(self, collection: str) -> Rule | None:
        if collection not in self._rules:
            try:
                self._rules[collection] = self._rights.to_read(collection)
            except HedgerowError:
                self._rules[collection] = None
        return self._rules[collection]


def show(change: Change) -> dict[str, Any]:
    """Return a change as the HTTP API says it."""
    return {
        "transactionId": change.transaction,
        "op": change.op,
        "collection": change.collection,
        "_id": change.document_id,
        "before": change.before,
        "after": change.after,
        "author": change.author.hex(),
        "number": change.number,
        "at": rfc3339(change.at),
    }
