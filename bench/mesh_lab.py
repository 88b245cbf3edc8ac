"""54 motes for a day, a reading a minute each, one packet in five lost besides collisions."""

from collections.abc import Callable

from . import mesh_run
from .figure import Figure

# An hour, in a run that is not the whole.
_SHARE = 1 / 24
#: Virtual hours of the baselines.
_BESIDE_HOURS = 1.0


def relays() -> list[Figure]:
    """All of them relays."""
    others = mesh_run.beside("intel-lab", hours=_BESIDE_HOURS, settle_hours=0.5)
    return mesh_run.common("mesh.lab", mesh_run.part("intel-lab", mesh_run.share(_SHARE)), others)


def leaves() -> list[Figure]:
    """Half of them leaves that sleep between their readings."""
    others = mesh_run.beside("intel-lab-leaves", hours=_BESIDE_HOURS, settle_hours=0.5)
    return mesh_run.common(
        "mesh.lab.leaves", mesh_run.part("intel-lab-leaves", mesh_run.share(_SHARE)), others
    )


FIGURES: list[Callable[[], list[Figure]]] = [relays, leaves]
