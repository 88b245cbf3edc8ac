"""The `hedgerow` command and its sub-commands."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hedgerow.errors import HedgerowError
from hedgerow_cli import __version__, lifeline
from hedgerow_cli.commands import bigpeer, demo, emulate, enroll, export, flash, gateway, log, new, query, sim
from hedgerow_cli.output import FAILED, INTERRUPTED, ask_for_json, errors, fail


class Commands(TyperGroup):
    """Turns a coded error of any sub-command into one line and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except HedgerowError as error:
            fail(error)
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            errors.print("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 failed (one line says CODE: what, and what to do next), 2 wrong usage, "
    "130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hedgerow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and end.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Edge sync for sensor networks: boards record, gateways relay, a Big Peer answers queries."""
    ask_for_json(False)
    lifeline.obey()


app.command("new")(new.new)
app.command("emulate")(emulate.emulate)
app.command("flash")(flash.flash)
app.add_typer(log.app, name="log")
app.add_typer(gateway.app, name="gateway")
app.add_typer(bigpeer.app, name="bigpeer")
app.command("query")(query.query)
app.command("export")(export.export)
app.command("enroll")(enroll.enroll)
app.command("demo")(demo.demo)
app.command("sim")(sim.sim)


def main() -> None:
    """Entry point of the installed command."""
    app(prog_name="hedgerow")
