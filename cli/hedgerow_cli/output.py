"""What the commands print: text for people, JSON for programs, and an error as one line.

Exit statuses: 0 done, or stopped by Ctrl-C where that is the way to stop; 1 failed, with a code; 2 the
command line makes no sense; 130 interrupted before it was done.
"""

import json
import sys
from decimal import Decimal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hedgerow.errors import CODES, HedgerowError

FAILED = 1
INTERRUPTED = 130
_PIPE_WIDTH = 4096

console = Console(highlight=False, soft_wrap=True)
errors = Console(highlight=False, soft_wrap=True, stderr=True)


class Machine:
    """Whether the command that runs was asked for JSON."""

    json = False


def ask_for_json(value: bool) -> bool:
    """Callback of every `--json` option."""
    Machine.json = value
    return value


#: The option `--json` of every command that has one.
JSON_OPTION = typer.Option(
    "--json", help="Print JSON for programs instead of text for people.", callback=ask_for_json
)


def to_json(value: object) -> str:
    """JSON text on one line; a decimal.Decimal keeps its digits, which the json module cannot do."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return (
                "{" + ", ".join(f"{to_json(str(key))}: {to_json(item)}" for key, item in value.items()) + "}"
            )
        case list() | tuple():
            return "[" + ", ".join(map(to_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def print_json(value: object) -> None:
    """One JSON value as one line on standard output."""
    sys.stdout.write(to_json(value) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for people, rich markup included; silent when JSON was asked for."""
    if not Machine.json:
        console.print(text)


def print_table(table: Table) -> None:
    """Print a table; a pipe has no edge to wrap at."""
    console.print(table, soft_wrap=False, width=None if console.is_terminal else _PIPE_WIDTH)


def explain(code: str) -> str:
    """What a code means and what to do about it; empty for an unknown one."""
    return CODES[code][1] if code in CODES else ""


def fail(error: HedgerowError) -> None:
    """Print an error: its code, what happened, what that means and what to do next."""
    help_text = explain(error.code)
    if Machine.json:
        print_json({"error": {"code": error.code, "detail": error.detail, "help": help_text}})
        return
    happened = " ".join(str(error).split())
    errors.print(escape(f"{happened.rstrip('.')}. {help_text}" if help_text else happened))
