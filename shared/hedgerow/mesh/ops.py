"""From a stored operation to an OP frame's body and back (SPEC 6.7)."""

from ..clock import hlc
from ..codec.schema import is_integer
from ..errors import HedgerowError
from ..operation import INSERT, decode_body, encode_body, h16
from .frames import Op, encode_op

_TURN = 1 << 24


def pack(author: bytes, number: int, stored: bytes, schemas: dict, before_ms: int | None) -> bytes | None:
    """Return the body of an OP, or None for an operation that has to go as a letter.

    `stored` is a valid stored form, `before_ms` the milliseconds of the author's operation before, None if
    there is none or it is not known any more; `schemas` maps names to Schema.
    """
    stamp, changes = decode_body(stored)
    ms = hlc.stamp_ms(stamp)
    change = changes[0]
    if len(changes) > 1 or change[0] != INSERT or change[2] is not None or len(change) != 4:
        return None
    if stamp[6] or stamp[7]:
        return None
    # Whoever holds the operation before goes by its moment.
    if number > 1 and (before_ms is None or not 0 < ms - before_ms <= _TURN):
        return None
    for value in change[3]:
        if not is_integer(value):
            return None
    check = h16(author, number, stored, schemas)
    try:
        return encode_op(Op(author, number, check, change[1], ms, change[3]))
    except HedgerowError:
        return None


def nearest(held: int, low: int) -> int:
    """Return the number with these low 16 bits that is nearest to the successor of `held`, at least 1."""
    number = held + 1 + ((low - held - 1 + 0x8000) & 0xFFFF) - 0x8000
    return number if number > 0 else number + 0x10000


def rebuild(
    op: Op, author: bytes, number: int, floor_ms: int, schemas: dict, windows: int = 1
) -> bytes | None:
    """Return the stored form of an OP whose check proves it, else None.

    `floor_ms` are the milliseconds of the author's operation before: the stamp is the smallest above them
    with the low bits of the OP. Where they are not known, `windows` turns of 2^24 ms above it are tried.
    """
    if op.number != number & 0xFFFF or op.author != author[:3]:
        return None
    ms = floor_ms + 1 + (op.ms - floor_ms - 1) % _TURN
    for schema in schemas.values():
        if schema.name[:2] != op.schema or len(schema.fields) != len(op.values):
            continue
        for turn in range(windows):
            at = ms + turn * _TURN
            if 0 <= at < 1 << 48:
                stored = encode_body(hlc.pack(at), [[INSERT, schema.name, None, op.values]])
                if h16(author, number, stored, schemas)[:2] == op.check:
                    return stored
    return None
