"""500 boards that all hear each other: how full they make the channel, and what arrives."""

from collections.abc import Callable

from hedgerow_sim.report import EVENTS_PER_S

from . import mesh_run
from .figure import Figure, figure

# Of its half hour, in a run that is not the whole; they are switched on within five minutes.
_SHARE = 0.4


def crowd() -> list[Figure]:
    """In the first half of the time, in which they are switched on, and in the second."""
    found = mesh_run.part("crowd-500", mesh_run.share(_SHARE))
    figures = mesh_run.common("mesh.crowd", found, {})
    boots, settled = found["air"]["events_per_s"]
    return [
        *figures,
        figure("mesh.crowd.events_per_s_boots", boots, "events/s"),
        figure("mesh.crowd.events_per_s", settled, "events/s", EVENTS_PER_S),
    ]


FIGURES: list[Callable[[], list[Figure]]] = [crowd]
