"""The fuzz targets of the mesh: payloads, frames of each kind, letters, rebuilt operations (SPEC 6)."""

from collections.abc import Callable
from typing import Any

from samples import AUTHOR, NOW, READING, SCHEMAS, reading

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.codec.schema import Schema
from hedgerow.errors import HedgerowError
from hedgerow.mesh import asks, brief, frames, letters, ops, tag, tells
from hedgerow.operation import INSERT, encode_body, h16
from hedgerow.trust.seal import NO_SEAL, make_seal

KEY = tag.mesh_key("shed")
MESH = b"ms"


def _read_want(frame: bytes) -> bytes:
    return asks.encode_want(*asks.decode_want(frame))


def _read_announce(frame: bytes) -> bytes:
    return tells.encode_announce(tells.decode_announce(frame))


def _read_fragment(frame: bytes) -> bytes:
    name, index, total, data = letters.decode_fragment(frame)
    return name + bytes((index << 4 | total,)) + data


#: Kind -> what reads a frame of it and writes its body again.
READ: dict[int, Callable[[bytes], bytes]] = {
    frames.OP: lambda frame: frames.encode_op(frames.decode_op(frame)),
    frames.WANT: _read_want,
    frames.HAVE: lambda frame: asks.encode_have(*asks.decode_have(frame)),
    frames.RECEIPT: lambda frame: tells.encode_receipt(*tells.decode_receipt(frame)),
    frames.TIME: lambda frame: tells.encode_time(*tells.decode_time(frame)),
    frames.ANNOUNCE: _read_announce,
    frames.LETTER_UP: _read_fragment,
    frames.LETTER_DOWN: _read_fragment,
    frames.ACK: lambda frame: asks.encode_ack(*asks.decode_ack(frame)),
    frames.CALL: lambda frame: tells.encode_call(*tells.decode_call(frame)),
}


def read_payload(data: bytes) -> None:
    """Read a payload as a peer does, but for its tag; what is taken is written again as the same bytes."""
    at = frames.find(data)
    if not at:
        return
    end = frames.end(data, at)
    assert 4 <= at < end <= len(data) and 10 <= end - at <= 27
    assert 0 <= frames.identity(data, at, end) < 1 << 30
    frame = bytes(data[at:end])
    tag.check(KEY, frame)
    kind = frame[0] & 0x0F
    if kind == frames.STATE:
        again = frames.encode_state(frames.decode_state(frame), KEY)
        # The repeat of a STATE is not read.
        assert again[:3] + again[4:20] == frame[:3] + frame[4:20] and again[3] == frame[3] & 0xF8
    elif kind in READ:
        assert READ[kind](frame) == frame[4:-3]


def read_letters(data: bytes) -> None:
    """Take the input for the frames of one letter after another, each led by its length."""
    table = letters.Letters()
    at = now = 0
    fault = None
    while at < len(data):
        frame = b"\x27ms\x08" + data[at + 1 : at + 1 + data[at] % 24] + bytes(3)
        try:
            content = table.take(frame, now)
        except HedgerowError as error:
            content, fault = None, error
        if content is not None:
            assert 1 <= len(content) <= limits.MAX_LETTER
            if content[0] == letters.OPERATION:
                letters.decode_operation(content)
            if content[0] == letters.SEAL_BRIEF:
                short, first, last, previous, check = brief.decode_seal(content)
                again = short + first.to_bytes(4, "big") + bytes((last - first,)) + previous + check
                assert content[1:] == again
        assert len(table._open) <= limits.MAX_LETTERS
        at += 1 + data[at] % 24
        now += 1
    if fault is not None:
        raise fault


def rebuild(data: bytes) -> None:
    """Rebuild an operation from any body of an OP; whatever comes of it packs to the same body."""
    op = frames.decode_op(b"\x21ms\x08" + bytes(data) + bytes(3))
    number = ops.nearest(6, op.number)
    # A check that is right by chance: it is made right here.
    for schema in SCHEMAS.values():
        op.schema, op.author = schema.name[:2], AUTHOR[:3]
        ms = NOW + (op.ms - NOW) % (1 << 24)
        op.check = _check(number, schema, ms, op.values)
        stored = ops.rebuild(op, AUTHOR, number, NOW - 1, SCHEMAS)
        assert (stored is None) == (len(op.values) != len(schema.fields))
        if stored is not None:
            packed = ops.pack(AUTHOR, number, stored, SCHEMAS, NOW - 1)
            assert packed == frames.encode_op(op)


def _check(number: int, schema: Schema, ms: int, values: Any) -> bytes:
    if len(values) != len(schema.fields):
        return b"no"
    body = encode_body(hlc.pack(ms), [[INSERT, schema.name, None, list(values)]])
    return h16(AUTHOR, number, body, SCHEMAS)[:2]


_OP = ops.pack(AUTHOR, 7, reading(NOW, 512, -394), SCHEMAS, NOW - 1) or b""
_STATE = frames.State(MESH, 7, 1, b"digest", 4, 2, 9, 1, b"aut", window=9)
_LETTERS = [
    letters.split(content)
    for content in (
        letters.encode_operation(AUTHOR, 300, reading(NOW, 512, 394)),
        bytes((letters.SEAL,)) + AUTHOR + make_seal(AUTHOR, 1, 2, [bytes(16)] * 2, NO_SEAL),
        bytes((letters.SCHEMA,)) + READING.encoded,
        b"\x08\x01\x23\x45\0\0\0\1\x1f" + bytes(range(20)),
    )
]
_BODIES = [
    (frames.OP, _OP),
    (frames.WANT, asks.encode_want(asks.WANT_OPERATIONS, [(AUTHOR, 7, 0x8001), (b"oth", 9, 1)])),
    (frames.WANT, asks.encode_want(asks.WANT_LETTERS, [(b"let", 3)])),
    (frames.WANT, asks.encode_want(asks.WANT_SCHEMAS, [b"na", b"me"])),
    (frames.WANT, asks.encode_want(asks.WANT_WHOLE, [(AUTHOR, 7)])),
    (frames.HAVE, asks.encode_have(3, 6, [(AUTHOR, 40, 0x10), (b"oth", 1, 0)])),
    (frames.RECEIPT, tells.encode_receipt(b"keeper-1", 2, AUTHOR, 40)),
    (frames.TIME, tells.encode_time(NOW, 40, 2, 0, AUTHOR, 7)),
    (frames.ANNOUNCE, tells.encode_announce(tells.Announce(AUTHOR, 1, 2, 0, 0, 300, 99, 4))),
    (frames.LETTER_DOWN, _LETTERS[0][1]),
    (frames.ACK, asks.encode_ack(asks.ACK_HELD, [b"author", b"other."])),
    (frames.CALL, tells.encode_call(AUTHOR, b"keeper-1", 30)),
]
PAYLOADS = [frames.advertise(frames.encode_state(_STATE, KEY))]
PAYLOADS += [frames.advertise(frames.make(kind, MESH, body, KEY)) for kind, body in _BODIES]
OPS = [_OP, _OP[:-4]]
RUNS = [b"".join(bytes((len(body),)) + body for body in bodies) for bodies in _LETTERS]
