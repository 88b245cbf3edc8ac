"""Operations: their stored form, their checks, their canonical bytes (SPEC 3.4 to 3.9).

A change is a list. INSERT, INITIAL, UPDATE: [kind, schema name, id or None, values] and, if needed,
options {MERGE_STAMP: bytes, UNSET: paths}; DELETE: [kind, schema name, id] and options; CLOCK: [kind,
epoch, uptime ms, base ms, source, UTC ms or None, error ms]; COUNTER: as UPDATE, each value [base, total].
"""

import hashlib

from . import limits
from .clock import hlc
from .codec import cbor
from .codec.schema import SCOPE_ALL, check_name, check_path, is_integer, scope_of
from .errors import HedgerowError

INSERT = 0
INITIAL = 1
UPDATE = 2
DELETE = 3
CLOCK = 4
COUNTER = 5
# Stands for a change whose values cannot be read here; nothing stored has it.
HIDDEN = 6

# Options of a change
MERGE_STAMP = 1
UNSET = 2

# Sources of a clock record
SOURCE_BOOT = 0
SOURCE_JUMP = 1
SOURCE_GATEWAY = 2
SOURCE_RELAYED = 3
SOURCE_KEEPER = 4

_VERSION = 1


def encode_body(stamp: bytes, changes: list) -> bytes:
    """Return the stored form of an operation: CBOR [stamp, change, ...]."""
    if not changes:
        raise HedgerowError("OPERATION_EMPTY")
    if len(changes) > limits.MAX_CHANGES:
        raise HedgerowError("OPERATION_CHANGES", str(len(changes)))
    items = [hlc.wire(stamp)]
    for change in changes:
        check_change(change, stamp)
        items.append(change)
    body = cbor.encode(items)
    if len(body) > limits.MAX_OPERATION:
        raise HedgerowError("OPERATION_TOO_LARGE", str(len(body)))
    return body


def decode_body(body: bytes) -> tuple:
    """Return (stamp, changes) of a stored form, every rule checked that needs no schema."""
    if len(body) > limits.MAX_OPERATION:
        raise HedgerowError("OPERATION_TOO_LARGE", str(len(body)))
    items = cbor.decode(body)
    if not isinstance(items, list) or not items:
        raise HedgerowError("OPERATION_INVALID", "not [stamp, change, ...]")
    stamp = hlc.unwire(items[0])
    changes = items[1:]
    if not changes:
        raise HedgerowError("OPERATION_EMPTY")
    if len(changes) > limits.MAX_CHANGES:
        raise HedgerowError("OPERATION_CHANGES", str(len(changes)))
    for change in changes:
        check_change(change, stamp)
    return stamp, changes


def check_change(change: object, stamp: bytes) -> None:
    """Refuse a change that breaks a rule, whatever its schema says."""
    if not isinstance(change, list) or len(change) < 3 or not is_integer(change[0]):
        raise HedgerowError("CHANGE_INVALID", "not [kind, ...]")
    kind = change[0]
    if kind == CLOCK:
        _check_clock(change)
        return
    size = 3 if kind == DELETE else 4
    if not 0 <= kind <= COUNTER or not size <= len(change) <= size + 1:
        raise HedgerowError("CHANGE_INVALID", f"kind {kind}, {len(change)} items")
    if not isinstance(change[1], bytes) or len(change[1]) != 4:
        raise HedgerowError("CHANGE_INVALID", "schema name")
    if change[2] is None:
        if kind != INSERT:
            raise HedgerowError("CHANGE_INVALID", "only an insert may leave out the id")
    else:
        check_id(change[2])
    if kind != DELETE:
        if not isinstance(change[3], (list, tuple)) or len(change[3]) > limits.MAX_FIELDS:
            raise HedgerowError("CHANGE_FIELDS", "not an array of at most 64 values")
        if kind == COUNTER:
            from .counter import check_total as check
        else:
            check = check_value
        for value in change[3]:
            if value is not cbor.UNDEFINED:
                check(value)
    if len(change) > size:
        _check_options(kind, change[size], stamp)


def check_value(value: object, depth: int = 0) -> None:
    """Refuse undefined values, map keys that are no field names, and more than 8 levels of nesting."""
    if isinstance(value, (dict, list, tuple)):
        if depth == limits.MAX_VALUE_DEPTH:
            raise HedgerowError("CBOR_DEPTH", str(depth))
        for item in value:
            if isinstance(value, dict):
                check_name(item)
                item = value[item]
            check_value(item, depth + 1)
    elif value is cbor.UNDEFINED:
        raise HedgerowError("DOCUMENT_INVALID", "undefined inside a value")


def check_id(value: object) -> None:
    """Refuse a document id that holds a map, is null or undefined, or is over 128 bytes."""
    _check_id_item(value)
    if len(cbor.encode(value)) > limits.MAX_ID:
        raise HedgerowError("DOCUMENT_ID", "too long")


