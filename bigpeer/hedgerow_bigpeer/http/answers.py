"""What the endpoints below /api/hedgerow/v1 share: a small JSON body in, JSON or a coded error out."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from hedgerow.errors import CODES, HedgerowError

from .. import limits
from .parameters import only, refuse

log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Any]]

#: Everything else that a request can do wrong is a 400.
STATUS = {
    "AUTH_MISSING": 401,
    "AUTH_INVALID": 401,
    "LOGIN_FAILED": 401,
    "PROVIDER_REFUSED": 401,
    "TOKEN_INVALID": 401,
    "CHALLENGE_INVALID": 401,
    "PROOF_INVALID": 401,
    "CREDENTIAL_EXPIRED": 401,
    "CREDENTIAL_REVOKED": 401,
    "AUTH_FORBIDDEN": 403,
    "FORM_INVALID": 403,
    "APP_UNKNOWN": 404,
    "PROVIDER_UNKNOWN": 404,
    "API_KEY_UNKNOWN": 404,
    "CREDENTIAL_UNKNOWN": 404,
    "BRIDGE_UNKNOWN": 404,
    "PEER_UNKNOWN": 404,
    "CURSOR_GONE": 410,
    "TRANSACTION_NOT_REACHED": 404,
    "REQUEST_ACCEPT": 406,
    "QUERY_TIMEOUT": 408,
    "QUERY_CONFLICT": 409,
    "AUTHOR_TAKEN": 409,
    "DELEGATION_FULL": 409,
    "REVOCATION_LOWER": 409,
    "REQUEST_TOO_LARGE": 413,
    "REQUEST_TYPE": 415,
    "REQUEST_REPEATED": 422,
    "LOGIN_LATE": 429,
    "RATE_LIMITED": 429,
    "PROVIDER_ADDRESS": 502,
    "PROVIDER_FAILED": 502,
    "ISSUER_MISSING": 503,
    "REGISTRY_FAILED": 503,
    "STORE_FAILED": 503,
    "STORE_MOVED": 503,
}
_NOT_STORED = {"Cache-Control": "no-store"}


def refusal_headers(status: int, error: HedgerowError | None = None) -> dict[str, str]:
    """Return the headers that go with a refusal: a stranger's connection is not kept."""
    if status == 401:
        return {"WWW-Authenticate": "Bearer", "Connection": "close"}
    if error is not None and error.code == "RATE_LIMITED":
        return {"Retry-After": error.detail.partition(" ")[0]}
    return {}


def problem(error: HedgerowError) -> Response:
    """Return a refusal as problem details (RFC 9457); `error` is how Ditto's clients look for it."""
    status = STATUS.get(error.code, 400)
    description = error.detail or error.code
    body = {
        "type": f"urn:hedgerow:error:{error.code}",
        "title": CODES[error.code][1],
        "status": status,
        "detail": description,
        "code": error.code,
        "error": {"code": error.code, "description": description},
    }
    return JSONResponse(
        body, status, {**_NOT_STORED, **refusal_headers(status, error)}, media_type="application/problem+json"
    )


def answering(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Let an endpoint return JSON, and raise HedgerowError for any refusal."""

    async def answer(request: Request) -> Response:
        try:
            value = await endpoint(request)
        except HedgerowError as error:
            return problem(error)
        except Exception:
            log.exception("a request failed")
            return problem(HedgerowError("STORE_FAILED", "the log says more"))
        return value if isinstance(value, Response) else JSONResponse(value, 200, _NOT_STORED)

    return answer


def add_routes(app: FastAPI, api: Callable[[], Any], routes: Iterable[tuple[str, str, str]]) -> None:
    """Add endpoints (method, path, name): each is the method of that name of what `api()` returns."""

    def add(method: str, path: str, name: str) -> None:
        async def endpoint(request: Request) -> Any:
            return await getattr(api(), name)(request)

        app.add_api_route(path, answering(endpoint), methods=[method], include_in_schema=False)

    for route in routes:
        add(*route)


async def read_body(request: Request, most: int) -> bytes:
    """Return a request's body. Raises REQUEST_TOO_LARGE, REQUEST_SYNTAX for one that does not come whole."""
    body = bytearray()
    try:
        async with asyncio.timeout(limits.BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise HedgerowError("REQUEST_TOO_LARGE", f"over {most} bytes")
    except ClientDisconnect:
        raise HedgerowError("REQUEST_SYNTAX", "the body ended early") from None
    except TimeoutError:
        raise HedgerowError("REQUEST_SYNTAX", "the body did not come in time") from None
    return bytes(body)


async def read_object(
    request: Request, names: Collection[str] | None = None, most: int = limits.UNKNOWN_BYTES
) -> dict[str, Any]:
    """Return a request's JSON object, which has no others than `names` (None: whoever asks looks at them).

    Raises REQUEST_TYPE, REQUEST_TOO_LARGE, REQUEST_SYNTAX.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HedgerowError("REQUEST_TYPE", kind[:100] or "no Content-Type")
    data = await read_body(request, most)
    try:
        value = json.loads(data, parse_constant=_constant)
        # Text with half a surrogate pair cannot be stored or sent on.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise HedgerowError("REQUEST_SYNTAX", "no JSON") from None
    if not isinstance(value, dict):
        raise HedgerowError("REQUEST_SYNTAX", "no JSON object")
    if names is not None:
        only(value, names)
    return value


def _constant(name: str) -> float:
    raise ValueError(name)


def text_of(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a text of a request's object. Raises REQUEST_SYNTAX, also for one with a NUL."""
    value = body.get(name, default)
    if not isinstance(value, str) or "\0" in value:
        raise refuse(name, "is no text")
    return value


def number_of(body: dict[str, Any], name: str, default: int | None = None) -> int:
    """Return a whole number of a request's object. Raises REQUEST_SYNTAX."""
    value = body.get(name, default)
    if type(value) is not int:
        raise refuse(name, "is no whole number")
    return value


def texts_of(body: dict[str, Any], name: str) -> list[str]:
    """Return a list of texts of a request's object. Raises REQUEST_SYNTAX."""
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise refuse(name, "is no list of texts")
    return value
