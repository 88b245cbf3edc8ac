"""What was answered to requests that may be asked again."""

from hedgerow.errors import HedgerowError

from .. import limits
from .rows import AnswerEntry
from .sql import Connection


def keep_answer(db: Connection, key: tuple[str, int], entry: AnswerEntry, xid: int, at: int) -> None:
    """Keep an answer; there is none of its key yet. Old ones go. Raises REQUEST_REPEATED."""
    db.execute(
        "DELETE FROM answers WHERE app = ? AND shard = ? AND at <= ?",
        (*key, at - limits.ANSWER_MS),
    )
    # RETURNING says whether this one is it: another transaction may be writing the same key.
    kept = db.execute(
        "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING xid",
        (*key, *entry, xid, at),
    ).fetchall()
    if not kept:
        raise HedgerowError("REQUEST_REPEATED", entry.key)
