"""The login page: local accounts, and OpenID Connect (authorization code with PKCE, RFC 7636)."""

import asyncio
import hmac
import secrets
from collections import OrderedDict
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hedgerow.errors import HedgerowError

from .. import limits
from ..auth.accounts import ROLES, User
from ..auth.authority import work
from ..auth.database import now
from ..auth.providers import SECRET, Provider
from ..base64url import to_base64
from ..http.door import origin_of
from .opening import Running, guarded, sending
from .visitor import LOGIN_PATH, Visitor, read_form

_FORM_COOKIE = "hedgerow-form"
_STATE_COOKIE = "hedgerow-oidc"
_CALLBACK = "/login/callback"
_ADDRESSES = 4096


class Attempts:
    """Wrong passwords of late, by who tries from where, so that guessing is slow."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def check(self, who: tuple[str, str]) -> None:
        """Raise LOGIN_LATE for who has been wrong too often."""
        count, since = self._wrong.get(who, (0, 0.0))
        if count >= limits.WRONG_PASSWORDS and now() - since < limits.WRONG_PASSWORDS_SECONDS:
            raise HedgerowError("LOGIN_LATE")

    def note(self, who: tuple[str, str]) -> None:
        """Count a wrong password."""
        count, since = self._wrong.pop(who, (0, float(now())))
        if now() - since >= limits.WRONG_PASSWORDS_SECONDS:
            count, since = 0, float(now())
        self._wrong[who] = (count + 1, since)
        while len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)

    def forgive(self, who: tuple[str, str]) -> None:
        """Count one less: it was not wrong."""
        count, since = self._wrong.pop(who, (0, 0.0))
        if count > 1:
            self._wrong[who] = (count - 1, since)


class LoginPages:
    """The pages before anybody is logged in."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._attempts = Attempts()
        self._hashes = asyncio.Semaphore(limits.HASHES_AT_ONCE)
        # What a login by OpenID Connect has begun lives minutes: a new key at each start is early enough.
        self._sealed = URLSafeTimedSerializer(secrets.token_hex(32), "hedgerow-login")

    async def show(self, request: Request) -> Response:
        """Show the form."""
        return await self._show("")

    async def _show(self, failure: str, status: int = 200) -> Response:
        peer = self._running()
        form = secrets.token_urlsafe(24)
        providers = await work(peer.visitors.login_providers)
        values = {"form": form, "failure": failure, "providers": providers}
        page = await peer.visitors.page("login.html", values, None)
        page.status_code = status
        page.set_cookie(
            _FORM_COOKIE,
            form,
            max_age=limits.OIDC_STATE_SECONDS,
            path=LOGIN_PATH,
            secure=peer.visitors.is_secure,
            httponly=True,
            samesite="strict",
        )
        return page

    async def send(self, request: Request) -> Response:
        """Log in by name and password."""
        fields = await read_form(request)
        expected = request.cookies.get(_FORM_COOKIE, "")
        if not expected or not hmac.compare_digest(expected.encode(), fields.get("form", "").encode()):
            raise HedgerowError("FORM_INVALID")
        name, password = fields.get("name", "")[:64], fields.get("password", "")[: limits.PASSWORD_BYTES]
        accounts = self._running().registry.accounts
        address = request.client.host if request.client else ""
        who = (origin_of(address), name)
        try:
            user = await self._check(who, name, password)
        except HedgerowError as error:
            # What is no name may be a password in the wrong field.
            subject = name if await work(accounts.is_known, name) else "unknown"
            await work(self._running().registry.audit.refuse, f"address:{address}", "login.fail", subject)
            return await self._show(error.code, 429 if error.code == "LOGIN_LATE" else 401)
        return await self._enter(user.name, user.role, "password")

    async def _check(self, who: tuple[str, str], name: str, password: str) -> User:
        """Return whom a password opens for. Raises LOGIN_LATE, LOGIN_FAILED."""
        async with self._hashes:
            # Who is looked at counts as wrong until it was not: else all who come at once would be.
            self._attempts.check(who)
            self._attempts.note(who)
            try:
                user = await work(self._running().registry.accounts.check, name, password)
            except HedgerowError as error:
                if error.code != "LOGIN_FAILED":
                    self._attempts.forgive(who)
                raise
            self._attempts.forgive(who)
            return user

    async def _enter(self, user: str, role: str, by: str) -> Response:
        peer = self._running()
        _, token = await work(peer.registry.accounts.log_in, user, role, by)
        # Not a redirect: after one from another site, the browser would keep a strict cookie back.
        page = await peer.visitors.page("entered.html", {}, None)
        peer.visitors.set_cookie(page, token, limits.SESSION_SECONDS)
        page.delete_cookie(_STATE_COOKIE, path=_CALLBACK)
        return page

    async def leave(self, visitor: Visitor, fields: dict[str, str], token: str) -> Response:
        """Log out."""
        peer = self._running()
        await work(peer.registry.accounts.log_out, token)
        response = RedirectResponse(LOGIN_PATH, 303, {"Cache-Control": "no-store"})
        peer.visitors.set_cookie(response, "", 0)
        return response

    # ---- OpenID Connect

    async def begin(self, request: Request) -> Response:
        """Send the browser to an identity provider."""
        fields = await read_form(request)
        provider = await self._provider(fields.get("provider", ""))
        endpoints = await self._running().authority.identities.oidc.endpoints(provider)
        state = {
            "provider": provider.name,
            "state": secrets.token_urlsafe(16),
            "nonce": secrets.token_urlsafe(16),
            "verifier": secrets.token_urlsafe(32),
            "back": f"{request.url.scheme}://{request.headers.get('host', '')}{_CALLBACK}",
        }
        if self._running().visitors.is_secure:
            state["back"] = "https" + state["back"][state["back"].index(":") :]
        asked = {
            "response_type": "code",
            "scope": "openid",
            "client_id": provider.settings["clientId"],
            "redirect_uri": state["back"],
            "state": state["state"],
            "nonce": state["nonce"],
            "code_challenge": to_base64(sha256(state["verifier"].encode()).digest()),
            "code_challenge_method": "S256",
        }
        place = _text(endpoints, "authorization_endpoint")
        target = f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}"
        # The way there begins at a form: that the policy of pages allows only to here. So a link is shown.
        page = await self._running().visitors.page(
            "away.html", {"target": target, "name": provider.name}, None
        )
        page.set_cookie(
            _STATE_COOKIE,
            self._sealed.dumps(state),
            max_age=limits.OIDC_STATE_SECONDS,
            path=_CALLBACK,
            secure=self._running().visitors.is_secure,
            httponly=True,
            samesite="lax",
        )
        return page

    async def finish(self, request: Request) -> Response:
        """Take the browser back from an identity provider."""
        try:
            state = self._sealed.loads(
                request.cookies.get(_STATE_COOKIE, ""), max_age=limits.OIDC_STATE_SECONDS
            )
        except BadSignature:
            raise HedgerowError("FORM_INVALID", "the login was begun elsewhere, or too long ago") from None
        shown = request.query_params.get("state", "")
        if not hmac.compare_digest(state["state"].encode(), shown.encode("utf-8", "replace")):
            raise HedgerowError("FORM_INVALID", "state")
        provider = await self._provider(state["provider"])
        said = await self._claims(provider, state, request.query_params.get("code", ""))
        user = said.get(provider.settings.get("userClaim", "sub"))
        role = said.get(provider.settings.get("roleClaim", ""), provider.settings.get("role"))
        if not isinstance(user, str) or not 0 < len(user) <= limits.USER_ID_BYTES or role not in ROLES:
            registry = self._running().registry
            await work(registry.audit.refuse, f"provider:{provider.name}", "login.fail", str(user)[:64])
            raise HedgerowError("AUTH_FORBIDDEN", "the identity provider gives no role here")
        return await self._enter(f"{provider.name}:{user}", role, provider.name)

    async def _claims(self, provider: Provider, state: dict[str, str], code: str) -> dict[str, Any]:
        """Exchange the code for an ID token, and return what that says."""
        identities = self._running().authority.identities
        endpoints = await identities.oidc.endpoints(provider)
        form = {
            "grant_type": "authorization_code",
            "code": code[:2000],
            "redirect_uri": state["back"],
            "client_id": provider.settings["clientId"],
            "client_secret": provider.settings.get(SECRET, ""),
            "code_verifier": state["verifier"],
        }
        body = await identities.exchange(_text(endpoints, "token_endpoint"), form, provider)
        return await identities.oidc.check(provider, _text(body, "id_token"), state["nonce"])

    async def _provider(self, name: str) -> Provider:
        peer = self._running()
        provider = await work(peer.registry.providers.get, peer.app, name)
        if provider.kind != "oidc" or "clientId" not in provider.settings:
            raise HedgerowError("PROVIDER_UNKNOWN", name[:64])
        return provider


def add_login_pages(app: FastAPI, running: Running) -> None:
    """Add the pages; `running()` returns the running Big Peer."""
    pages = LoginPages(running)

    async def leave(request: Request) -> Response:
        token = request.cookies.get(running().visitors.cookie, "")

        async def act(visitor: Visitor, fields: dict[str, str]) -> Response:
            return await pages.leave(visitor, fields, token)

        return await sending(running, act, "viewer")(request)

    app.add_api_route(LOGIN_PATH, guarded(running, pages.show))
    app.add_api_route(LOGIN_PATH, guarded(running, pages.send), methods=["POST"])
    app.add_api_route("/login/provider", guarded(running, pages.begin), methods=["POST"])
    app.add_api_route(_CALLBACK, guarded(running, pages.finish))
    app.add_api_route("/logout", leave, methods=["POST"])


def _text(body: Any, name: str) -> str:
    value = body.get(name) if isinstance(body, dict) else None
    if not isinstance(value, str):
        raise HedgerowError("PROVIDER_FAILED", f"no {name}")
    return value
