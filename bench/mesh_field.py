"""1,000 boards for a day and 5,000 for an hour, a reading every ten minutes each, four gateways."""

from collections.abc import Callable

from . import mesh_run
from .figure import Figure, figure

# Of a run that is not the whole: the first hour, and a quarter of one.
_SHARE = 1 / 24
_SHARE_OF_5000 = 0.25
#: Virtual hours of the baselines: the boards are switched on within ten minutes.
_BESIDE_HOURS = 0.4
_MINUTES_GOAL = 30


def thousand() -> list[Figure]:
    """A day, and how long one core works on it."""
    others = mesh_run.beside("field-1000", hours=_BESIDE_HOURS, settle_hours=0.1)
    found = mesh_run.part("field-1000", mesh_run.share(_SHARE))
    figures = mesh_run.common("mesh.field", found, others)
    figures.append(figure("mesh.field.hops_max", found["hops"]["max"], "times", 5))
    goal = _MINUTES_GOAL if mesh_run.WHOLE else None
    figures.append(figure("mesh.field.minutes_on_one_core", found["cpu_s"] / 60, "min", goal))
    return figures


def five_thousand() -> list[Figure]:
    """An hour, at whose end what is on its way is counted: more is recorded than four gateways take in."""
    found = mesh_run.part("field-5000", mesh_run.share(_SHARE_OF_5000), judge=False, settle_hours=0.0)
    here = {each["figure"]: each for each in mesh_run.common("mesh.field.5000", found, {})}
    here["mesh.field.5000.missing_per_1000"]["goal"] = None
    minutes = figure("mesh.field.5000.minutes_on_one_core", found["cpu_s"] / 60, "min")
    return [*here.values(), minutes]


FIGURES: list[Callable[[], list[Figure]]] = [five_thousand, thousand]
