"""`hedgerow log`: a board's log saved as a file, looked into, and delivered."""

import csv
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from hedgerow.errors import HedgerowError
from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, Machine, console, errors, print_json, say, to_json

app = typer.Typer(no_args_is_help=True, help="Save, look into and deliver the log of a board.")

_PORT = typer.Option(help="Serial port of the board, which stops running for it.")
_SEAL = typer.Option(help="Have the board's firmware seal what it wrote last, or no keeper can receipt that.")
_FILE = typer.Argument(help="What `hedgerow log export` wrote.")
_ENCRYPTED = typer.Option(
    "--encrypted", help="The partition was encrypted; only for a file without its .json beside it."
)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to save it; FILE.json beside it says what it is.")],
    port: Annotated[str, _PORT] = "",
    image: Annotated[
        Path | None,
        typer.Option(help="Take it out of an image of a whole flash, as `esptool read-flash` saves one."),
    ] = None,
    seal: Annotated[bool, _SEAL] = True,
    start: Annotated[bool, typer.Option(help="Start the board again, or leave it at its REPL.")] = True,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Save the log of a board as it lies in its flash, verified by its digest.

    It needs no working firmware on the board. For `hedgerow flash --exported FILE` leave the board at its
    REPL (--no-start), so that nothing comes after what was saved.
    """
    if bool(port) == (image is not None):
        raise HedgerowError("ARGUMENTS_INVALID", "give either --port or --image")
    with extra("flash"):
        from hedgerow_cli.logfile.fetch import cut_out, save
    if file.exists():
        raise HedgerowError("LOG_IMAGE", f"{file} is there already")
    data, note = cut_out(image) if image is not None else _fetch(port, seal, start)
    save(file, data, note)
    if as_json:
        print_json({"file": str(file), **note.as_dict()})
    say(f"{escape(str(file))}: {len(data)} bytes, SHA-256 {note.sha256}")


@app.command("show")
def show(
    file: Annotated[Path | None, _FILE] = None,
    port: Annotated[str, _PORT] = "",
    encrypted: Annotated[bool, _ENCRYPTED] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show what a log holds: its storage, its wear, and of each author what is held, sealed and receipted."""
    if bool(port) == (file is not None):
        raise HedgerowError("ARGUMENTS_INVALID", "give either a FILE or --port")
    with extra("flash"):
        from hedgerow_cli.logfile.readings import storage
    if file is None:
        with tempfile.TemporaryDirectory(prefix="hedgerow-log-") as folder:
            path = Path(folder, "log")
            from hedgerow_cli.logfile.fetch import save

            save(path, *_fetch(port, False, True))
            found = storage(_open(path, encrypted)[0])
    else:
        found = storage(_open(file, encrypted)[0])
    if as_json:
        print_json(found)
        return
    figures = Table("", "", show_header=False)
    for name, value in found.items():
        if name != "authors":
            figures.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    console.print(figures)
    authors = Table("author", "held", "sealed", "receipted", "open readings")
    for row in found["authors"]:
        authors.add_row(*(str(value) for value in row.values()))
    console.print(authors)


@app.command("read")
def read(
    file: Annotated[Path, _FILE],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of JSON lines.")] = False,
    encrypted: Annotated[bool, _ENCRYPTED] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Print every reading in a log, one JSON object per line, author by author in the order of writing.

    Ranges of numbers that are missing stand in their places: {"author", "first", "last", "missing": why}.
    With --csv they go to standard error, and the columns are all that occur.
    """
    with extra("flash"):
        from hedgerow_cli.logfile.readings import entries
    found = entries(_open(file, encrypted)[0])
    if as_csv:
        _print_csv(list(found))
        return
    for row in found:
        print_json(row)


@app.command("deliver")
def deliver(
    file: Annotated[Path, _FILE],
    url: Annotated[
        str, typer.Argument(help="Big Peer: http://host:8080, or the ws:// address of its sync endpoint.")
    ],
    mesh: Annotated[str, typer.Option(help="Name of the board's mesh; by default as it was exported.")] = "",
    patience: Annotated[float, typer.Option(help="Seconds to go on trying.", min=0.0)] = 60.0,
    identity: Annotated[
        Path | None,
        typer.Option(help="File that `hedgerow enroll` made: who brings it, where strangers are refused."),
    ] = None,
    encrypted: Annotated[bool, _ENCRYPTED] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring the readings in a saved log to a Big Peer, until all that was open is receipted.

    It comes there as if a relay had carried it, under the board's own name and numbers, so nothing comes
    twice. The file stays as it is, and the board may go on recording meanwhile.
    """
    with extra("flash"), extra("gateway"):
        from hedgerow_cli.logfile.deliver import deliver as bring
    log, note = _open(file, encrypted)
    done = bring(log, url, mesh or (note.mesh if note else "demo"), patience, identity)
    if as_json:
        print_json(done.as_dict())
    say(f"{done.readings_before} readings were open, {done.operations_sent} operations sent; all are there")
    if done.unsealed:
        say(f"{done.unsealed} of them are not sealed; they are receipted once their author has sealed them")


def _open(file: Path, encrypted: bool) -> tuple[Any, Any]:
    from hedgerow_cli.logfile.fetch import read_export
    from hedgerow_cli.logfile.image import open_image

    data, note = read_export(file)
    return open_image(data, encrypted=note.encrypted if note else encrypted), note


def _fetch(port: str, seal: bool, start: bool) -> tuple[bytes, Any]:
    from hedgerow_cli.flashing.mpremote import restart
    from hedgerow_cli.logfile.fetch import fetch

    with _progress() as hear:
        try:
            return fetch(port, hear, seal=seal)
        finally:
            if start:
                restart(port)


@contextmanager
def _progress() -> Iterator[Any]:
    columns = (TextColumn("{task.description:<28}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, console=errors, disable=Machine.json or not errors.is_terminal) as progress:
        task = progress.add_task("connecting", total=1)

        def hear(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=max(1, total))

        yield hear


def _print_csv(rows: list[dict[str, Any]]) -> None:
    columns: list[str] = []
    for row in rows:
        if "missing" in row:
            errors.print(escape(to_json(row)))
        else:
            columns += [name for name in row if name not in columns]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if "missing" not in row:
            writer.writerow([_cell(row[name]) if name in row else "" for name in columns])


def _cell(value: object) -> str:
    return value if isinstance(value, str) else to_json(value)
