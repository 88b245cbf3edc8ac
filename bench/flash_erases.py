"""Erases and wear: our log beside littlefs with a flush for each record."""

from collections.abc import Callable

from .figure import Figure, figure
from .flash_vm import READING, SECTOR, Counters, in_vm, laps, littlefs

_GOAL = 1.1
_SPREAD_GOAL = 2


@in_vm
def erases() -> list[Figure]:
    """Erases over the least that these bytes take, their spread over the ring, and those within appends."""
    counted, busy = laps(READING, 1, True), laps(READING, 8, False)
    other = littlefs(READING)
    ours, theirs = (_over_least(each) for each in (counted, other))
    spread = counted["wear_max"] - counted["wear_min"]
    most = {"littlefs": float(other["most_erases"])}
    each = {"littlefs": 1000 * other["erases"] / other["records"]}
    return [
        figure("flash.erases.over_least", ours, "1", _GOAL, {"littlefs": theirs}),
        figure(
            "flash.erases.per_1000_readings",
            1000 * counted["erases"] / counted["appends"],
            "1",
            None,
            each,
        ),
        figure("flash.erases.spread", spread, "1", _SPREAD_GOAL),
        figure("flash.erases.in_append_with_idle", counted["most_erases"], "1", 0, most),
        figure("flash.erases.in_append", busy["most_erases"], "1", 1, most),
    ]


def _over_least(counted: Counters) -> float:
    return float(counted["erases"] * SECTOR / counted["programmed"])


FIGURES: list[Callable[[], list[Figure]]] = [erases]
