"""Group keys: what the advertisements of an app's mesh are tagged under (SPEC 11.16).

Each app in production has one, once somebody was revoked or an operator wanted it so. Of a later epoch only
members learn: the statement goes into authenticated sessions, and nowhere else.
"""

import os

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.crypto.cose import Sign1
from hedgerow.crypto.words import GROUP, KEY, Word
from hedgerow.errors import HedgerowError

from . import cose
from .apps import App
from .audit import Audit
from .database import Database, now
from .issuers import Issuers

# 2020-01-01, in seconds since 1970: an epoch is at least the minutes since then.
_YEAR_2020 = 1_577_836_800
_MINUTE = 60


class Groups:
    """The group keys of all apps, among the secrets."""

    def __init__(self, database: Database, audit: Audit, issuers: Issuers) -> None:
        self._database = database
        self._audit = audit
        self._issuers = issuers

    def rotate(self, actor: str, app: App) -> int:
        """Begin another epoch; return its number, which only rises, also where the database is an old backup
        and members know later ones. Raises APP_INVALID for a playground.
        """
        if app.is_playground:
            raise HedgerowError("APP_INVALID", "a playground has no group key")
        with self._database.change():
            before = self._load(app)
            epoch = max(1 if before is None else before.epoch + 1, (now() - _YEAR_2020) // _MINUTE)
            self._save(app, epoch, os.urandom(KEY))
            self._audit.add(actor, "group.rotate", app.id, epoch=epoch)
        return epoch

    def statement(self, app: App) -> bytes:
        """Return the newest key as the issuer that signs now says it, b"" before there is one."""
        found = self._load(app)
        if found is None:
            return b""
        if Sign1(found.statement).kid == self._issuers.ensure(app).kid:
            return found.statement
        with self._database.change():
            # Whoever is enrolled from now on may know none of the issuers before.
            found = self._load(app)
            assert found is not None
            if Sign1(found.statement).kid == self._issuers.ensure(app).kid:
                # Another node was faster.
                return found.statement
            return self._save(app, found.epoch, found.key)

    def _load(self, app: App) -> Word | None:
        name = _name(app)
        row = self._database.row("SELECT value FROM secrets WHERE name = ?", name)
        return None if row is None else Word(self._database.vault.unseal(name, row[0]), app.id)

    def _save(self, app: App, epoch: int, key: bytes) -> bytes:
        said = {claims.ISS: app.id, claims.IAT: now(), claims.EPOCH: epoch, claims.GROUP_KEY: key}
        body = cose.sign(self._issuers.private(app), cbor.encode(said), GROUP)
        name = _name(app)
        self._database.run("DELETE FROM secrets WHERE name = ?", name)
        self._database.run("INSERT INTO secrets VALUES (?, ?)", name, self._database.vault.seal(name, body))
        return body


def _name(app: App) -> str:
    return f"group/{app.id}"
