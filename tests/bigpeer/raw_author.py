"""An author for tests that writes what it is told, at any stamp; its operations as entries for a Store."""

from typing import Any

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.trust.seal import NO_SEAL, make_seal, seal_hash
from hedgerow_bigpeer.store.rows import Entry, Operation, SchemaEntry, SealEntry

YEAR = 31_557_600_000


class RawAuthor:
    """`entries` is all that was written; take() returns what is new since the last call."""

    def __init__(self, byte: int, collection: str = "things", kind: int = KEEP) -> None:
        self.author = bytes([byte]) * 8
        self.collection = collection
        self.kind = kind
        self.number = 0
        self.entries: list[Entry] = []
        self._taken = 0
        self._schemas: dict[bytes, Any] = {}
        self._marks: list[bytes] = []
        self._previous = NO_SEAL

    def write(self, ms: int, *changes: tuple[int, object, dict[str, object]], options: object = None) -> None:
        """Write one operation of (kind, id, fields) changes at a stamp in ms since 2000."""
        rows: list[Any] = []
        for kind, document_id, fields in changes:
            schema = schema_for(self.collection, self.kind, fields)
            if schema.name not in self._schemas:
                self._schemas[schema.name] = schema
                self.entries.append(SchemaEntry(schema.encoded))
            row: list[Any] = [kind, schema.name, document_id]
            if kind != operation.DELETE:
                row.append(schema.pack(fields))
            rows.append([*row, options] if options else row)
        self._append(ms, rows)

    def clock(self, *, epoch: int, uptime: int, source: int, utc: int | None, error: int) -> None:
        """Write a clock record of a boot that stamps from its own start."""
        self._append(uptime, [[operation.CLOCK, epoch, uptime, 0, source, utc, error]])

    def _append(self, ms: int, rows: list[Any]) -> None:
        self.number += 1
        body = operation.encode_body(hlc.pack(ms), rows)
        self._marks.append(operation.h16(self.author, self.number, body, self._schemas))
        self.entries.append(Operation(self.author, self.number, body))

    def insert(self, ms: int, document_id: object, **fields: object) -> None:
        self.write(ms, (operation.INSERT, document_id, fields))

    def update(self, ms: int, document_id: object, **fields: object) -> None:
        self.write(ms, (operation.UPDATE, document_id, fields))

    def delete(self, ms: int, document_id: object) -> None:
        self.write(ms, (operation.DELETE, document_id, {}))

    def seal(self) -> None:
        """Seal what is not sealed yet."""
        body = make_seal(
            self.author, self.number - len(self._marks) + 1, self.number, self._marks, self._previous
        )
        self._previous = seal_hash(body)
        self._marks = []
        self.entries.append(SealEntry(self.author, body))

    def take(self) -> list[Entry]:
        """Return the entries since the last call."""
        new = self.entries[self._taken :]
        self._taken = len(self.entries)
        return new
