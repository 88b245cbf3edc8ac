"""`hedgerow gateway`: a Pi or laptop between the boards and a Big Peer."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from hedgerow_cli import logs
from hedgerow_cli.auth_http import posting
from hedgerow_cli.extras import extra
from hedgerow_cli.options import URL, Url
from hedgerow_cli.output import JSON_OPTION, print_json, say

app = typer.Typer(no_args_is_help=True, help="A gateway: collects from boards over Bluetooth, and uplinks.")
_TUNING = "Tuning"


Identity = Annotated[Path, typer.Option(help="File of the gateway's keys, as `hedgerow enroll` made it.")]


@app.command()
def delegate(
    collection: Annotated[
        list[str], typer.Option(help="A collection that the boards may use, of the gateway's own; repeat it.")
    ],
    identity: Identity = Path("gateway-data/identity.json"),
    url: Url = URL,
    peers: Annotated[int, typer.Option(help="How many boards it may enrol.", min=1, max=10_000)] = 16,
    days: Annotated[int, typer.Option(help="Days until it ends.", min=1, max=30)] = 30,
    plain: Annotated[
        bool, typer.Option("--plain", help="Let the address be http:// beyond this machine, without TLS.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Get a delegation: from now on this gateway enrols boards by itself, up to a number.

    The identity provider has to have given the gateway the kind `delegate`.
    """
    with extra("gateway"):
        from hedgerow_gateway.delegate import Delegate
        from hedgerow_gateway.enrolment import Enrolment

    found = (
        Delegate(Enrolment(identity)).ask(posting(url, plain=plain), collection, peers, days * 86_400).claims
    )
    rows = {"number": found.cti.hex(), "collections": collection, "peers": peers, "expires": found.expires}
    if as_json:
        print_json(rows)
    else:
        say(escape(f"delegation {rows['number']}: {peers} boards, {', '.join(collection)}"))


