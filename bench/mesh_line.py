"""Five boards in a line with a gateway at its end, a reading a minute each: what it takes to bring them."""

from collections.abc import Callable

from . import mesh_run
from .figure import Figure, figure


def line() -> list[Figure]:
    """With a Big Peer behind the gateway, and with the gateway as keeper."""
    figures = []
    for name, scenario in (("mesh.line", "line"), ("mesh.line.no_big_peer", "no-big-peer")):
        found = mesh_run.report(scenario)
        others = mesh_run.beside(scenario)
        figures += mesh_run.common(name, found, others)
        compared = {engine: float(each["connections"]) for engine, each in others.items()}
        figures.append(figure(f"{name}.connections", found["connections"], "1", 0, compared))
    return figures


FIGURES: list[Callable[[], list[Figure]]] = [line]
