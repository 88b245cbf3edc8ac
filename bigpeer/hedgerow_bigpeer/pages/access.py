"""The pages about who may do what: API keys, providers, credentials, users, and the audit log."""

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hedgerow.errors import HedgerowError

from .. import limits
from ..auth import manage
from ..auth.accounts import ROLES
from ..auth.api_keys import VERBS
from ..auth.authority import work
from ..base64url import from_hex
from ..clock import rfc3339_of_unix
from .opening import Running, opening, sending
from .visitor import Visitor

ACCESS_PATH = "/access"
AUDIT_PATH = "/audit"
#: Who may make a key may make one that does as much as the person, and no more.
_VERBS_OF = {"operator": ("read", "write", "sync", "status", "revoke"), "admin": VERBS}


class AccessPages:
    """The pages and their forms."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """Show the app's keys, providers, credentials and users."""
        return await self._show(visitor)

    async def _show(self, visitor: Visitor, made: dict[str, Any] | None = None) -> Response:
        peer = self._running()
        registry, app = peer.registry, peer.app.id
        values = {
            "app": await work(manage.show_app, registry, peer.app),
            "keys": await work(manage.list_keys, registry, app),
            "providers": await work(manage.list_providers, registry, app),
            "credentials": (await work(manage.list_credentials, registry, app))[: limits.AUDIT_PAGE],
            "users": await work(manage.list_users, registry),
            "verbs": _VERBS_OF.get(visitor.login.role if visitor.login else "", ()),
            "roles": ROLES,
            "made": made,
            "moment": rfc3339_of_unix,
        }
        return await peer.visitors.page("access.html", values, visitor)

    async def audit(self, request: Request, visitor: Visitor) -> Response:
        """Show the audit log, a page at a time."""
        before = request.query_params.get("before", "")
        known = int(before) if before.isascii() and before.isdecimal() and len(before) < 16 else None
        registry = self._running().registry
        shown = await work(manage.list_audit, registry, limits.AUDIT_PAGE, known)
        rows = shown["audit"]
        older = rows[-1]["id"] if len(rows) == limits.AUDIT_PAGE else None
        values = {"rows": rows, "older": older, "moment": rfc3339_of_unix}
        return await self._running().visitors.page("audit.html", values, visitor)

    async def create_key(self, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Make an API key, and show it this once."""
        assert visitor.login is not None
        verbs = [verb for verb in _VERBS_OF[visitor.login.role] if fields.get(f"verb-{verb}") == "on"]
        wanted: dict[str, Any] = {
            "name": fields.get("name", ""),
            "verbs": verbs,
            "days": _number(fields, "days"),
        }
        collections = fields.get("collections", "").replace(",", " ").split()
        if collections:
            wanted["collections"] = collections
        peer = self._running()
        made = await work(manage.create_key, peer.registry, visitor.name, peer.app.id, wanted)
        return await self._show(visitor, made)

    async def revoke_key(self, visitor: Visitor, fields: dict[str, str]) -> Response:
        """End an API key."""
        peer = self._running()
        await work(manage.revoke_key, peer.registry, visitor.name, peer.app.id, fields.get("key", ""))
        return _back()

    async def revoke_credential(self, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Revoke a credential; what is held here of its author stays accepted unless a number is given."""
        peer = self._running()
        number = from_hex(fields.get("number", ""), "number")
        if fields.get("last", ""):
            last = _number(fields, "last")
        else:
            issued = await work(manage.issued, peer.registry, peer.app.id, number)
            last = peer.held(issued.author) if issued.author is not None else 0
        await work(manage.revoke, peer.registry, visitor.name, peer.app.id, number, last)
        return _back()

    async def create_user(self, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Make a local account."""
        name, role, password = (fields.get(key, "") for key in ("name", "role", "password"))
        await work(manage.create_user, self._running().registry, visitor.name, name, role, password)
        return _back()

    async def remove_user(self, visitor: Visitor, fields: dict[str, str]) -> Response:
        """Remove a local account."""
        await work(manage.remove_user, self._running().registry, visitor.name, fields.get("name", ""))
        return _back()


def add_access_pages(app: FastAPI, running: Running) -> None:
    """Add the pages; `running()` returns the running Big Peer."""
    pages = AccessPages(running)
    app.add_api_route(ACCESS_PATH, opening(running, pages.show, "operator"))
    app.add_api_route(AUDIT_PATH, opening(running, pages.audit, "operator"))
    forms = (
        ("keys", pages.create_key, "operator"),
        ("keys/revoke", pages.revoke_key, "operator"),
        ("credentials/revoke", pages.revoke_credential, "operator"),
        ("users", pages.create_user, "admin"),
        ("users/remove", pages.remove_user, "admin"),
    )
    for path, act, role in forms:
        app.add_api_route(f"{ACCESS_PATH}/{path}", sending(running, act, role), methods=["POST"])


def _back() -> Response:
    return RedirectResponse(ACCESS_PATH, 303, {"Cache-Control": "no-store"})


def _number(fields: dict[str, str], name: str) -> int:
    text = fields.get(name, "")
    if not text.isascii() or not text.isdecimal() or len(text) > 10:
        raise HedgerowError("FORM_INVALID", f"{name} is no number")
    return int(text)
