"""Pictures of a run: curves over virtual time, and a map of who hears whom.

They are drawn by matplotlib, which `pip install 'hedgerow[sim]'` brings; the file's ending names the format
(svg, png, pdf).
"""

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from hedgerow.sync.hello import LEAF
from hedgerow_sim.report import reach
from hedgerow_sim.run import Outcome

_WIDTH, _HEIGHT = 8.0, 9.0


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    # Without the date two runs of one seed give one picture.
    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
    figure.savefig(path, metadata=metadata)


def plot(outcome: Outcome, path: Path) -> None:
    """Convergence, latency, airtime and charge over virtual time."""
    curve = outcome.curve
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    figure.suptitle(
        f"{outcome.report['scenario']}, seed {outcome.report['seed']}, {outcome.report['engine']}"
    )
    convergence, latency, airtime, charge = figure.subplots(4, 1)
    convergence.plot(curve.hours, curve.made, label="acknowledged", color="0.6")
    convergence.plot(curve.hours, curve.came, label="at a keeper")
    convergence.plot(curve.hours, curve.known, label="receipted at the author")
    convergence.set_ylabel("readings")
    convergence.legend(fontsize="small")
    audit = outcome.world.audit
    delays = sorted((came - audit.made[key]) / 1e6 for key, came in audit.came.items())
    shares = [(at + 1) / len(delays) for at in range(len(delays))]
    latency.plot([max(delay, 0.01) for delay in delays], shares)
    latency.set(xscale="log", ylabel="share arrived", xlabel="seconds after its acknowledgement")
    radios = max(len(outcome.world.radios), 1)
    hours = curve.hours[1:]
    steps = [max((b - a) * 3600, 1e-9) for a, b in zip(curve.hours, curve.hours[1:], strict=False)]
    airtime.plot(hours, _rates(curve.airtime_s, steps, 100 / radios))
    airtime.set_ylabel("airtime of a station, %")
    charge.plot(hours, _rates(curve.charge_mah, steps, 3600 / radios))
    charge.set(ylabel="mean current, mA", xlabel="hours")
    _save(figure, path)


def _rates(totals: list[float], steps: list[float], scale: float) -> list[float]:
    return [(b - a) / step * scale for a, b, step in zip(totals, totals[1:], steps, strict=False)]


def draw_map(outcome: Outcome, path: Path) -> None:
    """Who stands where and hears whom; colours are hops to a gateway."""
    world = outcome.world
    figure = Figure(figsize=(_WIDTH, _WIDTH), layout="constrained")
    axes = figure.subplots()
    places = world.places
    lines = [
        (places[node], places[other])
        for node, near in enumerate(reach(world))
        for other in near
        if node < other
    ]
    axes.add_collection(LineCollection(lines, linewidths=0.3, colors="0.8"))
    hops = outcome.hops
    for leaf, marker in ((False, "o"), (True, "v")):
        chosen = [board.node for board in world.boards if (board.role == LEAF) == leaf]
        if chosen:
            dots = axes.scatter(
                [places[node][0] for node in chosen],
                [places[node][1] for node in chosen],
                c=[-1.0 if (hop := hops[node]) is None else float(hop) for node in chosen],
                s=max(6, 400 / len(places) ** 0.6),
                marker=marker,
                cmap="viridis",
                vmin=0,
                vmax=max([hop or 0 for hop in hops] + [1]),
                label="leaves" if leaf else "relays",
                zorder=2,
            )
            if not leaf:
                figure.colorbar(dots, ax=axes, label="hops to a gateway", shrink=0.7)
    doors = [places[gateway.node] for gateway in world.gateways]
    if doors:
        xs, ys = zip(*doors, strict=True)
        axes.scatter(xs, ys, marker="s", color="crimson", s=60, label="gateways", zorder=3)
    axes.set(xlabel="metres", ylabel="metres", aspect="equal", title=f"{outcome.report['scenario']}")
    axes.legend(loc="upper right", fontsize="small")
    _save(figure, path)
