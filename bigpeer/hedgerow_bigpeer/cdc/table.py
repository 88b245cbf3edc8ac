"""Bridges in the database: their settings and cursors, who runs them, and the events that are parked.

Each function runs in a transaction of its own, through `Store.transact`.
"""

import random
from typing import NamedTuple

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError

from .. import limits
from ..store.sql import Connection
from .events import Event

Key = tuple[str, int]
_BRIDGES = (
    "SELECT name, config, version, xid, seq, paused, owner, lease, fence, delivered, error FROM bridges"
    " WHERE app = ?"
)
_LEASE = (
    "UPDATE bridges SET fence = CASE WHEN owner = ? AND lease >= ? THEN fence ELSE fence + 1 END,"
    " owner = ?, lease = ? WHERE app = ? AND name = ? AND paused = 0 AND (lease < ? OR owner = ?)"
    " RETURNING name, config, version, xid, seq, paused, owner, lease, fence, delivered, error"
)
_VERSION_BITS = 48


class Bridge(NamedTuple):
    """A bridge as it stands: (`transaction`, `seq`) is the last change that is done with."""

    name: str
    config: str
    version: int
    transaction: int
    seq: int
    paused: int
    owner: str
    lease: int
    fence: int
    delivered: int
    error: str


class Parked(NamedTuple):
    """An event that waits for somebody to decide; `replay` says that it is to be sent again."""

    event: Event
    reason: str
    replay: int
    at: int


def bridges(db: Connection, key: Key) -> list[Bridge]:
    """Return all bridges by name."""
    rows = db.execute(f"{_BRIDGES} ORDER BY name", (key[0],))
    return [Bridge(*row) for row in rows]


def bridge(db: Connection, key: Key, name: str) -> Bridge:
    """Return one bridge. Raises BRIDGE_UNKNOWN."""
    row = db.execute(f"{_BRIDGES} AND name = ?", (key[0], name)).fetchone()
    if row is None:
        raise HedgerowError("BRIDGE_UNKNOWN", name)
    return Bridge(*row)


def set_bridge(db: Connection, key: Key, name: str, config: str, place: tuple[int, int]) -> None:
    """Make a bridge that begins behind a place, or set a known one anew: it goes on where it is, also where
    it was halted for what its settings did not allow.
    """
    known = db.execute("SELECT name FROM bridges WHERE app = ?", (key[0],)).fetchall()
    if (name,) not in known and len(known) >= limits.BRIDGES:
        raise HedgerowError("BRIDGE_INVALID", f"there are {limits.BRIDGES} bridges")
    db.execute(
        "INSERT INTO bridges (app, name, config, version, xid, seq) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (app, name) DO UPDATE SET config = excluded.config, version = bridges.version + 1,"
        " paused = CASE WHEN bridges.error LIKE 'BRIDGE_CONFIDENTIAL%' THEN 0 ELSE bridges.paused END,"
        " error = ''",
        # Whoever runs one of the same name that is gone is to see that this is another.
        (key[0], name, config, random.getrandbits(_VERSION_BITS), *place),
    )


def drop_bridge(db: Connection, key: Key, name: str) -> None:
    """Remove a bridge and what it has parked. Raises BRIDGE_UNKNOWN."""
    bridge(db, key, name)
    db.execute("DELETE FROM parked WHERE app = ? AND bridge = ?", (key[0], name))
    db.execute("DELETE FROM bridges WHERE app = ? AND name = ?", (key[0], name))


def pause(db: Connection, key: Key, name: str, paused: bool) -> None:
    """Stop a bridge, or let it go on. Raises BRIDGE_UNKNOWN."""
    bridge(db, key, name)
    db.execute("UPDATE bridges SET paused = ? WHERE app = ? AND name = ?", (int(paused), key[0], name))


def halt(db: Connection, key: Key, name: str, fence: int, error: str) -> None:
    """Stop a bridge that this fence runs, for a reason that goes with the next settings."""
    db.execute(
        "UPDATE bridges SET paused = 1, error = ? WHERE app = ? AND name = ? AND fence = ?",
        (error, key[0], name, fence),
    )


def reset(db: Connection, key: Key, name: str, place: tuple[int, int]) -> None:
    """Let a bridge begin behind another place; whoever runs it notices. Raises BRIDGE_UNKNOWN."""
    bridge(db, key, name)
    db.execute(
        "UPDATE bridges SET xid = ?, seq = ?, fence = fence + 1, lease = 0 WHERE app = ? AND name = ?",
        (*place, key[0], name),
    )


def take_lease(db: Connection, key: Key, name: str, owner: str, now: int, until: int) -> Bridge | None:
    """Take or renew the lease of a bridge, and return it; None while another has it or it is paused.

    The fence rises when it changes hands.
    """
    row = db.execute(_LEASE, (owner, now, owner, until, key[0], name, now, owner)).fetchone()
    return Bridge(*row) if row else None


