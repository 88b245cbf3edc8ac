"""`hedgerow bigpeer bridges`: where a Big Peer's changes go on to, over its HTTP interface."""

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table

from hedgerow.errors import HedgerowError
from hedgerow_cli.big_peer_http import administer
from hedgerow_cli.options import URL, AdminKey, AsJson, Url
from hedgerow_cli.output import print_json, print_table, say

app = typer.Typer(no_args_is_help=True, help="Bridges send changes on to Kafka, MQTT, a webhook or a file.")

_PATH = "/api/hedgerow/v1/bridges"
Name = Annotated[str, typer.Argument(help="Name of the bridge.")]
Document = Annotated[str, typer.Option("--document", help="Only events of this key; all of them otherwise.")]
Start = Annotated[str, typer.Option("--from", help="oldest: every change that is kept; now: only new ones.")]


@app.command("list")
def list_(url: Url = URL, key: AdminKey = "", as_json: AsJson = False) -> None:
    """Show every bridge, and how far it is behind."""
    found = administer(url, key, _PATH)
    if as_json:
        print_json(found)
        return
    table = Table("name", "sink", "state", "delivered", "lag", "age s", "parked", "error")
    for row in found["bridges"]:
        cells = [row["name"], row["sink"]["type"], row["state"], str(row["delivered"]), str(row["lag"])]
        cells += [str(row["age_ms"] // 1000), str(row["parked"]), row["error"]]
        table.add_row(*[escape(cell) for cell in cells])
    print_table(table)


@app.command("set")
def set_(
    name: Name,
    config: Annotated[
        Path, typer.Argument(help="JSON file of `sources`, `format`, `sink` and `confidential`.")
    ],
    url: Url = URL,
    key: AdminKey = "",
    start: Start = "oldest",
    confidential: Annotated[
        bool, typer.Option("--confidential", help="Confidential collections among the sources may leave.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a bridge, or set it anew; one that is there goes on where it is."""
    try:
        body = json.loads(config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise HedgerowError("ARGUMENTS_INVALID", f"{config}: {error}") from None
    if not isinstance(body, dict):
        raise HedgerowError("ARGUMENTS_INVALID", f"{config} is no JSON object")
    said = {"confidential": True} if confidential else {}
    _done(
        as_json,
        administer(url, key, f"{_PATH}/{quote(name)}", {**body, **said, "from": start}, "PUT"),
        f"{name} is set",
    )


@app.command("drop")
def drop(name: Name, url: Url = URL, key: AdminKey = "", as_json: AsJson = False) -> None:
    """Remove a bridge and the events that it has parked."""
    _done(as_json, administer(url, key, f"{_PATH}/{quote(name)}", method="DELETE"), f"{name} is gone")


@app.command("pause")
def pause(name: Name, url: Url = URL, key: AdminKey = "", as_json: AsJson = False) -> None:
    """Stop a bridge; changes wait for it as long as they are kept."""
    _done(as_json, administer(url, key, f"{_PATH}/{quote(name)}/pause", {}), f"{name} is paused")


@app.command("resume")
def resume(name: Name, url: Url = URL, key: AdminKey = "", as_json: AsJson = False) -> None:
    """Let a paused bridge go on."""
    _done(as_json, administer(url, key, f"{_PATH}/{quote(name)}/resume", {}), f"{name} goes on")


@app.command("reset")
def reset(name: Name, start: Start, url: Url = URL, key: AdminKey = "", as_json: AsJson = False) -> None:
    """Let a bridge begin anew: events that it has sent already are sent again, with the same ids."""
    _done(
        as_json,
        administer(url, key, f"{_PATH}/{quote(name)}/reset", {"from": start}),
        f"{name} begins with {start}",
    )


@app.command("parked")
def parked(name: Name, url: Url = URL, key: AdminKey = "", as_json: AsJson = False) -> None:
    """Show the events that the sink has refused, and those behind them."""
    found = administer(url, key, f"{_PATH}/{quote(name)}/parked")
    if as_json:
        print_json(found)
        return
    table = Table("key", "id", "at", "reason")
    for row in found["parked"]:
        table.add_row(*[escape(str(row[field])) for field in ("key", "id", "at", "reason")])
    print_table(table)


@app.command("replay")
def replay(
    name: Name, document: Document = "", url: Url = URL, key: AdminKey = "", as_json: AsJson = False
) -> None:
    """Send parked events again."""
    found = administer(url, key, f"{_PATH}/{quote(name)}/replay", {"key": document} if document else {})
    _done(as_json, found, f"{found['events']} events are sent again")


@app.command("skip")
def skip(
    name: Name, document: Document = "", url: Url = URL, key: AdminKey = "", as_json: AsJson = False
) -> None:
    """Forget parked events: the sink never gets them."""
    found = administer(url, key, f"{_PATH}/{quote(name)}/skip", {"key": document} if document else {})
    _done(as_json, found, f"{found['events']} events are forgotten")


def _done(as_json: bool, answer: Any, text: str) -> None:
    if as_json:
        print_json(answer)
    else:
        say(escape(text))
