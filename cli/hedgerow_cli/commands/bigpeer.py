"""`hedgerow bigpeer`: the server."""

from pathlib import Path
from typing import Annotated

import typer

from hedgerow_cli import logs
from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, print_json, say

app = typer.Typer(no_args_is_help=True, help="The Big Peer: stores what gateways bring, and answers queries.")


@app.callback()
def _group() -> None:
    """Keeps `run` a sub-command of its own."""


@app.command()
def run(
    data: Annotated[Path, typer.Option(help="Folder of the database; made if need be.")] = Path(
        "bigpeer-data"
    ),
    host: Annotated[
        str, typer.Option(help="Address to listen on; loopback only, there is no security yet.")
    ] = ("127.0.0.1"),
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8080,
    mesh: Annotated[
        str, typer.Option(help="Name of the mesh; gateways of another one are refused.")
    ] = "demo",
    name: Annotated[str, typer.Option(help="Name to show; this host's by default.")] = "",
    clock_error_ms: Annotated[
        int, typer.Option(help="How far this host's clock may be off, in milliseconds.", min=1, max=3_600_000)
    ] = 50,
    full_sync: Annotated[
        bool,
        typer.Option(
            help="Wait for the disk at each commit; without it a power cut may take the last seconds."
        ),
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log details.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Run a Big Peer until Ctrl-C.

    Gateways connect to ws://HOST:PORT/api/hedgerow/v1/sync; queries go to
    http://HOST:PORT/api/v4/store/execute; http://HOST:PORT/ is a status page.
    """
    with extra("bigpeer"):
        from hedgerow_bigpeer import BigPeerConfig, run_bigpeer
        from hedgerow_bigpeer.config import host_name

    logs.set_up(as_json=as_json, verbose=verbose)
    config = BigPeerConfig(
        data=data,
        host=host,
        port=port,
        mesh=mesh,
        name=name or host_name(),
        clock_error_ms=clock_error_ms,
        full_sync=full_sync,
    )

    def ready(url: str) -> None:
        if as_json:
            print_json({"ready": url})
        say(f"Big Peer at {url} ; Ctrl-C stops it")

    run_bigpeer(config, ready)
