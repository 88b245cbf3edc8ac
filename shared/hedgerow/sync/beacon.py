"""Beacons: what fits a legacy advertisement of 31 bytes (SPEC 6)."""

import struct

from .. import limits
from ..errors import HedgerowError

COMPANY = b"\xff\xff"
STATE = 0
OP = 1

# Flags of a STATE; two bits of role follow at ROLE_SHIFT. The first two are those of a hello.
HAS_TIME = 1
WANTS_TIME = 2
UPLINK = 4
CONNECTABLE = 8
ROLE_SHIFT = 4

NO_TAG = bytes(4)
VERSION = 0x10
_STATE = ">B3sHB6sHBB3s4s"
_STATE_SIZE = 24
_FLAGS_AD = b"\x02\x01\x06"


class State:
    """A peer's state: one of its bucket digests, its count of open operations, its way to a keeper.

    `mesh` and `author` are 3 bytes, `digest` 6, `tag` 4 (zeros: no security yet); the number of buckets is
    2 ** `log2`.
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
        tag: bytes = NO_TAG,
        log2: int = 2,
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
        self.tag = tag
        self.log2 = log2


def encode_state(state: State) -> bytes:
    """Return the 31 bytes of the advertisement: flags, then 24 bytes under the company identifier."""
    return _FLAGS_AD + advertise(
        struct.pack(
            _STATE,
            VERSION | STATE,
            state.mesh,
            state.counter & 0xFFFF,
            state.log2 << 5 | state.bucket,
            state.digest,
            min(state.open_count, 0xFFFF),
            state.distance,
            state.flags & 0x0F | state.role << ROLE_SHIFT,
            state.author,
            state.tag,
        )
    )


def advertise(data: bytes) -> bytes:
    """Return the advertisement structure that carries data under our company identifier."""
    return bytes([len(data) + 3, 0xFF]) + COMPANY + data


def decode(data: bytes) -> object:
    """Read an advertisement, or the data under our company identifier: State, Op, or None if not ours.

    BEACON_INVALID for what claims to be ours and is not whole.
    """
    body = _manufacturer_data(bytes(data))
    if not body or body[0] & 0xF0 != VERSION:
        return None
    kind = body[0] & 0x0F
    if kind == STATE:
        return _decode_state(body)
    if kind == OP:
        # Loaded only where such beacons are heard.
        from .beacon_op import decode_op

        return decode_op(body)
    return None


def _manufacturer_data(data: bytes) -> bytes:
    """Return what follows the company identifier, b"" if there is none of ours."""
    whole = data[1:4] == b"\xff" + COMPANY and data[0] == len(data) - 1
    if not whole and data[:2] != _FLAGS_AD[:2]:
        return data
    at = 0
    while at + 1 < len(data):
        size = data[at]
        if size == 0 or at + 1 + size > len(data):
            break
        if data[at + 1] == 0xFF and data[at + 2 : at + 4] == COMPANY:
            return data[at + 4 : at + 1 + size]
        at += 1 + size
    return b""


def _decode_state(body: bytes) -> State:
    if len(body) != _STATE_SIZE:
        raise HedgerowError("BEACON_INVALID", "%d bytes" % len(body))
    _, mesh, counter, bucket, digest, open_count, distance, flags, author, tag = struct.unpack(_STATE, body)
    log2, index = bucket >> 5, bucket & 0x1F
    if log2 > limits.MAX_BUCKETS_LOG2 or index >> log2:
        raise HedgerowError("BEACON_INVALID", "bucket %d" % bucket)
    return State(
        mesh,
        counter,
        index,
        digest,
        open_count,
        distance,
        flags & 0x0F,
        flags >> ROLE_SHIFT & 3,
        author,
        tag,
        log2,
    )
