"""Which changes stay out of the merged view until their time comes (SPEC 10.12).

The rule looks at what is held and at the time, never at the order of arrival. `at` is trusted time in ms
since 2000.
"""

from typing import Any

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.limits import AHEAD_MS


def is_ahead(stamp: bytes, at: int) -> bool:
    """Say whether an operation's stamp is further ahead of the time than clocks may differ."""
    return due(stamp) > at


def due(stamp: bytes) -> int:
    """Return the moment from which an operation is no longer ahead, in ms since 2000."""
    moment: int = hlc.stamp_ms(stamp) - AHEAD_MS
    return moment


def is_own_dot(document_id: Any, author: bytes) -> bool:
    """Say whether a document is called by a dot of this author's."""
    return dot_author(document_id) == author


def dot_author(document_id: Any) -> bytes | None:
    """Return the author in a document id that is a dot, None for any other id."""
    if isinstance(document_id, (list, tuple)) and 2 <= len(document_id) <= 3:
        author = document_id[0]
        if isinstance(author, bytes) and len(author) == 8 and all(type(n) is int for n in document_id[1:]):
            return author
    return None


def stays_out(change: list[Any], document_id: Any, author: bytes, *, others: bool) -> bool:
    """Say whether a change of an operation that is ahead stays out; `others` have written the document too.

    A default merges at stamp 0, and the insert that a dot names is nobody else's. Whatever else an author
    writes to a document called by its own dot matters to nobody until others write there.
    """
    if change[0] == operation.INITIAL or (change[0] == operation.INSERT and change[2] is None):
        return False
    return others or not is_own_dot(document_id, author)
