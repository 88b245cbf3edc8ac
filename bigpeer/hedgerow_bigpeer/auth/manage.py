"""What operators do to a registry, in plain values: the same for the command line, the API and the pages."""

from typing import Any

from hedgerow.errors import HedgerowError

from .. import limits
from .api_keys import ApiKey
from .apps import MODES, App
from .issuers import Issuer
from .ledger import Issued
from .registry import Registry
from .revocation import Revocation
from .scope import Scope, from_permissions, to_permissions

Row = dict[str, Any]


def list_apps(registry: Registry) -> list[Row]:
    """Return every app."""
    return [show_app(registry, app) for app in registry.apps.all()]


def create_app(registry: Registry, actor: str, name: str, mode: str, mesh: str) -> Row:
    """Make an app."""
    return show_app(registry, registry.create_app(actor, name, mode, mesh))


def renew_token(registry: Registry, actor: str, app: str) -> Row:
    """Give a playground another token."""
    return show_app(registry, registry.apps.renew_token(actor, registry.apps.get(app)))


def rotate(registry: Registry, actor: str, app: str, overlap: int = limits.ISSUER_OVERLAP_SECONDS) -> Row:
    """Make another key sign for an app."""
    found = registry.apps.get(app)
    registry.issuers.rotate(actor, found, overlap)
    return show_app(registry, found)


def show_app(registry: Registry, app: App) -> Row:
    """Return an app with the keys that sign for it."""
    return {
        "id": app.id,
        "name": app.name,
        "mode": next(name for name, value in MODES.items() if value == app.mode),
        "mesh": app.mesh,
        "token": app.token,
        "created": app.created,
        "issuers": [_show_issuer(issuer) for issuer in registry.issuers.trusted(app)],
    }


def list_keys(registry: Registry, app: str) -> list[Row]:
    """Return the API keys of an app, without their secrets."""
    return [show_key(key) for key in registry.keys.all(registry.apps.get(app))]


def create_key(registry: Registry, actor: str, app: str, wanted: Row) -> Row:
    """Make an API key of `name`, `verbs`, `days`, and `collections` or `permission`; `key` is its text.

    Raises APP_UNKNOWN, API_KEY_INVALID, PERMISSION_INVALID.
    """
    name, verbs, days = wanted.get("name"), wanted.get("verbs"), wanted.get("days", 30)
    if not isinstance(name, str) or not isinstance(verbs, list) or type(days) is not int:
        raise HedgerowError("API_KEY_INVALID", "a text `name`, a list `verbs` and a whole number `days`")
    unknown = sorted(set(wanted) - {"name", "verbs", "days", "collections", "permission"})
    if unknown:
        raise HedgerowError("API_KEY_INVALID", f"{unknown[0]}"[:100])
    if not all(isinstance(verb, str) for verb in verbs):
        raise HedgerowError("API_KEY_INVALID", "verbs")
    scope = _scope(wanted, verbs)
    key, text = registry.keys.create(actor, registry.apps.get(app), name, verbs, days * limits.DAY_S, scope)
    return {**show_key(key), "key": text}


def revoke_key(registry: Registry, actor: str, app: str, key: str) -> Row:
    """End an API key."""
    return show_key(registry.keys.revoke(actor, registry.apps.get(app), key))


def show_key(key: ApiKey) -> Row:
    """Return an API key without its secret."""
    return {
        "id": key.id,
        "name": key.name,
        "verbs": list(key.verbs),
        "permission": to_permissions(key.scope),
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
    }


def list_providers(registry: Registry, app: str) -> list[Row]:
    """Return the identity providers of an app, without their secrets."""
    found = registry.providers.all(registry.apps.get(app))
    return [{"name": provider.name, **provider.shown()} for provider in found]


def set_provider(registry: Registry, actor: str, app: str, name: str, settings: Row) -> Row:
    """Add an identity provider, or set it anew."""
    provider = registry.providers.set(actor, registry.apps.get(app), name, settings)
    return {"name": provider.name, **provider.shown()}


