"""Reading an author's entries in order where some have been moved or stand beside the run (SPEC 9.13)."""

from hedgerow.limits import MAX_NUMBER
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP

from . import flashframes as frames
from .flashbeside import OF_RUN
from .flashframes import FORGOTTEN, REPLACED
from .flashscan import run as scan


def floors(log: object, author: bytes, held: int, sealed: int) -> tuple:
    """Return above which numbers what was moved belongs to a reading: operations and skips, seals.

    What is receipted may be gone, but not the newest of our own.
    """
    index = log.indexes[author]
    low = seal_low = log.receipted(author)
    if author in log.own:
        low = min(low, index.held - 1)
        seal_low = min(seal_low, index.sealed - 1)
    return max(held, low), max(sealed, seal_low)


def read(log: object, author: bytes, held: int, sealed: int, max_bytes: int) -> list:
    """See FlashLog.read: what was moved, and skips that were put in, in their places in the run."""
    more = log.beside()
    picked = _pick(more, author, floors(log, author, held, sealed), max_bytes)
    index = log.indexes[author]
    seals = sealed < index.sealed
    run = scan(log, author, min(held, sealed) if seals else held, seals)
    reader = _next(run, held, sealed)
    found: list = []
    while picked or reader:
        if picked and (reader is None or picked[0][0] < _key(reader.first, reader.last, reader.type)):
            _, kind, first, last, seq, at, size = picked.pop(0)
            body = None
        else:
            kind, first, last, size = reader.type, reader.first, reader.last, reader.size
            body = reader
        max_bytes -= size
        if found and max_bytes < 0:
            break
        found.append((kind, first, last, body.body() if body else log.ring.read(seq, at, size)))
        if kind == ENTRY_SEAL:
            sealed = max(sealed, last)
        else:
            held = max(held, last)
        if body or (reader and reader.last <= (sealed if reader.type == ENTRY_SEAL else held)):
            reader = _next(run, held, sealed)
    return found


def _key(first: int, last: int, kind: int) -> int:
    """Return a number that rises in log order: a skip stands where its first number stood."""
    return last * 2 + 1 if kind == ENTRY_SEAL else first * 2


def _next(run: object, held: int, sealed: int) -> object:
    """Return the next entry of the run that a holder of (held, sealed) lacks, None at its end."""
    for reader in run:
        if reader.type <= ENTRY_SKIP and reader.last > (sealed if reader.type == ENTRY_SEAL else held):
            return reader
    return None


def _pick(more: object, author: bytes, low: tuple, max_bytes: int) -> list:
    """Return the lowest of what stands beside the run, ascending, more than `max_bytes` of it or all.

    Each is (key, kind, first, last, sector, offset and size of the body).
    """
    picked: list = []
    total = 0
    index = more.log.indexes[author]
    slot = index.slot
    # Without seals to look for, what is below stays unread.
    first = (min(low) if low[1] < index.sealed else low[0]) + 1
    for place in more.ascending(slot, first):
        if picked and total >= max_bytes and (place >> 12) << 4 > picked[-1][0] >> 1:
            # All that follows is higher.
            break
        for reader in more.entries_in((place & 0xFFF) + more.log.ring.tail, slot, first, MAX_NUMBER):
            total += _take(picked, reader, low)
            while picked and total - picked[-1][6] > max_bytes:
                total -= picked.pop()[6]
    return picked


def _take(picked: list, reader: object, low: tuple) -> int:
    """Put what stands beside the run into its place, if it belongs to the reading; return its bytes."""
    kind = ENTRY_OP
    if reader.type == frames.NOTE:
        if reader.kind == FORGOTTEN:
            return 0
        kind = ENTRY_SKIP if reader.kind == REPLACED else reader.kind
    elif not reader.kind & OF_RUN:
        return 0
    if reader.last <= low[kind == ENTRY_SEAL]:
        return 0
    key = _key(reader.first, reader.last, kind)
    i = len(picked)
    while i and picked[i - 1][0] > key:
        i -= 1
    picked.insert(i, (key, kind, reader.first, reader.last, reader.seq, reader.at, reader.size))
    return reader.size
