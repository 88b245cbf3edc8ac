"""What is not here of each author, or does not count, and why."""

from collections.abc import Collection
from typing import Any

from hedgerow.crypto.rules import FORKED

from .presence import Remote
from .service import Service
from .status import lost_rows

LOST = "lost"
UNDER_WAY = "under way"
UNSEALED = "unsealed"
REFUSED = "refused"
NOT_COUNTED = "not counted"

#: What the reasons of lost operations mean.
WHY = {
    "dropped": "the author's log was full, and its setting `full` let the oldest go",
    "thinned": "the author's log was full: summaries took the place of readings",
    "damaged": "the author's flash was damaged there",
    "restored": "a Big Peer had them, and was put back to an older state",
}
_WAITS = {
    UNDER_WAY: "a peer that is connected has them, and is sending them",
    UNSEALED: "they are held; no receipt goes out before the author's seal has come",
    REFUSED: "what follows was refused",
    NOT_COUNTED: "they are held, and show nowhere",
}


async def gaps(
    service: Service, names: dict[bytes, str], remotes: Collection[Remote]
) -> list[dict[str, Any]]:
    """Return a row for each gap, by name and number: which operations, their `state`, the `reason` as a code
    or word, and `why`, for people; `holder` is the author of who has them. `last` is None where nobody knows
    it, `first` where they lie apart.
    """
    rows = [
        _row(bytes.fromhex(row["author"]), LOST, row["first"], row["last"], row["reason"])
        | {"time": row["time"], "summary": row["summary"]}
        for row in lost_rows(await service.lost())
    ]
    rows += [
        _row(author, NOT_COUNTED, None, last, code) | {"count": count}
        for author, code, count, last in await service.store.refused()
    ]
    offered: dict[bytes, tuple[int, str, str]] = {}
    for remote in remotes:
        for author, held in remote.offered.items():
            offer = (held, remote.name or remote.author.hex(), remote.author.hex())
            offered[author] = max(offered.get(author, offer), offer)
    for author in {*offered, *service.refusals.authors(), *service.frontiers}:
        frontier = service.frontier(author)
        code = service.why_refused(author)
        number, holder, holder_author = offered.get(author, (0, "", ""))
        if code is not None:
            counts = frontier.receipted if code == FORKED else frontier.held
            rows.append(_row(author, REFUSED, counts + 1, None, code))
        elif number > frontier.held:
            row = _row(author, UNDER_WAY, frontier.held + 1, number, holder)
            rows.append(row | {"holder": holder_author})
        # What this store writes itself waits for no receipt.
        if frontier.held > frontier.sealed and author != service.store.identity.author:
            rows.append(_row(author, UNSEALED, frontier.sealed + 1, frontier.held, "no seal yet"))
    for row in rows:
        author = bytes.fromhex(row["author"])
        row["name"] = names.get(author) or service.frontier(author).name
    return sorted(rows, key=_order)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    """What only waits comes behind what is missing."""
    return row["state"] == UNSEALED, row["name"] == "", row["name"], row["author"], row["first"] or 0


def _row(author: bytes, state: str, first: int | None, last: int | None, reason: str) -> dict[str, Any]:
    why = WHY.get(reason, "its author has lost them") if state == LOST else _WAITS[state]
    return {
        "_id": f"{author.hex()}:{state}:{last if first is None else first}",
        "author": author.hex(),
        "name": "",
        "state": state,
        "first": first,
        "last": last,
        "count": last - first + 1 if first is not None and last is not None else None,
        "reason": reason,
        "why": why,
        "holder": None,
        "time": None,
        "summary": None,
    }
