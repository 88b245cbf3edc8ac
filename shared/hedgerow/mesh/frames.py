"""Frames: what fits a legacy advertisement of 31 bytes; what all share, STATE and OP (SPEC 6.2 to 6.7).

A *payload* is the advertisement as it is on the air; a *frame* what it carries of ours, at most 27 bytes:
a kind byte, 2 bytes of the mesh tag, the hop byte, a *body* of at most 20 bytes, the link tag.
"""

import struct

from .. import limits
from ..codec.varint import read_int, write_int
from ..errors import HedgerowError
from .tag import link_tag

VERSION = 0x20
STATE = 0
OP = 1
WANT = 2
HAVE = 3
RECEIPT = 4
TIME = 5
ANNOUNCE = 6
LETTER_UP = 7
LETTER_DOWN = 8
ACK = 9
CALL = 10

# Flags of a STATE; two bits of role follow at ROLE_SHIFT. The first two are those of a hello.
HAS_TIME = 1
WANTS_TIME = 2
UPLINK = 4
CONNECTABLE = 8
ROLE_SHIFT = 4
GRADIENT = 64

# The distance code of who knows no way to a keeper.
UNKNOWN = 31

_ALONE = 100
_ALONE_CODE = 16
_MIN_FRAME = 10
_MAX_FRAME = 27
_MAX_BODY = 20
_MAX_VALUES = 8
_STATE = ">B2sBHB6sHBB3s"
_STATE_SIZE = 24
_OP = ">3sH2s2sB"
_OP_VALUES = 16
_HEAD = b"\xff\xff\xff"


def find(payload: bytes) -> int:
    """Return where our frame starts in a payload, 0 if there is none; `end` says where it ends."""
    size = len(payload)
    at = 0
    while at + _MIN_FRAME + 4 <= size:
        length = payload[at]
        if (
            payload[at + 1] == 0xFF
            and payload[at + 2] == 0xFF
            and payload[at + 3] == 0xFF
            and payload[at + 4] & 0xF0 == VERSION
            and _MIN_FRAME + 3 <= length <= _MAX_FRAME + 3
            and at + length < size
        ):
            return at + 4
        if not length:
            return 0
        at += length + 1
    return 0


def end(payload: bytes, at: int) -> int:
    """Return where the frame ends that starts at `at`."""
    return at + payload[at - 4] - 3


def identity(payload: bytes, at: int, end: int) -> int:
    """Return 30 bits that all copies of a frame share, whatever their hop byte: of its tag and of byte 8."""
    return payload[end - 3] | payload[end - 2] << 8 | payload[end - 1] << 16 | (payload[at + 8] & 63) << 24


def advertise(frame: bytes) -> bytes:
    """Return the payload that carries a frame; a STATE, which may be connectable, after the flags."""
    payload = bytes((len(frame) + 3,)) + _HEAD + frame
    return payload if frame[0] & 0x0F else b"\x02\x01\x06" + payload


def make(kind: int, mesh: bytes, body: bytes, key: bytes, hop: int = UNKNOWN << 3) -> bytes:
    """Return a whole frame of the mesh whose tag starts with the first 2 bytes of `mesh`."""
    if len(body) > _MAX_BODY:
        raise HedgerowError("BEACON_TOO_LONG", "%d bytes" % len(body))
    frame = bytes((VERSION | kind, mesh[0], mesh[1], hop)) + body
    return frame + link_tag(key, frame)


def with_hop(frame: bytes, code: int, repeat: int) -> bytes:
    """Return a frame, not a STATE, as another sends it: with its distance code, and a count modulo 8 that
    tells one sending from the next."""
    return frame[:3] + bytes((code << 3 | repeat & 7,)) + frame[4:]


def code_of(distance: int) -> int:
    """Return a distance in 5 bits, in the same order: 0 to 15 hops, 100 to 114 as 16 to 30, else UNKNOWN."""
    if distance <= 15:
        return distance
    return distance - _ALONE + _ALONE_CODE if _ALONE <= distance < _ALONE + 15 else UNKNOWN


def distance_of(code: int) -> int:
    """Return the distance of a code: hops, or 100 to 114, or 255."""
    if code <= 15:
        return code
    return code - _ALONE_CODE + _ALONE if code < UNKNOWN else 255


