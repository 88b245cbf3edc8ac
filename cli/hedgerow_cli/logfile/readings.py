"""What an exported log says, in people's words: its storage, its readings, what is missing and why."""

import decimal
from collections.abc import Iterator
from typing import Any

from hedgerow.clock import hlc
from hedgerow.clock.civil import rfc3339
from hedgerow.clock.timemap import TimeMap
from hedgerow.codec.decimal import Decimal as Fixed
from hedgerow.codec.schema import Schema
from hedgerow.crypto.confidential import is_open
from hedgerow.custody.skip import DAMAGED, DROPPED, LOST, RECEIPTED, RESTORED, SUPERSEDED, Skip
from hedgerow.document import document_ids
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SKIP, STATE_SCHEMA
from hedgerow.operation import CLOCK, COUNTER, DELETE, INITIAL, INSERT, UPDATE, decode_body
from hedgerow_cli.logfile.image import Custody, custody

_READ_BYTES = 1 << 20
_ALL_SEALED = 0xFFFFFFFF
_KINDS = {INSERT: "insert", INITIAL: "initial", UPDATE: "update", DELETE: "delete", COUNTER: "counter"}
_LOST = {DROPPED: "dropped by its author when its log was full", RESTORED: "lost by a keeper's restore"}
_LOST[DAMAGED] = "lost with damaged flash"
_SKIPS = {SUPERSEDED: "superseded", LOST: "lost", RECEIPTED: "receipted, and held by a keeper"}


def storage(log: Any) -> dict[str, Any]:
    """What the log says of its storage, and of each author what custody() says."""
    held: Custody = custody(log)
    rows = [
        {"author": author.name, "held": author.held, "sealed": author.sealed, "receipted": author.receipted}
        | {"open_readings": author.readings}
        for author in held.authors
    ]
    return {"author": held.author, **log.storage(), "damaged": log.damaged, "authors": rows}


def entries(log: Any) -> Iterator[dict[str, Any]]:
    """Each change of each operation, author by author in order, and in their places the ranges that are
    missing: {"author", "number", "collection", "change", "_id", "_time"..., fields}, or {"author", "first",
    "last", "missing": why}. A field of a document within a document is named by its path with dots. In the
    place of the fields of a confidential collection stands "confidential": true.
    """
    known = [Schema.decode(value) for _, value in log.items(STATE_SCHEMA) if value]
    schemas = {schema.name: schema for schema in known}
    for author in log.authors():
        times = _times(log, author)
        number = 0
        for kind, first, last, body in _run(log, author):
            if first > number + 1:
                yield _missing(author, number + 1, first - 1, "receipted, and made room for others")
            if kind == ENTRY_SKIP:
                yield _missing(author, max(first, number + 1), last, _why(body))
            elif kind == ENTRY_OP:
                yield from _changes(author, first, body, schemas, times)
            number = max(number, last)
        if log.held(author) > number:
            yield _missing(author, number + 1, log.held(author), "dropped by this board to make room")


def _run(log: Any, author: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    number = 0
    while found := log.read(author, number, _ALL_SEALED, _READ_BYTES):
        yield from found
        number = max(number, max(entry[2] for entry in found))


def _times(log: Any, author: bytes) -> TimeMap:
    times = TimeMap()
    for kind, number, _, body in _run(log, author):
        if kind == ENTRY_OP:
            for change in decode_body(body)[1]:
                if change[0] == CLOCK:
                    times.add(number, *change[1:])
    return times


def _changes(
    author: bytes, number: int, body: bytes, schemas: dict[bytes, Schema], times: TimeMap
) -> Iterator[dict[str, Any]]:
    stamp, changes = decode_body(body)
    found = times.resolve(number, stamp)
    moment: dict[str, Any] = {"_uptime_stamp_ms": hlc.stamp_ms(stamp)}
    if found is not None:
        moment = {"_time": rfc3339(found[0]), "_time_error_ms": found[1]}
    for change, identity in zip(changes, document_ids(author, number, changes), strict=True):
        if change[0] == CLOCK:
            continue
        schema = schemas.get(change[1])
        row = {"author": author.hex(), "number": number, "change": _KINDS[change[0]], "_id": _plain(identity)}
        if schema is None:
            yield {**row, "schema": change[1].hex(), **moment}
            continue
        if not is_open(change, schema):
            yield {**row, "collection": schema.collection, **moment, "confidential": True}
            continue
        fields = schema.unpack(change[3]) if change[0] != DELETE else {}
        named = {name if isinstance(name, str) else ".".join(name): fields[name] for name in fields}
        yield {**row, "collection": schema.collection, **moment} | {
            name: _plain(value) for name, value in named.items()
        }


def _missing(author: bytes, first: int, last: int, why: str) -> dict[str, Any]:
    return {"author": author.hex(), "first": first, "last": last, "missing": why}


def _why(body: bytes) -> str:
    try:
        skip = Skip.decode(body)
    except HedgerowError as error:
        return str(error)
    if skip.kind == LOST and isinstance(skip.detail, list):
        reason = skip.detail[0]
        return _LOST.get(reason, f"lost: {reason}") if isinstance(reason, int) else f"lost: {reason}"
    return _SKIPS[skip.kind]


def _plain(value: object) -> Any:
    """A value of a document as JSON has it; bytes in hex."""
    if isinstance(value, Fixed):
        return decimal.Decimal(str(value))
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
