"""Segments: a run of one author's consecutive operations as it travels on links (SPEC 4).

The author and the first number stand once, before blocks. A plain block holds stored forms as they are. A
columnar block holds operations of one insert each, of one schema, without id or options: stamps as deviations
from a straight line, and each field as a column.
"""

from .. import limits
from ..clock import hlc
from ..errors import HedgerowError
from ..limits import const
from ..operation import CLOCK, INSERT, decode_body
from . import cbor
from .schema import is_integer
from .varint import write_int, write_uint

# Version 1, kind 0
HEAD = const(0x10)
# Blocks written here stay this short, so that a board holds few unpacked operations at once.
_BLOCK_OPERATIONS = const(64)

# Block modes
PLAIN = const(0)
COLUMNS = const(1)
DELTAS = const(2)

# Columns
RAW = const(0)
CONSTANT = const(1)
DELTA = const(2)
LINEAR = const(3)


def encode_segment(author: bytes, first: int, bodies: list, schemas: dict) -> bytes:
    """Return the segment of an author's operations `first`, `first` + 1, ..., given their stored forms."""
    count = len(bodies)
    if not 0 < count <= limits.MAX_SEGMENT_OPERATIONS or sum(map(len, bodies)) > limits.MAX_SEGMENT_BYTES:
        raise HedgerowError("SEGMENT_TOO_LONG", str(count))
    if len(author) != 8 or not 0 < first <= limits.MAX_NUMBER + 1 - count:
        raise HedgerowError("SEGMENT_INVALID", "author or number")
    buffer = bytearray((HEAD,))
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
    write_uint(buffer, len(rows) << 2 | PLAIN)
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
        all_deltas = all_deltas and kind == DELTA
        columns.append(kind)
        start = len(columns)
        _write_column(columns, kind, values)
        bare.extend(columns[start:])
    write_uint(buffer, len(rows) << 2 | (DELTAS if all_deltas else COLUMNS))
    buffer.extend(name)
    _write_stamps(buffer, [row[0] for row in rows])
    buffer.extend(bare if all_deltas else columns)


def _column_kind(values: list) -> int:
    if len(values) > 1:
        first = cbor.encode(values[0])
        if all(cbor.encode(value) == first for value in values):
            return CONSTANT
    if not all(is_integer(value) and -1 <= value >> 61 <= 0 for value in values):
        return RAW
    if len(values) > 2:
        step = values[1] - values[0]
        if all(values[at] - values[at - 1] == step for at in range(2, len(values))):
            return LINEAR
    return DELTA


def _write_column(buffer: bytearray, kind: int, values: list) -> None:
    if kind == RAW:
        for value in values:
            cbor.encode_into(buffer, value)
    elif kind == CONSTANT:
        cbor.encode_into(buffer, values[0])
    else:
        last = 0
        for value in values[:2] if kind == LINEAR else values:
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
    # A board that only records has no use for it.
    from .unfold import unfold

    return unfold(data, schemas)
