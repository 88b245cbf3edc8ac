"""Relays that are told what they may take in a day: what arrives, how late, and what they take."""

from collections.abc import Callable

from hedgerow_sim import scenario

from . import mesh_run
from .figure import Figure, figure

# Six hours, in a run that is not the whole.
_SHARE = 0.25


def day() -> list[Figure]:
    """A day on a budget, beside one without."""
    budget = scenario.load("budget").budget_mah
    found = mesh_run.part("budget", mesh_run.share(_SHARE))
    free = mesh_run.part("budget", mesh_run.share(_SHARE), budget_mah=0.0)
    figures = mesh_run.common("mesh.budget", found, {"without": free})
    most = found["charge_mah_per_day"]["relay"]["max"]
    return [*figures, figure("mesh.budget.charge", most, "mAh", budget if mesh_run.WHOLE else None)]


FIGURES: list[Callable[[], list[Figure]]] = [day]
