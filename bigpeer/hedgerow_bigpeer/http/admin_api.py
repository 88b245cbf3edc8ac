"""Apps, API keys, providers, users, credentials and the audit log over HTTP, as the command line has them.

Who asks shows an API key with the verb that it takes; what was done stands in the audit log under its name.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from hedgerow.errors import HedgerowError

from .. import limits
from ..auth import manage
from ..auth.apps import App
from ..auth.authority import work
from ..auth.registry import Registry
from ..base64url import from_hex
from .answers import add_routes, number_of, read_object, text_of
from .caller import Name
from .parameters import MOST_WHOLE, known, whole

PREFIX = "/api/hedgerow/v1"
_BODY_BYTES = 65_536


class AdminApi:
    """The endpoints; `name` tells who asks, `held` up to which number an author is held here.

    A key is for the app that is served: the command line sets others.
    """

    def __init__(self, registry: Registry, served: App, name: Name, held: Callable[[bytes], int]) -> None:
        self._served = served
        self._registry = registry
        self._name = name
        self._held = held

    async def apps(self, request: Request) -> Any:
        """Show the app."""
        await self._need(request, "admin")
        found = await work(manage.list_apps, self._registry)
        return {"apps": [app for app in found if app["id"] == self._served.id]}

    async def create_app(self, request: Request) -> Any:
        """Make an app."""
        actor = await self._need(request, "admin")
        body = await read_object(request, ("name", "mode", "mesh"), _BODY_BYTES)
        name, mode = text_of(body, "name"), text_of(body, "mode", "production")
        return await work(manage.create_app, self._registry, actor, name, mode, text_of(body, "mesh", name))

    async def renew_token(self, request: Request) -> Any:
        """Give a playground another token."""
        actor = await self._need(request, "admin")
        return await work(manage.renew_token, self._registry, actor, request.path_params["app"])

    async def rotate(self, request: Request) -> Any:
        """Make another key sign for an app."""
        actor = await self._need(request, "admin")
        return await work(manage.rotate, self._registry, actor, request.path_params["app"])

    async def keys(self, request: Request) -> Any:
        """List the API keys of an app."""
        await self._need(request, "admin")
        return {"keys": await work(manage.list_keys, self._registry, request.path_params["app"])}

    async def create_key(self, request: Request) -> Any:
        """Make an API key; the answer is the only place that ever shows it."""
        actor = await self._need(request, "admin")
        body = await read_object(request, most=_BODY_BYTES)
        return await work(manage.create_key, self._registry, actor, request.path_params["app"], body)

    async def revoke_key(self, request: Request) -> Any:
        """End an API key at once."""
        actor = await self._need(request, "admin")
        params = request.path_params
        return await work(manage.revoke_key, self._registry, actor, params["app"], params["key"])

    async def providers(self, request: Request) -> Any:
        """List the identity providers of an app."""
        await self._need(request, "admin")
        return {"providers": await work(manage.list_providers, self._registry, request.path_params["app"])}

    async def set_provider(self, request: Request) -> Any:
        """Add an identity provider, or set it anew."""
        actor = await self._need(request, "admin")
        body = await read_object(request, most=_BODY_BYTES)
        params = request.path_params
        return await work(manage.set_provider, self._registry, actor, params["app"], params["provider"], body)

    async def remove_provider(self, request: Request) -> Any:
        """Remove an identity provider."""
        actor = await self._need(request, "admin")
        params = request.path_params
        return await work(manage.remove_provider, self._registry, actor, params["app"], params["provider"])

    async def users(self, request: Request) -> Any:
        """List local accounts."""
        await self._need(request, "admin")
        return {"users": await work(manage.list_users, self._registry)}

    async def create_user(self, request: Request) -> Any:
        """Make a local account."""
        actor = await self._need(request, "admin")
        body = await read_object(request, ("name", "role", "password"), _BODY_BYTES)
        name, role = text_of(body, "name"), text_of(body, "role", "viewer")
        return await work(manage.create_user, self._registry, actor, name, role, text_of(body, "password"))

    async def remove_user(self, request: Request) -> Any:
        """Remove a local account."""
        actor = await self._need(request, "admin")
        return await work(manage.remove_user, self._registry, actor, request.path_params["user"])

    async def credentials(self, request: Request) -> Any:
        """List what was issued, the newest first."""
        await self._need(request, "revoke")
        user = known(request, "user").get("user", "")
        app = request.path_params["app"]
        return {"credentials": await work(manage.list_credentials, self._registry, app, user)}

    async def revoke_credential(self, request: Request) -> Any:
        """Revoke a credential; without `last`, what is held here of its author stays accepted."""
        actor = await self._need(request, "revoke")
        body = await read_object(request, ("number", "last"), _BODY_BYTES)
        app, number = request.path_params["app"], from_hex(text_of(body, "number"), "number")
        if "last" in body:
            last = number_of(body, "last")
        else:
            issued = await work(manage.issued, self._registry, app, number)
            last = self._held(issued.author) if issued.author is not None else 0
        return await work(manage.revoke, self._registry, actor, app, number, last)

    async def audit(self, request: Request) -> Any:
        """Show the audit log, the newest first; `before` an id, of one `action`."""
        await self._need(request, "admin")
        found = known(request, "before", "action")
        before = whole(found, "before", -1, 0, MOST_WHOLE)
        return await work(
            manage.list_audit,
            self._registry,
            limits.AUDIT_PAGE,
            None if before < 0 else before,
            found.get("action", ""),
        )

    async def check_audit(self, request: Request) -> Any:
        """Say whether the audit log was edited."""
        await self._need(request, "admin")
        return await work(manage.check_audit, self._registry)

    async def _need(self, request: Request, verb: str) -> str:
        caller = await self._name(request)
        caller.need(verb)
        named = request.path_params.get("app")
        if named is not None and (await work(self._registry.apps.get, named)).id != self._served.id:
            raise HedgerowError("AUTH_FORBIDDEN", "the API key belongs to another app")
        return caller.name


_ROUTES = (
    ("GET", "/apps", "apps"),
    ("POST", "/apps", "create_app"),
    ("POST", "/apps/{app}/token", "renew_token"),
    ("POST", "/apps/{app}/issuers", "rotate"),
    ("GET", "/apps/{app}/keys", "keys"),
    ("POST", "/apps/{app}/keys", "create_key"),
    ("DELETE", "/apps/{app}/keys/{key}", "revoke_key"),
    ("GET", "/apps/{app}/providers", "providers"),
    ("PUT", "/apps/{app}/providers/{provider}", "set_provider"),
    ("DELETE", "/apps/{app}/providers/{provider}", "remove_provider"),
    ("GET", "/apps/{app}/credentials", "credentials"),
    ("POST", "/apps/{app}/revocations", "revoke_credential"),
    ("GET", "/users", "users"),
    ("POST", "/users", "create_user"),
    ("DELETE", "/users/{user}", "remove_user"),
    ("GET", "/audit", "audit"),
    ("GET", "/audit/check", "check_audit"),
)


def add_admin_api(app: FastAPI, api: Callable[[], AdminApi]) -> None:
    """Add the endpoints; `api()` returns the running AdminApi."""
    add_routes(app, api, [(method, PREFIX + path, name) for method, path, name in _ROUTES])
