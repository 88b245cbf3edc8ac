"""Lines between a gateway and the board on USB that is its radio (SPEC 6.33).

A line is `~`, the Base64 of kind, body and their CRC-32, and a line feed: it never holds a control character,
so that Ctrl-C still gets the REPL, and whatever else a board prints is told from it.
"""

import struct
from binascii import a2b_base64, b2a_base64, crc32

from ..errors import HedgerowError
from ..limits import const

VERSION = const(1)
MARK = b"~"
# 41 bytes of a report, kind and CRC as Base64, the mark and the line feed.
MOST = const(66)
PAYLOAD = const(31)

# From the gateway.
HELLO = const(1)  # version: who are you; answered by BOARD
SAY = const(2)  # sequence, connectable, events, payload; answered by SAID
HUSH = const(3)  # nothing: what is being said ends now
TAKEN = const(4)  # reports taken since BOARD, 16 bits; at least once in ALIVE_MS
# From the board.
BOARD = const(17)  # version, boot (4 bytes that differ from boot to boot), address (7)
HEARD = const(18)  # address (7), RSSI + 128, type, payload
SAID = const(19)  # sequence, outcome
STATUS = const(20)  # all heard, reports dropped, radio restarts (32 bits each)

DONE = const(0)
FAILED = const(1)
HUSHED = const(2)

# Reports that may be under way; more are dropped and counted.
WINDOW = const(64)
# A gateway that says nothing for so long is gone, and gets no reports.
ALIVE_MS = const(10000)

_CRC = ">I"


def encode(kind: int, body: bytes = b"") -> bytes:
    """Return the line."""
    plain = bytes([kind]) + body
    return MARK + b2a_base64(plain + struct.pack(_CRC, crc32(plain) & 0xFFFFFFFF))


def decode(line: bytes) -> tuple:
    """Return (kind, body) of a line without its end. USB_LINE for what is none of ours, or was damaged."""
    if line[:1] != MARK or len(line) > MOST:
        raise HedgerowError("USB_LINE", "%d bytes" % len(line))
    try:
        data = a2b_base64(line[1:])
    except ValueError:
        raise HedgerowError("USB_LINE", "not Base64") from None
    if len(data) < 5 or struct.unpack(_CRC, data[-4:])[0] != crc32(data[:-4]) & 0xFFFFFFFF:
        raise HedgerowError("USB_LINE", "check")
    return data[0], data[1:-4]


def encode_say(sequence: int, connectable: bool, events: int, payload: bytes) -> bytes:
    """Return the line that has a payload said for a number of events (1 to 100)."""
    return encode(SAY, bytes([sequence & 0xFF, 1 if connectable else 0, events]) + payload)


def decode_say(body: bytes) -> tuple:
    """Return (sequence, connectable, events, payload) of a SAY. USB_LINE."""
    if not 4 <= len(body) <= 3 + PAYLOAD or body[1] > 1 or not body[2]:
        raise HedgerowError("USB_LINE", "say")
    return body[0], body[1] == 1, body[2], body[3:]


def decode_heard(body: bytes) -> tuple:
    """Return (address, RSSI in dBm, type, payload) of a HEARD; the address as type and 6 bytes. USB_LINE."""
    if not 9 <= len(body) <= 9 + PAYLOAD:
        raise HedgerowError("USB_LINE", "heard")
    return body[:7], body[7] - 128, body[8], body[9:]


def numbers(body: bytes, form: str) -> tuple:
    """Return the fields of another body by its struct form. USB_LINE."""
    if len(body) != struct.calcsize(form):
        raise HedgerowError("USB_LINE", "%d bytes" % len(body))
    return struct.unpack(form, body)


class Lines:
    """Takes bytes as they come and gives whole lines; what is longer than a line of ours is cut off.

    `text` is how the newest unfinished line begins: a prompt has no line feed.
    """

    def __init__(self) -> None:
        self._begun = b""

    @property
    def text(self) -> bytes:
        return self._begun

    def feed(self, data: bytes) -> list:
        """Return the lines that are whole now, without their ends."""
        parts = (self._begun + data).split(b"\n")
        self._begun = parts.pop()[: MOST + 1]
        return [part[:-1] if part[-1:] == b"\r" else part for part in parts]
