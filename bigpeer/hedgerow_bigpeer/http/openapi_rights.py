"""What the description says of apps, keys, providers, accounts, the audit log, and of logging in."""

from typing import Any

from .. import limits
from ..auth.accounts import ROLES
from ..auth.api_keys import VERBS
from ..auth.apps import MODES
from ..auth.providers import ALGORITHMS, KINDS
from .parameters import MOST_WHOLE
from .schemas import (
    BYTES,
    HEX,
    LABEL,
    SECONDS,
    TEXT,
    TRUTH,
    WHOLE,
    Schema,
    answered,
    closed,
    given,
    listed,
    or_null,
    parameter,
    ref,
)

_VERBS = listed({"enum": list(VERBS)})
_URL: Schema = {"type": "string", "minLength": 1, "maxLength": 2000}
_ROLE: Schema = {"enum": list(ROLES)}
_COMMON: dict[str, Schema] = {
    "sessionLength": {
        "type": "integer",
        "minimum": limits.CREDENTIAL_LEAST_SECONDS,
        "maximum": limits.CREDENTIAL_SECONDS,
    },
    "renewLength": {"type": "integer", "minimum": 0, "maximum": 10 * limits.API_KEY_SECONDS},
    "kinds": listed({"enum": list(KINDS)}),
    "allowPrivate": TRUTH,
}
_TOLD = {"permission": ref("GivenPermission")}
_OIDC: dict[str, Schema] = {
    **dict.fromkeys(
        ("jwksUrl", "userClaim", "permissionsClaim", "kindsClaim", "clientId", "clientSecret"), _URL
    ),
    "algorithms": {**listed({"enum": list(ALGORITHMS)}), "minItems": 1},
    "role": _ROLE,
    "roleClaim": _URL,
}


def _providers(**more: Schema) -> Schema:
    """Return the schema of a provider; `more` is what stands in each kind of it besides."""

    def one(kind: str, *required: str, **settings: Schema) -> Schema:
        needed = ("type", *more, *required)
        return given(*needed, type={"const": kind}, **more, **_COMMON, **settings)

    return {
        "type": "object",
        "oneOf": [
            one("webhookUrl", "webhookUrl", webhookUrl=_URL),
            one("oidc", "issuer", "audience", issuer=_URL, audience=_URL, **_OIDC, **_TOLD),
            one("anonymous", **_TOLD),
        ],
    }


_QUERIES: Schema = {"type": "object", "additionalProperties": listed(TEXT)}
_KEY: dict[str, Schema] = {
    "id": HEX,
    "name": TEXT,
    "verbs": _VERBS,
    "permission": ref("Permission"),
    "created": SECONDS,
    "expires": SECONDS,
    "revoked": or_null(SECONDS),
}
_GRANTED: dict[str, Schema] = {
    "app": TEXT,
    "number": HEX,
    "user_id": TEXT,
    "expires": SECONDS,
    "client_info": ref("Value"),
    "issuers": listed(BYTES),
    "keepers": listed(BYTES),
    "statements": listed(BYTES),
}
_ASKED: dict[str, Schema] = {"app": or_null(TEXT)}

