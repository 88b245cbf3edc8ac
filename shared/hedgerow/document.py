"""Merge rules: what a document is, given any operations on it in any order (SPEC 3.10 to 3.18)."""

import hashlib

from . import operation
from .clock import hlc
from .codec import cbor
from .codec.schema import Schema, path_of
from .errors import HedgerowError

_VERSION = 1
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
    plain write (a value, or unset) and its greatest write as a map. A write is visible if it exceeds the
    document's delete and every plain write to a path that it lies under.
    """

    def __init__(self) -> None:
        self._insert = b""
        self._delete = b""
        self._plain = {}
        self._maps = {}

    def apply(self, change: list, schema: Schema, stamp: bytes, author: bytes) -> bool:
        """Merge a change of an operation with this stamp and author; return whether the state changed."""
        kind = change[0]
        options = change[-1] if isinstance(change[-1], dict) else {}
        if operation.MERGE_STAMP in options:
            stamp = hlc.unwire(options[operation.MERGE_STAMP])
        if kind == operation.INITIAL:
            stamp, author = hlc.ZERO, _initial_author(change, schema)
        key = stamp + author
        if kind == operation.DELETE:
            changed = key > self._delete
            self._delete = max(key, self._delete)
            return changed
        values = schema.unpack(change[3])
        changed = False
        if kind != operation.UPDATE:
            changed = key > self._insert
            self._insert = max(key, self._insert)
        for name in values:
            changed = self._write(path_of(name), values[name], key) or changed
        for path in options.get(operation.UNSET, ()):
            path = (path,) if isinstance(path, str) else tuple(path)
            changed = _raise(self._plain, path, (key, _UNSET)) or changed
        return changed

    def _write(self, path: tuple, value: object, key: bytes) -> bool:
        changed = False
        for size in range(1, len(path)):
            changed = _raise(self._maps, path[:size], (key, b"")) or changed
        if isinstance(value, dict):
            changed = _raise(self._maps, path, (key, b"")) or changed
            for name in value:
                changed = self._write(path + (name,), value[name], key) or changed
            return changed
        return _raise(self._plain, path, (key, cbor.encode(value))) or changed

    def exists(self) -> bool:
        """Return whether the greatest insert exceeds the greatest delete."""
        return self._insert > self._delete

    def value(self) -> dict | None:
        """Return the fields that are visible, or None where the document does not exist."""
        if not self.exists():
            return None
        root = {}
        # Of every map: its dict if it is visible, and the floor that writes below it must exceed.
        inside = {(): (root, self._delete)}
        for path in sorted(set(self._plain) | set(self._maps)):
            parent = inside.get(path[:-1])
            if parent is None:
                continue
            fields, floor = parent
            plain = self._plain.get(path, _NONE)
            mapped = self._maps.get(path, _NONE)
            if mapped[0] > max(floor, plain[0]):
                fields[path[-1]] = {}
                inside[path] = (fields[path[-1]], max(floor, plain[0]))
            elif plain[0] > floor and plain[1] != _UNSET:
                fields[path[-1]] = cbor.decode(plain[1])
        return root

    def merge_stamp(self, stamp: bytes) -> bytes | None:
        """Return the merge stamp that a change written here at `stamp` needs, None if it needs none."""
        latest = max(self._insert, self._delete)
        for writes in (self._plain, self._maps):
            for path in writes:
                latest = max(latest, writes[path][0])
        latest = latest[:8]
        return hlc.above(latest) if latest >= stamp else None

    def encode(self) -> bytes:
        """Return the state as bytes; equal states have equal bytes."""
        buffer = bytearray()
        for item in (_VERSION, self._insert, self._delete):
            cbor.encode_into(buffer, item)
        for path in sorted(set(self._plain) | set(self._maps)):
            key, raw = self._plain.get(path, _NONE)
            cbor.encode_into(buffer, [path, key, raw, self._maps.get(path, _NONE)[0]])
        return bytes(buffer)

    @staticmethod
    def decode(data: bytes) -> "Document":
        """Read a state that `encode` wrote."""
        document = Document()
        version, at = cbor.decode_at(data, 0)
        if version != _VERSION:
            raise HedgerowError("DOCUMENT_STATE", "version")
        document._insert, at = cbor.decode_at(data, at)
        document._delete, at = cbor.decode_at(data, at)
        if not isinstance(document._insert, bytes) or not isinstance(document._delete, bytes):
            raise HedgerowError("DOCUMENT_STATE", "types")
        while at < len(data):
            row, at = cbor.decode_at(data, at)
            if not isinstance(row, list) or len(row) != 4 or not isinstance(row[0], list):
                raise HedgerowError("DOCUMENT_STATE", "a path's state is four items")
            if not all(isinstance(step, str) for step in row[0]) or not all(
                isinstance(item, bytes) for item in row[1:]
            ):
                raise HedgerowError("DOCUMENT_STATE", "types")
            path = tuple(row[0])
            if row[1]:
                document._plain[path] = (row[1], row[2])
            if row[3]:
                document._maps[path] = (row[3], b"")
        return document


def _raise(writes: dict, path: tuple, write: tuple) -> bool:
    """Keep the greater of a path's write and another one; return whether that is the other one."""
    if write > writes.get(path, _NONE):
        writes[path] = write
        return True
    return False


def _initial_author(change: list, schema: Schema) -> bytes:
    """Return the author of a default: the same for equal defaults, whoever writes them."""
    return hashlib.sha256(cbor.encode([schema.hash, change[2], change[3]])).digest()[:8]
