"""The Log port: the kinds of entries and states, and the rules that every implementation keeps.

`MemoryLog` says what the methods of a log do; every implementation passes `check_log` of
tests/core/log_contract.py. A log is used by one thread.
"""

import os
from hashlib import sha256

from . import limits
from .errors import HedgerowError

ENTRY_OP = 0
ENTRY_SEAL = 1
ENTRY_SKIP = 2

STATE_RECEIPT = 1
STATE_SCHEMA = 2
STATE_PEER = 3
STATE_CONFIG = 4
# Frames of others that a peer of a mesh has in custody (SPEC 6.24).
STATE_CUSTODY = 5
# Credentials of others that a board has verified (SPEC 5.18).
STATE_VOUCHED = 6
# With an author behind it, of STATE_CONFIG: where that former author of this log is closed (SPEC 5.10).
CLOSED = b"x"
# Likewise: whose receipts it requires (SPEC 5.6.5).
REQUIRED = b"r"


def new_author(public_key: bytes = b"") -> bytes:
    """Return the 8 bytes that name the author of a log formatted just now (SPEC 5.1)."""
    return sha256(public_key + os.urandom(16)).digest()[:8]


def local_author(author: bytes) -> bytes:
    """Return the 8 bytes under which a log keeps the operations that never leave it (SPEC 5.1)."""
    return sha256(b"hedgerow local " + author).digest()[:8]


def check_entry(kind: int, first: int, last: int, held: int) -> None:
    """Refuse an entry that would leave a hole or cover what is not held (SPEC 5.2)."""
    if kind == ENTRY_OP:
        good = first == last == held + 1 <= limits.MAX_NUMBER
    elif kind == ENTRY_SKIP:
        good = held + 1 == first <= last <= limits.MAX_NUMBER
    else:
        good = kind == ENTRY_SEAL and 0 < first <= last <= held
    if not good:
        raise HedgerowError("LOG_OUT_OF_ORDER", "%d: %d-%d on %d" % (kind, first, last, held))


def check_replace(own: bool, first: int, last: int, held: int) -> None:
    """Refuse to put a skip in the place of what is not our own, or not held (SPEC 5.5.5)."""
    if not own or not 0 < first <= last <= held:
        raise HedgerowError("LOG_OUT_OF_ORDER", "replace %d-%d of %d" % (first, last, held))


def stored_schema(log: object, name: bytes) -> bytes:
    """Return a schema that a log keeps, encoded, b"" for none: it stands where there was a place for it."""
    found = log.get(STATE_SCHEMA, name) or b""
    if sha256(found).digest()[:4] == name:
        return found
    for _, found in log.items(STATE_SCHEMA):
        if sha256(found).digest()[:4] == name:
            return found
    return b""


def __getattr__(name: str) -> object:
    # A board has no use for the log in memory: it is loaded only when somebody asks for it.
    if name in ("MemoryLog", "MemoryStore"):
        from . import memory

        return getattr(memory, name)
    raise AttributeError(name)
