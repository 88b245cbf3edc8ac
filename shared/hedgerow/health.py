"""A peer's health document: what people need to know of it, in the reserved collection (SPEC 5.15)."""

from .codec.schema import HEALTH, KEEP, schema_for
from .operation import INSERT
from .peer import Peer

# A peer that does not stay up so long says nothing: its log is not for its resets.
_FIRST_MS = 60000


def is_due(now: int, last: int, every_ms: int) -> bool:
    """Say whether a turn began in the uptimes (ms) after `last`, up to `now`; the first after a minute."""
    first = min(_FIRST_MS, every_ms)
    return now >= first and (now - first) // every_ms > (last - first) // every_ms


def write_health(peer: object, facts: dict, now: int) -> int:
    """Write what a peer says of itself as its health document; return the operation's number.

    LOG_FULL in a full log: nothing goes to make room for it.
    """
    schema = schema_for(HEALTH, KEEP, facts)
    return Peer.write(peer, [[INSERT, schema.name, peer.author, schema.pack(facts)]], [schema], now)