RIGHTS_SCHEMAS: dict[str, Schema] = {
    "Side": closed(everything=TRUTH, queriesByCollection=_QUERIES),
    "Permission": closed(read=ref("Side"), write=ref("Side")),
    "GivenSide": {
        "type": "object",
        "description": "As Ditto has it: what else stands here is passed over.",
        "properties": {"everything": TRUTH, "queriesByCollection": _QUERIES},
    },
    "GivenPermission": {
        "type": "object",
        "description": "As Ditto has it: what else stands here is passed over.",
        "properties": {"read": or_null(ref("GivenSide")), "write": or_null(ref("GivenSide"))},
    },
    "Issuer": closed(kid=HEX, point=HEX, created=SECONDS, retires=or_null(SECONDS)),
    "App": closed(
        id=TEXT,
        name=TEXT,
        mode={"enum": list(MODES)},
        mesh=TEXT,
        token=or_null(TEXT),
        created=SECONDS,
        issuers=listed(ref("Issuer")),
    ),
    "Apps": closed(apps=listed(ref("App"))),
    "GivenApp": given(
        "name",
        name=LABEL,
        mode={"enum": list(MODES)},
        mesh={"type": "string", "minLength": 1, "maxLength": 64},
    ),
    "ApiKey": closed(**_KEY),
    "NewApiKey": closed(**_KEY, key=TEXT),
    "ApiKeys": closed(keys=listed(ref("ApiKey"))),
    "GivenApiKey": given(
        "name",
        "verbs",
        name={**LABEL, "maxLength": limits.API_KEY_NAME},
        verbs={**_VERBS, "minItems": 1},
        days={"type": "integer", "minimum": 1, "maximum": limits.API_KEY_SECONDS // limits.DAY_S},
        collections=or_null(listed(TEXT)),
        permission=ref("GivenPermission"),
    ),
    "Provider": _providers(name=TEXT),
    "Providers": closed(providers=listed(ref("Provider"))),
    "GivenProvider": _providers(),
    "User": closed(name=TEXT, role=_ROLE, created=SECONDS),
    "Users": closed(users=listed(ref("User"))),
    "GivenUser": given("name", "password", name=TEXT, role=_ROLE, password=TEXT),
    "Credential": closed(
        number=HEX,
        user=TEXT,
        provider=TEXT,
        author=or_null(HEX),
        issued=SECONDS,
        expires=SECONDS,
        under=or_null(HEX),
        kind={"enum": ["credential", "token"]},
        revoked=or_null(SECONDS),
        last=or_null(WHOLE),
    ),
    "Credentials": closed(credentials=listed(ref("Credential"))),
    "GivenRevocation": given("number", number=HEX, last=WHOLE),
    "AuditValue": {
        "anyOf": [
            {"type": ["string", "number", "boolean", "null"]},
            {"type": "array", "items": {"type": ["string", "integer"]}},
            ref("GivenPermission"),
        ]
    },
    "AuditDetail": {"type": "object", "additionalProperties": ref("AuditValue")},
    "AuditEntry": closed(
        id=WHOLE, at=SECONDS, actor=TEXT, action=TEXT, subject=TEXT, detail=ref("AuditDetail")
    ),
    "Audit": closed(audit=listed(ref("AuditEntry"))),
    "AuditCheck": closed(broken_at=or_null(WHOLE)),
    "Proof": given(
        *("agreement", "sealing", "challenge", "signature", "tag"),
        **dict.fromkeys(("agreement", "sealing", "challenge", "signature", "tag"), BYTES),
        **{name: or_null(BYTES) for name in ("author", "salt")},
    ),
    "Asked": given(**_ASKED),
    "Challenge": closed(challenge=BYTES, point=BYTES, expires=SECONDS, app=TEXT),
    "Login": given("provider", "token", **_ASKED, provider=TEXT, token=TEXT, proof=or_null(ref("Proof"))),
    "Renewal": given("credential", "proof", **_ASKED, credential=BYTES, proof=ref("Proof")),
    "GivenDelegation": given(
        *("credential", "proof", "collections", "peers"),
        **_ASKED,
        credential=BYTES,
        proof=ref("Proof"),
        collections=listed(TEXT),
        peers=WHOLE,
        seconds=WHOLE,
    ),
    "Granted": {
        "type": "object",
        "oneOf": [
            # Keys of confidential collections, where there are any.
            given(*_GRANTED, "credential", **_GRANTED, credential=BYTES, keys=BYTES),
            closed(**_GRANTED, token=TEXT),
        ],
    },
    "ToCountersign": given(
        "credentials", "proofs", **_ASKED, credentials=listed(BYTES), proofs=listed(BYTES)
    ),
    "Countersigned": closed(
        credentials=listed({"anyOf": [closed(credential=BYTES), closed(error=ref("Fault"))]})
    ),
    "SignedRevocation": given("credential", "revocation", **_ASKED, credential=BYTES, revocation=BYTES),
    "Revocation": closed(number=HEX, author=HEX, last=WHOLE, at=SECONDS, by=TEXT, object=BYTES),
    "Revocations": closed(revocations=listed(ref("Revocation"))),
    "GivenFork": given("author", "seal", "marks", **_ASKED, author=BYTES, seal=BYTES, marks=BYTES),
    "Fork": closed(author=HEX, last=WHOLE),
    "Issuers": closed(
        app=TEXT,
        mesh=BYTES,
        mode={"enum": list(MODES.values())},
        issuers=listed(
            closed(kid=HEX, point=BYTES, statement=or_null(BYTES), retires=or_null(SECONDS)),
        ),
    ),
    "Jwks": closed(keys=listed(closed(**dict.fromkeys(("kty", "crv", "x", "y", "kid", "alg", "use"), TEXT)))),
    "DittoLogin": {
        "type": "object",
        "description": "As Ditto's clients send it: what else stands here is passed over.",
        "properties": {"appID": TEXT, "databaseID": TEXT, "provider": TEXT, "token": TEXT},
        "required": ["provider", "token"],
    },
    "DittoToken": closed(
        accessToken=TEXT,
        tokenType={"const": "Bearer"},
        expirationSeconds=WHOLE,
        userID=TEXT,
        clientInfo=ref("Value"),
    ),
}


def _in_path(name: str, about: str, pattern: str) -> Schema:
    return parameter(name, about, {"type": "string", "pattern": pattern}, "path")


_APP = parameter("app", "Id or name of the app.", {"type": "string", "minLength": 1}, "path")
_KEY_ID = _in_path("key", "The id of the key.", "^[0-9a-f]{12}$")
_PROVIDER = _in_path("provider", "The name of the provider.", "^[A-Za-z0-9_-]{1,64}$")
_USER = _in_path("user", "The name of the account.", "^[a-z0-9]([a-z0-9._@-]{0,62}[a-z0-9])?$")
_OF_APP = parameter("app", "Id or name of the app; the one that is served.", TEXT)


def rights_paths(prefix: str) -> dict[str, Schema]:
    """Return the paths."""
    app = f"{prefix}/apps/{{app}}"
    before = parameter(
        "before", "Rows below this id.", {"type": "integer", "minimum": 0, "maximum": MOST_WHOLE}
    )
    return {
        f"{prefix}/apps": {
            "get": answered("The app.", "Apps"),
            "post": answered("Make an app.", "App", body="GivenApp"),
        },
        f"{app}/token": {"post": answered("Give a playground another token.", "App", _APP)},
        f"{app}/issuers": {"post": answered("Let another key sign.", "App", _APP)},
        f"{app}/keys": {
            "get": answered("The API keys.", "ApiKeys", _APP),
            "post": answered(
                "Make an API key; its text is shown this once.", "NewApiKey", _APP, body="GivenApiKey"
            ),
        },
        f"{app}/keys/{{key}}": {"delete": answered("End an API key.", "ApiKey", _APP, _KEY_ID)},
        f"{app}/providers": {"get": answered("The identity providers.", "Providers", _APP)},
        f"{app}/providers/{{provider}}": {
            "put": answered("Set an identity provider.", "Provider", _APP, _PROVIDER, body="GivenProvider"),
            "delete": answered("Remove an identity provider.", "Named", _APP, _PROVIDER),
        },
        f"{app}/credentials": {
            "get": answered("What was issued.", "Credentials", _APP, parameter("user", "To this one.", TEXT))
        },
        f"{app}/revocations": {
            "post": answered("Revoke a credential.", "Credential", _APP, body="GivenRevocation")
        },
        f"{prefix}/users": {
            "get": answered("The local accounts.", "Users"),
            "post": answered("Make a local account.", "User", body="GivenUser"),
        },
        f"{prefix}/users/{{user}}": {"delete": answered("Remove a local account.", "Named", _USER)},
        f"{prefix}/audit": {
            "get": answered("The audit log.", "Audit", before, parameter("action", "Of this action.", TEXT))
        },
        f"{prefix}/audit/check": {"get": answered("Whether the audit log was edited.", "AuditCheck")},
        **_login_paths(f"{prefix}/auth"),
    }


def _login_paths(prefix: str) -> dict[str, Schema]:
    since = parameter(
        "since", "Those since this second.", {"type": "integer", "minimum": 0, "maximum": MOST_WHOLE}
    )
    posts = {
        "challenge": ("A challenge, for a proof.", "Challenge", "Asked"),
        "login": ("A credential, or without a proof a token.", "Granted", "Login"),
        "renew": ("A credential in the place of another.", "Granted", "Renewal"),
        "delegate": ("A delegation.", "Granted", "GivenDelegation"),
        "countersign": ("What was issued under delegations.", "Countersigned", "ToCountersign"),
        "revoke": ("Take a revocation that a peer signed.", "Revocation", "SignedRevocation"),
        "forks": ("Take evidence that an author has forked.", "Fork", "GivenFork"),
    }
    paths: dict[str, Any] = {
        f"{prefix}/{name}": {"post": answered(about, answer, body=body)}
        for name, (about, answer, body) in posts.items()
    }
    return {
        **paths,
        f"{prefix}/issuers": {"get": answered("The keys that sign for an app.", "Issuers", _OF_APP)},
        f"{prefix}/jwks": {"get": answered("The keys that sign tokens.", "Jwks", _OF_APP)},
        f"{prefix}/revocations": {"get": answered("The signed revocations.", "Revocations", _OF_APP, since)},
        "/_ditto/auth/login": {
            "post": answered("Log in as Ditto's clients do.", "DittoToken", body="DittoLogin")
        },
    }
