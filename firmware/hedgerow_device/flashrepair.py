"""What a damaged log still holds and what it has lost (SPEC 9.7); a new author. Loaded on demand."""

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.log import new_author

_NOTE = const(32)
_LAST_SPARE = const(1)


def renew(log: object) -> None:
    """Let new sectors carry a new author and incarnation; LOG_FULL if none can be opened."""
    ring = log.ring
    before = ring.author, ring.incarnation, ring.closed
    ring.author = new_author()
    ring.incarnation = min(ring.incarnation + 1, 0xFFFF)
    ring.closed = True
    try:
        log.room(_NOTE, None, _LAST_SPARE)
    except HedgerowError:
        ring.author, ring.incarnation, ring.closed = before
        raise
    log.author = ring.author
    log.incarnation = ring.incarnation
