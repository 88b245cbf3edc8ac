"""What is expected of peers, by the collection `peers` (name or author) and by their health documents, and
who is overdue.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from hedgerow.query.values import is_number, to_float

from . import limits
from .health import health
from .presence import Remote
from .query import Queries
from .service import Service
from .status import author_row, authors, readings

#: A document's `_id` is the name of a peer or its author in hex; `due_s` is after how many seconds without
#: anything new it is overdue, `place` where it is.
COLLECTION = "peers"


class Expected(NamedTuple):
    """What a document of `peers` says; `due_s` is the number as it stands there."""

    place: str | None
    due_s: Any


async def expected(service: Service, queries: Queries) -> dict[str, Expected]:
    """Return what is expected of peers, by their `_id`."""
    async with service.store.snapshot() as snapshot:
        rows = await snapshot.documents(COLLECTION, None, limits.STATUS_AUTHORS)
    found: dict[str, Expected] = {}
    for _, document, _ in await queries.documents(rows):
        place, due = document.get("place"), document.get("due_s")
        is_due = is_number(due) and to_float(due) > 0
        if isinstance(document["_id"], str):
            text = place if isinstance(place, str) else None
            found[document["_id"]] = Expected(text, due if is_due else None)
    return found


async def peers(service: Service, queries: Queries, remotes: Collection[Remote] = ()) -> list[dict[str, Any]]:
    """Return a row for each peer: what of it is held, what it says of itself, what is expected of it, whether
    it is overdue, and whether it is among `remotes`.

    Somebody who is expected and never came has a row without an author. Of several authors with one name
    (a board that was set up anew) the one seen last is meant, of each user whose credential they show: nobody
    is alive by calling itself what others are called.
    """
    wanted = await expected(service, queries)
    rows = authors(service, {})
    shown = {row["author"] for row in rows}
    # Whoever is expected shows, however long ago it was seen.
    for frontier in service.frontiers.values():
        named = frontier.name in wanted or frontier.author.hex() in wanted
        if named and frontier.author.hex() not in shown:
            rows.append(author_row(frontier, {}, service.why_refused(frontier.author)))
    said = await health(service, queries, [bytes.fromhex(row["author"]) for row in rows])
    for row in rows:
        row["health"] = said.get(bytes.fromhex(row["author"]))
        row["name"] = row["name"] or (row["health"] or {}).get("name") or ""
    if any(not row["name"] for row in rows):
        # Who never had a session, and has not told its health yet, may stand in its readings.
        names = (await readings(service, queries)).names
        for row in rows:
            row["name"] = row["name"] or names.get(bytes.fromhex(row["author"]), "")
    meant = _meant(service, rows, wanted)
    now = service.clock.utc()
    connected = {remote.author for remote in remotes}
    last: dict[tuple[str, str], int] = {}
    for row in rows:
        place = _place(service, row)
        last[place] = max(last.get(place, 0), _seen(service, row["author"]))
    for row in rows:
        author = bytes.fromhex(row["author"])
        own = row["health"] or {}
        row["connected"] = author in connected
        last_seen = service.frontier(author).last_seen
        if author.hex() in meant:
            found = wanted[meant[author.hex()]]
            row |= _said(found._replace(place=found.place or own.get("place")), last_seen, now)
        else:
            due = own.get("due_s")
            row |= _said(Expected(own.get("place"), due), last_seen, now)
            # A board that was set up anew has left an author behind.
            is_newest = not row["name"] or last_seen == last[_place(service, row)]
            row["overdue"] = due is not None and is_newest and last_seen + _patience_ms(due) < now
    nobody = {"author": "", "held": 0, "sealed": 0, "receipted": 0, "last_seen": None, "refused": None}
    known = {row["name"] for row in rows} | set(meant.values())
    for key in sorted(wanted.keys() - known):
        rows.append({**nobody, "name": key, "health": None, "connected": False, **_said(wanted[key], 0, now)})
    return rows


def _meant(service: Service, rows: list[dict[str, Any]], wanted: dict[str, Expected]) -> dict[str, str]:
    """Return by author (hex) the id of what is expected of it: its author says more than its name."""
    meant: dict[str, str] = {}
    latest: dict[tuple[str, str], str] = {}
    for row in rows:
        author = row["author"]
        if author in wanted:
            meant[author] = author
        elif row["name"] in wanted:
            place = _place(service, row)
            before = latest.get(place, author)
            latest[place] = max(before, author, key=lambda name: _seen(service, name))
    return meant | {author: name for (name, _), author in latest.items()}


def _place(service: Service, row: dict[str, Any]) -> tuple[str, str]:
    """Return whose place a row takes: a name, which anybody may call itself, and the user to whom an issuer
    gave the author's credential, "" without one.
    """
    rules = service.store.rules
    holder = rules.holder(bytes.fromhex(row["author"])) if rules is not None else None
    return row["name"], holder.subject if holder is not None and holder.subject else ""


def _seen(service: Service, author: str) -> int:
    return service.frontier(bytes.fromhex(author)).last_seen


def _patience_ms(due_s: Any) -> float:
    return (limits.DUE_TURNS * to_float(due_s) + limits.DUE_WAY_SECONDS) * 1000


def _said(wanted: Expected, last_seen: int, now: int) -> dict[str, Any]:
    is_overdue = wanted.due_s is not None and last_seen + to_float(wanted.due_s) * 1000 < now
    return {"place": wanted.place, "due_s": wanted.due_s, "overdue": is_overdue}


_METRIC = "hedgerow_bigpeer_peer_"
#: Gauges of what health documents say: the field, and what it is.
_GAUGES = {
    "voltage_mv": ("voltage_volts", 1000, "Voltage that a peer measures."),
    "heap_free": ("heap_free_bytes", 1, "The least heap that a board had free."),
    "log": ("log_ratio", 100, "Part of a peer's log that is taken."),
    "uptime_s": ("uptime_seconds", 1, "Time since a peer was switched on, when it said so."),
    "boots": ("boots", 1, "How often a peer has started."),
}


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


async def peer_metrics(service: Service, queries: Queries) -> str:
    """Return in the text format of Prometheus who is overdue of those who are expected, and what peers say of
    themselves; "" if there is nothing. Of several authors with one name and user the one seen last is meant.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(await peers(service, queries), key=lambda row: row["last_seen"] or ""):
        name, user = _place(service, row)
        rows[name or row["author"], user] = row
    found: dict[str, tuple[str, list[str]]] = {"overdue": ("Whether a peer is overdue.", [])}
    found |= {name: (about, []) for name, _, about in _GAUGES.values()}
    for peer in sorted(rows):
        row = rows[peer]
        labels = [f'peer="{_label(peer[0])}"', *([f'user="{_label(peer[1])}"'] if peer[1] else [])]
        values = {} if row["due_s"] is None else {"overdue": int(row["overdue"])}
        for field, (name, unit, _) in _GAUGES.items():
            value = (row["health"] or {}).get(field)
            if value is not None:
                values[name] = value / unit if unit > 1 else value
        for name, value in values.items():
            found[name][1].append(f"{_METRIC}{name}{{{','.join(labels)}}} {value}")
    lines = []
    for name, (about, samples) in found.items():
        if samples:
            lines += [f"# HELP {_METRIC}{name} {about}", f"# TYPE {_METRIC}{name} gauge", *samples]
    return "".join(line + "\n" for line in lines)
