"""What is expected of peers: documents of the collection `peers`, by name or author, and who is overdue."""

from typing import Any, NamedTuple

from hedgerow.query.values import is_number, to_float

from . import limits
from .query import Queries
from .service import Service
from .status import author_row, authors
from .store.rows import Frontier

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


async def peers(service: Service, queries: Queries) -> list[dict[str, Any]]:
    """Return a row for each peer: what of it is held, what is expected of it, and whether it is overdue.

    Somebody who is expected and never came has a row without an author. Of several authors with one name
    (a board that was set up anew) the one seen last is meant.
    """
    wanted = await expected(service, queries)
    now = service.clock.utc()
    meant: dict[bytes, str] = {}
    latest: dict[str, Frontier] = {}
    for frontier in service.frontiers.values():
        if frontier.author.hex() in wanted:
            meant[frontier.author] = frontier.author.hex()
        elif frontier.name in wanted:
            latest[frontier.name] = max(
                latest.get(frontier.name, frontier), frontier, key=lambda entry: entry.last_seen
            )
    meant |= {frontier.author: name for name, frontier in latest.items()}
    rows = authors(service, {})
    shown = {row["author"] for row in rows}
    rows += [
        author_row(service.frontier(author), {}, service.refusals.code(author))
        for author in meant
        if author.hex() not in shown
    ]
    for row in rows:
        author = bytes.fromhex(row["author"])
        said = wanted.get(meant.get(author, ""), Expected(None, None))
        row |= _said(said, service.frontier(author).last_seen, now)
    nobody = {"author": "", "held": 0, "sealed": 0, "receipted": 0, "last_seen": None, "refused": None}
    known = {frontier.name for frontier in service.frontiers.values()} | set(meant.values())
    for key in sorted(wanted.keys() - known):
        rows.append({**nobody, "name": key, **_said(wanted[key], 0, now)})
    return rows


def _said(wanted: Expected, last_seen: int, now: int) -> dict[str, Any]:
    is_overdue = wanted.due_s is not None and last_seen + to_float(wanted.due_s) * 1000 < now
    return {"place": wanted.place, "due_s": wanted.due_s, "overdue": is_overdue}


async def peer_metrics(service: Service, queries: Queries) -> str:
    """Return in the text format of Prometheus who is overdue of those who are expected, "" if nobody is."""
    rows = [row for row in await peers(service, queries) if row["due_s"] is not None]
    if not rows:
        return ""
    name = "hedgerow_bigpeer_peer_overdue"
    lines = [f"# HELP {name} Whether a peer is overdue.", f"# TYPE {name} gauge"]
    for row in rows:
        label = (row["name"] or row["author"]).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'{name}{{peer="{label}"}} {int(row["overdue"])}')
    return "\n".join(lines) + "\n"
