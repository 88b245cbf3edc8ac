"""Merge rules: what a document is, given any operations on it in any order (SPEC 3.10 to 3.25)."""

import hashlib

from . import operation
from .clock import hlc
from .codec import cbor
from .codec.schema import Schema, is_integer, path_of
from .errors import HedgerowError

_VERSION = 2
_UNSET = b"\xf7"
_NONE = (b"", b"")


def document_ids(author: bytes, number: int, changes: list) -> list:
    """Return the document id of each change of an operation: its own, else its dot; None for a clock record.

    The dot is [author, number]; in an operation with several inserts without id it is
    [author, number, index of the change].
    """
    unnamed = sum(1 for change in changes if change[0] == operation.INSERT and change[2] is None)
    ids = []
    for index in range(len(changes)):
        change = changes[index]
        if change[0] == operation.CLOCK:
            ids.append(None)
        elif change[2] is not None:
            ids.append(change[2])
        else:
            ids.append([author, number] if unnamed == 1 else [author, number, index])
    return ids


class Document:
    """The merged state of one document.

    A write is the pair (stamp + author, encoded value); the greatest wins. Each path keeps its greatest
    plain write (a value, or unset), its greatest write as a map, and each author's counter record. A write
    is visible if it exceeds the document's delete and every plain write to a path that it lies under.
    """

    def __init__(self) -> None:
        self._insert = b""
        self._delete = b""
        self._plain = {}
        self._maps = {}
        self._counters = {}

    def apply(self, change: list, schema: Schema, stamp: bytes, author: bytes) -> bool:
        """Merge a change of an operation with this stamp and author; return whether the state changed."""
        kind = change[0]
        key = key_of(change, schema, stamp, author)
        if kind == operation.DELETE:
            changed = key > self._delete
            self._delete = max(key, self._delete)
            return changed
        if kind == operation.COUNTER:
            return self._count(change, schema, key, author)
        writes = _writes(change, schema)
        changed = False
        if kind != operation.UPDATE:
            changed = key > self._insert
            self._insert = max(key, self._insert)
        for path, raw in writes:
            if raw is None:
                changed = _raise(self._maps, path, (key, b"")) or changed
            else:
                changed = _raise(self._plain, path, (key, raw)) or changed
        return changed

    def _count(self, change: list, schema: Schema, key: bytes, author: bytes) -> bool:
        from . import counter

        changed = False
        for path, record in counter.records(schema.unpack(change[3]), key):
            authors = self._counters.setdefault(path, {})
            if record > authors.get(author, ()):
                authors[author] = record
                changed = True
        return changed

    def superseded_by(self, change: list, schema: Schema, stamp: bytes, author: bytes) -> bytes | None:
        """Return the greatest key that dominates a change that was applied, None while it is needed.

        A change is needed while the state keeps any write of it that can still show, or hide others. The
        key is empty where the change wrote nothing.
        """
        kind = change[0]
        key = key_of(change, schema, stamp, author)
        if kind == operation.DELETE:
            return self._delete if key < self._delete else None
        if kind == operation.COUNTER:
            from . import counter

            return counter.superseded_by(
                counter.records(schema.unpack(change[3]), key),
                author,
                self._counters,
                self._plain,
                self._delete,
            )
        greatest = b""
        if kind != operation.UPDATE:
            greatest = max(self._insert, self._delete)
            if key > self._delete and key >= self._insert:
                return None
        for path, raw in _writes(change, schema):
            floor = self._delete
            for size in range(1, len(path)):
                floor = max(floor, self._plain.get(path[:size], _NONE)[0])
            plain = self._plain.get(path, _NONE)
            winner = max(floor, plain[0])
            if raw is None:
                needed = key > winner and key >= self._maps.get(path, _NONE)[0]
                winner = max(winner, self._maps.get(path, _NONE)[0])
            else:
                needed = key > floor and (key, raw) >= plain
            if needed:
                return None
            greatest = max(greatest, winner)
        return greatest

    def carries(self, change: list, schema: Schema, stamp: bytes, author: bytes) -> bool:
        """Return whether the document still needs a change that was applied; else it is superseded."""
        return self.superseded_by(change, schema, stamp, author) is None

    def counter(self, path: tuple, author: bytes) -> tuple:
        """Return (base, own total) that the author's next total at a path must build on."""
        from . import counter

        base = counter.base_of(path, self._plain, self._delete)
        record = self._counters.get(path, {}).get(author)
        if record is None or record[0] < base:
            return base, 0
        return record[0], cbor.decode(record[2])

    def exists(self) -> bool:
        """Return whether the greatest insert exceeds the greatest delete."""
        return self._insert > self._delete

    def deleted(self) -> bool:
        """Return whether a delete is among the changes."""
        return bool(self._delete)

    def value(self) -> dict | None:
        """Return the fields that are visible, or None where the document does not exist."""
        if not self.exists():
            return None
        root = {}
        counts = self._counts()
        # The paths above a counter are maps.
        above = {path[:size] for path in counts for size in range(1, len(path))}
        # Of every map: its dict if it is visible, and the floor that writes below it must exceed.
        inside = {(): (root, self._delete)}
        for path in sorted(set(self._plain) | set(self._maps) | set(counts) | above):
            parent = inside.get(path[:-1])
            if parent is None:
                continue
            fields, floor = parent
            plain = self._plain.get(path, _NONE)
            top = max(floor, plain[0])
            shown = plain[0] > floor and plain[1] != _UNSET
            if path in above or self._maps.get(path, _NONE)[0] > top:
                fields[path[-1]] = {}
                inside[path] = (fields[path[-1]], top)
            elif path in counts:
                from . import counter

                fields[path[-1]] = counter.add(counts[path] + ([cbor.decode(plain[1])] if shown else []))
            elif shown:
                fields[path[-1]] = cbor.decode(plain[1])
        return root

    def _counts(self) -> dict:
        if not self._counters:
            return {}
        from . import counter

        return counter.counted(self._counters, self._plain, self._delete)

    def stamp(self) -> bytes:
        """Return the greatest stamp in the document; no bytes if nothing was applied."""
        latest = max(self._insert, self._delete)
        for writes in (self._plain, self._maps):
            for path in writes:
                latest = max(latest, writes[path][0])
        for path in self._counters:
            for record in self._counters[path].values():
                latest = max(latest, record[1])
        return latest[:8]

    def merge_stamp(self, stamp: bytes) -> bytes | None:
        """Return the merge stamp that a change written here at `stamp` needs, None if it needs none."""
        latest = self.stamp()
        return hlc.above(latest) if latest >= stamp else None

    def encode(self) -> bytes:
        """Return the state as bytes; equal states have equal bytes."""
        buffer = bytearray()
        for item in (_VERSION, self._insert, self._delete):
            cbor.encode_into(buffer, item)
        for path in sorted(set(self._plain) | set(self._maps)):
            key, raw = self._plain.get(path, _NONE)
            cbor.encode_into(buffer, [path, key, raw, self._maps.get(path, _NONE)[0]])
        for path in sorted(self._counters):
            authors = self._counters[path]
            for author in sorted(authors):
                base, key, raw = authors[author]
                cbor.encode_into(buffer, [path, author, base, key, raw])
        return bytes(buffer)

    @staticmethod
    def decode(data: bytes) -> "Document":
        """Read a state that `encode` wrote; DOCUMENT_STATE, or a CBOR code."""
        document = Document()
        version, at = cbor.decode_at(data, 0)
        # Version 1 had no counters, and is otherwise the same.
        if not is_integer(version) or not 1 <= version <= _VERSION:
            raise HedgerowError("DOCUMENT_STATE", "version")
        document._insert, at = cbor.decode_at(data, at)
        document._delete, at = cbor.decode_at(data, at)
        if not isinstance(document._insert, bytes) or not isinstance(document._delete, bytes):
            raise HedgerowError("DOCUMENT_STATE", "types")
        while at < len(data):
            row, at = cbor.decode_at(data, at)
            document._decode_row(row, 4 if version == 1 else 5)
        return document

    def _decode_row(self, row: object, longest: int) -> None:
        if not isinstance(row, list) or not 4 <= len(row) <= longest or not isinstance(row[0], list):
            raise HedgerowError("DOCUMENT_STATE", "a path's state is four items, a counter's five")
        if not all(isinstance(step, str) for step in row[0]) or not all(
            isinstance(item, bytes) for item in row[1:]
        ):
            raise HedgerowError("DOCUMENT_STATE", "types")
        path = tuple(row[0])
        if len(row) == 5:
            self._counters.setdefault(path, {})[row[1]] = (row[2], row[3], row[4])
            return
        if row[1]:
            self._plain[path] = (row[1], row[2])
        if row[3]:
            self._maps[path] = (row[3], b"")


