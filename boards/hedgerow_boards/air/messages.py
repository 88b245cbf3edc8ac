"""What hosts and the air say to each other: the common base, and the numbers in the fields.

Each message is one byte of code, the fields in `FORMAT` (little-endian, see `struct`), and for the
messages with `TAIL` their last field up to the end. Addresses are six bytes, most significant
first; UUIDs are 2, 4 or 16 bytes, least significant first.
"""

from dataclasses import dataclass
from typing import ClassVar

PUBLIC = 0
NO_PEER = 0xFFFF  # connection handle of a failed connect

# Hello.flags
RESUMES_SCAN = 1  # scanning goes on after a connection attempt, as Linux does
FIRST_START = 2  # the board's first since its reset

# Advertise.kind and ScanResult.adv_type (Core Vol 4 Part E 7.7.65.2)
ADV_IND = 0
ADV_SCAN_IND = 2
ADV_NONCONN_IND = 3
SCAN_RSP = 4

# Write.mode
WRITE_COMMAND = 0
WRITE_REQUEST = 1
WRITE_LONG = 2

# Status of a procedure whose link is gone or has timed out, and the base of ATT errors (NimBLE host codes).
STATUS_NOT_CONNECTED = 7
STATUS_OUT_OF_MEMORY = 6
STATUS_TIMEOUT = 13
STATUS_ATT = 0x100


@dataclass(slots=True)
class Message:
    CODE: ClassVar[int] = 0
    FORMAT: ClassVar[str] = "<"
    TAIL: ClassVar[bool] = False
