"""Records and the frames in them, as bytes (SPEC 7.3, 7.4)."""

import struct
from binascii import crc32

from ..codec.varint import read_uint, write_uint
from ..errors import HedgerowError

HELLO = 1
SCHEMA = 2
SEGMENT = 3
SEAL = 4
SKIP = 5
HAVE = 6
RECEIPT = 7
TIME_ASK = 8
TIME = 9
CREDIT = 10
DRAINED = 11
BYE = 12
WANT_SCHEMA = 13
ERROR = 14
INTEREST = 15
PICK = 16
MARK = 17
WANT = 18
FRONTIER = 19
STATEMENTS = 20
STATEMENT = 21
WORDS = 22
WORD = 23
BATCH = 24
GRANT = 25
LAST_TYPE = 25

# The frame's body goes on in the next frame, which has the same type.
CONTINUED = 0x80

VERSION_KIND = 0x10
RECORD_HEAD = 5
RECORD_TAG = 8
RECORD_OVERHEAD = RECORD_HEAD + RECORD_TAG


def tag(data: bytes) -> bytes:
    """Return the 8-byte tag of kind 0 over all that precedes it: CRC-32 and four zeros."""
    return struct.pack(">II", crc32(data) & 0xFFFFFFFF, 0)


def seal_record(sequence: int, payload: bytes) -> bytes:
    """Return the record with this payload: length u16 | version and kind | sequence u16 | payload | tag.

    The length counts what follows it.
    """
    size = 3 + len(payload) + RECORD_TAG
    data = struct.pack(">HBH", size, VERSION_KIND, sequence & 0xFFFF) + payload
    return data + tag(data)


def open_record(record: bytes, sequence: int) -> bytes:
    """Return the payload of a whole record that must have this sequence number."""
    if record[2] != VERSION_KIND:
        raise HedgerowError("RECORD_VERSION", "%d" % record[2])
    check_tag(record)
    check_sequence(record[3] << 8 | record[4], sequence & 0xFFFF)
    return record[RECORD_HEAD:-RECORD_TAG]


def check_tag(record: bytes) -> None:
    """Refuse a record that was changed on the way."""
    if record[-RECORD_TAG:] != tag(record[:-RECORD_TAG]):
        raise HedgerowError("RECORD_TAG", "%d bytes" % len(record))


def check_sequence(found: int, expected: int) -> None:
    """Refuse a record that was lost, doubled or moved."""
    if found != expected:
        raise HedgerowError("RECORD_SEQUENCE", "%d instead of %d" % (found, expected))


def counted(kind: int) -> bool:
    """Say whether a frame counts against credit: what must become durable before it is acknowledged does."""
    return SCHEMA <= kind <= RECEIPT or kind in (PICK, MARK, STATEMENT, WORD, BATCH, GRANT)


def frame_size(size: int) -> int:
    """Return the bytes of a frame with a body of `size` bytes."""
    return size + (2 if size < 0x80 else 3)


def write_frame(out: bytearray, kind: int, body: bytes) -> None:
    """Append type u8 | length varint | body."""
    out.append(kind)
    write_uint(out, len(body))
    out += body


def read_frames(payload: bytes) -> list:
    """Return [(type, body)]; FRAME_INVALID for what is no sequence of known frames."""
    frames: list = []
    at = 0
    while at < len(payload):
        kind = payload[at]
        size, at = read_uint(payload, at + 1)
        if not 0 < kind & ~CONTINUED <= LAST_TYPE or size > len(payload) - at:
            raise HedgerowError("FRAME_INVALID", "type %d, length %d" % (kind, size))
        frames.append((kind, bytes(payload[at : at + size])))
        at += size
    return frames
