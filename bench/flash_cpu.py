"""Time of an append beside littlefs with a flush, in turns in one process."""

import statistics
from collections.abc import Callable

from .figure import Figure, figure
from .flash_vm import LARGE_RING, READING, in_vm, run

#: Small chunks: what else the machine does falls into few of them.
CHUNK, ROUNDS = 40, 300
_GOAL = 10


@in_vm
def cpu() -> list[Figure]:
    """How many times longer littlefs takes for an append with a flush, in turns with ours in one process."""
    arguments = {"size": READING, "chunk": CHUNK, "rounds": ROUNDS, "sectors": LARGE_RING}
    times = run("flash_littlefs", "paired", arguments)["times"]
    ratios = sorted(theirs / ours for ours, theirs in times)
    spread = {"least": ratios[0], "most": ratios[-1]}
    return [figure("flash.cpu.times_littlefs", statistics.median(ratios), "times", _GOAL, spread)]


FIGURES: list[Callable[[], list[Figure]]] = [cpu]
