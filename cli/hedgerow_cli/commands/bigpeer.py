"""`hedgerow bigpeer`: the server."""

from pathlib import Path
from typing import Annotated

import typer

from hedgerow_cli import logs
from hedgerow_cli.commands import access, bridges, collections, places
from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, print_json, say

app = typer.Typer(no_args_is_help=True, help="The Big Peer: stores what gateways bring, and answers queries.")


# Its commands stand among those of apps.
app.add_typer(places.app, name="apps")
app.add_typer(access.keys, name="keys")
app.add_typer(access.providers, name="providers")
app.add_typer(access.users, name="users")
app.add_typer(access.credentials, name="credentials")
app.add_typer(access.forks, name="forks")
app.command("audit")(access.audit)
app.add_typer(bridges.app, name="bridges")
app.add_typer(collections.app, name="collections")


@app.command()
def run(
    data: Annotated[Path, typer.Option(help="Folder of the database; made if need be.")] = Path(
        "bigpeer-data"
    ),
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that is not loopback wants TLS, or --plain.")
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
    app_name: Annotated[
        str, typer.Option("--app", help="The app to serve; a playground is made if it is not there.")
    ] = "default",
    store: Annotated[
        str,
        typer.Option(
            help="postgresql:// URL of a database that many nodes may share; without it a file in --data.",
            envvar="HEDGEROW_STORE",
        ),
    ] = "",
    rights_key: Annotated[
        Path | None,
        typer.Option(
            help="File whose key seals secrets in PostgreSQL; rights.key in --data by default.",
            envvar="HEDGEROW_RIGHTS_KEY",
        ),
    ] = None,
    outbox_days: Annotated[
        float, typer.Option(help="Days that changes are kept for those who read them.", min=0.01, max=3650)
    ] = 7,
    requests_per_second: Annotated[
        float, typer.Option(help="Requests of one caller in the long run; 0 for no limit.", min=0)
    ] = 200,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM file of a certificate: https:// and wss:// are served.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's private key.")] = None,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Serve http:// beyond loopback: only behind a proxy that does TLS."),
    ] = False,
    allow_playground: Annotated[
        bool, typer.Option("--allow-playground", help="Let a playground listen beyond loopback.")
    ] = False,
    sockets_per_address: Annotated[
        int, typer.Option(help="Connections that one address may have at a time.", min=1, max=512)
    ] = 64,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log details.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Run a Big Peer until Ctrl-C.

    Gateways connect to ws://HOST:PORT/api/hedgerow/v1/sync; queries go to
    http://HOST:PORT/api/v5/store/execute; http://HOST:PORT/ is a status page.
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
        app=app_name,
        store=store,
        rights_key=rights_key,
        outbox_days=outbox_days,
        requests_per_second=requests_per_second,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        plain=plain,
        allow_playground=allow_playground,
        sockets_per_address=sockets_per_address,
    )

    def ready(url: str) -> None:
        if as_json:
            print_json({"ready": url})
        say(f"Big Peer at {url} ; Ctrl-C stops it")

    run_bigpeer(config, ready)
