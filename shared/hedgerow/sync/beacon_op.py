"""The OP beacon: one operation of one insert in one advertisement (SPEC 6.4)."""

import struct

from ..codec.varint import read_int, write_int
from ..errors import HedgerowError
from .beacon import NO_TAG, OP, VERSION, advertise

_OP = ">B3s3sH4s3s"
_OP_SIZE = 16
_OP_VALUES = 7


class Op:
    """One operation of one insert: short author, low 16 bits of its number, schema name, low 24 bits of its
    milliseconds, and its values as scaled integers."""

    def __init__(
        self,
        mesh: bytes,
        author: bytes,
        number: int,
        schema: bytes,
        ms: int,
        values: list,
        tag: bytes = NO_TAG,
    ):
        self.mesh = mesh
        self.author = author
        self.number = number
        self.schema = schema
        self.ms = ms
        self.values = values
        self.tag = tag


def encode_op(op: Op) -> bytes:
    """Return an advertisement of at most 31 bytes; BEACON_TOO_LONG if the values do not fit."""
    values = bytearray()
    for value in op.values:
        write_int(values, value)
    if len(values) > _OP_VALUES:
        raise HedgerowError("BEACON_TOO_LONG", "%d bytes of values" % len(values))
    head = struct.pack(
        _OP,
        VERSION | OP,
        op.mesh,
        op.author,
        op.number & 0xFFFF,
        op.schema,
        (op.ms & 0xFFFFFF).to_bytes(3, "big"),
    )
    return advertise(head + values + op.tag)


def decode_op(body: bytes) -> Op:
    """Read the data under our company identifier; BEACON_INVALID or a varint code."""
    if not _OP_SIZE + 4 <= len(body) <= _OP_SIZE + _OP_VALUES + 4:
        raise HedgerowError("BEACON_INVALID", "%d bytes" % len(body))
    _, mesh, author, number, schema, ms = struct.unpack(_OP, body[:_OP_SIZE])
    values: list = []
    packed = body[_OP_SIZE:-4]
    at = 0
    while at < len(packed):
        value, at = read_int(packed, at)
        values.append(value)
    return Op(mesh, author, number, schema, int.from_bytes(ms, "big"), values, body[-4:])
