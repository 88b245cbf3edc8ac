"""Time of an append beside littlefs with a flush, in turns in one process."""

import statistics
from collections.abc import Callable

from .figure import Figure, figure
from .flash_vm import LARGE_RING, READING, in_vm, run

#: Appends of each in a turn: a sector of ours, and what takes about as long, so that what else the machine
#: does falls into both alike, and into few turns.
OURS, THEIRS = 107, 10
ROUNDS = 200
_GOAL = 10


@in_vm
def cpu() -> list[Figure]:
    """How many times longer littlefs takes for an append with a flush, by the medians of many short turns."""
    arguments = {"size": READING, "ours": OURS, "theirs": THEIRS, "rounds": ROUNDS, "sectors": LARGE_RING}
    times = run("flash_littlefs", "paired", arguments)["times"]
    ratios = [theirs / THEIRS / (ours / OURS) for ours, theirs in times]
    # Medians of either: a turn in which something else had the processor counts for nobody.
    ours, theirs = (statistics.median(each[side] for each in times) for side in (0, 1))
    low, _, high = statistics.quantiles(ratios)
    beside = {"lower_quartile": low, "upper_quartile": high}
    value = theirs / THEIRS / (ours / OURS)
    return [figure("flash.cpu.times_littlefs", value, "times", _GOAL, beside)]


FIGURES: list[Callable[[], list[Figure]]] = [cpu]
