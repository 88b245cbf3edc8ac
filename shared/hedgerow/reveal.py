"""Changes of confidential collections, as authors mean them and as they are stored (SPEC 11.17).

Loaded where some occur.
"""

from .codec.schema import CONFIDENTIAL
from .errors import HedgerowError
from .operation import CLOCK, DELETE, HIDDEN


def reveal(peer: object, author: bytes, number: int, stamp: bytes, changes: list) -> list:
    """Return the changes of an operation as their author meant them, HIDDEN where they cannot be read."""
    return [revealed(peer, author, number, stamp, at, changes[at]) for at in range(len(changes))]


def revealed(peer: object, author: bytes, number: int, stamp: bytes, at: int, change: list) -> list:
    """Return a change, the one at `at` of its operation; see reveal()."""
    schema = None if change[0] in (CLOCK, DELETE) else peer.schemas[change[1]]
    if not schema or not schema.kind & CONFIDENTIAL:
        return change
    keys = peer.collection_keys
    found = keys and keys.reveal(author, number, stamp, at, change, schema)
    return found or [HIDDEN] + change[1:]


def conceal(peer: object, author: bytes, number: int, stamp: bytes, changes: list, schemas: list) -> list:
    """Return changes as they are to be stored, see CollectionKeys.conceal; COLLECTION_KEY_MISSING."""
    keys = peer.collection_keys
    if keys is None:
        raise HedgerowError("COLLECTION_KEY_MISSING", schemas[0].collection)
    return keys.conceal(author, number, stamp, changes, schemas)
