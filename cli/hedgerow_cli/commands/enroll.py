"""`hedgerow enroll`: a peer on this machine, or a board on USB, gets its credential from a Big Peer."""

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
    port: Annotated[
        str,
        typer.Option(help="Enrol the board on this serial port; its keys are made there and stay there."),
    ] = "",
    plain: Annotated[
        bool, typer.Option("--plain", help="Let the address be http:// beyond this machine, without TLS.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Make two key pairs, prove that they are ours, and get a credential for them; or renew it.

    The private keys never leave the file, or the board.
    """
    with extra("gateway"):
        from hedgerow_gateway.config import LOOPBACK
        from hedgerow_gateway.enrolment import AUTH, GIVEN, Enrolment, to_text

    if url.startswith("http://") and not plain and _host(url) not in LOOPBACK:
        raise HedgerowError("ARGUMENTS_INVALID", f"--url: {url} is not loopback: https://, or --plain")
    base = url.rstrip("/") + AUTH

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = request(f"{base}/{path}", _SECONDS, json.dumps(body).encode())
        if not isinstance(answer, dict):
            raise HedgerowError("BIG_PEER_ANSWER", f"{base}/{path}: not a JSON object")
        return answer

    if port:
        with extra("flash"):
            from hedgerow_cli.flashing.credentials import enrol_board

        answer = enrol_board(port, post, provider, token, app, to_text)
        _show(port, answer, str(answer["author"]), GIVEN, as_json)
        return
    enrolment = Enrolment(identity)
    if token:
        answer = enrolment.log_in(post, provider, token, app)
    elif enrolment.credential is None:
        raise HedgerowError("ARGUMENTS_INVALID", "--token: there is no credential to renew yet")
    else:
        answer = enrolment.renew(post, app)
    _show(str(identity), answer, enrolment.author.hex(), GIVEN, as_json)


def _show(where: str, answer: dict[str, Any], author: str, given: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        print_json({**{name: answer[name] for name in given}, "author": author})
        return
    say(escape(f"{where}: {answer['user_id']}, credential {answer['number']} of {answer['app']}"))


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
