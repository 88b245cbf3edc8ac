"""How far authors are held, sealed and receipted, as it is written."""

from .rows import Frontier
from .sql import Connection


def write_frontier(
    db: Connection, key: tuple[str, int], frontier: Frontier, incarnation: int, xid: int
) -> None:
    """Write a frontier, and the receipt that it allows: that only rises here."""
    db.execute(
        "INSERT INTO authors (app, shard, author, name, held, sealed, last_seen, xid)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (app, shard, author) DO UPDATE SET name = excluded.name, held = excluded.held,"
        " sealed = excluded.sealed, last_seen = excluded.last_seen, xid = excluded.xid",
        (*key, *frontier[:4], frontier.last_seen, xid),
    )
    if frontier.receipted:
        db.execute(
            "INSERT INTO receipts (app, shard, author, incarnation, number, at) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (app, shard, author) DO UPDATE SET incarnation = excluded.incarnation,"
            " number = excluded.number, at = excluded.at WHERE excluded.number > receipts.number",
            (*key, frontier.author, incarnation, frontier.receipted, frontier.last_seen),
        )


def withdraw(db: Connection, key: tuple[str, int], author: bytes, number: int) -> None:
    """Take back a receipt over more than an author itself has vouched for: nobody could prove it to that."""
    db.execute(
        "UPDATE receipts SET number = ? WHERE app = ? AND shard = ? AND author = ? AND number > ?",
        (number, *key, author, number),
    )
