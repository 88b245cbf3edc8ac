"""Schemas: immutable lists of (collection, kind, fields), named by their hash (SPEC 3.3)."""

import hashlib

from .. import limits
from ..errors import HedgerowError
from . import cbor
from .decimal import Decimal

# A kind: STREAM or KEEP, plus twice the scope, plus CONFIDENTIAL.
KEEP = 0
STREAM = 1
CONFIDENTIAL = 8

# Scopes: which peers a collection's operations go to
SCOPE_ALL = 0
SCOPE_BIG_PEER = 1
SCOPE_LOCAL = 2

# Where peers write their health documents (SPEC 5.15)
HEALTH = "__health"
# Where keepers grant the keys of confidential collections (SPEC 11.17.4)
GRANTS = "__keys"

_VERSION = 1


class Schema:
    """One schema.

    `fields` are (name, scale) pairs in ascending order: a name is the text of a top-level field or a tuple
    of texts, the path of a nested one; the scale is the exponent of its decimals, or None. `encoded` is
    the CBOR form, `hash` its SHA-256, `name` the first 4 bytes of that.
    """

    def __init__(self, collection: str, kind: int, fields: tuple):
        self.collection = collection
        self.kind = kind
        self.fields = fields
        _check(collection, kind, fields)
        rows = [[name if isinstance(name, str) else list(name), scale] for name, scale in fields]
        self.encoded = cbor.encode([_VERSION, collection, kind, rows])
        self.hash = hashlib.sha256(self.encoded).digest()
        self.name = self.hash[:4]

    @staticmethod
    def decode(data: bytes) -> "Schema":
        """Read a schema; what decodes has exactly the bytes and the hash it came with."""
        rows = cbor.decode(data)
        if not isinstance(rows, list) or len(rows) != 4 or not isinstance(rows[3], list):
            raise HedgerowError("SCHEMA_INVALID", "not [1, collection, kind, fields]")
        if not is_integer(rows[0]) or rows[0] != _VERSION:
            raise HedgerowError("SCHEMA_INVALID", "not [1, collection, kind, fields]")
        fields = []
        for row in rows[3]:
            if not isinstance(row, list) or len(row) != 2:
                raise HedgerowError("SCHEMA_INVALID", "a field is [name, scale]")
            name, scale = row
            fields.append((tuple(name) if isinstance(name, list) else name, scale))
        return Schema(rows[1], rows[2], tuple(fields))

    def pack(self, document: dict) -> list:
        """Return the values of a document (by field name) along the fields; UNDEFINED where it has none."""
        values = []
        for name, scale in self.fields:
            value = document.get(name, cbor.UNDEFINED)
            if scale is not None:
                if isinstance(value, Decimal) and value.exponent == scale:
                    value = value.mantissa
                elif is_integer(value):
                    raise HedgerowError("CHANGE_FIELDS", "an integer in a field of decimals")
            values.append(value)
        return values

    def unpack(self, values: list) -> dict:
        """Return the document (by field name) of values along the fields."""
        if len(values) != len(self.fields):
            raise HedgerowError("CHANGE_FIELDS", f"{len(values)} values, {len(self.fields)} fields")
        document = {}
        for (name, scale), value in zip(self.fields, values):
            if value is not cbor.UNDEFINED:
                document[name] = Decimal(value, scale) if scale is not None and is_integer(value) else value
        return document


def schema_for(collection: str, kind: int, document: dict) -> Schema:
    """Return the schema of a document: its field names in order, its decimals' exponents as scales."""
    fields = []
    for name in document:
        check_path(name)
        if path_of(name)[0] == "_id":
            raise HedgerowError("SCHEMA_INVALID", "_id names a document and is no field")
    for name in sorted(document, key=path_of):
        value = document[name]
        fields.append((name, value.exponent if isinstance(value, Decimal) else None))
    return Schema(collection, kind, tuple(fields))


def path_of(name: object) -> tuple:
    """Return the path of a field name: a text stands for the path of one step."""
    return (name,) if isinstance(name, str) else name


def is_stream(kind: int) -> bool:
    """Tell a collection of readings from one of documents that live on."""
    return bool(kind & STREAM)


def scope_of(kind: int) -> int:
    """Return the scope of a collection of this kind: SCOPE_ALL, SCOPE_BIG_PEER or SCOPE_LOCAL."""
    return kind >> 1 & 3


def is_integer(value: object) -> bool:
    """Tell an integer from a bool, which is one too on CPython."""
    return isinstance(value, int) and value is not True and value is not False


def _check(collection: object, kind: object, fields: tuple) -> None:
    check_name(collection)
    if not is_integer(kind) or kind >> 4 or scope_of(kind) > SCOPE_LOCAL:
        raise HedgerowError("SCHEMA_INVALID", "kind")
    if kind & CONFIDENTIAL and scope_of(kind) == SCOPE_LOCAL:
        # What never leaves its peer has nobody to hide from.
        raise HedgerowError("SCHEMA_INVALID", "kind")
    if len(fields) > limits.MAX_FIELDS:
        raise HedgerowError("DOCUMENT_FIELDS", str(len(fields)))
    last = ()
    for name, scale in fields:
        check_path(name)
        if scale is not None and (not is_integer(scale) or abs(scale) > limits.MAX_EXPONENT):
            raise HedgerowError("SCHEMA_INVALID", "scale")
        path = path_of(name)
        # A path that continues another would write one field twice in one change.
        if last and (path <= last or path[: len(last)] == last):
            raise HedgerowError("SCHEMA_INVALID", "fields out of order, or one within another")
        last = path


def check_path(name: object) -> None:
    """Refuse what is neither a field name nor a tuple of 2 to 8 of them."""
    if isinstance(name, tuple):
        if not 2 <= len(name) <= limits.MAX_PATH:
            raise HedgerowError("SCHEMA_INVALID", "path")
        for step in name:
            check_name(step)
    else:
        check_name(name)


def check_name(name: object) -> None:
    """Refuse what is not a text of 1 to 64 characters."""
    if not isinstance(name, str) or not 0 < len(name) <= limits.MAX_NAME:
        raise HedgerowError("SCHEMA_INVALID", "name " + repr(name)[:48])