class State:
    """A peer's state: one of its bucket digests, its count of open operations, its way to a keeper.

    `mesh` is 2 bytes, `digest` 6, `author` 3; the number of buckets is 2 ** `log2`. The sender listens for
    `window` tenths of a second from now on: 0 is not told, 255 always.
    """

    def __init__(
        self,
        mesh: bytes,
        counter: int,
        bucket: int,
        digest: bytes,
        open_count: int,
        distance: int,
        flags: int,
        role: int,
        author: bytes,
        log2: int = 2,
        window: int = 0,
    ):
        self.mesh = mesh
        self.counter = counter
        self.bucket = bucket
        self.digest = digest
        self.open_count = open_count
        self.distance = distance
        self.flags = flags
        self.role = role
        self.author = author
        self.log2 = log2
        self.window = window


def encode_state(state: State, key: bytes, base: bytes = b"") -> bytes:
    """Return the frame of 24 bytes; half of its tag is under `base`, if that is another key (SPEC 11.16)."""
    frame = struct.pack(
        _STATE,
        VERSION,
        state.mesh,
        code_of(state.distance) << 3,
        state.counter & 0xFFFF,
        state.log2 << 5 | state.bucket,
        state.digest,
        min(state.open_count, 0xFFFF),
        state.flags & 0xCF | state.role << ROLE_SHIFT,
        state.window,
        state.author,
    )
    tag = link_tag(key, frame)
    return frame + (link_tag(base, frame)[:2] + tag[2:] if base and base != key else tag)


def decode_state(frame: bytes) -> State:
    """Read a frame whose kind is STATE; BEACON_INVALID."""
    if len(frame) != _STATE_SIZE:
        raise HedgerowError("BEACON_INVALID", "%d bytes" % len(frame))
    _, mesh, hop, counter, bucket, digest, open_count, flags, window, author = struct.unpack(
        _STATE, frame[:-4]
    )
    log2, index = bucket >> 5, bucket & 0x1F
    if log2 > limits.MAX_BUCKETS_LOG2 or index >> log2:
        raise HedgerowError("BEACON_INVALID", "bucket %d" % bucket)
    role = flags >> ROLE_SHIFT & 3
    distance = distance_of(hop >> 3)
    return State(mesh, counter, index, digest, open_count, distance, flags & 0xCF, role, author, log2, window)


class Op:
    """One operation of one insert without id: the first 3 bytes of its author, the low 16 bits of its number,
    2 bytes that prove it, 2 of its schema's name, the low 24 bits of its milliseconds, its values."""

    def __init__(self, author: bytes, number: int, check: bytes, schema: bytes, ms: int, values: list):
        self.author = author
        self.number = number
        self.check = check
        self.schema = schema
        self.ms = ms
        self.values = values


def encode_op(op: Op) -> bytes:
    """Return the body of an OP; BEACON_TOO_LONG if the values do not fit 8 bytes."""
    values = bytearray()
    for value in op.values:
        write_int(values, value)
    if len(values) > _MAX_VALUES:
        raise HedgerowError("BEACON_TOO_LONG", "%d bytes of values" % len(values))
    ms = op.ms & 0xFFFFFF
    head = struct.pack(_OP, op.author, op.number & 0xFFFF, op.check, op.schema, ms >> 16)
    return head + bytes((ms >> 8 & 0xFF, ms & 0xFF)) + values


def decode_op(frame: bytes) -> Op:
    """Read a frame whose kind is OP; BEACON_INVALID or a varint code."""
    stop = len(frame) - 3
    if not _OP_VALUES <= stop <= _OP_VALUES + _MAX_VALUES:
        raise HedgerowError("BEACON_INVALID", "%d bytes" % len(frame))
    author, number, check, schema, high = struct.unpack(_OP, frame[4:14])
    values = []
    packed = frame[:stop]
    at = _OP_VALUES
    while at < stop:
        value, at = read_int(packed, at)
        values.append(value)
    return Op(author, number, check, schema, high << 16 | frame[14] << 8 | frame[15], values)


def ack_key(frame: bytes) -> bytes:
    """Return what names an OP in an ACK: author, number, the first byte of its check."""
    return frame[4:10]
