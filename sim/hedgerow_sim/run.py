"""One run: a scenario and a seed in, a report out; checked all along."""

import contextlib
import gc
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hedgerow_sim import limits
from hedgerow_sim.audit import Broken
from hedgerow_sim.curve import Curve
from hedgerow_sim.report import Report
from hedgerow_sim.scenario import Scenario
from hedgerow_sim.world import World

#: Called now and then with the world; what it raises ends the run.
Progress = Callable[[World], None]


@dataclass
class Outcome:
    """A run that is over. `failure` is empty if all invariants held; `rule` names the one that did not."""

    world: World
    curve: Curve
    report: dict[str, Any]
    failure: str = ""
    rule: str = ""
    hops: list[int | None] = field(default_factory=list)

    @property
    def replay(self) -> str:
        """The command that runs the same again."""
        return str(self.report["replay"])


def run(
    scenario: Scenario,
    seed: int,
    progress: Progress | None = None,
    *,
    judge: bool | None = None,
    make: Callable[[Scenario, int], World] = World,
) -> Outcome:
    """Simulate to the end.

    With `judge` what has not arrived by then is a failure; else it is counted. None: of the mesh it is one,
    of what the mesh is measured beside it is what is measured.
    """
    world = make(scenario, seed)
    report = Report(world)
    curve = Curve()
    started, worked = time.monotonic(), time.process_time()
    failure = rule = ""
    try:
        with _seldom_collected():
            world.start()
            _let_pass(world, curve, progress)
        world.audit.check_charge()
        if scenario.engine == "mesh" if judge is None else judge:
            world.audit.check_end()
            _check_connections(world)
    except Broken as broken:
        failure, rule = str(broken), broken.rule
    except Exception as error:  # noqa: BLE001 - whatever it was, the seed repeats it
        failure, rule = "".join(traceback.format_exception(error)[-6:]), "fault"
    result = report.result(time.monotonic() - started, time.process_time() - worked, failure)
    half, end = scenario.hours / 2, scenario.hours
    # While boards are switched on, and when all are there.
    result["air"]["events_per_s"] = [curve.events_per_s(0, half), curve.events_per_s(half, end)]
    return Outcome(world, curve, result, failure, rule, report.hops)


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """A world is many objects that stay: to look through them all again and again takes a fifth of a run."""
    # PyPy's collector has no such setting, and needs none.
    found = gc.get_threshold() if hasattr(gc, "get_threshold") else None
    if found:
        gc.set_threshold(limits.GARBAGE, 20, 100)
    try:
        yield
    finally:
        if found:
            gc.set_threshold(*found)


def _let_pass(world: World, curve: Curve, progress: Progress | None) -> None:
    """Step until the readings are made and all has converged, or the time to settle is over."""
    scenario = world.scenario
    end_us = world.readings_end_us + round(scenario.settle_hours * 3.6e9)
    quiet_us = max([world.readings_end_us] + [round(event.over_s * 1e6) for event in scenario.events])
    step_us = max(1_000_000, world.readings_end_us // limits.CURVE_POINTS)
    curve.sample(world)
    while world.now < end_us:
        # The end of the readings is a moment of its own.
        world.step(min(world.now + step_us, end_us))
        curve.sample(world)
        world.audit.tend()
        if progress:
            progress(world)
        if world.now >= quiet_us and world.audit.converged():
            return


def _check_connections(world: World) -> None:
    wanted = world.scenario.expect_connections
    made = world.field.totals()["connections"] // 2
    if 0 <= wanted < made:
        raise Broken("connections", f"{made} were made where {wanted} are to do")
