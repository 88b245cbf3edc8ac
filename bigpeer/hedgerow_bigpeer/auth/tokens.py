"""Tokens for HTTP: a JWT (RFC 7519) that the app's issuer signs, for who has no keys of its own.

A credential cannot serve here: it is public, and only proves who shows the key along with it.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hedgerow.errors import HedgerowError

from . import cose
from .apps import App
from .database import now
from .issuers import Issuers
from .scope import Scope, read_scope, write_scope

AUDIENCE = "hedgerow"
_ALGORITHM = "ES256"


def make(issuers: Issuers, app: App, user: str, number: bytes, expires: int, scope: Scope) -> str:
    """Return a token of `user` with these rights until `expires` (seconds)."""
    key = issuers.private(app)
    claims = {
        "iss": app.id,
        "aud": AUDIENCE,
        "sub": user,
        "iat": now(),
        "exp": expires,
        "jti": number.hex(),
        "scope": write_scope(scope),
    }
    kid = cose.kid_of(cose.compress(key.public_key())).hex()
    return jwt.encode({"alg": _ALGORITHM, "kid": kid}, claims, _private(key))


def read(issuers: Issuers, app: App, token: str) -> tuple[str, bytes, Scope]:
    """Return user, number and rights of a token that an issuer of the app signed. Raises AUTH_INVALID."""
    reason = "no issuer of this app"
    for issuer in issuers.trusted(app):
        try:
            found = jwt.decode(token, _public(issuer.point), algorithms=[_ALGORITHM])
            _check(found.claims)
        except (JoseError, ValueError) as error:
            reason = type(error).__name__
            continue
        claims: dict[str, Any] = found.claims
        if claims["iss"] != app.id:
            break
        return claims["sub"], bytes.fromhex(claims["jti"]), read_scope(claims["scope"])
    raise HedgerowError("AUTH_INVALID", f"token: {reason}")


def jwks(issuers: Issuers, app: App) -> dict[str, Any]:
    """Return the app's issuer keys as a JWKS (RFC 7517)."""
    keys = []
    for issuer in issuers.trusted(app):
        key = _public(issuer.point).as_dict(private=False)
        keys.append({**key, "kid": issuer.kid.hex(), "alg": _ALGORITHM, "use": "sig"})
    return {"keys": keys}


def _check(claims: dict[str, Any]) -> None:
    checks = jwt.JWTClaimsRegistry(
        now=now(),
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
        iss={"essential": True},
        sub={"essential": True},
        jti={"essential": True},
        scope={"essential": True, "allow_blank": True},
    )
    checks.validate(claims)


def _private(key: ec.EllipticCurvePrivateKey) -> ECKey:
    return ECKey.import_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _public(point: bytes) -> ECKey:
    key = cose.load_point(point)
    return ECKey.import_key(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
