from typing import Any, Final

from .memory import MemoryLog as MemoryLog
from .memory import MemoryStore as MemoryStore

ENTRY_OP: Final = 0
ENTRY_SEAL: Final = 1
ENTRY_SKIP: Final = 2
STATE_RECEIPT: Final = 1
STATE_SCHEMA: Final = 2
STATE_PEER: Final = 3
STATE_CONFIG: Final = 4
STATE_CUSTODY: Final = 5
STATE_VOUCHED: Final = 6
CLOSED: Final = b"x"
REQUIRED: Final = b"r"

def new_author(public_key: bytes = b"") -> bytes: ...
def local_author(author: bytes) -> bytes: ...
def check_entry(kind: int, first: int, last: int, held: int) -> None: ...
def check_replace(own: bool, first: int, last: int, held: int) -> None: ...
def stored_schema(log: Any, name: bytes) -> bytes: ...
