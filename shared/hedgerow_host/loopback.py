"""A guard while there is no security: requests that a web page elsewhere made a browser send are refused.

Binding to loopback keeps other machines out, not the pages that a browser on this one shows.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

#: The names of this machine that only it can connect to.
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class LoopbackOnly:
    """Lets a request pass if its Host, and its Origin if it has one, name this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to a foreign request, and refuse a foreign WebSocket."""
        if scope["type"] == "lifespan" or self._is_local(Headers(scope=scope)):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "Host or Origin is not loopback"})
        else:
            await PlainTextResponse("Host or Origin is not loopback\n", 403)(scope, receive, send)

    def _is_local(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        return _names_loopback("//" + headers.get("host", "")) and (origin is None or _names_loopback(origin))


def _names_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in LOOPBACK
    except ValueError:
        return False
