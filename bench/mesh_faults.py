"""Partition and heal, power cuts, a gateway gone for a day: nothing is lost, and how long it takes after."""

from collections.abc import Callable
from functools import partial

from . import mesh_run
from .figure import Figure, figure

# Of their time, in a run that is not the whole; what is cut off stays cut off for an hour and more.
_SHARE = 0.25
#: Of the baselines, always.
_BESIDE_SHARE = 0.05
SCENARIOS = ("partition", "power-cycled", "gateway-lost", "two-gateways", "field-cut", "field-lost")


def faults(name: str, share: float, beside: float) -> list[Figure]:
    """A scenario beside the radio's bound, and beside what floods and what always connects."""
    label = f"mesh.faults.{name.replace('-', '_')}"
    found = mesh_run.part(name, share)
    others = {engine: mesh_run.part(name, beside, engine) for engine in mesh_run.BASELINES}
    late = found["catch_up"]
    bounds = {"advertising_bound": late["bound_advertising_s"], "link_bound": late["bound_link_s"]}
    return [
        *mesh_run.common(label, found, others),
        figure(f"{label}.backlog", late["backlog"], "1"),
        figure(f"{label}.catch_up", late["seconds"], "s", None, bounds),
        figure(
            f"{label}.caught_up_rate", _rate(found), "1/s", None, {k: _rate(v) for k, v in others.items()}
        ),
        figure(f"{label}.connections", found["connections"], "1"),
    ]


def _rate(found: mesh_run.Report) -> float:
    """Operations a second that came of those that were behind; the last of them counts."""
    late = found["catch_up"]
    return (late["backlog"] - late["missing"]) / max(late["seconds"], 1)


FIGURES: list[Callable[[], list[Figure]]] = [
    partial(faults, name, mesh_run.share(_SHARE), _BESIDE_SHARE) for name in SCENARIOS
]
