"""Who asks: an API key or token in the Authorization header, or whoever may come without one."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request

from hedgerow.errors import HedgerowError

from ..auth import tokens
from ..auth.api_keys import PREFIX
from ..auth.apps import App
from ..auth.authority import work
from ..auth.registry import Registry
from ..auth.rights import EVERY_RIGHT, Rights

#: What anybody may do on a playground that listens on loopback only.
_OPEN_VERBS = frozenset(("read", "write", "sync", "status"))
_MOST = 8192


class Caller(NamedTuple):
    """Who asks, by a name for the audit log; the rights to documents; and what else it may do."""

    name: str
    rights: Rights
    verbs: frozenset[str]

    @property
    def holder(self) -> str:
        """Whose the places are that the caller takes: a user's with whichever token, or a key's."""
        kind, _, rest = self.name.partition(":")
        return f"user:{rest.partition(':')[2]}" if kind == "token" else self.name

    def need(self, verb: str) -> None:
        """Raise AUTH_FORBIDDEN if the caller may not do this."""
        if verb not in self.verbs:
            raise HedgerowError("AUTH_FORBIDDEN", verb)


#: Returns who asks; the connection is a known one then.
Name = Callable[[Request], Awaitable[Caller]]


class Gate:
    """Tells who asks for the app that is served. `is_open`: without a key everybody may."""

    def __init__(self, registry: Registry, app: App, *, is_open: bool) -> None:
        self._registry = registry
        self._app = app
        self.is_open = is_open

    async def caller(self, headers: Headers) -> Caller:
        """Return who asks. Raises AUTH_MISSING, AUTH_INVALID, AUTH_FORBIDDEN for a key of another app."""
        text = headers.get("authorization")
        if text is None:
            if self.is_open:
                return Caller("loopback", EVERY_RIGHT, _OPEN_VERBS)
            raise HedgerowError("AUTH_MISSING")
        scheme, _, token = text.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token or len(token) > _MOST or not token.isascii():
            raise HedgerowError("AUTH_INVALID", "Authorization is no Bearer token")
        return await work(self._find, token)

    def _find(self, token: str) -> Caller:
        if token.startswith(PREFIX):
            key = self._registry.keys.check(token)
            if key.app != self._app.id:
                raise HedgerowError("AUTH_FORBIDDEN", "the API key belongs to another app")
            return Caller(
                f"key:{key.id}", Rights(key.scope, sees_status="status" in key.verbs), frozenset(key.verbs)
            )
        user, number, scope = tokens.read(self._registry.issuers, self._app, token)
        if self._registry.revocations.is_revoked(number):
            raise HedgerowError("AUTH_INVALID", f"the token {number.hex()} was revoked")
        return Caller(f"token:{number.hex()}:{user}", Rights(scope), frozenset(("read", "write")))
