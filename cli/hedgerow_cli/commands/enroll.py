"""`hedgerow enroll`: a peer on this machine gets its credential from a Big Peer."""

import base64
import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from hedgerow.errors import HedgerowError
from hedgerow_cli.big_peer_http import request
from hedgerow_cli.extras import extra
from hedgerow_cli.output import JSON_OPTION, print_json, say

_AUTH = "/api/hedgerow/v1/auth"
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
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Make two key pairs, prove that they are ours, and get a credential for them; or renew it.

    The private keys never leave the file.
    """
    with extra("bigpeer"):
        from hedgerow_bigpeer.auth.holder import Holder

    kept = _read(identity)
    holder = Holder.load(kept["keys"]) if kept else Holder.create()
    if not token and not kept.get("credential"):
        raise HedgerowError("ARGUMENTS_INVALID", "--token: there is no credential to renew yet")
    base = url.rstrip("/") + _AUTH
    named = {"app": app or kept["app"]} if app or kept.get("app") else {}
    challenge = _post(f"{base}/challenge", named)
    body: dict[str, Any] = {**named, "proof": holder.prove(challenge)}
    if token:
        answer = _post(f"{base}/login", {**body, "provider": provider, "token": token})
    else:
        answer = _post(f"{base}/renew", {**body, "credential": kept["credential"]})
    names = ("app", "number", "user_id", "expires", "credential", "issuers")
    _write(identity, {**{name: answer[name] for name in names}, "keys": holder.save()})
    shown = {
        **{name: answer[name] for name in names},
        "author": base64.b16encode(holder.author).decode().lower(),
    }
    if as_json:
        print_json(shown)
        return
    say(escape(f"{identity}: {answer['user_id']}, credential {answer['number']} of {answer['app']}"))


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = request(url, _SECONDS, json.dumps(body).encode())
    if not isinstance(answer, dict):
        raise HedgerowError("BIG_PEER_ANSWER", f"{url}: not a JSON object")
    return answer


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise HedgerowError("ARGUMENTS_INVALID", f"--identity {path}: {error}") from None
    if not isinstance(kept, dict) or not isinstance(kept.get("keys"), dict):
        raise HedgerowError("ARGUMENTS_INVALID", f"--identity {path} is no file of this command")
    return kept


def _write(path: Path, value: dict[str, Any]) -> None:
    """Replace the file in one step, so that the keys are there whatever happens; for its owner only."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
