"""Around every page: who opens it is found out first, and what is refused becomes a page too."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from hedgerow.errors import HedgerowError

from .visitor import LoginWanted, Visitor, to_login

if TYPE_CHECKING:
    from ..app import BigPeer

Running = Callable[[], "BigPeer"]
Handler = Callable[[Request], Awaitable[Response]]


def opening(
    running: Running, page: Callable[[Request, Visitor], Awaitable[Response]], role: str = "viewer"
) -> Handler:
    """Return the endpoint of a page that is for a role."""

    async def answer(request: Request) -> Response:
        visitor = await running().visitors.visitor(request)
        if not visitor.may(role):
            raise HedgerowError("AUTH_FORBIDDEN", role)
        return await page(request, visitor)

    return guarded(running, answer)


def sending(
    running: Running, act: Callable[[Visitor, dict[str, str]], Awaitable[Response]], role: str
) -> Handler:
    """Return the endpoint of a form that a role may send."""

    async def answer(request: Request) -> Response:
        return await act(*await running().visitors.form(request, role))

    return guarded(running, answer)


def guarded(running: Running, handler: Handler) -> Handler:
    """Let an endpoint raise LoginWanted and HedgerowError."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except LoginWanted:
            return to_login(request)
        except HedgerowError as error:
            return running().visitors.refusal(error)

    return answer
