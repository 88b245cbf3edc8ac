"""Segments: a run of one author's consecutive operations as it travels on links (SPEC 4).

The author and the first number stand once, before blocks. A plain block holds stored forms as they are. A
columnar block holds operations of one insert each, of one schema, without id or options: stamps as deviations
from a straight line, and each field as a column.
"""

from .. import limits
from ..clock import hlc
from ..errors import HedgerowError
from ..operation import CLOCK, INSERT, check_value, decode_body
from . import cbor
from .schema import is_integer
from .varint import read_int, read_uint, write_int, write_uint

_VERSION = 1
_HEAD = _VERSION << 4
# Blocks written here stay this short, so that a board holds few unpacked operations at once.
_BLOCK_OPERATIONS = 64

# Block modes
_PLAIN = 0
_COLUMNS = 1
_DELTAS = 2

# Columns
_RAW = 0
_CONSTANT = 1
_DELTA = 2
_LINEAR = 3


def encode_segment(author: bytes, first: int, bodies: list, schemas: dict) -> bytes:
    """Return the segment of an author's operations `first`, `first` + 1, ..., given their stored forms."""
    count = len(bodies)
    if not 0 < count <= limits.MAX_SEGMENT_OPERATIONS or sum(map(len, bodies)) > limits.MAX_SEGMENT_BYTES:
        raise HedgerowError("SEGMENT_TOO_LONG", str(count))
    if len(author) != 8 or not 0 < first <= limits.MAX_NUMBER + 1 - count:
        raise HedgerowError("SEGMENT_INVALID", "author or number")
    buffer = bytearray((_HEAD,))
    buffer.extend(author)
    write_uint(buffer, first)
    schema = None
    block = []
    for body in bodies:
        row_schema, row = _row(body, schemas)
        if block and (row_schema is not schema or len(block) == _BLOCK_OPERATIONS):
            _write_block(buffer, schema, block)
            block = []
        schema = row_schema
        block.append(row)
    _write_block(buffer, schema, block)
    return bytes(buffer)


def segment_schemas(bodies: list) -> list:
    """Return the names of the schemas that valid stored forms use, each once, in order of first use."""
    names = []
    for body in bodies:
        for name in _schemas_of(body):
            if name not in names:
                names.append(name)
    return names


def _schemas_of(body: bytes) -> list:
    if body[0] == 0x82:
        # [stamp, [kind, name, ...]]: one change, whose values need not be decoded for its schema.
        at = 3 + (body[1] & 0x0F)
        return [] if body[at] == CLOCK else [bytes(body[at + 2 : at + 6])]
    return [change[1] for change in decode_body(body)[1] if change[0] != CLOCK]


def _row(body: bytes, schemas: dict) -> tuple:
    """Return (schema, (stamp, values)) of what fits a columnar block, (None, stored form) of the rest."""
    stamp, changes = decode_body(body)
    change = changes[0]
    if len(changes) == 1 and change[0] == INSERT and change[2] is None and len(change) == 4:
        schema = schemas.get(change[1])
        if schema and len(schema.fields) == len(change[3]):
            return schema, (stamp, change[3])
    return None, body


def _write_block(buffer: bytearray, schema: object, rows: list) -> None:
    if schema:
        _write_columnar(buffer, schema.name, rows)
        return
    write_uint(buffer, len(rows) << 2 | _PLAIN)
    for body in rows:
        write_uint(buffer, len(body))
        buffer.extend(body)


def _write_columnar(buffer: bytearray, name: bytes, rows: list) -> None:
    columns = bytearray()
    bare = bytearray()
    all_deltas = True
    for at in range(len(rows[0][1])):
        values = [row[1][at] for row in rows]
        kind = _column_kind(values)
        all_deltas = all_deltas and kind == _DELTA
        columns.append(kind)
        start = len(columns)
        _write_column(columns, kind, values)
        bare.extend(columns[start:])
    write_uint(buffer, len(rows) << 2 | (_DELTAS if all_deltas else _COLUMNS))
    buffer.extend(name)
    _write_stamps(buffer, [row[0] for row in rows])
    buffer.extend(bare if all_deltas else columns)


