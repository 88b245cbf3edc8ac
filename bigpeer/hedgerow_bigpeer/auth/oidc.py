"""Tokens of OpenID Connect: JWT against the provider's JWKS (RFC 7519, RFC 7517, Discovery 1.0)."""

import asyncio
import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from hedgerow.errors import HedgerowError

from .. import limits
from .outbound import Outbound
from .providers import Provider

_DISCOVERY = "/.well-known/openid-configuration"


class _Cached:
    """A JSON document at an address: fetched when it is old, anew on demand, but not too often."""

    def __init__(self) -> None:
        self.value: Any = None
        self.at = 0.0
        self.failed_at = -limits.JWKS_FAILED_SECONDS
        self.lock = asyncio.Lock()

    def is_good(self, *, again: bool) -> bool:
        age = time.monotonic() - self.at
        return self.value is not None and age < (limits.JWKS_AGAIN_SECONDS if again else limits.JWKS_SECONDS)


class Oidc:
    """Checks tokens; keys and discovery documents are cached, one for each address that is set."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._cache: dict[tuple[str, bool], _Cached] = {}

    async def check(self, provider: Provider, token: str, nonce: str | None = None) -> dict[str, Any]:
        """Return the claims of a token that the provider signed for our audience.

        Raises TOKEN_INVALID, PROVIDER_FAILED, PROVIDER_ADDRESS.
        """
        found = await self._decode(provider, token)
        audience = provider.settings["audience"]
        if nonce is not None:
            audience = provider.settings["clientId"]
        registry = jwt.JWTClaimsRegistry(
            leeway=limits.CLOCK_SKEW_SECONDS,
            iss={"essential": True, "value": provider.settings["issuer"]},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        try:
            registry.validate(found.claims)
        except JoseError as error:
            raise HedgerowError("TOKEN_INVALID", str(error)[:200]) from None
        if nonce is not None and found.claims.get("nonce") != nonce:
            raise HedgerowError("TOKEN_INVALID", "nonce")
        claims: dict[str, Any] = found.claims
        return claims

    async def endpoints(self, provider: Provider) -> dict[str, Any]:
        """Return the provider's discovery document. Raises PROVIDER_FAILED, PROVIDER_ADDRESS."""
        issuer = provider.settings["issuer"]
        document = await self._get(issuer.rstrip("/") + _DISCOVERY, provider, again=False)
        if not isinstance(document, dict) or document.get("issuer") != issuer:
            raise HedgerowError("PROVIDER_FAILED", "the discovery document is of another issuer")
        return document

    async def _decode(self, provider: Provider, token: str) -> jwt.Token:
        """Check the signature; a key that is not known yet may have come since the keys were fetched."""
        algorithms = provider.settings.get("algorithms", ["RS256"])
        for again in (False, True):
            keys = await self._keys(provider, again=again)
            try:
                return jwt.decode(token, keys, algorithms=algorithms)
            except (JoseError, ValueError) as error:
                reason = f"{type(error).__name__}: {error}"[:200]
        raise HedgerowError("TOKEN_INVALID", reason)

    async def _keys(self, provider: Provider, *, again: bool) -> KeySet:
        url = provider.settings.get("jwksUrl")
        if url is None:
            url = (await self.endpoints(provider)).get("jwks_uri")
        if not isinstance(url, str):
            raise HedgerowError("PROVIDER_FAILED", "no jwks_uri")
        document = await self._get(url, provider, again=again)
        keys = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(keys, list) or not 0 < len(keys) <= limits.JWKS_KEYS:
            raise HedgerowError("PROVIDER_FAILED", f"no JWKS of 1 to {limits.JWKS_KEYS} keys")
        # A shared secret has no place among public keys: its "signatures" anybody could make.
        public = [key for key in keys if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP")]
        try:
            return KeySet.import_key_set({"keys": public})
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise HedgerowError("PROVIDER_FAILED", f"JWKS: {type(error).__name__}") from None

    async def _get(self, url: str, provider: Provider, *, again: bool) -> Any:
        cached = self._cache.setdefault((url, provider.allows_private), _Cached())
        if len(self._cache) > 4 * limits.PROVIDERS:
            self._cache.pop(next(iter(self._cache)))
        async with cached.lock:
            if not cached.is_good(again=again):
                if time.monotonic() - cached.failed_at < limits.JWKS_FAILED_SECONDS:
                    raise HedgerowError("PROVIDER_FAILED", "it did not answer a moment ago")
                # Until it has answered, whoever waits for the lock must not ask as well.
                cached.failed_at = time.monotonic()
                status, body = await self._outbound.ask(url, private=provider.allows_private)
                if status != 200 or body is None:
                    raise HedgerowError("PROVIDER_FAILED", f"status {status}")
                cached.value, cached.at = body, time.monotonic()
                cached.failed_at = -limits.JWKS_FAILED_SECONDS
        return cached.value
