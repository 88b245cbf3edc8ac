"""What the logs of a store say is lost."""

from hedgerow.custody.skip import LOST, Skip
from hedgerow.trust.lost import show

from .rows import Lost
from .sql import Connection


def lost_between(db: Connection, key: tuple[str, int], author: bytes, sealed: int, first: int) -> bool:
    """Say whether an author's skips cover all between what is sealed and a seal as lost."""
    skips = db.execute(
        "SELECT body FROM skips WHERE app = ? AND shard = ? AND author = ? AND last > ? ORDER BY last",
        (*key, author, sealed),
    )
    number = sealed
    for (body,) in skips:
        skip = Skip.decode(body)
        if number >= first - 1 or skip.first > number + 1:
            break
        if skip.kind == LOST:
            number = skip.last
    return number >= first - 1


def read_lost(db: Connection, key: tuple[str, int], limit: int) -> list[Lost]:
    """Return what is lost of an app's logs and not held here, by author and number; `limit` ends it."""
    skips = db.execute(
        "SELECT author, body FROM skips WHERE app = ? AND shard = ? ORDER BY author, last", key
    )
    query = (
        "SELECT number FROM operations WHERE app = ? AND shard = ? AND author = ? AND number BETWEEN ? AND ?"
    )
    found: list[Lost] = []
    covered = (b"", 0)
    for author, body in skips:
        skip = Skip.decode(body)
        first = skip.first if covered[0] != author else max(skip.first, covered[1] + 1)
        if skip.kind != LOST:
            continue
        covered = (author, skip.last)
        held = {number for (number,) in db.execute(query, (*key, author, first, skip.last))}
        shown = show(skip)
        for number in [*sorted(held), skip.last + 1]:
            if first < number:
                found.append(
                    Lost(author, first, number - 1, shown["reason"], shown["time"], shown["summary"])
                )
            first = number + 1
        if len(found) >= limit:
            break
    return found[:limit]
