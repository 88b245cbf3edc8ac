"""`hedgerow enroll`: a peer on this machine gets its credential from a Big Peer."""

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.markup import escape

from hedgerow.errors import HedgerowError
from hedgerow_cli.big_peer_http import request
from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, print_json, say

_SECONDS = 30.0


def enroll(
    identity: Annotated[
        Path, typer.Option(help="File of the keys and the credential; made if need be, for its owner only.")
    ] = Path("identity.json"),
    url: Annotated[str, typer.Option(help="Address of the Big Peer.", envvar="HEDGEROW_URL")] = (
        "http://127.0.0.1:8080"
    ),
    app: Annotated[str, typer.Option(help="The app, by name or id; the one that is served by default.")] = "",
    provider: Annotated[
        str, typer.Option(help="The identity provider that vouches for the user.")
    ] = "__playgroundProvider",
    token: Annotated[
        str,
        typer.Option(
            help="What that provider gave the user, or a playground's token; none: renew what is there.",
            envvar="HEDGEROW_TOKEN",
        ),
    ] = "",
    plain: Annotated[
        bool, typer.Option("--plain", help="Let the address be http:// beyond this machine, without TLS.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Make two key pairs, prove that they are ours, and get a credential for them; or renew it.

    The private keys never leave the file.
    """
    with extra("gateway"):
        from hedgerow_gateway.config import LOOPBACK
        from hedgerow_gateway.enrolment import AUTH, GIVEN, Enrolment

    if url.startswith("http://") and not plain and _host(url) not in LOOPBACK:
        raise HedgerowError("ARGUMENTS_INVALID", f"--url: {url} is not loopback: https://, or --plain")
    enrolment = Enrolment(identity)
    base = url.rstrip("/") + AUTH

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = request(f"{base}/{path}", _SECONDS, json.dumps(body).encode())
        if not isinstance(answer, dict):
            raise HedgerowError("BIG_PEER_ANSWER", f"{base}/{path}: not a JSON object")
        return answer

    if token:
        answer = enrolment.log_in(post, provider, token, app)
    elif enrolment.credential is None:
        raise HedgerowError("ARGUMENTS_INVALID", "--token: there is no credential to renew yet")
    else:
        answer = enrolment.renew(post, app)
    shown = {**{name: answer[name] for name in GIVEN}, "author": enrolment.author.hex()}
    if as_json:
        print_json(shown)
        return
    say(escape(f"{identity}: {answer['user_id']}, credential {answer['number']} of {answer['app']}"))


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
