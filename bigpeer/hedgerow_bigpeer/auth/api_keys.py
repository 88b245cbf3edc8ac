"""API keys: of one app, with verbs, collections and an end; shown once, stored as a hash, revoked at once."""

import hmac
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError

from .. import limits
from .apps import App
from .audit import Audit
from .database import Database, now
from .scope import EVERYTHING, Entry, Scope, read_scope, write_scope

#: What a key may do besides what its scope says of documents.
VERBS = ("read", "write", "sync", "status", "revoke", "admin")
PREFIX = "hgk_"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_ID = re.compile(r"[0-9a-f]{12}")
_COLUMNS = "id, app, name, verbs, scope, created, expires, revoked"


class ApiKey(NamedTuple):
    """One key without its secret; times are seconds of UTC since 1970."""

    id: str
    app: str
    name: str
    verbs: tuple[str, ...]
    scope: Scope
    created: int
    expires: int
    revoked: int | None


class ApiKeys:
    """The API keys of all apps."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def create(
        self, actor: str, app: App, name: str, verbs: Iterable[str], seconds: int, scope: Scope | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key; return it with the text that is shown this once.

        Without a scope, `read` and `write` reach every collection. Of more than `limits.API_KEYS` those that
        ended first are forgotten. Raises API_KEY_INVALID.
        """
        asked = tuple(verb for verb in VERBS if verb in set(verbs))
        if not asked or set(verbs) - set(VERBS):
            raise HedgerowError("API_KEY_INVALID", f"verbs: some of {', '.join(VERBS)}")
        if not _NAME.fullmatch(name) or len(name) > limits.API_KEY_NAME:
            raise HedgerowError("API_KEY_INVALID", "name: 1 to 63 of a-z, 0-9 and inner hyphens")
        if not 0 < seconds <= limits.API_KEY_SECONDS:
            raise HedgerowError(
                "API_KEY_INVALID", f"expires: within {limits.API_KEY_SECONDS // limits.DAY_S} days"
            )
        bits = ("read" in asked) * claims.READ | ("write" in asked) * claims.WRITE
        if scope is None:
            scope = (Entry(EVERYTHING, bits),) if bits else ()
        if any(entry.bits & ~bits for entry in scope):
            raise HedgerowError("API_KEY_INVALID", "permissions go beyond the verbs read and write")
        secret = secrets.token_urlsafe(32)
        at = now()
        key = ApiKey(secrets.token_hex(6), app.id, name, asked, scope, at, at + seconds, None)
        values = (key.id, app.id, name, sha256(secret.encode()).digest(), json.dumps(asked))
        written = json.dumps(write_scope(scope))
        with self._database.change():
            self._make_room(app, at)
            self._database.run(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", *values, written, at, key.expires
            )
            self._audit.add(actor, "key.create", key.id, app=app.id, name=name, verbs=asked)
        return key, f"{PREFIX}{key.id}_{secret}"

    def _make_room(self, app: App, at: int) -> None:
        """Forget the keys that ended first where there are as many as may be. Raises API_KEY_INVALID if too
        many stand.
        """
        (count,) = self._database.rows("SELECT COUNT(*) FROM keys WHERE app = ?", app.id)[0]
        over = count - limits.API_KEYS + 1
        if over <= 0:
            return
        forgotten = self._database.run(
            "DELETE FROM keys WHERE id IN (SELECT id FROM keys WHERE app = ?"
            " AND (revoked IS NOT NULL OR expires <= ?) ORDER BY coalesce(revoked, expires), id LIMIT ?)",
            *(app.id, at, over),
        )
        if forgotten < over:
            raise HedgerowError("API_KEY_INVALID", f"{limits.API_KEYS} keys are there")

    def check(self, text: str) -> ApiKey:
        """Return the key whose text this is. Raises AUTH_INVALID if it is unknown, expired or revoked."""
        key_id, _, secret = text.removeprefix(PREFIX).partition("_")
        if not text.startswith(PREFIX) or not _ID.fullmatch(key_id) or len(secret) > 64:
            raise HedgerowError("AUTH_INVALID", "no API key")
        row = self._database.row(f"SELECT {_COLUMNS}, hash FROM keys WHERE id = ?", key_id)  # noqa: S608
        found = row[-1] if row is not None else bytes(32)
        if not hmac.compare_digest(sha256(secret.encode("utf-8", "replace")).digest(), found) or row is None:
            raise HedgerowError("AUTH_INVALID", "no such API key")
        key = _key(row[:-1])
        if key.revoked is not None:
            raise HedgerowError("AUTH_INVALID", f"the API key {key.id} was revoked")
        if key.expires <= now():
            raise HedgerowError("AUTH_INVALID", f"the API key {key.id} has expired")
        return key

    def all(self, app: App) -> Sequence[ApiKey]:
        """Return every key of an app, the newest first."""
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM keys WHERE app = ? ORDER BY created DESC, id LIMIT ?",  # noqa: S608
            app.id,
            limits.API_KEYS,
        )
        return [_key(row) for row in rows]

    def revoke(self, actor: str, app: App, key_id: str) -> ApiKey:
        """End a key at once and for ever. Raises API_KEY_UNKNOWN."""
        with self._database.change():
            changed = self._database.run(
                "UPDATE keys SET revoked = coalesce(revoked, ?) WHERE id = ? AND app = ?",
                now(),
                key_id,
                app.id,
            )
            if not changed:
                raise HedgerowError("API_KEY_UNKNOWN", key_id[:40])
            self._audit.add(actor, "key.revoke", key_id, app=app.id)
            row = self._database.row(f"SELECT {_COLUMNS} FROM keys WHERE id = ?", key_id)  # noqa: S608
        assert row is not None
        return _key(row)


def _key(row: tuple[object, ...]) -> ApiKey:
    key_id, app, name, verbs, scope, *times = row
    found = read_scope(json.loads(str(scope)))
    return ApiKey(str(key_id), str(app), str(name), tuple(json.loads(str(verbs))), found, *times)  # type: ignore[arg-type]
