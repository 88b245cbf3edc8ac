"""A Big Peer's HTTP interface as the commands use it, with the standard library alone."""

import http.client
import json
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Any

from hedgerow.errors import HedgerowError
from hedgerow_cli.limits import ANSWER_BYTES
from hedgerow_cli.output import to_json

_SECONDS = 30.0


def execute(
    url: str, statement: str, arguments: dict[str, Any], timeout: float = _SECONDS, key: str = ""
) -> dict[str, Any]:
    """`POST /api/v5/store/execute`; numbers with a point come back as decimal.Decimal.

    Raises `BIG_PEER_UNREACHABLE`, `BIG_PEER_ANSWER` for what is no answer, and the code of a refusal.
    """
    body = to_json({"statement": statement, "args": arguments}).encode()
    answer = request(f"{url.rstrip('/')}/api/v5/store/execute", timeout, body, key)
    if not isinstance(answer, dict):
        raise HedgerowError("BIG_PEER_ANSWER", f"{url}: not a JSON object")
    return answer


def request(
    url: str, timeout: float, body: bytes | None = None, key: str = "", method: str | None = None
) -> Any:
    """GET, or with a JSON `body` POST, or `method`, and the JSON that comes back; `key` says who asks.

    Raises as `execute` does.
    """
    if not url.startswith(("http://", "https://")):
        raise HedgerowError("BIG_PEER_UNREACHABLE", f"{url} is no http:// address")
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        asked = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - see above
        with urllib.request.urlopen(asked, timeout=timeout) as response:  # noqa: S310 - see above
            return _decode(url, response.read(ANSWER_BYTES + 1))
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(url, error.code, error.read(ANSWER_BYTES + 1)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise HedgerowError("BIG_PEER_UNREACHABLE", f"{url}: {getattr(error, 'reason', error)}") from None


def administer(url: str, key: str, path: str, body: Any = None, method: str | None = None) -> Any:
    """`request` of a path at a Big Peer's address, by whoever may set it up; `body` is sent as JSON."""
    data = None if body is None else json.dumps(body).encode()
    return request(f"{url.rstrip('/')}{path}", _SECONDS, data, key, method)


def _decode(url: str, data: bytes) -> Any:
    if len(data) > ANSWER_BYTES:
        raise HedgerowError("BIG_PEER_ANSWER", f"{url}: over {ANSWER_BYTES} bytes; use LIMIT")
    try:
        return json.loads(data, parse_float=Decimal)
    except ValueError:
        raise HedgerowError("BIG_PEER_ANSWER", f"{url}: not JSON") from None


def _refusal(url: str, status: int, data: bytes) -> HedgerowError:
    """The error of an answer's envelope, {"error": {"code", "description"}}, or else the status."""
    answer = _decode(url, data) if data[:1] == b"{" else {}
    error = answer.get("error")
    if isinstance(error, dict) and isinstance(error.get("code"), str):
        return HedgerowError(error["code"], str(error.get("description", "")))
    return HedgerowError("BIG_PEER_ANSWER", f"{url}: HTTP status {status}")
