"""`hedgerow sim`: meshes of thousands of boards in virtual time."""

from pathlib import Path
from typing import Annotated

import typer

from hedgerow.errors import HedgerowError
from hedgerow_cli import simulation
from hedgerow_cli.extras import extra
from hedgerow_cli.output import FAILED, JSON_OPTION, Machine, print_json, say
from hedgerow_sim.scenario import change


def sim(
    scenario: Annotated[
        str, typer.Argument(help="Name of a scenario, or a TOML file; without one they are listed.")
    ] = "",
    seed: Annotated[
        int | None, typer.Option(help="Seed of all that is random; by default another each time.")
    ] = None,
    worlds: Annotated[
        int, typer.Option(help="How many worlds, each of another seed.", min=1, max=10_000)
    ] = 1,
    engine: Annotated[
        str, typer.Option(help="mesh, or what it is measured beside: naive_flood or connect_always.")
    ] = "",
    hours: Annotated[
        float | None, typer.Option(help="Virtual hours of readings, instead of the scenario's.")
    ] = None,
    boards: Annotated[int | None, typer.Option(help="Boards, instead of the scenario's.")] = None,
    other: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any key of the scenario, the value as in TOML: 'loss=0.2'."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw convergence, latency, airtime and charge here (.svg, .png, .pdf)."),
    ] = None,
    map_path: Annotated[
        Path | None, typer.Option("--map", help="Draw a map of who hears whom here (.svg, .png, .pdf).")
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Simulate a mesh in virtual time: the boards' own code, one radio model, and faults by a scenario.

    Along the way it is checked that nothing acknowledged is lost, that receipts are true, and that all
    arrives. The exit status is 1, with a line that repeats the run, where something does not hold.
    """
    if not scenario:
        simulation.show_scenarios()
        return
    if plot or map_path:
        with extra("sim"):
            import matplotlib  # noqa: F401
    if (plot or map_path) and worlds > 1:
        raise HedgerowError("ARGUMENTS_INVALID", "--plot and --map take one world")
    changes = {"engine": engine or None, "hours": hours, "boards": boards}
    wanted = {key: value for key, value in changes.items() if value is not None}
    wanted.update(map(change, other or ()))
    failed = False
    for outcome in simulation.outcomes(scenario, seed, worlds, wanted):
        if Machine.json:
            print_json(outcome.report)
        else:
            simulation.show(outcome)
        if plot or map_path:
            simulation.draw(outcome, plot, map_path)
            say("drawn: " + ", ".join(str(path) for path in (plot, map_path) if path))
        failed = failed or bool(outcome.failure)
    if failed:
        raise typer.Exit(FAILED)
