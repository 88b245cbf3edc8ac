"""Reading segments (SPEC 4): from their bytes to the stored forms that were packed."""

from .. import limits
from ..clock import hlc
from ..errors import HedgerowError
from ..operation import CLOCK, DELETE, INSERT, check_value, decode_body, scope_of_changes
from . import cbor
from .schema import scope_of
from .segment import COLUMNS, CONSTANT, DELTA, DELTAS, HEAD, LINEAR, PLAIN, RAW
from .varint import read_int, read_uint


def unfold(data: bytes, schemas: dict) -> tuple:
    """See segment.decode_segment."""
    if len(data) < 10:
        raise HedgerowError("SEGMENT_TRUNCATED", str(len(data)))
    if data[0] != HEAD:
        raise HedgerowError("SEGMENT_VERSION", str(data[0]))
    author = bytes(data[1:9])
    first, at = read_uint(data, 9)
    bodies = []
    budget = _Budget()
    while at < len(data):
        tag, at = read_uint(data, at)
        count, mode = tag >> 2, tag & 3
        if not 0 < count <= limits.MAX_SEGMENT_OPERATIONS - len(bodies):
            raise HedgerowError("SEGMENT_TOO_LONG", str(count))
        if mode == PLAIN:
            at = _read_plain(data, at, count, bodies, budget)
        elif mode in (COLUMNS, DELTAS):
            at = _read_columnar(data, at, count, mode, schemas, bodies, budget)
        else:
            raise HedgerowError("SEGMENT_INVALID", "block mode 3")
    if not bodies:
        raise HedgerowError("SEGMENT_TOO_LONG", "no operations")
    if not 0 < first <= limits.MAX_NUMBER + 1 - len(bodies):
        raise HedgerowError("SEGMENT_INVALID", f"number {first}")
    return author, first, bodies


def check_fit(body: bytes, schemas: dict) -> int:
    """Return the scope of a valid stored form whose values stand along the fields of their schemas.

    CHANGE_FIELDS, SCOPE_MIXED, SCHEMA_UNKNOWN for others.
    """
    at = 3 + (body[1] & 0x0F)
    if body[0] == 0x82 and body[at] == INSERT and body[at + 6] == 0xF6:
        # One insert without id, as most are: its values need not be decoded to be counted.
        schema = schemas.get(bytes(body[at + 2 : at + 6]))
        if schema is not None:
            _check_count(cbor.read_head(body, at + 7)[1], schema)
            return scope_of(schema.kind)
    changes = decode_body(body)[1]
    scope = scope_of_changes(changes, schemas)
    for change in changes:
        if change[0] != CLOCK and change[0] != DELETE:
            _check_count(len(change[3]), schemas[change[1]])
    return scope


def _check_count(count: int, schema: object) -> None:
    if count != len(schema.fields):
        raise HedgerowError("CHANGE_FIELDS", f"{count} values, {len(schema.fields)} fields")


class _Budget:
    """Bounds what a segment may unfold to: a few bytes can say much."""

    def __init__(self) -> None:
        self.left = limits.MAX_SEGMENT_BYTES

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise HedgerowError("SEGMENT_TOO_LONG", "unfolds to too many bytes")


def _read_plain(data: bytes, at: int, count: int, bodies: list, budget: _Budget) -> int:
    for _ in range(count):
        size, at = read_uint(data, at)
        if size > len(data) - at:
            raise HedgerowError("SEGMENT_TRUNCATED", str(at))
        budget.take(size)
        body = bytes(data[at : at + size])
        decode_body(body)
        bodies.append(body)
        at += size
    return at


def _read_columnar(
    data: bytes, at: int, count: int, mode: int, schemas: dict, bodies: list, budget: _Budget
) -> int:
    name = bytes(data[at : at + 4])
    at += 4
    if at > len(data):
        raise HedgerowError("SEGMENT_TRUNCATED", str(at))
    schema = schemas.get(name)
    if schema is None:
        raise HedgerowError("SCHEMA_UNKNOWN", repr(name))
    stamps, at = _read_stamps(data, at, count)
    fields = len(schema.fields)
    # [stamp, [INSERT, name, null, [values]]], up to the array of values
    head = bytearray(b"\x84\x00\x44") + name + b"\xf6"
    cbor.head_into(head, 0x80, fields)
    built = []
    for stamp in stamps:
        body = bytearray(b"\x82")
        cbor.encode_into(body, hlc.wire(stamp))
        body.extend(head)
        budget.take(len(body))
        built.append(body)
    for _ in range(fields):
        kind = DELTA
        if mode == COLUMNS:
            if at >= len(data):
                raise HedgerowError("SEGMENT_TRUNCATED", str(at))
            kind = data[at]
            at += 1
        at = _read_column(data, at, kind, built, budget)
    for body in built:
        if len(body) > limits.MAX_OPERATION:
            raise HedgerowError("OPERATION_TOO_LARGE", str(len(body)))
        bodies.append(bytes(body))
    return at


def _read_stamps(data: bytes, at: int, count: int) -> tuple:
    start, at = read_uint(data, at)
    counted = start & 1
    start >>= 1
    times = [start]
    if count > 1:
        slope, at = read_uint(data, at)
        times = []
        for index in range(count):
            deviation, at = read_int(data, at)
            times.append(start + (slope * index >> 8) + deviation)
    counter = 0
    for index in range(count):
        if counted:
            counter, at = read_uint(data, at)
        times[index] = hlc.pack(times[index], counter)
    return times, at


def _read_column(data: bytes, at: int, kind: int, built: list, budget: _Budget) -> int:
    """Append one field's encoded value to each body; return the offset after the column."""
    value = step = 0
    for index in range(len(built)):
        body = built[index]
        before = len(body)
        if kind == RAW or (kind == CONSTANT and index == 0):
            item, end = cbor.decode_at(data, at)
            if item is not cbor.UNDEFINED:
                check_value(item)
            raw = bytes(data[at:end])
            at = end
            body.extend(raw)
        elif kind == CONSTANT:
            body.extend(raw)
        elif kind == DELTA or (kind == LINEAR and index < 2):
            step, at = read_int(data, at)
            value += step
            cbor.encode_into(body, value)
        elif kind == LINEAR:
            value += step
            cbor.encode_into(body, value)
        else:
            raise HedgerowError("SEGMENT_INVALID", f"column kind {kind}")
        budget.take(len(body) - before)
    return at
