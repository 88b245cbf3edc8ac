"""The Authentication Service over HTTP (SPEC 12.3): anybody may ask, within 4 KiB and ten seconds."""

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from hedgerow.codec import cbor
from hedgerow.crypto import claims
from hedgerow.crypto.cose import Sign1
from hedgerow.errors import HedgerowError
from hedgerow_host.fork import Evidence

from .. import limits
from ..auth import cose, revocation, tokens
from ..auth.apps import App
from ..auth.authority import Authority, Granted, work
from ..auth.delegations import Delegations
from ..auth.membership import Membership
from ..auth.proof import Proof
from ..auth.revocation import Revocation
from ..base64url import from_base64, to_base64
from ..forks import ForkJudge
from .answers import add_routes, number_of, read_object, text_of, texts_of
from .door import Door
from .parameters import MOST_WHOLE, known, only, whole

PREFIX = "/api/hedgerow/v1/auth"
_MARK = 16
DITTO_LOGIN = "/_ditto/auth/login"


class AuthApi:
    """The endpoints; `served` is the app that is meant where a request names none."""

    def __init__(
        self, authority: Authority, served: App, membership: Membership, forks: ForkJudge, door: Door
    ) -> None:
        self._forks = forks
        self._door = door
        self._authority = authority
        self._registry = authority.registry
        self._delegations = Delegations(authority)
        self._served = served
        self._membership = membership

    async def challenge(self, request: Request) -> Any:
        """Give a challenge, for the proof that every other endpoint wants."""
        app = await self._app(await read_object(request, ("app",)))
        made = await work(self._registry.challenger.make, app.id)
        return {
            "challenge": to_base64(made.challenge),
            "point": to_base64(made.point),
            "expires": made.expires,
            "app": app.id,
        }

    async def login(self, request: Request) -> Any:
        """Exchange an identity provider's token: with a proof for a credential, without for an HTTP token."""
        body = await read_object(request, ("app", "provider", "token", "proof"))
        app = await self._app(body)
        proof = read_proof(body["proof"]) if body.get("proof") is not None else None
        granted = await self._authority.log_in(app, text_of(body, "provider"), text_of(body, "token"), proof)
        return await self._with_keys(app, granted)

    async def ditto_login(self, request: Request) -> Any:
        """Answer a login where Ditto's peers and scripts ask for it."""
        body = await read_object(request)
        name = body.get("databaseID", body.get("appID"))
        app = await self._app({} if name is None else {"app": name})
        granted = await self._authority.log_in(app, text_of(body, "provider"), text_of(body, "token"), None)
        seconds = granted.expires - int((await work(self._registry.ledger.get, app, granted.number)).issued)
        return {
            "accessToken": granted.token,
            "tokenType": "Bearer",
            "expirationSeconds": seconds,
            "userID": granted.user,
            "clientInfo": granted.client_info,
        }

    async def renew(self, request: Request) -> Any:
        """Give a credential in the place of one that is about to expire."""
        body = await read_object(request, ("app", "credential", "proof"))
        app = await self._app(body)
        credential = from_base64(body.get("credential"), "credential")
        granted = await self._authority.renew(app, credential, read_proof(body.get("proof")))
        return await self._with_keys(app, granted)

    async def delegate(self, request: Request) -> Any:
        """Give a gateway a delegation."""
        names = ("app", "credential", "proof", "collections", "peers", "seconds")
        body = await read_object(request, names)
        app = await self._app(body)
        granted = await work(
            self._delegations.delegate,
            app,
            from_base64(body.get("credential"), "credential"),
            read_proof(body.get("proof")),
            texts_of(body, "collections"),
            number_of(body, "peers"),
            number_of(body, "seconds", limits.DELEGATION_SECONDS),
        )
        return await self._granted(app, granted)

    async def countersign(self, request: Request) -> Any:
        """Countersign what was issued under delegations: as many, with their proofs, as fit the body."""
        body = await read_object(request, ("app", "credentials", "proofs"))
        app = await self._app(body)
        bodies = [from_base64(text, "credentials") for text in texts_of(body, "credentials")]
        proofs = [from_base64(text, "proofs") for text in texts_of(body, "proofs")]
        found = await work(self._delegations.countersign, app, bodies, proofs)
        return {
            "credentials": [
                {"credential": to_base64(each.body)}
                if each.error is None
                else {"error": {"code": each.error.code, "description": each.error.detail}}
                for each in found
            ]
        }

    async def forks(self, request: Request) -> Any:
        """Take evidence that an author of the served app has forked, from whoever met it."""
        self._door.allow(request.scope, limits.FORK_BYTES)
        body = await read_object(request, ("app", "author", "seal", "marks"), limits.FORK_BYTES)
        if (await self._app(body)).id != self._served.id:
            raise HedgerowError("FORK_UNPROVEN", "an app that is not served here")
        marks = from_base64(body.get("marks"), "marks")
        if not marks or len(marks) % _MARK:
            raise HedgerowError("REQUEST_SYNTAX", "`marks` are no marks")
        split = tuple(marks[at : at + _MARK] for at in range(0, len(marks), _MARK))
        author, seal = (from_base64(body.get(name), name) for name in ("author", "seal"))
        last = await self._forks.judge(f"app:{self._served.name}", Evidence(author, seal, split))
        return {"author": author.hex(), "last": last}

    async def issuers(self, request: Request) -> Any:
        """Show the keys that sign for an app, and the statements by which each follows the one before."""
        app = await self._app(known(request, "app"))
        found = await work(self._registry.issuers.trusted, app)
        return {
            "app": app.id,
            "mesh": to_base64(app.mesh_id),
            "mode": app.mode,
            "issuers": [
                {
                    "kid": issuer.kid.hex(),
                    "point": to_base64(issuer.point),
                    "statement": None if issuer.statement is None else to_base64(issuer.statement),
                    "retires": issuer.retires,
                }
                for issuer in found
            ],
        }

    async def jwks(self, request: Request) -> Any:
        """Show the keys that sign tokens, as a JWKS."""
        return await work(tokens.jwks, self._registry.issuers, await self._app(known(request, "app")))

    async def revocations(self, request: Request) -> Any:
        """Show the signed revocations, all or those since a moment."""
        asked = known(request, "app", "since")
        app, since = await self._app(asked), whole(asked, "since", 0, 0, MOST_WHOLE)
        found = await work(self._registry.revocations.all, app, limits.LISTED_ROWS, since)
        return {"revocations": [show_revocation(row) for row in found]}

    async def revoke(self, request: Request) -> Any:
        """Take a revocation that a peer of the kind "revoke" signed, and sign it for everybody."""
        body = await read_object(request, ("app", "credential", "revocation"))
        app = await self._app(body)
        credential = from_base64(body.get("credential"), "credential")
        said = from_base64(body.get("revocation"), "revocation")
        return show_revocation(await work(self._revoke, app, credential, said))

    def _revoke(self, app: App, body: bytes, said: bytes) -> Revocation:
        holder, _ = self._authority.current(app, body)
        signed = cose.read(said, revocation.KIND)
        if not holder.kinds & claims.REVOKES:
            raise HedgerowError("AUTH_FORBIDDEN", "revoke")
        if not signed.is_by(holder.sealing):
            raise HedgerowError("PROOF_INVALID", "not signed by the credential's sealing key")
        number, author, last = revocation.read_payload(app.id, signed.payload)
        issued = self._registry.ledger.get(app, number)
        if author != (issued.author or revocation.NO_AUTHOR):
            raise HedgerowError("CREDENTIAL_UNKNOWN", "the author is another's")
        return self._registry.revocations.revoke(f"peer:{holder.number.hex()}", app, number, last)

    async def _app(self, body: dict[str, Any]) -> App:
        if body.get("app") is None:
            # Its token may have changed since the start.
            return await work(self._registry.apps.get, self._served.id)
        return await work(self._registry.apps.get, text_of(body, "app"))

    async def _with_keys(self, app: App, granted: Granted) -> dict[str, Any]:
        """Return what was granted with the keys of confidential collections, if there are any: who has to
        write there does not wait for the first session.
        """
        answer = await self._granted(app, granted)
        if not granted.body:
            return answer
        holder = claims.Claims.decode(Sign1(granted.body).payload)
        entries = await work(self._registry.confidential.entries_for, app, holder)
        return {**answer, "keys": to_base64(cbor.encode(entries))} if entries else answer

    async def _granted(self, app: App, granted: Granted) -> dict[str, Any]:
        trusted = await work(self._registry.issuers.trusted, app)
        own = self._membership.credential
        answer: dict[str, Any] = {
            "app": app.id,
            "number": granted.number.hex(),
            "user_id": granted.user,
            "expires": granted.expires,
            "client_info": granted.client_info,
            "issuers": [to_base64(issuer.point) for issuer in trusted],
            "keepers": [to_base64(own.value)] if own is not None and app.id == self._served.id else [],
            # Each by the one before it.
            "statements": [to_base64(issuer.statement) for issuer in reversed(trusted) if issuer.statement],
        }
        if granted.token:
            return {**answer, "token": granted.token}
        return {**answer, "credential": to_base64(granted.body)}