def _column_kind(values: list) -> int:
    if len(values) > 1:
        first = cbor.encode(values[0])
        if all(cbor.encode(value) == first for value in values):
            return _CONSTANT
    if not all(is_integer(value) and -1 <= value >> 61 <= 0 for value in values):
        return _RAW
    if len(values) > 2:
        step = values[1] - values[0]
        if all(values[at] - values[at - 1] == step for at in range(2, len(values))):
            return _LINEAR
    return _DELTA


def _write_column(buffer: bytearray, kind: int, values: list) -> None:
    if kind == _RAW:
        for value in values:
            cbor.encode_into(buffer, value)
    elif kind == _CONSTANT:
        cbor.encode_into(buffer, values[0])
    else:
        last = 0
        for value in values[:2] if kind == _LINEAR else values:
            write_int(buffer, value - last)
            last = value


def _write_stamps(buffer: bytearray, stamps: list) -> None:
    """Append stamps: start << 1 | counters follow, slope in 1/256 ms, deviations, counters."""
    times = [hlc.stamp_ms(stamp) for stamp in stamps]
    counters = [stamp[6] << 8 | stamp[7] for stamp in stamps]
    counted = 1 if any(counters) else 0
    count = len(times)
    if count == 1:
        write_uint(buffer, times[0] << 1 | counted)
    else:
        # Least squares keeps jitter of +-40 ms within the one byte that a deviation has up to +-63.
        tilt = sum((2 * at - count + 1) * (times[at] - times[0]) for at in range(count))
        slope = max(0, 1536 * tilt // (count * (count * count - 1)))
        deviations = [times[at] - (slope * at >> 8) for at in range(count)]
        start = max(0, sorted(deviations)[count // 2])
        write_uint(buffer, start << 1 | counted)
        write_uint(buffer, slope)
        for deviation in deviations:
            write_int(buffer, deviation - start)
    if counted:
        for counter in counters:
            write_uint(buffer, counter)


def decode_segment(data: bytes, schemas: dict) -> tuple:
    """Return (author, first number, stored forms): the very bytes that were encoded.

    Every operation in it passes the checks of `decode_body`; SCHEMA_UNKNOWN if `schemas` (name to Schema)
    lacks one that a columnar block needs.
    """
    if len(data) < 10:
        raise HedgerowError("SEGMENT_TRUNCATED", str(len(data)))
    if data[0] != _HEAD:
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
        if mode == _PLAIN:
            at = _read_plain(data, at, count, bodies, budget)
        elif mode in (_COLUMNS, _DELTAS):
            at = _read_columnar(data, at, count, mode, schemas, bodies, budget)
        else:
            raise HedgerowError("SEGMENT_INVALID", "block mode 3")
    if not bodies:
        raise HedgerowError("SEGMENT_TOO_LONG", "no operations")
    if not 0 < first <= limits.MAX_NUMBER + 1 - len(bodies):
        raise HedgerowError("SEGMENT_INVALID", f"number {first}")
    return author, first, bodies


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
        kind = _DELTA
        if mode == _COLUMNS:
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
        if kind == _RAW or (kind == _CONSTANT and index == 0):
            item, end = cbor.decode_at(data, at)
            if item is not cbor.UNDEFINED:
                check_value(item)
            raw = bytes(data[at:end])
            at = end
            body.extend(raw)
        elif kind == _CONSTANT:
            body.extend(raw)
        elif kind == _DELTA or (kind == _LINEAR and index < 2):
            step, at = read_int(data, at)
            value += step
            cbor.encode_into(body, value)
        elif kind == _LINEAR:
            value += step
            cbor.encode_into(body, value)
        else:
            raise HedgerowError("SEGMENT_INVALID", f"column kind {kind}")
        budget.take(len(body) - before)
    return at
