"""Options that several commands have, each with the same words, variable and default."""

from typing import Annotated

import typer

from hedgerow_cli.output import JSON_OPTION

#: The default of `Url`.
URL = "http://127.0.0.1:8080"
Url = Annotated[str, typer.Option(help="Address of the Big Peer.", envvar="HEDGEROW_URL")]
Key = Annotated[
    str, typer.Option(help="API key or token, where the Big Peer asks for one.", envvar="HEDGEROW_KEY")
]
AdminKey = Annotated[str, typer.Option(help="API key with the verb admin.", envvar="HEDGEROW_KEY")]
AsJson = Annotated[bool, JSON_OPTION]
