"""`hedgerow query`: ask a Big Peer from the command line."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from hedgerow.errors import HedgerowError
from hedgerow_cli.big_peer_http import execute
from hedgerow_cli.options import URL, AsJson, Key, Url
from hedgerow_cli.output import print_json, print_table, say, to_json


def query(
    statement: Annotated[
        str, typer.Argument(help="A DQL statement, such as 'SELECT * FROM readings LIMIT 10'.")
    ],
    url: Url = URL,
    args: Annotated[
        str, typer.Option(help="Values of the statement's :parameters, as a JSON object: '{\"n\": 3}'.")
    ] = "{}",
    key: Key = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1)] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Run one DQL statement at a Big Peer and show its answer.

    With --json the whole answer is printed as the Big Peer gave it; decimals keep their digits.
    """
    answer = execute(url, statement, _arguments(args), timeout, key)
    if as_json:
        print_json(answer)
        return
    items = answer.get("items") or []
    if items:
        print_table(_table(items))
    if items or not answer.get("mutatedDocumentIds"):
        say("1 row" if len(items) == 1 else f"{len(items)} rows")
    for document_id in answer.get("mutatedDocumentIds") or []:
        say(f"changed {escape(to_json(document_id))}")
    for warning in answer.get("warnings") or []:
        say(f"[yellow]warning:[/] {escape(to_json(warning))}")


def _arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise HedgerowError("ARGUMENTS_INVALID", f"--args is not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise HedgerowError("ARGUMENTS_INVALID", "--args is not a JSON object")
    return arguments


def _table(items: list[dict[str, Any]]) -> Table:
    columns: list[str] = []
    for item in items:
        columns += [name for name in item if name not in columns]
    table = Table()
    for name in columns:
        table.add_column(escape(name), overflow="fold")
    for item in items:
        table.add_row(*(escape(_cell(item[name])) if name in item else "" for name in columns))
    return table


def _cell(value: object) -> str:
    return value if isinstance(value, str) else to_json(value)
