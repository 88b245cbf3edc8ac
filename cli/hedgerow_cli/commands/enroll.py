"""`hedgerow enroll`: a peer on this machine, or a board on USB, gets its credential from a Big Peer."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from hedgerow.errors import HedgerowError
from hedgerow_cli.auth_http import posting
from hedgerow_cli.extras import extra
from hedgerow_cli.options import URL, Url
from hedgerow_cli.output import JSON_OPTION, print_json, say


def enroll(
    identity: Annotated[
        Path, typer.Option(help="File of the keys and the credential; made if need be, for its owner only.")
    ] = Path("identity.json"),
    url: Url = URL,
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
    by_gateway: Annotated[
        bool,
        typer.Option(
            "--by-gateway",
            help="Enrol the board on --port by the delegation of the gateway whose --identity this is: no "
            "Big Peer is asked now, it countersigns when the gateway next meets it.",
        ),
    ] = False,
    user: Annotated[
        str, typer.Option(help="With --by-gateway: what the board's credential calls it; else its author.")
    ] = "",
    collection: Annotated[
        list[str] | None,
        typer.Option(help="With --by-gateway: a collection of the delegation's; all by default; repeat it."),
    ] = None,
    days: Annotated[
        int, typer.Option(help="With --by-gateway: days until the credential ends, at most.", min=1, max=30)
    ] = 30,
    plain: Annotated[
        bool, typer.Option("--plain", help="Let the address be http:// beyond this machine, without TLS.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Make two key pairs, prove that they are ours, and get a credential for them; or renew it.

    The private keys never leave the file, or the board. A gateway that `hedgerow gateway delegate` gave a
    delegation to enrols boards by itself, with --by-gateway.
    """
    with extra("gateway"):
        from hedgerow_gateway.enrolment import GIVEN, Enrolment, to_text

    if by_gateway:
        _by_gateway(port, identity, {"token": user, "seconds": days * 86_400}, collection or [], as_json)
        return
    post = posting(url, plain=plain)
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


def _by_gateway(
    port: str, identity: Path, wanted: dict[str, Any], collections: list[str], as_json: bool
) -> None:
    with extra("gateway"):
        from hedgerow_gateway.delegate import Delegate
        from hedgerow_gateway.enrolment import GIVEN, Enrolment, to_text
    with extra("flash"):
        from hedgerow_cli.flashing.credentials import enrol_board

    if not port:
        raise HedgerowError("ARGUMENTS_INVALID", "--by-gateway enrols the board on a --port")
    delegate = Delegate(Enrolment(identity))

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        return delegate.post(path, {**body, **wanted, "collections": collections})

    # It is a login to the board, whoever vouches.
    answer = enrol_board(port, post, "", "by the gateway", "", to_text)
    _show(port, answer, str(answer["author"]), GIVEN, as_json)


def _show(where: str, answer: dict[str, Any], author: str, given: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        print_json({**{name: answer[name] for name in given}, "author": author})
        return
    say(escape(f"{where}: {answer['user_id']}, credential {answer['number']} of {answer['app']}"))
