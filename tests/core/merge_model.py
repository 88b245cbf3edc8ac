"""What SPEC 3.10 to 3.24 says a document is, worked out from all its changes at once.

Written from the text alone and kept naive: no state is carried from one change to the next, so it cannot
share a mistake of order with `hedgerow.document`. A run is a list of (change, schema, stamp, author).
"""

import hashlib

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal

INSERT, INITIAL, UPDATE, DELETE, COUNTER = 0, 1, 2, 3, 5
UNSET = b"\xf7"


class Writes:
    """All that a run writes: keys of inserts and deletes, and lists of writes by path."""

    def __init__(self, run: list):
        self.inserts = []
        self.deletes = []
        self.plain = []
        self.maps = []
        self.records = []
        for change, schema, stamp, author in run:
            self._add(change, schema, stamp, author)
        self.delete = max([b""] + self.deletes)
        self.paths = {path for path, *_ in self.plain + self.maps + self.records}

    def _add(self, change: list, schema: object, stamp: bytes, author: bytes) -> None:
        kind = change[0]
        options = change[4] if len(change) > 4 else change[3] if kind == DELETE and len(change) > 3 else {}
        if 1 in options:
            stamp = (options[1] + b"\0\0")[:8]
        key = stamp + author
        if kind == INITIAL:
            key = bytes(8) + hashlib.sha256(cbor.encode([schema.hash, change[2], change[3]])).digest()[:8]
        if kind == DELETE:
            self.deletes.append(key)
            return
        if kind in (INSERT, INITIAL):
            self.inserts.append(key)
        for (name, scale), value in zip(schema.fields, change[3]):
            path = (name,) if isinstance(name, str) else name
            if value is cbor.UNDEFINED:
                continue
            if kind == COUNTER:
                if value[0] < key:
                    self.records.append((path, author, (value[0], key, cbor.encode(value[1]))))
                continue
            if scale is not None and isinstance(value, int) and not isinstance(value, bool):
                value = Decimal(value, scale)
            for size in range(1, len(path)):
                self.maps.append((path[:size], key))
            self._add_value(path, value, key)
        for path in options.get(2, []):
            self.plain.append(((path,) if isinstance(path, str) else tuple(path), (key, UNSET)))

    def _add_value(self, path: tuple, value: object, key: bytes) -> None:
        if isinstance(value, dict):
            self.maps.append((path, key))
            for name in value:
                self._add_value(path + (name,), value[name], key)
        else:
            self.plain.append((path, (key, cbor.encode(value))))

    def plain_at(self, path: tuple) -> tuple:
        """Return the greatest plain write to a path: (key, encoded value)."""
        return max([(b"", b"")] + [write for where, write in self.plain if where == path])

    def map_at(self, path: tuple) -> bytes:
        """Return the greatest key that wrote a path as a map."""
        return max([b""] + [key for where, key in self.maps if where == path])

    def floor(self, path: tuple) -> bytes:
        """Return what a write must exceed to be visible at a path."""
        return max([self.delete] + [self.plain_at(path[:size])[0] for size in range(1, len(path))])

    def base(self, path: tuple) -> bytes:
        """Return the base in force at a path (3.19)."""
        keys = [self.plain_at(path[:size])[0] for size in range(1, len(path) + 1)]
        return max([self.delete] + [key for key in keys if key[:8] != bytes(8)])

    def totals(self, path: tuple) -> list:
        """Return the totals that count at a path (3.20)."""
        totals = []
        for author in {author for where, author, _ in self.records if where == path}:
            kept = max(record for where, other, record in self.records if (where, other) == (path, author))
            if kept[0] >= self.base(path):
                totals.append(cbor.decode(kept[2]))
        return totals


def value_of(run: list) -> dict | None:
    """Return what a document of these changes shows, None where it does not exist."""
    writes = Writes(run)
    if max([b""] + writes.inserts) <= writes.delete:
        return None
    return _children(writes, ())


def _children(writes: Writes, above: tuple) -> dict:
    size = len(above) + 1
    shown = {}
    for path in {path[:size] for path in writes.paths if path[: len(above)] == above and len(path) >= size}:
        floor = writes.floor(path)
        key, raw = writes.plain_at(path)
        visible = key > floor and raw != UNSET
        totals = writes.totals(path)
        below = any(len(p) > size and p[:size] == path and writes.totals(p) for p in writes.paths)
        if below or writes.map_at(path) > max(floor, key):
            shown[path[-1]] = _children(writes, path)
        elif totals:
            shown[path[-1]] = _sum(totals + ([cbor.decode(raw)] if visible else []))
        elif visible:
            shown[path[-1]] = cbor.decode(raw)
    return shown


def _sum(values: list) -> object:
    pairs = []
    for value in values:
        if isinstance(value, Decimal):
            pairs.append((value.mantissa, value.exponent))
        elif isinstance(value, int) and value is not True and value is not False:
            pairs.append((value, 0))
    lowest = min(exponent for _, exponent in pairs)
    total = sum(mantissa * 10 ** (exponent - lowest) for mantissa, exponent in pairs)
    if not -(1 << 64) <= total < 1 << 64:
        return None
    return Decimal(total, lowest) if any(isinstance(value, Decimal) for value in values) else total
