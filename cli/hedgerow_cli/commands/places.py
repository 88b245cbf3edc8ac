"""`hedgerow bigpeer apps places`, `place`, `move` and `purge`: on which PostgreSQL an app lies.

They need HEDGEROW_STORE, the PostgreSQL that has the rights of all apps. An app of which nothing is said lies
there too.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from hedgerow.errors import HedgerowError
from hedgerow_cli.commands.access import DATA, Data, actor, apps, done, registry_of, show
from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, say

Name = Annotated[str, typer.Argument(help="The app, by name or id.")]
To = Annotated[
    str, typer.Option("--to", help="URL of the PostgreSQL where it is to lie.", envvar="HEDGEROW_PLACE")
]
app = apps
AsJson = Annotated[bool, JSON_OPTION]


@contextlib.contextmanager
def _relocate(data: Path) -> Iterator[tuple[Any, Any, str]]:
    """Yield what moves apps, the rights, and the store that is not said of an app."""
    store = os.environ.get("HEDGEROW_STORE", "")
    if not store:
        raise HedgerowError("PLACE_INVALID", "HEDGEROW_STORE names no PostgreSQL that nodes share")
    with extra("bigpeer"):
        from hedgerow_bigpeer.auth import relocate
    with registry_of(data) as (_, registry):
        yield relocate, registry, store


@apps.command("places")
def apps_places(data: Data = DATA, as_json: AsJson = False) -> None:
    """Show on which PostgreSQL each app lies."""
    with _relocate(data) as (relocate, registry, store):
        rows = relocate.show_places(registry, store)
    show(as_json, "apps", rows, ("app", "place", "moving_to"))


@apps.command("place")
def apps_place(
    name: Name,
    to: To,
    lost: Annotated[
        bool,
        typer.Option(
            "--lost",
            help="The PostgreSQL where it lay is gone: nothing is asked there, and a move is dropped.",
        ),
    ] = False,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Let an app of which nothing is stored yet, or no more, lie on a PostgreSQL of its own."""
    with _relocate(data) as (relocate, registry, store):
        row = relocate.place_app(registry, actor(), name, store, to, lost)
    done(as_json, row, f"{row['app']} lies at {row['place']}")


@apps.command("move")
def apps_move(
    name: Name,
    to: To = "",
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Undo a move that was interrupted, wherever it went.")
    ] = False,
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Move an app to another PostgreSQL while nodes serve it; one that was interrupted goes on."""
    # HEDGEROW_PLACE may be set for all commands.
    if not to and not abandon:
        raise HedgerowError("ARGUMENTS_INVALID", "either --to or --abandon")
    with _relocate(data) as (relocate, registry, store):
        if abandon:
            row = relocate.abandon_move(registry, actor(), name, store)
            text = f"{row['app']} stays at {row['place']}"
            if row["left"] is not None:
                text += (
                    f"\n{row['left']} does not answer; once it does remove what has come there:"
                    f"\n  hedgerow bigpeer apps purge {row['app']} --at URL"
                )
            done(as_json, row, text)
            return
        report = (lambda stage: None) if as_json else say
        row = relocate.move_app(registry, actor(), name, store, to, report)
    text = f"{row['app']} lies at {row['place']}"
    if row["left"] is not None:
        text += (
            f"\nthe old copy at {row['left']} takes no writes; once all is well remove it:"
            f"\n  hedgerow bigpeer apps purge {row['app']} --at URL"
        )
    done(as_json, row, text)


@apps.command("purge")
def apps_purge(
    name: Name,
    at: Annotated[str, typer.Option("--at", help="URL of the PostgreSQL where the copy is.")],
    data: Data = DATA,
    as_json: AsJson = False,
) -> None:
    """Remove the copy that an app has left behind at its move, or that a move has that was abandoned."""
    with _relocate(data) as (relocate, registry, store):
        row = relocate.purge_app(registry, actor(), name, store, at)
    done(as_json, row, f"{row['app']} is gone from {row['purged']}")