def _check_id_item(value: object) -> None:
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_id_item(item)
    elif value is None or value is cbor.UNDEFINED or isinstance(value, dict):
        raise HedgerowError("DOCUMENT_ID", repr(value)[:48])


def _check_options(kind: int, options: object, stamp: bytes) -> None:
    if not isinstance(options, dict) or not options:
        raise HedgerowError("CHANGE_INVALID", "options")
    for key in options:
        value = options[key]
        if key == MERGE_STAMP and kind != INITIAL:
            if hlc.unwire(value) <= stamp:
                raise HedgerowError("CHANGE_INVALID", "a merge stamp not above the operation's")
        elif key == UNSET and kind == UPDATE:
            if not isinstance(value, list) or not 0 < len(value) <= limits.MAX_UNSET_PATHS:
                raise HedgerowError("CHANGE_INVALID", "unset paths")
            for path in value:
                check_path(tuple(path) if isinstance(path, list) else path)
        else:
            raise HedgerowError("CHANGE_INVALID", f"option {key!r}")


def _check_clock(change: list) -> None:
    if len(change) != 7:
        raise HedgerowError("CLOCK_RECORD_INVALID", f"{len(change)} items")
    _, epoch, uptime, base, source, utc_ms, error_ms = change
    bounds = (
        (epoch, 32),
        (uptime, 48),
        (base, 48),
        (source, 3),
        (0 if utc_ms is None else utc_ms, 48),
        (error_ms, 40),
    )
    for value, bits in bounds:
        if not is_integer(value) or value < 0 or value >> bits:
            raise HedgerowError("CLOCK_RECORD_INVALID", repr(value)[:48])
    if source > SOURCE_KEEPER or (source == SOURCE_BOOT and utc_ms is not None):
        raise HedgerowError("CLOCK_RECORD_INVALID", f"source {source}")


def scope_of_changes(changes: list, schemas: dict) -> int:
    """Return the scope of an operation; SCOPE_MIXED if its changes have several, SCHEMA_UNKNOWN.

    A clock record is for all peers. `schemas` maps names to Schema.
    """
    scope = None
    for change in changes:
        if change[0] == CLOCK:
            other = SCOPE_ALL
        else:
            schema = schemas.get(change[1])
            if schema is None:
                raise HedgerowError("SCHEMA_UNKNOWN", repr(change[1]))
            other = scope_of(schema.kind)
        if scope is not None and other != scope:
            raise HedgerowError("SCOPE_MIXED", str(scope) + " and " + str(other))
        scope = other
    return scope


def canonical(author: bytes, number: int, body: bytes, schemas: dict) -> bytes:
    """Return the canonical bytes: CBOR [1, author, number, stamp, [change, ...]], schemas by whole hash.

    They do not depend on how the operation was packed or stored. `schemas` maps names to Schema; values
    that do not fit their schema are refused. `body` is a valid stored form.
    """
    at = 3 + (body[1] & 0x0F)
    if body[0] == 0x82 and body[at] == INSERT and body[at + 6] == 0xF6:
        return _canonical_reading(author, number, body, at, schemas)
    stamp, changes = decode_body(body)
    for change in changes:
        if change[0] != CLOCK:
            schema = schemas.get(change[1])
            if schema is None:
                raise HedgerowError("SCHEMA_UNKNOWN", repr(change[1]))
            if change[0] != DELETE and len(change[3]) != len(schema.fields):
                raise HedgerowError("CHANGE_FIELDS", f"{len(change[3])} values, {len(schema.fields)} fields")
            change[1] = schema.hash
    return cbor.encode([_VERSION, author, number, hlc.wire(stamp), changes])


def _canonical_reading(author: bytes, number: int, body: bytes, at: int, schemas: dict) -> bytes:
    """Splice the canonical bytes of one insert without id: nothing of it but the schema's name changes.

    `at` is where its kind stands.
    """
    name = bytes(body[at + 2 : at + 6])
    schema = schemas.get(name)
    if schema is None:
        raise HedgerowError("SCHEMA_UNKNOWN", repr(name))
    _, count, _ = cbor.read_head(body, at + 7)
    if count != len(schema.fields):
        raise HedgerowError("CHANGE_FIELDS", f"{count} values, {len(schema.fields)} fields")
    buffer = bytearray((0x85, _VERSION, 0x48))
    buffer.extend(author)
    cbor.head_into(buffer, 0, number)
    buffer.extend(body[1 : at - 1])
    buffer.append(0x81)
    buffer.extend(body[at - 1 : at + 1])
    buffer.extend(b"\x58\x20")
    buffer.extend(schema.hash)
    buffer.extend(body[at + 6 :])
    return bytes(buffer)


def h16(author: bytes, number: int, body: bytes, schemas: dict) -> bytes:
    """Return the first 16 bytes of SHA-256 of the canonical bytes; seals are made of these."""
    return hashlib.sha256(canonical(author, number, body, schemas)).digest()[:16]
