"""Runs simulations for `hedgerow sim`, with a line that shows how far they are."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from hedgerow_cli.output import Machine, console, errors, print_json
from hedgerow_sim import scenario as scenarios
from hedgerow_sim.run import Outcome, run
from hedgerow_sim.world import World

_SHOW_EVERY_S = 0.5


def show_scenarios() -> None:
    """List the scenarios that come with Hedgerow."""
    found = [scenarios.load(name) for name in scenarios.names()]
    if Machine.json:
        print_json([{"name": each.name, "about": each.about} for each in found])
        return
    table = Table(title="hedgerow sim SCENARIO", title_justify="left")
    for name in ("scenario", "boards", "hours", "about"):
        table.add_column(name)
    for each in found:
        table.add_row(each.name, str(each.boards), f"{each.hours:g}", escape(each.about))
    console.print(table)


def outcomes(wanted: str, seed: int | None, worlds: int, changes: dict[str, Any]) -> Iterator[Outcome]:
    """Run so many worlds, the first one with this seed."""
    scenario = scenarios.load(wanted, **changes)
    for at in range(worlds):
        chosen = random.randrange(1 << 31) if seed is None else seed + at
        with _Watch() as watch:
            outcome = run(scenario, chosen, watch)
        yield outcome


class _Watch:
    """The table of a run that goes on; nothing where there is no terminal."""

    def __init__(self) -> None:
        self._started = self._shown = time.monotonic()
        self._live = Live(console=errors, auto_refresh=False, transient=True)

    def __enter__(self) -> "_Watch":
        if errors.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if errors.is_terminal:
            self._live.stop()

    def __call__(self, world: World) -> None:
        now = time.monotonic()
        if errors.is_terminal and now - self._shown >= _SHOW_EVERY_S:
            self._shown = now
            self._live.update(self._table(world, now - self._started), refresh=True)

    def _table(self, world: World, wall_s: float) -> Table:
        audit = world.audit
        table = Table(title=f"{world.scenario.name}, seed {world.seed}", title_justify="left")
        for name in ("virtual", "real", "acknowledged", "at a keeper", "receipted", "connections", "checks"):
            table.add_column(name, justify="right")
        table.add_row(
            f"{world.now / 3.6e9:.2f} h",
            f"{wall_s:.0f} s",
            str(len(audit.made)),
            str(len(audit.came)),
            str(len(audit.known)),
            str(audit.sessions),
            str(audit.checks),
        )
        return table


def show(outcome: Outcome) -> None:
    """Say how a run went."""
    report = outcome.report
    readings, air = report["readings"], report["air"]
    console.print(
        f"{report['scenario']} seed {report['seed']} ({report['engine']}): "
        f"{report['boards']} boards, {report['hours']:g} h in {report['wall_s']:.0f} s"
    )
    console.print(
        f"  readings: {readings['acknowledged']} acknowledged, {readings['arrived']} at a keeper, "
        f"{readings['receipted']} receipted at their authors"
    )
    for name, key in (("latency", "latency_s"), ("receipt", "receipt_s")):
        if report[key]:
            console.print(f"  {name}: " + ", ".join(f"{at} {value:g} s" for at, value in report[key].items()))
    console.print(
        f"  over {report['hops']['mean']:g} hops on average: {air['payloads_per_reading_hop']:g} payloads, "
        f"{air['events_per_reading_hop']:g} events, {air['bytes_per_reading_hop']:g} bytes "
        f"a reading and hop; {report['connections']} connections"
    )
    for role, charge in report["charge_mah_per_day"].items():
        console.print(f"  {role}: {charge['mean']:g} mAh a day, {charge['max']:g} at most")
    if report["catch_up"]:
        console.print(
            "  catching up: " + ", ".join(f"{key} {value:g}" for key, value in report["catch_up"].items())
        )
    if outcome.failure:
        for line in outcome.world.audit.events:
            errors.print(escape(line))
        errors.print(escape(f"{outcome.failure}\nrepeat it with: {outcome.replay}"))


def draw(outcome: Outcome, plot: Path | None, map_path: Path | None) -> None:
    """Draw the pictures that are asked for."""
    from hedgerow_sim import pictures

    if plot:
        pictures.plot(outcome, plot)
    if map_path:
        pictures.draw_map(outcome, map_path)
