"""Events as they leave: the document formats, their ids and keys.

Whoever takes events twice can tell by the id: it names the store's epoch, the transaction, and the place in
it, and is the same however often an event is sent.
"""

import functools
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from hedgerow.query.condition import Condition

from ..cbor_items import document_text, item_text
from ..clock import rfc3339
from ..feed import as_seen, change_of
from ..http.json_text import render
from ..store.corrections import Correction, End, Time
from ..store.rows import TIMES, OutboxRow
from ..view import source_name
from .config import BridgeConfig

TYPE = "hedgerow.document.changed.v1"
TIMES_TYPE = "hedgerow.time.corrected.v1"
REQUERY_TYPE = "hedgerow.requery.required.v1"
#: Greater whole numbers lose digits where JSON numbers are floats.
_SAFE = 1 << 53
_EPOCH_2000_MS = 946_684_800_000


class Event(NamedTuple):
    """One event: `value` is JSON, `attributes` are CloudEvents'. Those of one `key` keep their order."""

    transaction: int
    seq: int
    id: str
    key: str
    value: str
    attributes: dict[str, str]

    @property
    def place(self) -> tuple[int, int]:
        """Where in the outbox its change stands."""
        return self.transaction, self.seq


class Events:
    """Makes the events of one bridge."""

    def __init__(self, config: BridgeConfig, app: str, epoch: bytes) -> None:
        self._config = config
        self._app = app
        self._epoch = epoch.hex()
        self._conditions: dict[str, list[Condition]] = {}
        for source in config.sources:
            self._conditions.setdefault(source.collection, []).append(Condition(source.query))
        self._write = _FORMATS[config.format]

    def is_wanted(self, collection: str) -> bool:
        """Say whether a collection is among the sources."""
        return not self._conditions or collection in self._conditions

    def make(self, row: OutboxRow) -> Event | None:
        """Return the event of a change, None for one that the sources leave out.

        A document that comes to hold a source's condition is new to the sink, and one that holds it no more
        is gone.
        """
        if row.collection == TIMES:
            return self._correction(row)
        if not self.is_wanted(row.collection):
            return None
        conditions = self._conditions.get(row.collection)
        sides: tuple[bytes | None, bytes | None] = (row.before, row.after)
        op = row.op
        if conditions is not None:
            change = as_seen(
                change_of(row), lambda document: any(entry.holds(document) for entry in conditions)
            )
            if change is None:
                return None
            op = change.op
            sides = (
                None if change.before is None else row.before,
                None if change.after is None else row.after,
            )
        document_id = item_text(row.id, render)
        key = f"{self._app}|{row.collection}|{document_id}"
        event_id = f"{self._epoch}:{row.transaction}:{row.seq}"
        source = f"/apps/{self._app}/collections/{row.collection}"
        attributes = _attributes(event_id, source, TYPE, document_id, row.at, key)
        value = self._write(row, op, *sides, self._epoch)
        return Event(row.transaction, row.seq, event_id, key, value, attributes)

    def _correction(self, row: OutboxRow) -> Event | None:
        """Return the event that operations of an author have other times, None where no source has readings
        of theirs.
        """
        assert row.after is not None
        correction = Correction.decode(row.after)
        collections = [name for name in correction.collections if self.is_wanted(name)]
        if not collections:
            return None
        author = row.author.hex()
        event_id = f"{self._epoch}:{row.transaction}:{row.seq}"
        value = {
            "txnId": row.transaction,
            "type": "timeCorrected",
            "collections": collections,
            "author": author,
            "boots": list(correction.boots),
            "first": _shown(correction.first),
            "last": _shown(correction.last),
        }
        key = f"{self._app}||{author}"
        attributes = _attributes(event_id, f"/apps/{self._app}", TIMES_TYPE, author, row.at, key)
        write = _render_safe if self._config.format == "cloudevents" else render
        return Event(row.transaction, row.seq, event_id, key, write(value), attributes)

    def requery(self, transaction: int, documents: list[tuple[str, Any]]) -> Event:
        """Return the event that says which documents to read again: changes of them were forgotten."""
        event_id = f"{self._epoch}:{transaction}:requery:{render(list(documents[0])) if documents else ''}"
        value = render(
            {
                "txnId": transaction,
                "type": "requeryRequired",
                "documents": [
                    {"appId": self._app, "collectionName": collection, "documentId": document_id}
                    for collection, document_id in documents
                ],
            }
        )
        attributes = {
            "specversion": "1.0",
            "id": event_id,
            "source": f"/apps/{self._app}",
            "type": REQUERY_TYPE,
            "datacontenttype": "application/json",
        }
        return Event(transaction, 0, event_id, f"{self._app}|", value, attributes)


