from typing import Final

HELLO: Final = 1
SCHEMA: Final = 2
SEGMENT: Final = 3
SEAL: Final = 4
SKIP: Final = 5
HAVE: Final = 6
RECEIPT: Final = 7
TIME_ASK: Final = 8
TIME: Final = 9
CREDIT: Final = 10
DRAINED: Final = 11
BYE: Final = 12
WANT_SCHEMA: Final = 13
ERROR: Final = 14
INTEREST: Final = 15
PICK: Final = 16
MARK: Final = 17
WANT: Final = 18
FRONTIER: Final = 19
STATEMENTS: Final = 20
STATEMENT: Final = 21
WORDS: Final = 22
WORD: Final = 23
BATCH: Final = 24
GRANT: Final = 25
LAST_TYPE: Final = 25
CONTINUED: Final = 0x80
VERSION_KIND: Final = 0x10
RECORD_HEAD: Final = 5
RECORD_TAG: Final = 8
RECORD_OVERHEAD: int

def tag(data: bytes | bytearray) -> bytes: ...
def seal_record(sequence: int, payload: bytes | bytearray) -> bytes: ...
def open_record(record: bytes | bytearray, sequence: int) -> bytes: ...
def check_tag(record: bytes | bytearray) -> None: ...
def check_sequence(found: int, expected: int) -> None: ...
def counted(kind: int) -> bool: ...
def frame_size(size: int) -> int: ...
def write_frame(out: bytearray, kind: int, body: bytes) -> None: ...
def read_frames(payload: bytes | bytearray) -> list[tuple[int, bytes]]: ...