def read_proof(value: object) -> Proof:
    """Read a proof from JSON. Raises REQUEST_SYNTAX."""
    if not isinstance(value, dict):
        raise HedgerowError("REQUEST_SYNTAX", "`proof` is no object")
    only(value, Proof._fields)
    parts = [from_base64(value.get(name), name) for name in Proof._fields[:5]]
    log = [None if value.get(name) is None else from_base64(value[name], name) for name in ("author", "salt")]
    return Proof(*parts, *log)


def show_revocation(row: Revocation) -> dict[str, Any]:
    """Return a revocation as JSON."""
    return {
        "number": row.number.hex(),
        "author": row.author.hex(),
        "last": row.last,
        "at": row.at,
        "by": row.by,
        "object": to_base64(row.body),
    }


def add_auth_api(app: FastAPI, api: Any) -> None:
    """Add the endpoints; `api()` returns the running AuthApi."""
    posts = ("challenge", "login", "renew", "delegate", "countersign", "revoke", "forks")
    gets = ("issuers", "jwks", "revocations")
    routes = [("POST", f"{PREFIX}/{name}", name) for name in posts]
    routes += [("GET", f"{PREFIX}/{name}", name) for name in gets]
    add_routes(app, api, [*routes, ("POST", DITTO_LOGIN, "ditto_login")])
