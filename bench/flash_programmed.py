"""Flash programmed per byte of payload: our log beside littlefs with a flush for each record."""

from collections.abc import Callable

from .figure import Figure, figure
from .flash_vm import AUTHORS, READING, Counters, in_vm, laps, littlefs

SIZES = (12, 32, 60)

_FRAMES_GOAL = {32: 1.16, 60: 1.14}
_ALL_GOAL = {12: 1.9, 32: 1.45, 60: 1.25}
#: Counted apart: what does not come with every operation.
_APART = ("seal", "value", "again")


@in_vm
def bytes_programmed() -> list[Figure]:
    """Flash programmed per byte of payload; the frames alone, then with all that the log writes besides."""
    figures = []
    for size in SIZES:
        counted = laps(size, 1, True)
        other = littlefs(size)
        beside = {"littlefs_flush_each": other["programmed"] / other["payload"]}
        frames, everything, receipts = _per_payload(counted)
        figures.append(
            figure(f"flash.programmed.frames_{size}", frames, "B/B", _FRAMES_GOAL.get(size), beside)
        )
        beside["with_receipts"] = receipts
        figures.append(figure(f"flash.programmed.all_{size}", everything, "B/B", _ALL_GOAL[size], beside))
    for authors in AUTHORS[1:]:
        _, everything, receipts = _per_payload(laps(READING, authors, False))
        name = f"flash.programmed.all_{READING}_{authors}_authors"
        figures.append(figure(name, everything, "B/B", None, {"with_receipts": receipts}))
    return figures


def _per_payload(counted: Counters) -> tuple[float, float, float]:
    payload = counted["payload"]
    apart = sum(counted["bytes"][kind] for kind in _APART)
    return (
        counted["bytes"]["op"] / payload,
        (counted["programmed"] - apart) / payload,
        counted["programmed"] / payload,
    )


FIGURES: list[Callable[[], list[Figure]]] = [bytes_programmed]
