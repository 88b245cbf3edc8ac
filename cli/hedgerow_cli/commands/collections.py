"""`hedgerow bigpeer collections`: how a Big Peer keeps them, over its HTTP interface."""

from typing import Annotated
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table

from hedgerow.errors import HedgerowError
from hedgerow_cli.big_peer_http import administer
from hedgerow_cli.options import URL, AdminKey, AsJson, Url
from hedgerow_cli.output import print_json, print_table, say
from hedgerow_host.lengths import length_text

app = typer.Typer(
    no_args_is_help=True, help="Collections: for how long readings are kept, and which are confidential."
)

_PATH = "/api/hedgerow/v1/collections"


@app.command("list")
def list_(url: Url = URL, key: AdminKey = "", as_json: AsJson = False) -> None:
    """Show every collection, for how long its readings are kept, how many have expired, and which are
    confidential, in which epoch.
    """
    found = administer(url, key, _PATH)
    if as_json:
        print_json(found)
        return
    table = Table("collection", "kind", "kept", "gone before", "expired", "confidential")
    for row in found["collections"]:
        cells = [row["name"], row["kind"] or "", _length(row["keep_ms"]), row["gone_before"] or ""]
        epoch = "" if row["epoch"] is None else f"epoch {row['epoch']}"
        table.add_row(*[escape(cell) for cell in cells], str(row["expired"]), epoch)
    print_table(table)


@app.command("retain")
def retain(
    name: Annotated[str, typer.Argument(help="Name of the collection.")],
    keep: Annotated[
        str,
        typer.Argument(help="How long readings are kept behind their last change that arrived, such as 90d."),
    ] = "",
    forever: Annotated[bool, typer.Option("--forever", help="Keep readings for ever from now on.")] = False,
    url: Url = URL,
    key: AdminKey = "",
    as_json: AsJson = False,
) -> None:
    """Keep the readings of a collection for so long; those that are older are removed for good."""
    if bool(keep) == forever:
        raise HedgerowError("ARGUMENTS_INVALID", "either a length such as 90d, or --forever")
    path = f"{_PATH}/{quote(name, safe='')}/retention"
    answer = (
        administer(url, key, path, method="DELETE")
        if forever
        else administer(url, key, path, {"keep": keep}, "PUT")
    )
    if as_json:
        print_json(answer)
    else:
        say(escape(f"readings of {name} are kept {'for ever' if forever else keep}"))


@app.command("confidential")
def confidential(
    name: Annotated[str, typer.Argument(help="Name of the collection.")],
    url: Url = URL,
    key: AdminKey = "",
    as_json: AsJson = False,
) -> None:
    """Let only who has a right to read a collection read it, wherever its documents are carried; for ever."""
    answer = administer(url, key, f"{_PATH}/{quote(name, safe='')}/confidential", {}, "PUT")
    if as_json:
        print_json(answer)
        return
    say(escape(f"{name} is confidential, in epoch {answer['epoch']}"))
    if answer["plain_before"]:
        say(escape("what was written before stays in the clear"))


@app.command("rekey")
def rekey(
    name: Annotated[str, typer.Argument(help="Name of the collection.")],
    url: Url = URL,
    key: AdminKey = "",
    as_json: AsJson = False,
) -> None:
    """Give a confidential collection another key, as a revocation of one of its readers does."""
    answer = administer(url, key, f"{_PATH}/{quote(name, safe='')}/rekey", {})
    if as_json:
        print_json(answer)
    else:
        say(escape(f"{name} is in epoch {answer['epoch']}"))


def _length(ms: int | None) -> str:
    return "for ever" if ms is None else length_text(ms)
