"""The Authentication Service of a Big Peer, as the commands ask it."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from hedgerow.errors import HedgerowError
from hedgerow_cli.big_peer_http import request

_SECONDS = 30.0


def posting(url: str, *, plain: bool) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Return a way to the endpoints (SPEC 12.3) of the Big Peer at an address.

    Raises `ARGUMENTS_INVALID` for http:// beyond this machine that may not be `plain`; what is returned
    raises `BIG_PEER_UNREACHABLE`, `BIG_PEER_ANSWER` and refusals.
    """
    from hedgerow_gateway.enrolment import AUTH
    from hedgerow_host.loopback import LOOPBACK

    if url.startswith("http://") and not plain and _host(url) not in LOOPBACK:
        raise HedgerowError("ARGUMENTS_INVALID", f"--url: {url} is not loopback: https://, or --plain")
    base = url.rstrip("/") + AUTH

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = request(f"{base}/{path}", _SECONDS, json.dumps(body).encode())
        if not isinstance(answer, dict):
            raise HedgerowError("BIG_PEER_ANSWER", f"{base}/{path}: not a JSON object")
        return answer

    return post


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
