"""From a stored operation to an OP frame's body and back (SPEC 6.7)."""

from ..clock import hlc
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError
from ..operation import INSERT, decode_body, encode_body, h16
from .frames import Op, encode_op

_TURN = 1 << 24


def pack(
    author: bytes,
    number: int,
    stored: bytes,
    schemas: dict,
    before_ms: int | None,
    before: bytes | None = None,
) -> bytes | None:
    """Return the body of an OP, or None for an operation that has to go as a letter.

    `stored` is a valid stored form, `before_ms` the milliseconds of the author's operation before, None if
    there is none or it is not known any more; `schemas` maps names to Schema. What is no integer and stays as
    it is in `before`, the stored form of that operation, is left out.
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
    kept = _values(before, change[1]) if before is not None else None
    said = []
    for at, value in enumerate(change[3]):
        same = kept is not None and not is_integer(kept[at])
        if is_integer(value) == same or (same and cbor.encode(value) != cbor.encode(kept[at])):
            return None
        if not same:
            said.append(value)
    check = h16(author, number, stored, schemas)
    try:
        return encode_op(Op(author, number, check, change[1], ms, said))
    except HedgerowError:
        return None


def nearest(held: int, low: int) -> int:
    """Return the number with these low 16 bits that is nearest to the successor of `held`, at least 1."""
    number = held + 1 + ((low - held - 1 + 0x8000) & 0xFFFF) - 0x8000
    return number if number > 0 else number + 0x10000


def _values(before: bytes, name: bytes) -> list | None:
    """Return the values of an operation that is one insert without id under a schema, else None."""
    changes = decode_body(before)[1]
    change = changes[0]
    if len(changes) > 1 or change[0] != INSERT or change[1] != name or change[2] is not None:
        return None
    return change[3]


def _whole(said: list, count: int, kept: list | None) -> list | None:
    """Return `count` values: those said, in the places of integers, the others as they were before."""
    if kept is None:
        return said if len(said) == count else None
    values = []
    at = 0
    for value in kept:
        if is_integer(value):
            if at == len(said):
                return None
            value = said[at]
            at += 1
        values.append(value)
    return values if at == len(said) else None


def rebuild(
    op: Op, author: bytes, number: int, floor_ms: int, schemas: dict, windows: int = 1,
    before: bytes | None = None,
) -> bytes | None:  # fmt: skip
    """Return the stored form of an OP whose check proves it, else None.

    `floor_ms` are the milliseconds of the author's operation before: the stamp is the smallest above them
    with the low bits of the OP. Where they are not known, `windows` turns of 2^24 ms above it are tried.
    `before` is the stored form of that operation: what it says beside integers stays as it was.
    """
    if op.number != number & 0xFFFF or op.author != author[:3]:
        return None
    ms = floor_ms + 1 + (op.ms - floor_ms - 1) % _TURN
    for schema in schemas.values():
        if schema.name[:2] != op.schema:
            continue
        kept = _values(before, schema.name) if before is not None else None
        values = _whole(op.values, len(schema.fields), kept)
        if values is None:
            continue
        for turn in range(windows):
            at = ms + turn * _TURN
            if 0 <= at < 1 << 48:
                stored = encode_body(hlc.pack(at), [[INSERT, schema.name, None, values]])
                if h16(author, number, stored, schemas)[:2] == op.check:
                    return stored
    return None


def nearest_byte(known: int, low: int) -> int:
    """Return the number nearest to `known` with these low 8 bits, at least `low`."""
    if not known:
        return low
    number = (known & ~0xFF) + low
    if number - known > 128 and number > 256:
        number -= 256
    elif known - number > 128:
        number += 256
    return number
