"""Where boards and gateways stand."""

import csv
import math
import random
from importlib import resources

from hedgerow.errors import HedgerowError
from hedgerow_sim.scenario import Scenario

Point = tuple[float, float]


def boards(scenario: Scenario, rng: random.Random) -> list[Point]:
    """Positions of the boards in metres."""
    count = scenario.boards
    if scenario.layout == "line":
        return [(scenario.spacing_m * (at + 1), 0.0) for at in range(count)]
    if scenario.layout == "grid":
        side = math.ceil(math.sqrt(count))
        return [(scenario.spacing_m * (at % side), scenario.spacing_m * (at // side)) for at in range(count)]
    if scenario.layout == "field":
        size = field_side(scenario)
        return [(rng.uniform(0, size), rng.uniform(0, size)) for _ in range(count)]
    return _from_file(scenario.file)[:count]


def field_side(scenario: Scenario) -> float:
    """Side of the square in which boards have `neighbours` others within range, borders apart."""
    return math.sqrt(scenario.boards * math.pi * scenario.range_m**2 / scenario.neighbours)


def gateways(scenario: Scenario, places: list[Point]) -> list[Point]:
    """Positions of the gateways in metres: as written, then in the corners of the boards' field."""
    found = list(scenario.gateways)
    xs, ys = [x for x, _ in places], [y for _, y in places]
    corners = [(min(xs), min(ys)), (max(xs), max(ys)), (min(xs), max(ys)), (max(xs), min(ys))]
    return found + corners[: scenario.corners]


def _from_file(name: str) -> list[Point]:
    path = resources.files("hedgerow_sim") / "data" / name
    if "/" in name or not path.is_file():
        raise HedgerowError("SCENARIO_INVALID", f"no file {name!r} of positions")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    try:
        return [(float(row["x_m"]), float(row["y_m"])) for row in csv.DictReader(lines)]
    except (KeyError, ValueError) as error:
        raise HedgerowError("SCENARIO_INVALID", f"{name}: {error}") from error


def hops(reach: list[list[int]], sources: list[int]) -> list[int | None]:
    """For each node, hops over `reach` to the nearest source; None where there is no way."""
    found: list[int | None] = [None] * len(reach)
    for source in sources:
        found[source] = 0
    front = list(sources)
    while front:
        following = []
        for node in front:
            for other in reach[node]:
                if found[other] is None:
                    found[other] = (found[node] or 0) + 1
                    following.append(other)
        front = following
    return found
