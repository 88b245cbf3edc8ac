"""`hedgerow new`: a program of one's own for a board, ready to be tried and flashed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from hedgerow_cli.output import JSON_OPTION, print_json, say
from hedgerow_cli.project import make_project


def new(
    name: Annotated[Path, typer.Argument(help="Folder to make; its name becomes the board's.")],
    board: Annotated[
        str, typer.Option(help="Kind of board: esp32, esp32c3, esp32s3, esp32s3-psram.")
    ] = "esp32",
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Write a new project: a program for a board, its configuration, and its test on an emulated board.

    Run `pytest` in the folder to try it, and `hedgerow flash --port PORT` to put it on a board.
    """
    files = make_project(name, board)
    if as_json:
        print_json({"folder": str(name), "files": [file.name for file in files]})
    for file in files:
        say(escape(str(file)))
    say(f"Next: cd {escape(str(name))}, then pytest, then hedgerow flash --port PORT")
