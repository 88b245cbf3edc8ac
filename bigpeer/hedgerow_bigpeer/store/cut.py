"""Giving up what no seal covers of an author whose own seal says that it wrote something else (DESIGN 7)."""

from hedgerow.codec.schema import Schema

from .merge import Dot, touched_by
from .rows import CutEntry
from .sql import Connection, places_left, set_meta

#: Before the author in hexadecimal: the transaction that cut it last.
CUT = "cut "


_TABLES = ("operations", "ahead", "clocks", "refused")


def give_up(
    db: Connection,
    key: tuple[str, int],
    entry: CutEntry,
    number: int,
    schemas: dict[bytes, Schema],
) -> dict[tuple[str, bytes], Dot] | None:
    """Remove what is held of an author behind a number, where it is not what the author has sealed. Return
    the documents that it was about, each with the last operation that went; None if nothing did.
    """
    whose = (*key, entry.author, number)
    query = "SELECT 1 FROM skips WHERE app = ? AND shard = ? AND author = ? AND last > ? AND first <= ?"
    # A skip that reaches across the number is not cut in two.
    if not _is_other(db, key, entry) or db.execute(query, (*whose, number)).fetchone():
        return None
    places: dict[tuple[str, bytes], Dot] = {}
    for gone, stamp, body in db.execute(
        # Of what was collected, or has expired, there is nothing to merge.
        "SELECT number, stamp, body FROM operations WHERE app = ? AND shard = ? AND author = ? AND number > ?"
        " AND length(body) > 0 ORDER BY number",
        whose,
    ).fetchall():
        for place in places_left(
            db, key, entry.author, gone, touched_by(entry.author, gone, bytes(body), schemas)
        ):
            db.execute(
                "DELETE FROM touches WHERE app = ? AND shard = ? AND collection = ? AND id = ?"
                " AND author = ? AND number = ?",
                (*key, *place, entry.author, gone),
            )
            places[place] = (entry.author, gone, bytes(stamp))
    for table in _TABLES:
        db.execute(
            f"DELETE FROM {table} WHERE app = ? AND shard = ? AND author = ? AND number > ?",  # noqa: S608
            whose,
        )
    db.execute("DELETE FROM skips WHERE app = ? AND shard = ? AND author = ? AND last > ?", whose)
    return places


def _is_other(db: Connection, key: tuple[str, int], entry: CutEntry) -> bool:
    """Say whether one is held under a number that an author has sealed another one under."""
    last = entry.first + len(entry.marks) - 1
    rows = db.execute(
        "SELECT number, h16 FROM operations WHERE app = ? AND shard = ? AND author = ?"
        " AND number BETWEEN ? AND ?",
        (*key, entry.author, entry.first, last),
    )
    return any(bytes(mark) != entry.marks[number - entry.first] for number, mark in rows)


def unseal(db: Connection, key: tuple[str, int], author: bytes, number: int, xid: int) -> None:
    """Remove the seals behind a number, and note for other nodes that something of the author went."""
    db.execute(
        "DELETE FROM seals WHERE app = ? AND shard = ? AND author = ? AND last > ?", (*key, author, number)
    )
    set_meta(db, key[0], {CUT + author.hex(): b"%d" % xid})


def cut_since(db: Connection, app: str, after: int) -> list[bytes]:
    """Return the authors of whom something was given up after a transaction."""
    rows = db.execute("SELECT name, value FROM meta WHERE app = ? AND name LIKE ?", (app, CUT + "%"))
    return [bytes.fromhex(name[len(CUT) :]) for name, value in rows if int(value) > after]