# Each writes a change, of which `before` and `after` are the documents that the sources have, as CBOR.


def _ditto(row: OutboxRow, op: str, before: bytes | None, after: bytes | None, _epoch: str) -> str:
    """Write a change as Ditto's data bridges do."""
    old, new = (_document(row.id, side, render) for side in (before, after))
    what = (
        f'{{"method":"remove","value":{old}}}'
        if op == "d"
        else f'{{"method":"upsert","oldValue":{old},"newValue":{new}}}'
    )
    head = f'"txnId":{row.transaction},"type":"documentChanged","collection":{render(row.collection)}'
    return f'{{{head},"change":{what}}}'


def _cloudevents(row: OutboxRow, op: str, before: bytes | None, after: bytes | None, epoch: str) -> str:
    """Write the data of a CloudEvent as Debezium shapes it."""
    old, new = (_document(row.id, side, _render_safe) for side in (before, after))
    source = {
        "txn": _safe(row.transaction),
        "seq": _safe(row.seq),
        "epoch": epoch,
        "collection": row.collection,
        "author": row.author.hex(),
        "number": row.number,
    }
    at = row.at + _EPOCH_2000_MS
    return f'{{"op":"{op}","before":{old},"after":{new},"source":{render(source)},"ts_ms":{at}}}'


_FORMATS: dict[str, Callable[[OutboxRow, str, bytes | None, bytes | None, str], str]] = {
    "ditto": _ditto,
    "cloudevents": _cloudevents,
}

#: Many changes are of one moment.
_time = functools.lru_cache(maxsize=64)(rfc3339)


def _attributes(event_id: str, source: str, kind: str, subject: str, at: int, key: str) -> dict[str, str]:
    """Return the attributes of CloudEvents 1.0, and the `partitionkey` of its partitioning extension."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": _time(at),
        "partitionkey": key,
        "datacontenttype": "application/json",
    }


def _shown(end: End) -> dict[str, Any]:
    return {"number": end.number, "before": _moment(end.before), "after": _moment(end.after)}


def _moment(time: Time | None) -> dict[str, Any] | None:
    """Return a time with the names that queries have for it (SPEC 10.7)."""
    if time is None:
        return None
    return {"_time": _time(time[0]), "_time_error_ms": time[1], "_time_source": source_name(time[2])}


def _document(document_id: bytes, side: bytes | None, write: Callable[[Any], str]) -> str:
    return "null" if side is None else document_text(document_id, side, write)


def _render_safe(value: Any) -> str:
    return render(_safe(value))


def _safe(value: Any) -> Any:
    """Return a value in which whole numbers that a float cannot hold are texts."""
    if isinstance(value, dict):
        return {name: _safe(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_safe(item) for item in value]
    if type(value) is int and abs(value) > _SAFE:
        return str(value)
    return value


def structured(event: Event) -> str:
    """Return an event as one JSON object of attributes and `data` (CloudEvents, structured mode)."""
    attributes = json.dumps(event.attributes, ensure_ascii=False)
    return f'{attributes[:-1]}, "data": {event.value}}}'
