"""A board's credential: asked for here, for keys that never leave the board (SPEC 12.3, 12.4)."""

import base64
from collections.abc import Callable
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_cli.flashing import probe
from hedgerow_cli.flashing.mpremote import greet, restart

Post = Callable[[str, dict[str, Any]], dict[str, Any]]

_CALL = """
import json
try:
    from hedgerow_device import enrolling
    from hedgerow.errors import HedgerowError
except ImportError as error:
    print(%r + json.dumps({"error": ["FIRMWARE_INCOMPLETE", str(error)]}))
else:
    try:
        print(%r + json.dumps({"value": enrolling.%s(*%r)}))
    except HedgerowError as error:
        print(%r + json.dumps({"error": [error.code, error.detail]}))
"""


def enrol_board(
    port: str,
    post: Post,
    provider: str,
    token: str,
    app: str,
    to_text: Callable[[bytes], str],
    *,
    start: bool = True,
) -> dict[str, Any]:
    """Have a board make its keys if it has none, and get it a credential; without a token renew its own.

    `to_text` is base64url. The board is started again, or without `start` left at its REPL. Returns the
    answer of the Authentication Service, with the board's `author`. Raises what mpremote() raises, the
    refusals of both sides, and `ARGUMENTS_INVALID` where there is nothing to renew.
    """
    greet(port)
    state = _call(port, "state")
    if token:
        what, body = "login", {"provider": provider, "token": token}
    elif state["credential"]:
        what, body = "renew", {"credential": to_text(bytes.fromhex(state["credential"]))}
    else:
        raise HedgerowError("ARGUMENTS_INVALID", "--token: there is no credential to renew yet")
    named = {"app": app} if app else {}
    challenge = post("challenge", named)
    try:
        given, point = (_from_text(challenge[name]).hex() for name in ("challenge", "point"))
        proof = _call(port, "prove", str(challenge["app"]), given, point)
        shown = {name: to_text(bytes.fromhex(value)) for name, value in proof.items()}
        answer = post(what, {**named, **body, "proof": shown})
        credential = _from_text(answer["credential"]).hex()
        issuers, keepers = (
            [_from_text(value).hex() for value in answer[name]] for name in ("issuers", "keepers")
        )
        delegation, keys = (_from_text(answer.get(name, "")).hex() for name in ("delegation", "keys"))
    except (KeyError, TypeError, ValueError) as error:
        raise HedgerowError("ENROLMENT_ANSWER", f"{what}: {error!r}") from None
    # What an earlier firmware does not know of is said only where there is something to say.
    more = (delegation, keys) if keys else (delegation,) if delegation else ()
    author = _call(port, "take", credential, issuers, keepers, *more)
    if start:
        restart(port)
    return {**answer, "author": author}


def _from_text(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


def _call(port: str, function: str, *arguments: object) -> Any:
    program = _CALL % (probe.MARK, probe.MARK, function, arguments, probe.MARK)
    answer = probe.ask(port, program)
    if "error" in answer:
        raise HedgerowError(*answer["error"])
    return answer["value"]
