"""Who opens a page: a cookie tells; and what every page and form has in common.

The cookie is HttpOnly and SameSite=Strict, every form carries a text of its login, and no page may be framed,
or run a script that is not one of our files: what is in a document can be none. Before a login none runs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hedgerow.errors import HedgerowError

from ..auth.accounts import ROLES, Login, is_form_of
from ..auth.apps import App
from ..auth.authority import work
from ..auth.registry import Registry
from ..config import BigPeerConfig
from ..http.answers import STATUS, read_body
from ..http.caller import Gate
from ..http.door import Door
from .assets import assets

LOGIN_PATH = "/login"
_FORM_BYTES = 4096
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    # With `no-referrer` browsers would send our own forms with `Origin: null`, which is refused.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_WITH_SCRIPTS = {
    **_HEADERS,
    "Content-Security-Policy": f"{_POLICY}; script-src 'self'; connect-src 'self'",
}
_PACKAGE = str(__package__).rpartition(".")[0]


class LoginWanted(Exception):
    """The page is for people who have logged in."""


class Visitor(NamedTuple):
    """Who opens a page: a login, or nobody where the pages are open on this machine."""

    login: Login | None

    def may(self, role: str) -> bool:
        """Say whether a role's pages are for this visitor. Without a login there is nothing to set."""
        return self.login.may(role) if self.login is not None else role == ROLES[0]

    @property
    def name(self) -> str:
        """The visitor's name in the audit log."""
        return f"user:{self.login.user}" if self.login is not None else "loopback"

    @property
    def form(self) -> str:
        """The text that the visitor's forms carry."""
        return self.login.form if self.login is not None else ""


class Visitors:
    """Tells who opens pages, and writes them."""

    def __init__(self, config: BigPeerConfig, registry: Registry, app: App, gate: Gate, door: Door) -> None:
        self._config = config
        self._registry = registry
        self._app = app
        self._gate = gate
        self._door = door
        self._pages = Environment(loader=PackageLoader(_PACKAGE), autoescape=select_autoescape())
        self._pages.globals["assets"] = assets()
        # A browser takes the first kind of name only with Secure, for this host alone.
        self.is_secure = config.tls_key is not None or config.plain
        self.cookie = "__Host-hedgerow" if self.is_secure else "hedgerow"

    async def visitor(self, request: HTTPConnection) -> Visitor:
        """Return who opens a page. Raises LoginWanted, and AUTH_FORBIDDEN where no login is set up."""
        token = request.cookies.get(self.cookie, "")
        login = await work(self._registry.accounts.logged_in, token) if 0 < len(token) <= 100 else None
        if login is None:
            if await work(self.has_login):
                raise LoginWanted
            if not self._config.is_loopback:
                raise HedgerowError("AUTH_FORBIDDEN", "pages; `hedgerow bigpeer users add` makes a login")
        self._door.know(request.scope)
        return Visitor(login)

    def has_login(self) -> bool:
        """Say whether there is a way to log in: a local account, or a provider that pages may use."""
        return self._registry.accounts.any or bool(self.login_providers())

    def login_providers(self) -> list[str]:
        """Return the names of the identity providers by which people log in."""
        return [
            provider.name
            for provider in self._registry.providers.all(self._app)
            if "clientId" in provider.settings
        ]

    async def form(self, request: Request, role: str) -> tuple[Visitor, dict[str, str]]:
        """Return who sent a form, and its fields. Raises LoginWanted, AUTH_FORBIDDEN, FORM_INVALID."""
        visitor = await self.visitor(request)
        fields = await read_form(request)
        if visitor.login is None or not is_form_of(visitor.login, fields.pop("form", "")):
            raise HedgerowError("FORM_INVALID")
        if not visitor.may(role):
            raise HedgerowError("AUTH_FORBIDDEN", role)
        return visitor, fields

    def may_see_data(self, visitor: Visitor) -> bool:
        """Say whether a visitor may read documents: without a login only where the API asks for no key."""
        return visitor.login is not None or self._gate.is_open

    def may_write(self, visitor: Visitor, role: str) -> bool:
        """Say whether a visitor may write documents, as somebody of a role may."""
        return visitor.login.may(role) if visitor.login is not None else self._gate.is_open

    def need_data(self, visitor: Visitor) -> None:
        """Raise AUTH_FORBIDDEN for who may not read documents."""
        if not self.may_see_data(visitor):
            raise HedgerowError("AUTH_FORBIDDEN", "documents; `hedgerow bigpeer users add` makes a login")

    def check_form(self, visitor: Visitor, fields: dict[str, str]) -> None:
        """Raise FORM_INVALID for a form of documents that is not of the visitor's login. Where nobody has to
        log in, its Origin alone tells where it is from, as for the API.
        """
        login, form = visitor.login, fields.pop("form", "")
        if not (self._gate.is_open if login is None else is_form_of(login, form)):
            raise HedgerowError("FORM_INVALID")

    async def status_reader(self, request: HTTPConnection) -> None:
        """Let who shows an API key with the verb status, and who may open pages, read figures.

        Raises LoginWanted, and what Gate.caller does.
        """
        if "authorization" not in request.headers:
            await self.visitor(request)
            return
        (await self._gate.caller(request.headers)).need("status")
        self._door.know(request.scope)

    async def page(self, template: str, values: Mapping[str, Any], visitor: Visitor | None) -> HTMLResponse:
        """Return a page."""
        text = await self.fragment(template, {"visitor": visitor, "is_open": is_open(visitor), **values})
        return HTMLResponse(text, headers=_HEADERS if visitor is None else _WITH_SCRIPTS)

    async def fragment(self, template: str, values: Mapping[str, Any]) -> str:
        """Return a part of a page."""
        return await work(self._pages.get_template(template).render, values)

    def refusal(self, error: HedgerowError) -> Response:
        """Return the page of a refusal."""
        status = STATUS.get(error.code, 400)
        text = self._pages.get_template("refusal.html").render(code=error.code, detail=error.detail)
        return HTMLResponse(text, status, headers=_HEADERS)

    def set_cookie(self, response: Response, token: str, seconds: int) -> None:
        """Give the browser the cookie of a login; without a token, take it away."""
        response.set_cookie(
            self.cookie,
            token,
            max_age=seconds,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="strict",
        )


def is_open(visitor: Visitor | None) -> bool:
    """Say whether somebody opens a page who did not have to log in."""
    return visitor is not None and visitor.login is None


def to_login(request: Request) -> Response:
    """Return the way to the login; a script that asks for a part of a page is told to lead there."""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"Cache-Control": "no-store", "HX-Redirect": LOGIN_PATH})
    return RedirectResponse(LOGIN_PATH, 303, {"Cache-Control": "no-store"})


async def read_form(request: Request, most: int = _FORM_BYTES) -> dict[str, str]:
    """Return the fields of a form. Raises REQUEST_TYPE, REQUEST_TOO_LARGE, REQUEST_SYNTAX, FORM_INVALID.

    A form from a page elsewhere is refused by its Origin, too.
    """
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    if origin is not None and origin.partition("://")[2] != host:
        raise HedgerowError("FORM_INVALID", "from a page elsewhere")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HedgerowError("REQUEST_TYPE", kind[:100])
    body = await read_body(request, most)
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=32, errors="strict")
    except ValueError:
        raise HedgerowError("REQUEST_SYNTAX", "no form") from None
    return dict(fields)
