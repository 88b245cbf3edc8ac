"""Issuer keys: with what an app signs credentials. A new one signs at once; the old one counts for a while.

The private halves are PEM, in the vault. Whoever trusts one key of an app
learns of the next by a statement that the old one signs (SPEC 12.2).
"""

from collections.abc import Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.crypto.members import ISSUER
from hedgerow.errors import HedgerowError

from .. import limits
from . import cose
from .apps import App
from .audit import Audit
from .database import Database, now

STATEMENT = ISSUER


class Issuer(NamedTuple):
    """One public key of an app: `point` (33 bytes), the `statement` of the key before it, and its times.

    `retires` is when what it signed counts no more, None for the key that signs.
    """

    kid: bytes
    point: bytes
    statement: bytes | None
    created: int
    retires: int | None


class Issuers:
    """The issuer keys of all apps."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._private: dict[bytes, ec.EllipticCurvePrivateKey] = {}

    def ensure(self, app: App) -> Issuer:
        """Return the key that signs for an app; the first is made when it is first needed."""
        with self._database.change():
            newest = self._newest(app)
            return newest if newest is not None else self._make(app, None)

    def rotate(self, actor: str, app: App, overlap: int = limits.ISSUER_OVERLAP_SECONDS) -> Issuer:
        """Make the key that signs from now on; what the old one signed counts `overlap` seconds more."""
        with self._database.change():
            before = self.ensure(app)
            issuer = self._make(app, before)
            self._database.run(
                "UPDATE issuers SET retires = ? WHERE app = ? AND kid = ?",
                now() + overlap,
                app.id,
                before.kid,
            )
            assert issuer.statement is not None
            # Before anything that the new key signs: whoever follows the statements knows it by then.
            self._database.state(app.id, issuer.statement)
            self._audit.add(actor, "issuer.rotate", app.id, kid=issuer.kid.hex(), overlap=overlap)
        return issuer

    def trusted(self, app: App, at: int | None = None) -> Sequence[Issuer]:
        """Return the keys whose signatures count at a moment, the newest first."""
        rows = self._database.rows(
            "SELECT kid, point, statement, created, retires FROM issuers"
            " WHERE app = ? AND (retires IS NULL OR retires > ?) ORDER BY created DESC, retires IS NULL DESC",
            app.id,
            now() if at is None else at,
        )
        return [Issuer(*row) for row in rows]

    def private(self, app: App) -> ec.EllipticCurvePrivateKey:
        """Return the private key that signs for an app. Raises ISSUER_MISSING."""
        issuer = self.ensure(app)
        if issuer.kid not in self._private:
            self._private[issuer.kid] = self._load(issuer)
        return self._private[issuer.kid]

    def is_signed(self, app: App, signed: cose.Signed) -> bool:
        """Say whether a key of the app that counts made a signature."""
        return any(signed.is_by(issuer.point) for issuer in self.trusted(app))

    def _newest(self, app: App) -> Issuer | None:
        row = self._database.row(
            "SELECT kid, point, statement, created, retires FROM issuers WHERE app = ? AND retires IS NULL",
            app.id,
        )
        return None if row is None else Issuer(*row)

    def _make(self, app: App, before: Issuer | None) -> Issuer:
        key = ec.generate_private_key(ec.SECP256R1())
        point = cose.compress(key.public_key())
        kid, at = cose.kid_of(point), now()
        statement = None
        if before is not None:
            said = {claims.ISS: app.id, claims.IAT: at, claims.CNF: {1: cose.cose_key(point)}}
            statement = cose.sign(self._load(before), cbor.encode(said), STATEMENT)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._database.vault.save(_name(kid), text)
        self._database.run(
            "INSERT INTO issuers VALUES (?, ?, ?, ?, ?, NULL)", app.id, kid, point, statement, at
        )
        return Issuer(kid, point, statement, at, None)

    def _load(self, issuer: Issuer) -> ec.EllipticCurvePrivateKey:
        name = _name(issuer.kid)
        text = self._database.vault.load(name)
        if text is None:
            raise HedgerowError("ISSUER_MISSING", f"{name} is not there")
        try:
            key = load_pem_private_key(text, None)
        except ValueError as error:
            raise HedgerowError("ISSUER_MISSING", f"{name}: {type(error).__name__}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or cose.compress(key.public_key()) != issuer.point:
            raise HedgerowError("ISSUER_MISSING", f"{name} holds another key")
        return key


def _name(kid: bytes) -> str:
    return f"issuers/{kid.hex()}.pem"
