"""Identity providers of an app: what is set, checked when it is set, in JSON as Ditto's operators write it.

{"type": "webhookUrl", "webhookUrl": "https://login.example/hook"}
{"type": "oidc", "issuer": "https://login.example", "audience": "sensors", "permission": {...}}
{"type": "anonymous", "permission": {...}, "sessionLength": 3600}
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError

from .. import limits
from . import scope
from .accounts import ROLES
from .apps import App
from .audit import Audit
from .database import Database, now
from .outbound import check_url

KINDS = {
    "keeper": claims.KEEPS,
    "time": claims.GIVES_TIME,
    "delegate": claims.DELEGATES,
    "revoke": claims.REVOKES,
}
#: What a token may be signed with: nothing that a public key could be mistaken for the secret of.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
SECRET = "clientSecret"  # noqa: S105 - the name of a setting
#: What stands in the place of a provider where none was asked.
RESERVED = ("delegation", "renewal")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COMMON = {"type", "sessionLength", "renewLength", "kinds", "allowPrivate"}
_SETTINGS = {
    "webhookUrl": _COMMON | {"webhookUrl"},
    "oidc": _COMMON
    | {"issuer", "audience", "jwksUrl", "algorithms", "userClaim", "permissionsClaim", "kindsClaim"}
    | {"permission", "clientId", SECRET, "role", "roleClaim"},
    "anonymous": _COMMON | {"permission"},
}
_SESSION_SECONDS = {
    "webhookUrl": limits.CREDENTIAL_SECONDS,
    "oidc": 7 * limits.DAY_S,
    "anonymous": limits.DAY_S,
}


class Provider(NamedTuple):
    """One identity provider; `settings` are as they were given, `type` among them."""

    app: str
    name: str
    kind: str
    settings: dict[str, Any]

    @property
    def allows_private(self) -> bool:
        """Whether it may be at an address that is not public."""
        return bool(self.settings.get("allowPrivate", False))

    @property
    def session_seconds(self) -> int:
        """How long a credential lasts, where the identity provider does not say it; never longer."""
        return int(self.settings.get("sessionLength", _SESSION_SECONDS[self.kind]))

    @property
    def renewal_seconds(self) -> int:
        """How long credentials are renewed without a new word of the identity provider."""
        return int(self.settings.get("renewLength", limits.RENEWAL_SECONDS))

    def kinds(self, asked: object) -> int:
        """Return the bits of the kinds that are asked for, as far as they may be granted."""
        allowed = self.settings.get("kinds", [])
        names = asked if isinstance(asked, list) else []
        return sum(bit for name, bit in KINDS.items() if name in names and name in allowed)

    def shown(self) -> dict[str, Any]:
        """Return the settings without what is secret in them."""
        return {key: "(set)" if key == SECRET else value for key, value in self.settings.items()}


class Providers:
    """The identity providers of all apps."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def set(self, actor: str, app: App, name: str, settings: dict[str, Any]) -> Provider:
        """Add a provider, or set it anew: if to something else, who has logged in by it is out.

        Raises PROVIDER_INVALID, PROVIDER_ADDRESS, PERMISSION_INVALID.
        """
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise _invalid("name: 1 to 64 letters, digits, _ and -")
        _check(settings, playground=app.is_playground)
        provider = Provider(app.id, name, settings["type"], settings)
        with self._database.change():
            (count,) = self._database.rows(
                "SELECT COUNT(*) FROM providers WHERE app = ? AND name <> ?", app.id, name
            )[0]
            if count >= limits.PROVIDERS:
                raise _invalid(f"{limits.PROVIDERS} providers are there")
            if settings not in [known.settings for known in self.all(app) if known.name == name]:
                self._end_logins(name)
            self._database.run(
                "INSERT INTO providers VALUES (?, ?, ?, ?, ?) ON CONFLICT (app, name)"
                " DO UPDATE SET kind = excluded.kind, settings = excluded.settings",
                *(app.id, name, provider.kind, json.dumps(settings), now()),
            )
            self._audit.add(actor, "provider.set", name, app=app.id, **provider.shown())
        return provider

    def get(self, app: App, name: str) -> Provider:
        """Return a provider. Raises PROVIDER_UNKNOWN."""
        row = self._database.row(
            "SELECT app, name, kind, settings FROM providers WHERE app = ? AND name = ?", app.id, name
        )
        if row is None:
            raise HedgerowError("PROVIDER_UNKNOWN", name[:100])
        return _provider(row)

    def all(self, app: App) -> Sequence[Provider]:
        """Return every provider of an app, by name."""
        rows = self._database.rows(
            "SELECT app, name, kind, settings FROM providers WHERE app = ? ORDER BY name", app.id
        )
        return [_provider(row) for row in rows]

    def remove(self, actor: str, app: App, name: str) -> None:
        """Remove a provider: nobody logs in or renews by it any more, and who has logged in by it is out.

        Raises PROVIDER_UNKNOWN.
        """
        with self._database.change():
            if not self._database.run("DELETE FROM providers WHERE app = ? AND name = ?", app.id, name):
                raise HedgerowError("PROVIDER_UNKNOWN", name[:100])
            self._end_logins(name)
            self._audit.add(actor, "provider.remove", name, app=app.id)

    def _end_logins(self, name: str) -> None:
        people = f"{name}:"
        self._database.run("DELETE FROM sessions WHERE substr(user, 1, ?) = ?", len(people), people)