def _options(change: list) -> dict:
    return change[-1] if isinstance(change[-1], dict) else {}


def key_of(change: list, schema: Schema, stamp: bytes, author: bytes) -> bytes:
    """Return the key of a change's writes: its effective stamp and author."""
    if change[0] == operation.INITIAL:
        # The same default is the same write, whoever makes it.
        return hlc.ZERO + hashlib.sha256(cbor.encode([schema.hash, change[2], change[3]])).digest()[:8]
    options = _options(change)
    if operation.MERGE_STAMP in options:
        stamp = hlc.unwire(options[operation.MERGE_STAMP])
    return stamp + author


def _writes(change: list, schema: Schema) -> list:
    """Return what an INSERT, INITIAL or UPDATE writes: (path, encoded value, or None for a map)."""
    writes = []
    values = schema.unpack(change[3])
    for name in values:
        path = path_of(name)
        for size in range(1, len(path)):
            writes.append((path[:size], None))
        _write(writes, path, values[name])
    for path in _options(change).get(operation.UNSET, ()):
        writes.append(((path,) if isinstance(path, str) else tuple(path), _UNSET))
    return writes


def _write(writes: list, path: tuple, value: object) -> None:
    if isinstance(value, dict):
        writes.append((path, None))
        for name in value:
            _write(writes, path + (name,), value[name])
    else:
        writes.append((path, cbor.encode(value)))


def _raise(writes: dict, path: tuple, write: tuple) -> bool:
    """Keep the greater of a path's write and another one; return whether that is the other one."""
    if write > writes.get(path, _NONE):
        writes[path] = write
        return True
    return False
