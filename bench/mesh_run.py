"""Runs of the simulator for figures: a scenario by the mesh, and by what it is to be seen beside."""

import dataclasses
import os
import sys
import time
from typing import Any

from hedgerow_sim import scenario
from hedgerow_sim.run import run
from hedgerow_sim.world import World

from .figure import Figure, figure

SEED = 1
#: Scenarios in full, days included, which takes hours; else each for a part of its time.
WHOLE = bool(os.environ.get("WHOLE", "").strip("0"))
BASELINES = ("naive_flood", "connect_always")
Report = dict[str, Any]
_SAY_EVERY_S = 60.0


class _Progress:
    """Says on standard error now and then how far a run is."""

    def __init__(self) -> None:
        self._started = self._said = time.monotonic()

    def __call__(self, world: World) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY_S:
            self._said = now
            print(
                f"{world.scenario.name} ({world.scenario.engine}): {world.now / 3.6e9:.2f} virtual hours in "
                f"{now - self._started:.0f} s, {len(world.audit.came)} of {len(world.audit.made)} arrived",
                file=sys.stderr,
            )


def report(name: str, engine: str = "mesh", judge: bool | None = None, **changes: Any) -> Report:
    """One run's report; what breaks an invariant is said on standard error. See `run` for `judge`."""
    outcome = run(scenario.load(name, engine=engine, **changes), SEED, _Progress(), judge=judge)
    if outcome.failure:
        print(f"{name} ({engine}): {outcome.failure}\nrepeat it with: {outcome.replay}", file=sys.stderr)
    return outcome.report


def part(name: str, share: float, engine: str = "mesh", **changes: Any) -> Report:
    """The report of a scenario in so much of its time: what happens in it comes as much sooner."""
    whole = scenario.load(name)
    if share == 1:
        return report(name, engine, **changes)
    events = [
        {**dataclasses.asdict(event), "at_s": event.at_s * share, "spread_s": event.spread_s * share}
        for event in whole.events
    ]
    hours = whole.hours * share
    # Baselines may never have all of it there.
    settle = whole.settle_hours if engine == "mesh" else min(hours, whole.settle_hours)
    given = {"hours": hours, "settle_hours": settle, "events": events, **changes}
    return report(name, engine, **given)


def share(of_a_part: float) -> float:
    """What is run of a scenario's time: all of it if WHOLE."""
    return 1 if WHOLE else of_a_part


def beside(name: str, **changes: Any) -> dict[str, Report]:
    """The baselines in the same place and air, for as long as `changes` say: their figures are rates."""
    return {engine: report(name, engine, **changes) for engine in BASELINES}


def missing(name: str, found: Report, others: dict[str, Report]) -> Figure:
    """Acknowledged readings that no keeper has, in a thousand: beside it how many the baselines lose."""
    return figure(
        f"{name}.missing_per_1000", _missing(found), "1", 0, {k: _missing(v) for k, v in others.items()}
    )


def broken(name: str, found: Report) -> Figure:
    """Whether an invariant broke: 0 if everything held all along."""
    return figure(f"{name}.broken_invariants", float(bool(found["failure"])), "1", 0)


def _missing(found: Report) -> float:
    readings = found["readings"]
    return 1000 * (1 - float(readings["arrived"]) / max(readings["acknowledged"], 1))


def common(name: str, found: Report, others: dict[str, Report]) -> list[Figure]:
    """Figures that every scenario has."""

    def one(label: str, unit: str, *path: str, bound: float | None = None) -> Figure:
        compared = {engine: _at(each, path) for engine, each in others.items()}
        if bound is not None:
            compared["bound"] = bound
        return figure(
            f"{name}.{label}",
            _at(found, path),
            unit,
            None,
            {k: v for k, v in compared.items() if v is not None},
        )

    figures = [
        broken(name, found),
        missing(name, found, others),
        one("latency_p50", "s", "latency_s", "p50"),
        one("latency_p90", "s", "latency_s", "p90"),
        one("latency_p99", "s", "latency_s", "p99"),
        one("latency_max", "s", "latency_s", "max"),
        one("receipt_p50", "s", "receipt_s", "p50"),
        one("receipt_p99", "s", "receipt_s", "p99"),
        one("payloads_per_reading_hop", "1", "air", "payloads_per_reading_hop", bound=1),
        one("events_per_reading_hop", "1", "air", "events_per_reading_hop", bound=1),
        one("bytes_per_reading_hop", "bytes", "air", "bytes_per_reading_hop", bound=31),
        one("airtime_per_reading_hop", "ms", "air", "airtime_ms_per_reading_hop", bound=1.128),
        one("connections_per_1000_readings", "1", "connections_per_1000_readings"),
    ]
    figures += [
        one(f"charge_{role}_day{most}", "mAh", "charge_mah_per_day", role, of)
        for role in found["charge_mah_per_day"]
        for most, of in (("", "mean"), ("_max", "max"))
    ]
    return figures


def _at(found: Report, path: tuple[str, ...]) -> float | None:
    value: Any = found
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else float(value)