def remove_provider(registry: Registry, actor: str, app: str, name: str) -> Row:
    """Remove an identity provider."""
    registry.providers.remove(actor, registry.apps.get(app), name)
    return {"name": name}


def list_users(registry: Registry) -> list[Row]:
    """Return the local accounts."""
    return [user._asdict() for user in registry.accounts.all()]


def create_user(registry: Registry, actor: str, name: str, role: str, password: str) -> Row:
    """Make a local account."""
    return registry.accounts.create(actor, name, role, password)._asdict()


def set_password(registry: Registry, actor: str, name: str, password: str) -> Row:
    """Give a local account another password."""
    registry.accounts.set_password(actor, name, password)
    return {"name": name}


def remove_user(registry: Registry, actor: str, name: str) -> Row:
    """Remove a local account."""
    registry.accounts.remove(actor, name)
    return {"name": name}


def list_credentials(registry: Registry, app: str, user: str = "") -> list[Row]:
    """Return what was issued, the newest first, and whether it was revoked."""
    found = registry.apps.get(app)
    revoked = {row.number: row for row in registry.revocations.all(found, limits.LISTED_ROWS)}
    rows = registry.ledger.newest(found, limits.LISTED_ROWS, user)
    return [_show_issued(row, revoked.get(row.number)) for row in rows]


def issued(registry: Registry, app: str, number: bytes) -> Issued:
    """Return what was issued under a number."""
    return registry.ledger.get(registry.apps.get(app), number)


def revoke(registry: Registry, actor: str, app: str, number: bytes, last: int) -> Row:
    """Revoke a credential, or raise the last accepted number."""
    found = registry.apps.get(app)
    row = registry.revocations.revoke(actor, found, number, last)
    return _show_issued(registry.ledger.get(found, number), row)


def list_forks(registry: Registry, app: str) -> list[Row]:
    """Return the authors that have forked, and up to which number each counts."""
    found = registry.forks.all(registry.apps.get(app))
    return [
        {"author": author.hex(), "last": last, "said": said} for author, (last, said) in sorted(found.items())
    ]


def accept_fork(registry: Registry, actor: str, app: str, author: bytes, last: int) -> Row:
    """Let more of an author that has forked count, as it is held."""
    number = registry.forks.accept(actor, registry.apps.get(app), author, last)
    return {"author": author.hex(), "last": number}


def list_audit(registry: Registry, limit: int, before: int | None = None, action: str = "") -> Row:
    """Return rows of the audit log, the newest first."""
    return {"audit": [row._asdict() for row in registry.audit.newest(limit, before, action)]}


def check_audit(registry: Registry) -> Row:
    """Return the id of the first row of the audit log that does not follow on the one before, if any."""
    return {"broken_at": registry.audit.broken_at()}


def _scope(wanted: Row, verbs: list[str]) -> Scope | None:
    if "permission" in wanted:
        return from_permissions(wanted["permission"])
    collections = wanted.get("collections")
    if collections is None:
        return None
    if not isinstance(collections, list):
        raise HedgerowError("PERMISSION_INVALID", "`collections` is no list")
    if not all(isinstance(name, str) for name in collections):
        raise HedgerowError("PERMISSION_INVALID", "`collections` are names")
    queries = {"everything": False, "queriesByCollection": {name: ["true"] for name in collections}}
    return from_permissions({verb: queries for verb in verbs if verb in ("read", "write")})


def _show_issuer(issuer: Issuer) -> Row:
    return {
        "kid": issuer.kid.hex(),
        "point": issuer.point.hex(),
        "created": issuer.created,
        "retires": issuer.retires,
    }


def _show_issued(row: Issued, revocation: Revocation | None) -> Row:
    return {
        "number": row.number.hex(),
        "user": row.user,
        "provider": row.provider,
        "author": None if row.author is None else row.author.hex(),
        "issued": row.issued,
        "expires": row.expires,
        "under": None if row.under is None else row.under.hex(),
        "kind": "credential" if row.body else "token",
        "revoked": None if revocation is None else revocation.at,
        "last": None if revocation is None else revocation.last,
    }