def _provider(row: tuple[Any, ...]) -> Provider:
    app, name, kind, settings = row
    return Provider(app, name, kind, json.loads(settings))


def _check(settings: dict[str, Any], *, playground: bool) -> None:
    kind = settings.get("type")
    if kind not in list(_SETTINGS):
        raise _invalid(f"type: one of {', '.join(_SETTINGS)}")
    unknown = sorted(set(settings) - _SETTINGS[kind])
    if unknown:
        raise _invalid(f"{unknown[0]} is no setting of {kind}"[:100])
    if kind == "anonymous" and not playground:
        raise _invalid("anonymous is for playgrounds only")
    for name, most in (
        ("sessionLength", limits.CREDENTIAL_SECONDS),
        ("renewLength", 10 * limits.API_KEY_SECONDS),
    ):
        value = settings.get(name, limits.CREDENTIAL_LEAST_SECONDS)
        least = limits.CREDENTIAL_LEAST_SECONDS if name == "sessionLength" else 0
        if type(value) is not int or not least <= value <= most:
            raise _invalid(f"{name}: {least} to {most} seconds")
    kinds = settings.get("kinds", [])
    if not isinstance(kinds, list) or not all(name in list(KINDS) for name in kinds):
        raise _invalid(f"kinds: some of {', '.join(KINDS)}")
    if not isinstance(settings.get("allowPrivate", False), bool):
        raise _invalid("allowPrivate: true or false")
    if "permission" in settings:
        scope.from_permissions(settings["permission"])
    private = settings.get("allowPrivate", False)
    if kind == "webhookUrl":
        check_url(_text(settings, "webhookUrl"), private=private)
    if kind == "oidc":
        _check_oidc(settings, private=private)


def _check_oidc(settings: dict[str, Any], *, private: bool) -> None:
    check_url(_text(settings, "issuer"), private=private)
    if "jwksUrl" in settings:
        check_url(_text(settings, "jwksUrl"), private=private)
    _text(settings, "audience")
    names = ("userClaim", "permissionsClaim", "kindsClaim", "clientId", SECRET, "roleClaim")
    for name in names:
        if name in settings:
            _text(settings, name)
    algorithms = settings.get("algorithms", ["RS256"])
    if (
        not isinstance(algorithms, list)
        or not algorithms
        or not all(name in ALGORITHMS for name in algorithms)
    ):
        raise _invalid(f"algorithms: some of {', '.join(ALGORITHMS)}")
    if settings.get("role", "viewer") not in ROLES:
        raise _invalid(f"role: one of {', '.join(ROLES)}")


def _text(settings: dict[str, Any], name: str) -> str:
    value = settings.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 2000:
        raise _invalid(f"{name}: a text")
    return value


def _invalid(detail: str) -> HedgerowError:
    return HedgerowError("PROVIDER_INVALID", detail)
