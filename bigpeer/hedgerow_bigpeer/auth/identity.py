"""Who a user is: what an identity provider says about the token that a peer brings."""

import hmac
from typing import Any, NamedTuple

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError

from .. import limits
from . import scope
from .apps import App
from .oidc import Oidc
from .outbound import Outbound
from .providers import Provider


class Identity(NamedTuple):
    """A user as the identity provider gave it, for `seconds`.

    `metadata` goes into the credential, where every peer can read it, `client_info` only to who asked.
    """

    user: str
    seconds: int
    scope: scope.Scope
    metadata: dict[str, Any]
    client_info: Any = None
    kinds: int = 0


class IdentityProviders:
    """Asks identity providers of any kind."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self.oidc = Oidc(outbound)

    async def identify(self, app: App, provider: Provider, token: str) -> Identity:
        """Return whose token it is.

        Raises PROVIDER_REFUSED, PROVIDER_FAILED, PROVIDER_ADDRESS, TOKEN_INVALID, PERMISSION_INVALID,
        CREDENTIAL_TOO_LARGE.
        """
        if len(token.encode("utf-8", "replace")) > limits.PROVIDER_TOKEN_BYTES:
            raise HedgerowError("PROVIDER_REFUSED", f"a token over {limits.PROVIDER_TOKEN_BYTES} bytes")
        if provider.kind == "webhookUrl":
            return await self._by_webhook(app, provider, token)
        if provider.kind == "oidc":
            return await self._by_oidc(provider, token)
        return self._by_shared_token(app, provider, token)

    async def exchange(self, url: str, form: dict[str, str], provider: Provider) -> Any:
        """Send a form to a token endpoint; return its JSON. Raises PROVIDER_REFUSED, PROVIDER_FAILED."""
        status, body = await self._outbound.ask(url, private=provider.allows_private, form=form)
        if status != 200:
            raise HedgerowError("PROVIDER_REFUSED", f"status {status}")
        return body

    async def _by_webhook(self, app: App, provider: Provider, token: str) -> Identity:
        body = {
            "databaseID": app.id,
            "appID": app.id,
            "version": "1",
            "provider": provider.name,
            "token": token,
        }
        url = provider.settings["webhookUrl"]
        status, answer = await self._outbound.ask(url, body, private=provider.allows_private)
        if status in (401, 403):
            raise HedgerowError("PROVIDER_REFUSED", _user_info(answer))
        if status != 200:
            raise HedgerowError("PROVIDER_FAILED", f"status {status}")
        return read_answer(answer, provider)

    async def _by_oidc(self, provider: Provider, token: str) -> Identity:
        settings = provider.settings
        said = await self.oidc.check(provider, token)
        permissions = said.get(settings.get("permissionsClaim", "hedgerow_permissions"))
        if permissions is None:
            permissions = settings.get("permission", {})
        return Identity(
            _user(said.get(settings.get("userClaim", "sub"))),
            provider.session_seconds,
            scope.from_permissions(permissions),
            {},
            kinds=provider.kinds(said.get(settings.get("kindsClaim", "hedgerow_kinds"))),
        )

    def _by_shared_token(self, app: App, provider: Provider, token: str) -> Identity:
        if not app.token or not hmac.compare_digest(app.token.encode(), token.encode("utf-8", "replace")):
            raise HedgerowError("PROVIDER_REFUSED", "the app's token is another")
        permissions = provider.settings.get("permission")
        granted = scope.ALL if permissions is None else scope.from_permissions(permissions)
        return Identity("anonymous", provider.session_seconds, granted, {}, kinds=provider.kinds([]))


def read_answer(answer: object, provider: Provider) -> Identity:
    """Read the answer of an auth webhook, in either of Ditto's spellings.

    Raises PROVIDER_REFUSED, PROVIDER_FAILED, PERMISSION_INVALID, CREDENTIAL_TOO_LARGE.
    """
    if not isinstance(answer, dict):
        raise HedgerowError("PROVIDER_FAILED", "no JSON object")
    verdict = answer.get("authenticated", answer.get("authenticate"))
    if verdict is not True:
        if verdict is False:
            raise HedgerowError("PROVIDER_REFUSED", _user_info(answer))
        raise HedgerowError("PROVIDER_FAILED", "neither `authenticated` nor `authenticate`")
    seconds = answer.get("expirationSeconds")
    if type(seconds) is not int or seconds <= 0:
        raise HedgerowError("PROVIDER_FAILED", "`expirationSeconds` is no number of seconds")
    metadata = answer.get("identityServiceMetadata") or {}
    if not isinstance(metadata, dict):
        raise HedgerowError("PROVIDER_FAILED", "`identityServiceMetadata` is no object")
    _check_metadata(metadata)
    return Identity(
        _user(answer.get("userID")),
        min(seconds, provider.session_seconds),
        scope.from_permissions(answer.get("permissions") or {}),
        metadata,
        answer.get("clientInfo"),
        provider.kinds(answer.get("hedgerowKinds")),
    )


def _check_metadata(metadata: dict[str, Any]) -> None:
    try:
        size = len(cbor.encode(metadata))
    except HedgerowError as error:
        raise HedgerowError("PROVIDER_FAILED", f"`identityServiceMetadata`: {error.code}") from None
    if size > limits.METADATA_BYTES:
        raise HedgerowError("CREDENTIAL_TOO_LARGE", f"metadata of {size} bytes")


def _user(user: object) -> str:
    if (
        not isinstance(user, str)
        or "\0" in user
        or not 0 < len(user.encode("utf-8", "replace")) <= limits.USER_ID_BYTES
    ):
        raise HedgerowError(
            "PROVIDER_FAILED", f"the user's id: no text of at most {limits.USER_ID_BYTES} bytes"
        )
    return user


def _user_info(answer: object) -> str:
    """Return what the webhook would have the user told."""
    info = answer.get("userInfo") if isinstance(answer, dict) else None
    return info[:200] if isinstance(info, str) else ""
