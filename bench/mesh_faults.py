"""Partition and heal, power cuts, a gateway gone for a day: nothing is lost, and how long it takes after."""

from collections.abc import Callable

from . import mesh_run
from .figure import Figure, figure

# Of their time, in a run that is not the whole; what is cut off stays cut off for an hour and more.
_SHARE = 0.25


def faults() -> list[Figure]:
    """Each scenario beside the radio's bound, and beside what always connects."""
    figures = []
    for name in ("partition", "power-cycled", "gateway-lost", "two-gateways", "field-cut", "field-lost"):
        found = mesh_run.part(name, _SHARE)
        label = f"mesh.faults.{name.replace('-', '_')}"
        figures += [mesh_run.broken(label, found), mesh_run.missing(label, found, {})]
        late = found["catch_up"]
        if late:
            bounds = {"advertising_bound": late["bound_advertising_s"], "link_bound": late["bound_link_s"]}
            figures.append(figure(f"{label}.backlog", late["backlog"], "1"))
            figures.append(figure(f"{label}.catch_up", late["seconds"], "s", None, bounds))
            figures.append(figure(f"{label}.connections", found["connections"], "1"))
    return figures


FIGURES: list[Callable[[], list[Figure]]] = [faults]