def release(db: Connection, key: Key, name: str, fence: int) -> None:
    """Give a lease back, for another node to go on at once."""
    db.execute("UPDATE bridges SET lease = 0 WHERE app = ? AND name = ? AND fence = ?", (key[0], name, fence))


def advance(
    db: Connection,
    key: Key,
    name: str,
    fence: int,
    place: tuple[int, int],
    delivered: int,
    entries: list[Parked],
) -> bool:
    """Note that all up to a place is done with, and what of it is parked; False if the lease is lost."""
    row = db.execute(
        "UPDATE bridges SET xid = ?, seq = ?, delivered = delivered + ?, error = ''"
        " WHERE app = ? AND name = ? AND fence = ? RETURNING name",
        (*place, delivered, key[0], name, fence),
    ).fetchone()
    if row is None:
        return False
    for entry in entries:
        park(db, key, name, entry)
    return True


def note_error(db: Connection, key: Key, name: str, fence: int, error: str) -> None:
    """Note why a bridge does not get on."""
    db.execute(
        "UPDATE bridges SET error = ? WHERE app = ? AND name = ? AND fence = ?", (error, key[0], name, fence)
    )


def park(db: Connection, key: Key, name: str, entry: Parked) -> None:
    """Keep an event that was refused. Again is no change."""
    event = entry.event
    db.execute(
        "INSERT INTO parked VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (app, bridge, xid, seq)"
        " DO UPDATE SET reason = excluded.reason, replay = 0",
        (key[0], name, *event.place, event.key, cbor.encode(list(event)), entry.reason, entry.at),
    )


def parked(db: Connection, key: Key, name: str, limit: int) -> list[Parked]:
    """Return the oldest parked events."""
    rows = db.execute(
        "SELECT event, reason, replay, at FROM parked WHERE app = ? AND bridge = ? ORDER BY xid, seq LIMIT ?",
        (key[0], name, limit),
    )
    return [Parked(Event(*cbor.decode(event)), *rest) for event, *rest in rows]


def parked_keys(db: Connection, key: Key, name: str) -> set[str]:
    """Return the keys of parked events: what follows of them must wait too."""
    rows = db.execute("SELECT DISTINCT key FROM parked WHERE app = ? AND bridge = ?", (key[0], name))
    return {entry for (entry,) in rows}


def to_replay(db: Connection, key: Key, name: str, limit: int) -> list[Parked]:
    """Return the oldest parked events that are to be sent again."""
    rows = db.execute(
        "SELECT event, reason, replay, at FROM parked WHERE app = ? AND bridge = ? AND replay = 1"
        " ORDER BY xid, seq LIMIT ?",
        (key[0], name, limit),
    )
    return [Parked(Event(*cbor.decode(event)), *rest) for event, *rest in rows]


def replay(db: Connection, key: Key, name: str, event_key: str | None) -> int:
    """Let all parked events, or those of one key, be sent again; return how many."""
    return _on_parked(db, key, name, event_key, "UPDATE parked SET replay = 1 WHERE app = ? AND bridge = ?")


def skip(db: Connection, key: Key, name: str, event_key: str | None) -> int:
    """Forget all parked events, or those of one key; return how many."""
    return _on_parked(db, key, name, event_key, "DELETE FROM parked WHERE app = ? AND bridge = ?")


def unpark(db: Connection, key: Key, name: str, fence: int, places: list[tuple[int, int]]) -> bool:
    """Forget parked events that were delivered; False if the lease is lost."""
    query = "SELECT 1 FROM bridges WHERE app = ? AND name = ? AND fence = ?"
    if db.execute(query, (key[0], name, fence)).fetchone() is None:
        return False
    for place in places:
        db.execute(
            "DELETE FROM parked WHERE app = ? AND bridge = ? AND xid = ? AND seq = ?", (key[0], name, *place)
        )
    return True


def counts(db: Connection, key: Key, name: str, place: tuple[int, int]) -> tuple[int, int, int | None]:
    """Return how many events are parked, how many changes are behind a place, and when the first came."""
    (count,) = db.execute(
        "SELECT count(*) FROM parked WHERE app = ? AND bridge = ?", (key[0], name)
    ).fetchone()
    (lag, first) = db.execute(
        "SELECT count(*), min(at) FROM outbox WHERE app = ? AND shard = ? AND (xid, seq) > (?, ?)",
        (*key, *place),
    ).fetchone()
    return count, lag, first


def _on_parked(db: Connection, key: Key, name: str, event_key: str | None, what: str) -> int:
    bridge(db, key, name)
    parameters = [key[0], name]
    if event_key is not None:
        what, parameters = f"{what} AND key = ?", [*parameters, event_key]
    return len(db.execute(f"{what} RETURNING seq", parameters).fetchall())
