"""`hedgerow demo`: the whole path on this machine; what `make demo` runs."""

from pathlib import Path
from typing import Annotated

import typer

from hedgerow.errors import HedgerowError
from hedgerow_cli import limits
from hedgerow_cli.extras import extra
from hedgerow_cli.output import FAILED


def demo(
    boards: Annotated[int, typer.Option(help="Emulated boards.", min=1, max=limits.DEMO_BOARDS)] = 5,
    readings: Annotated[int, typer.Option(help="Readings per board.", min=1, max=limits.DEMO_READINGS)] = 100,
    seed: Annotated[int, typer.Option(help="Seed of what is random.")] = 1,
    data: Annotated[
        Path | None,
        typer.Option(
            help="CSV file whose last column the sensors replay; by default a year of temperatures."
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="Kind of board: esp32, esp32c3, esp32s3 or esp32s3-psram; by default what has room."
        ),
    ] = "",
    playground: Annotated[
        bool,
        typer.Option(
            "--playground",
            help="No identities: nobody has keys, everybody may write; so with --store and --kafka.",
        ),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay up at the end, until Ctrl-C, to look around.")
    ] = False,
    air: Annotated[
        str, typer.Option(help="'off' switches the radio off: nothing arrives, and it says so.")
    ] = "on",
    near: Annotated[
        bool,
        typer.Option(
            "--near",
            help="All boards hear the gateway, and none sleeps. Without it the last of two or more reaches "
            "only the first, which relays for it, and of three or more one is asleep most of the time.",
        ),
    ] = False,
    cuts: Annotated[
        int,
        typer.Option(
            help="Cut one board's power so often, each time inside a write of its flash.",
            min=0,
            max=limits.DEMO_CUTS,
        ),
    ] = 0,
    nodes: Annotated[
        int,
        typer.Option(
            help="Nodes of the Big Peer behind a balancer, one of which is killed on the way.",
            min=1,
            max=limits.DEMO_NODES,
        ),
    ] = 1,
    patience: Annotated[
        float,
        typer.Option(
            help="So many seconds more than usual until it gives up: for a machine that has much else to do.",
            min=0,
            max=limits.DEMO_PATIENCE_S,
        ),
    ] = 0,
    store: Annotated[str, typer.Option(help="postgresql:// URL of an empty database for the Big Peer.")] = "",
    kafka: Annotated[
        str,
        typer.Option(help="HOST:PORT of a Kafka: readings go on to it, and are printed from there."),
    ] = "",
    directory: Annotated[
        Path | None, typer.Option(help="Leave logs, databases and flash images here; new or empty.")
    ] = None,
) -> None:
    """Emulated ESP32 boards, a gateway and a Big Peer; recorded readings travel the whole path.

    On the way one board loses power inside a flash write, once or as often as --cuts says, and the uplink
    is down for some seconds. The last line is one JSON object; the exit status is 0 only if nothing is
    missing, doubled or wrong.
    """
    with extra("all"):
        from hedgerow_cli.demo.run import DemoOptions, run_demo

    if profile == "esp32" and not playground:
        raise HedgerowError(
            "DEVICE_MEMORY", "an esp32 has no room for keys: --playground, or another --profile"
        )
    if air not in ("on", "off"):
        raise HedgerowError("ARGUMENTS_INVALID", f"--air is 'on' or 'off', not {air!r}")
    if cuts and air == "off":
        raise HedgerowError(
            "ARGUMENTS_INVALID", "--cuts takes the air: a board is cut once it knows the time"
        )
    if nodes > 1 and not store:
        raise HedgerowError("ARGUMENTS_INVALID", "--nodes needs --store: nodes share a PostgreSQL")
    options = DemoOptions(
        boards=boards,
        readings=readings,
        seed=seed,
        data=data,
        profile=profile,
        # What is new with these is the cluster: they are shown with a playground.
        playground=playground or bool(store or kafka),
        keep=keep,
        air=air == "on",
        near=near,
        cuts=cuts,
        nodes=nodes,
        patience_s=patience,
        store=store,
        kafka=kafka,
        directory=directory,
    )
    if not run_demo(options):
        raise typer.Exit(FAILED)
