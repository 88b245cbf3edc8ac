"""What a figure is, and how a benchmark says that something it needs is not here."""

import sys
from collections.abc import Mapping
from typing import Any

from hedgerow.errors import HedgerowError

Figure = dict[str, Any]

NO_FIGURES: list[Figure] = []


def figure(
    name: str, value: float, unit: str, goal: float | None = None, beside: Mapping[str, float] | None = None
) -> Figure:
    """One figure; `beside` has what it is to be seen beside, in the same unit.

    A goal in bytes is not to be exceeded; a goal of a rate or a ratio is to be reached.
    """
    return {
        "figure": name,
        "value": round(value, 2),
        "unit": unit,
        "goal": goal,
        "beside": {key: round(number, 2) for key, number in (beside or {}).items()},
    }


def skip(what: str, error: HedgerowError) -> None:
    """Say on standard error that something is not measured, and why; nothing is left out silently."""
    print(f"{what} is left out: {error}", file=sys.stderr)