@app.command()
def boards(
    identity: Identity = Path("gateway-data/identity.json"),
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show the boards that this gateway has enrolled, and whether the Big Peer has countersigned them."""
    with extra("gateway"):
        from hedgerow_gateway.delegate import Delegate
        from hedgerow_gateway.enrolment import Enrolment

    found = [(board, board.read.claims) for board in Delegate(Enrolment(identity)).boards()]
    rows = [
        {
            "number": known.cti.hex(),
            "user": known.subject,
            "author": (known.author or b"").hex(),
            "expires": known.expires,
            "delegation": (known.under or b"").hex(),
            "state": board.state,
        }
        for board, known in found
    ]
    if as_json:
        print_json({"boards": rows})
        return
    for row in rows:
        say(escape(f"{row['number']} {row['user']}: {row['state']}"))


@app.command()
def run(
    data: Annotated[Path, typer.Option(help="Folder of the log; made if need be.")] = Path("gateway-data"),
    uplink: Annotated[
        str,
        typer.Option(
            help="The Big Peer's sync address, ws://HOST:PORT/api/hedgerow/v1/sync; none: collect only."
        ),
    ] = "",
    identity: Annotated[
        Path | None,
        typer.Option(
            help="File that `hedgerow enroll` made, for sessions with keys; identity.json in the folder of "
            "the log, if it is there. Without it only a playground takes this gateway."
        ),
    ] = None,
    board_keys: Annotated[
        bool,
        typer.Option("--board-keys", help="Refuse boards without keys.", rich_help_panel=_TUNING),
    ] = False,
    plain_uplink: Annotated[
        bool,
        typer.Option("--plain-uplink", help="Let the uplink be ws:// beyond this machine, without TLS."),
    ] = False,
    mesh: Annotated[
        str,
        typer.Option(
            help="Name of the mesh, NAME or NAME:SECRET; boards of another one are left alone.",
            envvar="HEDGEROW_MESH",
        ),
    ] = "demo",
    name: Annotated[str, typer.Option(help="Name to show; this host's by default.")] = "",
    http: Annotated[
        str,
        typer.Option(
            help="HOST:PORT of /status, /metrics and /healthz; port 0 takes a free one, 'off' none."
        ),
    ] = "127.0.0.1:8090",
    time: Annotated[
        str,
        typer.Option(
            help="Give boards the time: 'kernel' only while the kernel says that its clock is synchronised, "
            "'trust' always (for containers, where the kernel cannot be asked)."
        ),
    ] = "kernel",
    air: Annotated[
        str,
        typer.Option(
            help="Socket of an emulated air, as `hedgerow emulate` prints it, instead of Bluetooth."
        ),
    ] = "",
    air_address: Annotated[str, typer.Option(help="This gateway's address in the emulated air.")] = (
        "e0:00:00:00:00:01"
    ),
    adapter: Annotated[
        str, typer.Option(help="Bluetooth adapter, such as hci1; the system's first by default.")
    ] = "",
    radio: Annotated[
        str,
        typer.Option(
            help="What the gateway speaks with: 'auto', 'bluez' (the Bluetooth adapter), 'usb:PORT' (a board "
            "with the role radio), 'none' (it only hears, and connects once an hour), 'off' (no Bluetooth)."
        ),
    ] = "auto",
    keeper: Annotated[
        bool,
        typer.Option(
            help="Be the keeper of a mesh without a Big Peer: boards may forget what this one holds."
        ),
    ] = False,
    max_connections: Annotated[
        int, typer.Option(help="Boards connected at a time.", rich_help_panel=_TUNING)
    ] = 3,
    pause_scan: Annotated[
        bool,
        typer.Option(
            help="Stop scanning while connecting, for adapters that cannot do both.", rich_help_panel=_TUNING
        ),
    ] = False,
    place: Annotated[
        str, typer.Option(help="Where it is, for the map: geo:LATITUDE,LONGITUDE, or X,Y in metres.")
    ] = "",
    health_s: Annotated[
        int,
        typer.Option(
            help="Seconds from one health document to the next; 0 for none.", rich_help_panel=_TUNING
        ),
    ] = 3600,
    log_bytes: Annotated[
        int, typer.Option(help="Greatest size of the log, in bytes.", rich_help_panel=_TUNING)
    ] = 4 << 30,
    hold_off_ms: Annotated[
        int,
        typer.Option(
            help="How long a board is left alone after a visit; doubled by each failure.",
            rich_help_panel=_TUNING,
        ),
    ] = 2000,
    linger_ms: Annotated[
        int,
        typer.Option(
            help="How long a connection that has nothing left to do stays.", rich_help_panel=_TUNING
        ),
    ] = 300,
    silence_s: Annotated[
        float,
        typer.Option(help="Restart the scanner after so long without a beacon.", rich_help_panel=_TUNING),
    ] = 90.0,
    connect_s: Annotated[
        float, typer.Option(help="Time limit of a connect.", rich_help_panel=_TUNING)
    ] = 20.0,
    call_s: Annotated[
        float, typer.Option(help="Time limit of any other call of the adapter.", rich_help_panel=_TUNING)
    ] = 10.0,
    session_s: Annotated[
        float, typer.Option(help="Longest session with one board.", rich_help_panel=_TUNING)
    ] = 600.0,
    uplink_first_pause_s: Annotated[
        float, typer.Option(help="First pause before the uplink is tried again.", rich_help_panel=_TUNING)
    ] = 0.5,
    uplink_max_pause_s: Annotated[
        float, typer.Option(help="Longest such pause; they double.", rich_help_panel=_TUNING)
    ] = 60.0,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log details.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Run a gateway until Ctrl-C.

    It needs no uplink to collect: what boards recorded stays in its log until a Big Peer has it.
    """
    with extra("gateway"):
        from hedgerow_gateway import GatewayConfig, run_gateway
        from hedgerow_gateway.config import host_name

    scanner = client = voice = None
    if air:
        with extra("emulator"):
            from hedgerow_boards.air.backend import AirVoice, backends
        scanner, client = backends(air, air_address)
        voice = AirVoice(air, air_address)
    logs.set_up(as_json=as_json, verbose=verbose)
    config = GatewayConfig(
        data=data,
        uplink=uplink or None,
        identity=identity,
        plain_uplink=plain_uplink,
        board_keys=board_keys,
        mesh=mesh,
        name=name or host_name(),
        http=None if http == "off" else http,
        time=time,
        radio=radio,
        keeper=keeper,
        adapter=adapter or None,
        max_connections=max_connections,
        pause_scan=pause_scan,
        silence_s=silence_s,
        connect_s=connect_s,
        call_s=call_s,
        session_s=session_s,
        hold_off_ms=hold_off_ms,
        linger_ms=linger_ms,
        log_bytes=log_bytes,
        health_s=health_s,
        place=place,
        uplink_first_pause_s=uplink_first_pause_s,
        uplink_max_pause_s=uplink_max_pause_s,
        scanner_backend=scanner,
        client_backend=client,
        voice=voice,
    )
    asyncio.run(run_gateway(config))
