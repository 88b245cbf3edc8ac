"""How old transactions are: the first in each while notes when it was made."""

from .sql import Connection


def position_at(db: Connection, key: tuple[str, int], before: int) -> tuple[int, int | None]:
    """Return a transaction up to which all are older than a moment, 0 for none; and the newest moment."""
    query = (
        "SELECT max(CASE WHEN at < ? THEN xid ELSE 0 END), max(at) FROM moments WHERE app = ? AND shard = ?"
    )
    position, newest = db.execute(query, (before, *key)).fetchone()
    return position or 0, newest
