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
    ours = statistics.quantiles(each[0] / OURS for each in times)
    theirs = statistics.quantiles(each[1] / THEIRS for each in times)
    # A flush copies what is in the last block already, so that the quartiles of littlefs are far apart.
    beside = {"lower_quartiles": theirs[0] / ours[0], "upper_quartiles": theirs[2] / ours[2]}
    return [figure("flash.cpu.times_littlefs", theirs[1] / ours[1], "times", _GOAL, beside)]


FIGURES: list[Callable[[], list[Figure]]] = [cpu]
