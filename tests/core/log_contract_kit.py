"""What the checks of the Log contract share, on both VMs."""

from hedgerow.custody.skip import LOST, Skip
from hedgerow.log import ENTRY_OP, ENTRY_SEAL

A = b"author-a"
B = b"author-b"
C = b"author-c"


def body(number: int) -> bytes:
    """Return the body of operation `number`."""
    return b"operation %d" % number


def fill(log: object, author: bytes, first: int, last: int) -> None:
    """Append operations."""
    for number in range(first, last + 1):
        log.append(ENTRY_OP, author, number, number, body(number))


def skip(first: int, last: int, kind: int) -> bytes:
    """Return a skip as a log stores it."""
    return Skip(first, last, kind, [0, bytes(8)] if kind == LOST else None).encode()


def own(log: object, first: int, last: int, seal_at: tuple = ()) -> None:
    """Append the log's own operations, and seals behind some of them."""
    for number in range(first, last + 1):
        log.append(ENTRY_OP, log.author, number, number, body(number))
        if number in seal_at:
            log.append(ENTRY_SEAL, log.author, log.sealed(log.author) + 1, number, b"seal %d" % number)


def all_since(log: object, position: int) -> list:
    """Return (author, number, body) of all that arrived behind a position."""
    found: list = []
    entries = log.since(position, 64)
    while entries:
        for entry in entries:
            assert entry[0] > position, "positions rise"
            position = entry[0]
            found.append(entry[1:])
        entries = log.since(position, 64)
    return found
