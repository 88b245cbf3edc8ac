"""A gateway's or program's identity: two key pairs and a credential, in one file for its owner only.

`hedgerow enroll` makes the file; a running peer renews the credential by itself (SPEC 12.3).
"""

import base64
import binascii
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from hedgerow.crypto.channel import Member, Opening
from hedgerow.crypto.claims import Claims
from hedgerow.crypto.cose import name_of
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.handshake import Gate, Own
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.port import P256
from hedgerow.crypto.resume import Resumables
from hedgerow.errors import HedgerowError

from . import limits

AUTH = "/api/hedgerow/v1/auth"
SYNC = "/api/hedgerow/v1/sync"
GIVEN = ("app", "number", "user_id", "expires", "credential", "issuers")
_KEYS = (("agreement", 0, 32), ("sealing", 32, 64), ("salt", 64, 80))

#: Sends JSON to a path below AUTH of a Big Peer; returns its answer, or raises its refusal.
Post = Callable[[str, dict[str, Any]], dict[str, Any]]


def to_text(data: bytes) -> str:
    """Return base64url without padding (RFC 4648 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    """Return the bytes of a base64url text. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


class Enrolment:
    """The identity in a file: `identity` its keys, `credential` None before it has one."""

    def __init__(self, path: Path) -> None:
        """Read the file; without one make new keys, which are kept by save(). Raises IDENTITY_FILE."""
        self.path = path
        self._p256 = P256(os.urandom)
        self._given: dict[str, Any] = {}
        self.credential: Credential | None = None
        self._seen = 0
        self._trust: Trust | None = None
        self._resumables = Resumables(limits.DEVICES)
        self._own: Own | None = None
        self._met: dict[str, bytes] = {}
        if not self._read():
            self.identity = Identity.make(self._p256)

    @property
    def author(self) -> bytes:
        """The author of the log that was last formatted for these keys."""
        return self.identity.author

    def anew(self) -> bytes:
        """Return the author of a log that is formatted now; durable in the file on return."""
        self.identity = self.identity.reformatted()
        self.save()
        return self.author

    def refresh(self) -> None:
        """Read the file again if another process has written it."""
        if self.path.stat().st_mtime_ns != self._seen:
            self._read()

    def _read(self) -> bool:
        try:
            with self.path.open(encoding="utf-8") as file:
                self._seen = os.fstat(file.fileno()).st_mtime_ns
                kept = json.load(file)
            keys = b"".join(to_bytes(kept["keys"][name]) for name, _, _ in _KEYS)
            self.identity = Identity(self._p256, keys)
            self._given = {name: kept[name] for name in GIVEN if name in kept}
            self._take_credential()
        except FileNotFoundError:
            return False
        except (OSError, KeyError, TypeError, ValueError, HedgerowError) as error:
            raise HedgerowError("IDENTITY_FILE", f"{self.path}: {error}") from None
        return True

    def _take_credential(self) -> None:
        self._own = None
        self.credential = None
        if "credential" in self._given:
            self.credential = Credential(to_bytes(self._given["credential"]))

    def save(self) -> None:
        """Replace the file in one step, so that the keys are there whatever happens; for its owner only."""
        keys = {name: to_text(self.identity.keys[first:end]) for name, first, end in _KEYS}
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({**self._given, "keys": keys}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            self._seen = self.path.stat().st_mtime_ns
        except OSError as error:
            raise HedgerowError("IDENTITY_FILE", f"{self.path}: {error}") from None

    # ---- the Authentication Service

    def log_in(self, post: Post, provider: str, token: str, app: str = "") -> dict[str, Any]:
        """Get a credential for what an identity provider gave the user, and keep it; return the answer."""
        return self._ask(post, "login", {"provider": provider, "token": token}, app)

    def renew(self, post: Post, app: str = "") -> dict[str, Any]:
        """Get a credential in the place of the one that is here, and keep it; return the answer."""
        assert self.claims
        return self._ask(post, "renew", {"credential": self._given["credential"]}, app)

    def _ask(self, post: Post, what: str, body: dict[str, Any], app: str) -> dict[str, Any]:
        app = app or self._given.get("app", "")
        named = {"app": app} if app else {}
        challenge = post("challenge", named)
        try:
            given, point = (to_bytes(challenge[name]) for name in ("challenge", "point"))
            proof = self.identity.prove(str(challenge["app"]), given, point)
            shown = {name: to_text(value) for name, value in proof.items()}
            answer = post(what, {**named, **body, "proof": shown})
            self._given = {name: answer[name] for name in GIVEN}
            self._take_credential()
            self.member()
        except (KeyError, TypeError, ValueError) as error:
            raise HedgerowError("ENROLMENT_ANSWER", f"{what}: {error!r}") from None
        self.save()
        return answer

    @property
    def claims(self) -> Claims:
        """What the credential says. Raises CREDENTIAL_UNKNOWN."""
        if self.credential is None:
            raise HedgerowError("CREDENTIAL_UNKNOWN", f"{self.path}: `hedgerow enroll` gets one")
        return self.credential.claims

    def due(self, now_s: float) -> bool:
        """Say whether the credential is for another log, or half of its time is over."""
        claims = self.claims
        return claims.author != self.author or 2 * now_s >= claims.issued + claims.expires

    # ---- sessions

    def member(self) -> Member:
        """Return what sessions need. Raises CREDENTIAL_UNKNOWN, CREDENTIAL_INVALID, CREDENTIAL_AUTHOR."""
        assert self.claims
        if self._own is None:
            assert self.credential is not None
            self._own = self.identity.own(self.credential)
        # Handshakes of hosts are short: each connection has its own, and all know whom one has met.
        mode = list(self.claims.mode or ())
        member = Member(self._own, Ephemerals(self._p256), self.trust, None, os.urandom, mode)
        member.resumables = self._resumables
        return member

    @property
    def trust(self) -> Trust:
        """Whom this peer believes; it stays the same when the credential is renewed. CREDENTIAL_UNKNOWN."""
        claims = self.claims
        if self._trust is None or self._trust.app != claims.issuer:
            self._trust = Trust(self._p256, {}, claims.issuer, list(claims.mode or ()), limits.DEVICES)
        self._trust.roots = {name_of(point): point for point in map(to_bytes, self._given["issuers"])}
        self._trust.floor = max(self._trust.floor, claims.issued)
        return self._trust

    def greeting(self, now: int, address: str = "", gate: Gate | None = None) -> Greeting:
        """Return the beginning of a session with the Big Peer, or with the board at an address.

        `gate` is what that asks of strangers.
        """
        return Greeting(Opening(self.member(), now, self._met.get(address), gate))

    def met(self, greeting: Greeting, address: str = "") -> None:
        """Note who answered, so that the next contact needs no handshake."""
        if greeting.channel.remote is not None:
            self._met.pop(address, None)
            self._met[address] = greeting.channel.remote
        if len(self._met) > limits.DEVICES:
            del self._met[next(iter(self._met))]


def poster(uplink: str) -> Post:
    """Return a way to the Authentication Service of the Big Peer whose sync address is given."""
    base = "http" + uplink.removeprefix("ws").removesuffix(SYNC).rstrip("/") + AUTH

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{base}/{path}"
        data = json.dumps(body).encode()
        asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - http
        try:
            with urllib.request.urlopen(asked, timeout=limits.ENROLMENT_S) as response:  # noqa: S310 - http
                answer = json.loads(response.read(limits.ENROLMENT_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                _refuse(url, error.code, error.read(limits.ENROLMENT_BYTES))
        except (OSError, ValueError) as error:
            raise HedgerowError("UPLINK_LOST", f"{url}: {getattr(error, 'reason', error)}") from None
        if not isinstance(answer, dict):
            raise HedgerowError("ENROLMENT_ANSWER", f"{url}: not a JSON object")
        return answer

    return post


def _refuse(url: str, status: int, body: bytes) -> NoReturn:
    try:
        said = json.loads(body)["error"]
        raise HedgerowError(str(said["code"]), str(said["description"]))
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise HedgerowError("ENROLMENT_ANSWER", f"{url}: HTTP {status}") from None
