"""`hedgerow emulate`: emulated boards on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, print_json, say


def emulate(
    boards: Annotated[int, typer.Option(help="How many boards.", min=1, max=64)] = 1,
    profile: Annotated[
        str, typer.Option(help="Kind of board: esp32, esp32c3, esp32s3, esp32s3-psram.")
    ] = "esp32",
    air: Annotated[
        str,
        typer.Option(help="Socket of an air that runs already; by default the boards get one of their own."),
    ] = "",
    data: Annotated[
        Path | None, typer.Option(help="CSV file that the sensors replay; by default a year of temperatures.")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help="Keep the boards' flash here, and go on with what is there.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is random in the air and in power cuts.")] = 0,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Emulate boards with a serial port each until Ctrl-C.

    They come as bought, with MicroPython on them and nothing else: `mpremote connect PORT` gives their
    REPL, `hedgerow flash --port PORT` puts the firmware on them, and `hedgerow gateway run --air SOCKET`
    hears them.
    """
    with extra("emulator"):
        from hedgerow_cli.emulation import emulated, wait_for_end

    with emulated([profile] * boards, air, data, directory, seed) as bench:
        if as_json:
            print_json(
                {
                    "air": bench.air_path,
                    "boards": [
                        {"name": board.name, "port": board.port, "address": board.address}
                        for board in bench.boards
                    ],
                }
            )
        for board in bench.boards:
            say(f"{board.name}  {board.address}  mpremote connect {board.port}")
        say(f"air: {bench.air_path}  (hedgerow gateway run --air {bench.air_path})")
        say("Ctrl-C stops them.")
        wait_for_end()
    say("Stopped.")
