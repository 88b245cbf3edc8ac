"""`python -m hedgerow_cli.reference FOLDER` writes cli.md and errors.md there from the code itself."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from hedgerow.errors import CODES
from hedgerow_cli.main import app

_EXITS = """Exit status: 0 done, or stopped by Ctrl-C where that is the way to stop (`emulate`, `gateway run`,
`bigpeer run`); 1 failed, and one line on standard error says `CODE: what happened. What to do.`
([errors.md](errors.md)); 2 the command line makes no sense; 130 interrupted before it was done. With `--json`
an error is `{"error": {"code", "detail", "help"}}` on standard output."""

_AREAS = (
    (1, 99, "Codec"),
    (100, 199, "Clock, operations, documents"),
    (200, 299, "Log and custody"),
    (300, 399, "Beacons and sessions"),
    (400, 499, "Boards"),
    (500, 599, "Gateway"),
    (600, 699, "Big Peer"),
    (700, 799, "Emulated boards and the air"),
    (800, 899, "Command line"),
    (900, 999, "Trust"),
)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something: its full name and its Click command."""
    yield from _leaves("hedgerow", typer.main.get_command(app))


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, each in inner.items():
        yield from _leaves(f"{name} {word}", each)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _option(param: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*param.opts, *param.secondary_opts])
    default = param.default
    shown = "required" if param.required else "" if default in (None, "", False) else f"`{default}`"
    help_text = (getattr(param, "help", None) or "").replace("|", "\\|")
    return f"| {names} | {shown} | {help_text} |"


def cli_page() -> str:
    """docs/cli.md."""
    lines = ["# Commands", "", "Written by `make docs` from the commands' own help.", "", _EXITS, ""]
    for name, command in commands():
        lines += [f"## {name}", "", _paragraphs(command.help or ""), ""]
        lines += ["| option | default | meaning |", "| --- | --- | --- |"]
        lines += [_option(param) for param in command.params if "--help" not in param.opts]
        lines.append("")
    return "\n".join(lines)


def errors_page() -> str:
    """docs/errors.md."""
    lines = ["# Error codes", "", "Written by `make docs`. The number is what stands on links (SPEC.md).", ""]
    for low, high, area in _AREAS:
        rows = sorted((number, code, text) for code, (number, text) in CODES.items() if low <= number <= high)
        if rows:
            lines += [f"## {area}", "", "| number | code | meaning |", "| ---: | --- | --- |"]
            lines += [f"| {number} | `{code}` | {text} |" for number, code, text in rows]
            lines.append("")
    return "\n".join(lines)


#: Page -> what writes it.
PAGES = {"cli.md": cli_page, "errors.md": errors_page}


def main() -> None:
    """Write the pages into the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
