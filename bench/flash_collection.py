"""What collecting costs while documents are kept: the factor beside theory, and the worst single append."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from .figure import Figure, figure
from .flash_vm import AUTHORS, READING, RING, Counters, in_vm, named, run_all

LAPS = 3
#: Percent of the room that is alive; those with a goal, the others are for the curve.
SHARES = (30, 50, 60, 70, 80)
_GOAL_SHARES = (50, 70)
_WORST_SHARE = 70
_GOAL = 1.05
_APPEND_GOAL = 1024


@cache
def _collections() -> dict[tuple[int, int, bool], Counters]:
    """By (live share in percent, authors, whether there is idle time between appends)."""
    kinds = [(share, 1, True) for share in SHARES]
    kinds += [(_WORST_SHARE, AUTHORS[-1], True), (_WORST_SHARE, 1, False)]
    counted = run_all([
        ("flash_log", "collect", {
            "percent": share, "size": READING, "laps": LAPS, "sectors": RING, "authors": authors,
            "idle": idle,
        }) for share, authors, idle in kinds
    ])  # fmt: skip
    return dict(zip(kinds, counted, strict=True))


def theory(share: float) -> float:
    """How many times a first-in-first-out ring writes what is written, at a live share of its frames.

    A survivor of a lap is copied: share = (1 - p) / -ln p, where p of each sector lives; 1 / (1 - p).
    """
    low, high = 1e-12, 1 - 1e-9
    for _ in range(200):
        middle = (low + high) / 2
        if (1 - middle) / -math.log(middle) < share:
            low = middle
        else:
            high = middle
    return 1 / (1 - low)


@in_vm
def collection() -> list[Figure]:
    """How many times documents that are kept are written, updates spread evenly over them."""
    figures = []
    for share in SHARES:
        counted = _collections()[share, 1, True]
        name = f"flash.collection.{share}_percent"
        if "refused" in counted:
            print(f"{name}: {counted['refused']}")
            if share in _GOAL_SHARES:
                figures.append(figure(name, None, "1", _GOAL * theory(share / 100)))
            continue
        factor, in_bytes, live = _factor(counted)
        goal = _GOAL * theory(live) if share in _GOAL_SHARES else None
        beside = {"theory": theory(live), "live_share": live, "in_bytes": in_bytes}
        figures.append(figure(name, factor, "1", goal, beside))
    return figures


def _factor(counted: Counters) -> tuple[float, float, float]:
    """Return (operations written for each that is appended, the same in bytes, the live share).

    A moved operation's frame says its number, and is longer. The share is that of the frames in the ring.
    """
    measured: dict[str, Any] = counted["measured"]
    size, frames = ({kind: measured[of][kind] for kind in ("op", "beside")} for of in ("bytes", "frames"))
    data = sum(size.values())
    written = sum(frames.values())
    in_use = counted["bytes_in_use"] * written / measured["programmed"]
    return written / frames["op"], data / size["op"], counted["documents"] / in_use


@in_vm
def worst_append() -> list[Figure]:
    """What one append does at most while documents are collected: bytes, and erases of the ring.

    Bytes are those beyond the operation's own frame and one live frame that moved.
    """
    one, many, busy = (
        _collections()[_WORST_SHARE, authors, idle]
        for authors, idle in ((1, True), (AUTHORS[-1], True), (1, False))
    )
    figures = []
    for what, counted, kind, goal in (
        (f"worst_append_{named(1)}", one, "most_beyond", _APPEND_GOAL),
        (f"worst_append_{named(AUTHORS[-1])}", many, "most_beyond", _APPEND_GOAL),
        ("erases_in_append_with_idle", one, "most_erases", 0),
        ("erases_in_append", busy, "most_erases", 1),
    ):
        name = f"flash.collection.{what}"
        if "refused" in counted:
            print(f"{name}: {counted['refused']}")
        beside = (
            {"in_receipt": counted["most_in_receipt"]} if kind == "most_beyond" and kind in counted else {}
        )
        figures.append(figure(name, counted.get(kind), "B" if beside else "1", goal, beside))
    return figures


FIGURES: list[Callable[[], list[Figure]]] = [collection, worst_append]
