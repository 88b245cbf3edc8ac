"""What a figure is, and how a benchmark says that something it needs is not here."""

import sys
from collections.abc import Mapping
from typing import Any

from hedgerow.errors import HedgerowError

Figure = dict[str, Any]

NO_FIGURES: list[Figure] = []
#: Units of which more is better.
_TO_BE_REACHED = ("1/s", "times")


def figure(
    name: str,
    value: float | None,
    unit: str,
    goal: float | None = None,
    beside: Mapping[str, float] | None = None,
) -> Figure:
    """One figure; `beside` has what it is to be seen beside, in the same unit.

    A goal in 1/s or times is to be reached, any other is not to be exceeded. Without a value what was to be
    measured could not be done.
    """
    return {
        "figure": name,
        "value": None if value is None else round(value, 3),
        "unit": unit,
        "goal": None if goal is None else round(goal, 3),
        "beside": {key: round(number, 3) for key, number in (beside or {}).items()},
    }


def keeps_its_goal(figure: Figure) -> bool:
    """Whether a figure is as good as it is to be, or has no goal."""
    value, goal = figure["value"], figure["goal"]
    if goal is None:
        return True
    if value is None:
        return False
    return bool(value >= goal if figure["unit"] in _TO_BE_REACHED else value <= goal)


def skip(what: str, error: HedgerowError) -> None:
    """Say on standard error that something is not measured, and why; nothing is left out silently."""
    print(f"{what} is left out: {error}", file=sys.stderr)
