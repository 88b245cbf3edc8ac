"""Credentials: what a peer is, may and lives until, as a CWT (RFC 8392) in COSE_Sign1 (SPEC 11.5)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.errors import HedgerowError

from .. import limits
from . import cose
from .scope import Scope, read_scope, write_scope

CTI_BYTES = 8
AUTHOR_BYTES = 8
MESH_BYTES = 8
SALT_BYTES = 16
_REQUIRED = {
    claims.ISS,
    claims.SUB,
    claims.EXP,
    claims.IAT,
    claims.CTI,
    claims.CNF,
    claims.SCOPE,
    claims.MODE,
}
_KNOWN = _REQUIRED | {
    claims.SEALING_KEY,
    claims.AUTHOR,
    claims.METADATA,
    claims.KINDS,
    claims.DELEGATION,
    claims.UNDER,
    claims.SALT,
}
_ALL_KINDS = claims.KEEPS | claims.GIVES_TIME | claims.DELEGATES | claims.REVOKES


class Limits(NamedTuple):
    """What may be issued under a delegation: collections, how many peers, and until when (seconds)."""

    collections: tuple[str, ...]
    peers: int
    expires: int


class Credential(NamedTuple):
    """The claims. Times are seconds of UTC since 1970; `agreement` and `sealing` compressed points of P-256.

    `mesh` is the mesh's id (8 bytes), `author` that of the peer's log (8 bytes) if it has one, `kinds` the
    bits of claims.KEEPS to claims.REVOKES, `under` the number of the delegation it was issued under,
    `salt` what the author was made with, which whoever is no issuer has to show.
    """

    app: str
    user: str
    expires: int
    issued: int
    number: bytes
    agreement: bytes
    sealing: bytes
    scope: Scope
    mode: int
    mesh: bytes
    author: bytes | None = None
    metadata: dict[str, Any] | None = None
    kinds: int = 0
    delegation: Limits | None = None
    under: bytes | None = None
    salt: bytes | None = None

    def payload(self) -> bytes:
        """Return the claims as deterministic CBOR. Raises CREDENTIAL_TOO_LARGE, CREDENTIAL_INVALID."""
        values: dict[int, Any] = {
            claims.ISS: self.app,
            claims.SUB: self.user,
            claims.EXP: self.expires,
            claims.IAT: self.issued,
            claims.CTI: self.number,
            claims.CNF: {1: cose.cose_key(self.agreement)},
            claims.SCOPE: write_scope(self.scope),
            claims.SEALING_KEY: self.sealing,
            claims.MODE: [self.mode, self.mesh],
        }
        if self.author is not None:
            values[claims.AUTHOR] = self.author
        if self.metadata:
            values[claims.METADATA] = self.metadata
        if self.kinds:
            values[claims.KINDS] = self.kinds
        if self.delegation is not None:
            limit = self.delegation
            values[claims.DELEGATION] = [list(limit.collections), limit.peers, limit.expires]
        if self.under is not None:
            values[claims.UNDER] = self.under
        if self.salt is not None:
            values[claims.SALT] = self.salt
        _read(values)
        payload = cbor.encode(values)
        if len(payload) > limits.CREDENTIAL_BYTES:
            raise HedgerowError("CREDENTIAL_TOO_LARGE", f"{len(payload)} bytes")
        return payload

    def sign(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        """Return the credential as its issuer signs it."""
        return cose.sign(key, self.payload())


def read_credential(message: bytes) -> tuple[Credential, cose.Signed]:
    """Take a credential apart; nothing is verified but its form. Raises CREDENTIAL_INVALID."""
    if len(message) > limits.CREDENTIAL_BYTES + 128:
        raise HedgerowError("CREDENTIAL_INVALID", f"{len(message)} bytes")
    signed = cose.read(message)
    try:
        values = cbor.decode(signed.payload)
        return _read(values), signed
    except HedgerowError as error:
        if error.code == "CREDENTIAL_INVALID":
            raise
        raise HedgerowError("CREDENTIAL_INVALID", str(error)) from None


def _read(values: Any) -> Credential:
    if not isinstance(values, dict) or not _REQUIRED <= set(values) <= _KNOWN:
        raise HedgerowError("CREDENTIAL_INVALID", "claims")
    mode = values[claims.MODE]
    if not isinstance(mode, list) or len(mode) != 2 or _number(mode[0], "mode") > claims.PLAYGROUND:
        raise HedgerowError("CREDENTIAL_INVALID", "mode")
    confirmed = values[claims.CNF]
    if not isinstance(confirmed, dict) or set(confirmed) != {1}:
        raise HedgerowError("CREDENTIAL_INVALID", "cnf")
    sealing = values.get(claims.SEALING_KEY)
    cose.load_point(sealing)
    author = values.get(claims.AUTHOR)
    under = values.get(claims.UNDER)
    salt = values.get(claims.SALT)
    metadata = values.get(claims.METADATA)
    if metadata is not None and (
        not isinstance(metadata, dict) or not all(isinstance(k, str) for k in metadata)
    ):
        raise HedgerowError("CREDENTIAL_INVALID", "metadata")
    if metadata and len(cbor.encode(metadata)) > limits.METADATA_BYTES:
        raise HedgerowError("CREDENTIAL_TOO_LARGE", f"metadata over {limits.METADATA_BYTES} bytes")
    issued, expires = _number(values[claims.IAT], "iat"), _number(values[claims.EXP], "exp")
    if expires <= issued:
        raise HedgerowError("CREDENTIAL_INVALID", "exp is not after iat")
    return Credential(
        app=_text(values[claims.ISS], "iss"),
        user=_text(values[claims.SUB], "sub"),
        expires=expires,
        issued=issued,
        number=_bytes(values[claims.CTI], CTI_BYTES, "cti"),
        agreement=cose.point_of(confirmed[1]),
        sealing=sealing if isinstance(sealing, bytes) else b"",
        scope=read_scope(values[claims.SCOPE]),
        mode=mode[0],
        mesh=_bytes(mode[1], MESH_BYTES, "mesh"),
        author=None if author is None else _bytes(author, AUTHOR_BYTES, "author"),
        metadata=metadata,
        kinds=_kinds(values.get(claims.KINDS, 0)),
        delegation=_limits(values.get(claims.DELEGATION)),
        under=None if under is None else _bytes(under, CTI_BYTES, "under"),
        salt=None if salt is None else _bytes(salt, SALT_BYTES, "salt"),
    )


def _limits(value: object) -> Limits | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], list):
        raise HedgerowError("CREDENTIAL_INVALID", "delegation")
    collections: Sequence[object] = value[0]
    if not 0 < len(collections) <= limits.SCOPE_ENTRIES:
        raise HedgerowError("CREDENTIAL_INVALID", "delegation's collections")
    count = _number(value[1], "delegation's count")
    if not 0 < count <= limits.DELEGATION_PEERS:
        raise HedgerowError("CREDENTIAL_INVALID", "delegation's count")
    names = tuple(_text(name, "delegation's collections") for name in collections)
    return Limits(names, count, _number(value[2], "delegation's exp"))


def _kinds(value: object) -> int:
    kinds = _number(value, "kinds")
    if kinds & ~_ALL_KINDS:
        raise HedgerowError("CREDENTIAL_INVALID", "kinds")
    return kinds


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not 0 < len(value.encode("utf-8", "replace")) <= limits.USER_ID_BYTES:
        raise HedgerowError("CREDENTIAL_INVALID", name)
    return value


def _number(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise HedgerowError("CREDENTIAL_INVALID", name)
    return value


def _bytes(value: object, size: int, name: str) -> bytes:
    if not isinstance(value, bytes) or len(value) != size:
        raise HedgerowError("CREDENTIAL_INVALID", name)
    return value
