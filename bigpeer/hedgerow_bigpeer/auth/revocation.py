"""Revocations: which credential counts no more, and up to which number what its author wrote stays accepted.

A revocation is a signed object that the mesh carries. It may only be raised: the number never falls, because
peers that act on the higher one have let others forget what they hold.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.crypto.members import REVOCATION
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NUMBER

from . import cose
from .apps import App
from .audit import Audit
from .confidential import Confidential
from .credential import AUTHOR_BYTES, CTI_BYTES
from .database import Database, now
from .groups import Groups
from .issuers import Issuers

KIND = REVOCATION
#: What the ledger has as the provider of delegations, and of what was issued under one.
DELEGATION = "delegation"
NO_AUTHOR = bytes(AUTHOR_BYTES)
_CLAIMS = {claims.ISS, claims.IAT, claims.CTI, claims.AUTHOR, claims.LAST_NUMBER}


class Revocation(NamedTuple):
    """Credential `number`, its `author` (zeros for none), the `last` accepted number, when and by whom.

    `body` is the object as the app's issuer signed it.
    """

    number: bytes
    author: bytes
    last: int
    at: int
    by: str
    body: bytes


def payload(app_id: str, at: int, number: bytes, author: bytes, last: int) -> bytes:
    """Return what a revocation's signature covers."""
    values = {
        claims.ISS: app_id,
        claims.IAT: at,
        claims.CTI: number,
        claims.AUTHOR: author,
        claims.LAST_NUMBER: last,
    }
    return cbor.encode(values)


def read_payload(app_id: str, data: bytes) -> tuple[bytes, bytes, int]:
    """Return credential, author and number of a revocation for this app. Raises CREDENTIAL_INVALID."""
    try:
        values: Any = cbor.decode(data)
    except HedgerowError as error:
        raise HedgerowError("CREDENTIAL_INVALID", error.code) from None
    if not isinstance(values, dict) or set(values) != _CLAIMS or values[claims.ISS] != app_id:
        raise HedgerowError("CREDENTIAL_INVALID", "no revocation for this app")
    number, author, last = values[claims.CTI], values[claims.AUTHOR], values[claims.LAST_NUMBER]
    for part, size in ((number, CTI_BYTES), (author, AUTHOR_BYTES)):
        if not isinstance(part, bytes) or len(part) != size:
            raise HedgerowError("CREDENTIAL_INVALID", "sizes")
    if type(last) is not int or type(values[claims.IAT]) is not int:
        raise HedgerowError("CREDENTIAL_INVALID", "numbers")
    return number, author, last


class Revocations:
    """The revocations of all apps."""

    def __init__(
        self,
        database: Database,
        audit: Audit,
        issuers: Issuers,
        groups: Groups,
        confidential: Confidential,
    ) -> None:
        self._groups = groups
        self._confidential = confidential
        self._database = database
        self._audit = audit
        self._issuers = issuers

    def revoke(self, actor: str, app: App, number: bytes, last: int) -> Revocation:
        """Revoke a credential, or raise the last accepted number of one that is revoked; a delegate's
        delegations go with it, and in production the group key and the keys of confidential collections that
        its holder has. Of a token for HTTP, which has no keys, nobody but the Big Peer is told.

        Raises CREDENTIAL_UNKNOWN, REVOCATION_LOWER, PERMISSION_INVALID for a senseless number.
        """
        if not 0 <= last <= MAX_NUMBER:
            raise HedgerowError("PERMISSION_INVALID", f"last: 0 to {MAX_NUMBER}")
        with self._database.change():
            row = self._database.row(
                "SELECT author, user, sealing FROM credentials WHERE number = ? AND app = ?", number, app.id
            )
            if row is None:
                raise HedgerowError("CREDENTIAL_UNKNOWN", number.hex())
            author = row[0] or NO_AUTHOR
            before = self._find(number, author)
            if before is not None and last < before.last:
                raise HedgerowError("REVOCATION_LOWER", f"{last}; {before.last} stands")
            if before is not None and last == before.last:
                return before
            at = now()
            said = payload(app.id, at, number, author, last)
            body = cose.sign(self._issuers.private(app), said, KIND)
            self._database.run(
                "INSERT INTO revocations VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number, author)"
                " DO UPDATE SET last = excluded.last, at = excluded.at,"
                " by = excluded.by, body = excluded.body",
                *(number, author, app.id, last, at, actor, body),
            )
            has_keys = bool(row[2])
            if has_keys:
                # A token for HTTP is nothing to the mesh, where few revocations are kept.
                self._database.state(app.id, body)
            self._audit.add(actor, "credential.revoke", number.hex(), app=app.id, user=row[1], last=last)
            for (delegation,) in self._delegations(app, row[2]):
                if delegation != number and not self.is_revoked(delegation):
                    self.revoke(actor, app, delegation, 0)
            if before is None and has_keys and not app.is_playground:
                self._groups.rotate(actor, app)
                self._confidential.shut_out(actor, app, self._bodies(app, row[2]))
        return Revocation(number, author, last, at, actor, body)

    def is_revoked(self, number: bytes) -> bool:
        """Say whether a credential counts no more."""
        return self._database.row("SELECT 1 FROM revocations WHERE number = ?", number) is not None

    def last_numbers(self, app: App) -> Sequence[tuple[bytes, bytes, int]]:
        """Return (credential, author, last accepted number) of everything revoked in an app."""
        return self._database.rows("SELECT number, author, last FROM revocations WHERE app = ?", app.id)

    def sealing_keys(self, app: App) -> set[bytes]:
        """Return the sealing keys of what is revoked in an app: their holders are out with all they have."""
        query = (
            "SELECT DISTINCT sealing FROM credentials AS c JOIN revocations USING (number) WHERE c.app = ?"
        )
        return {row[0] for row in self._database.rows(query, app.id)} - {b""}

    def all(self, app: App, limit: int, since: int = 0) -> Sequence[Revocation]:
        """Return the revocations of an app that were made or raised since a moment, the newest first."""
        rows = self._database.rows(
            "SELECT number, author, last, at, by, body FROM revocations WHERE app = ? AND at >= ?"
            " ORDER BY at DESC, number LIMIT ?",
            app.id,
            since,
            limit,
        )
        return [Revocation(*row) for row in rows]

    def _delegations(self, app: App, sealing: bytes) -> Sequence[tuple[bytes]]:
        """Return the numbers of the delegations of a key."""
        query = (
            "SELECT number FROM credentials"
            " WHERE app = ? AND sealing = ? AND provider = ? AND under IS NULL ORDER BY number"
        )
        return self._database.rows(query, app.id, sealing, DELEGATION)

    def _bodies(self, app: App, sealing: bytes) -> list[bytes]:
        """Return all that a key was issued: it may have been granted more before."""
        query = "SELECT body FROM credentials WHERE app = ? AND sealing = ?"
        return [body for (body,) in self._database.rows(query, app.id, sealing)]

    def _find(self, number: bytes, author: bytes) -> Revocation | None:
        row = self._database.row(
            "SELECT number, author, last, at, by, body FROM revocations WHERE number = ? AND author = ?",
            number,
            author,
        )
        return None if row is None else Revocation(*row)
