"""A gateway's or program's identity: two key pairs and a credential, in one file for its owner only.

`hedgerow enroll` makes the file; a running peer renews the credential by itself (SPEC 12.3).
"""

import base64
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from hedgerow.codec import cbor
from hedgerow.crypto.channel import Member, Opening
from hedgerow.crypto.claims import CNF, ISS, KEEPS, Claims, point_of
from hedgerow.crypto.confidential import OWN, join_keys, read_keys
from hedgerow.crypto.cose import Sign1, name_of
from hedgerow.crypto.credentials import Credential, Trust
from hedgerow.crypto.ephemeral import Ephemerals
from hedgerow.crypto.greeting import Greeting
from hedgerow.crypto.handshake import Gate, Own
from hedgerow.crypto.identity import Identity
from hedgerow.crypto.members import ISSUER
from hedgerow.crypto.port import P256, finish
from hedgerow.crypto.resume import Resumables
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_OWN_AUTHORS

from . import limits
from .files import replace_file

AUTH = "/api/hedgerow/v1/auth"
SYNC = "/api/hedgerow/v1/sync"
GIVEN = ("app", "number", "user_id", "expires", "credential", "issuers")
# Among the addresses of whom one has met.
BIG_PEER = ""
_KEYS = (("agreement", 0, 32), ("sealing", 32, 64), ("salt", 64, 80))

#: An author, and the keys that are its own.
Former = tuple[bytes, list[list[Any]]]
#: Sends JSON to a path below AUTH of a Big Peer; returns its answer, or raises its refusal.
Post = Callable[[str, dict[str, Any]], dict[str, Any]]


def to_text(data: bytes) -> str:
    """Return base64url without padding (RFC 4648 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    """Return the bytes of a base64url text. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)


class KeeperGreeting(Greeting):
    """A session with who must be a keeper by its credential; CREDENTIAL_KIND ends any other."""

    def take(self, record: bytes, now: int) -> None:
        """See Greeting: once there are keys nothing has been said yet, and nothing been believed."""
        super().take(record, now)
        if self.done and not self.claims.kinds & KEEPS:
            raise HedgerowError("CREDENTIAL_KIND", "who answers for the Big Peer is no keeper")


class BoardGreeting(Greeting):
    """A session with a board: what its credential says is known before anything that it brings."""

    on_met: Callable[[], None] | None = None

    def take(self, record: bytes, now: int) -> None:
        """See Greeting; what `on_met` raises ends the session."""
        super().take(record, now)
        if self.done and self.on_met is not None:
            self.on_met()


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
        self._issuers: list[str] | None = None
        self._resumables = Resumables(limits.DEVICES)
        self._own: Own | None = None
        self._met: dict[str, bytes] = {}
        #: Is told the credential of each board that a session has shown.
        self.on_met: Callable[[Credential], None] | None = None
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
        """Read the file again if another process has written it. Raises IDENTITY_FILE."""
        try:
            seen = self.path.stat().st_mtime_ns
        except OSError as error:
            raise HedgerowError("IDENTITY_FILE", f"{self.path}: {error}") from None
        if seen != self._seen:
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
            for point in self._given["issuers"]:
                name_of(to_bytes(point))
            self.credential = Credential(to_bytes(self._given["credential"]))

    def save(self) -> None:
        """Replace the file in one step, so that the keys are there whatever happens; for its owner only."""
        keys = {name: to_text(self.identity.keys[first:end]) for name, first, end in _KEYS}
        self._seen = replace_file(self.path, json.dumps({**self._given, "keys": keys}, indent=1))

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
            roots = dict(self.trust.roots) if what == "renew" else None
            issuers = self._believed(answer, roots)
            was = self.credential.claims if self.credential else None
            self._given = {**{name: answer[name] for name in GIVEN}, "issuers": issuers}
            self._take_credential()
            self.member()
            keys = read_keys(to_bytes(answer["keys"])) if "keys" in answer else []
        except (KeyError, TypeError, ValueError) as error:
            raise HedgerowError("ENROLMENT_ANSWER", f"{what}: {error!r}") from None
        self.save()
        author, kept = self.granted()
        if was is None or was.issuer != self.claims.issuer:
            self.forget_granted()
        elif author == self.claims.author:
            # Whose right is narrower now writes nothing in the clear.
            keys = join_keys(keys, kept)
        self.keep_granted(self.claims.author or b"", keys)
        return answer

    def _believed(self, answer: dict[str, Any], roots: dict[bytes, bytes] | None) -> list[str]:
        """Return the issuers of an answer that are believed; they, or one before them, issued its credential.

        `roots` (None: whatever comes) are those that are known; another one only by the word of one of them.
        """
        found = Credential(to_bytes(answer["credential"]))
        if roots is not None:
            for statement in answer.get("statements", ()):
                _follow(self._p256, roots, found.claims.issuer, Sign1(to_bytes(statement)))
        points = {text: to_bytes(text) for text in answer["issuers"]}
        believed = {text: point for text, point in points.items() if roots is None or name_of(point) in roots}
        issuers = {name_of(point): point for point in believed.values()}
        app, mode = found.claims.issuer, list(found.claims.mode or ())
        if roots is not None:
            app, mode = self.claims.issuer, list(self.claims.mode or ())
        finish(Trust(self._p256, issuers, app, mode).verify(found))
        if (found.agreement, found.claims.sealing) != (self.identity.agreement, self.identity.sealing):
            raise HedgerowError("ENROLMENT_ANSWER", "a credential for other keys")
        return list(believed)

    @property
    def shown(self) -> str:
        """The credential as it was given (base64url). Raises CREDENTIAL_UNKNOWN."""
        assert self.claims
        return str(self._given["credential"])

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

    # ---- keys of confidential collections

    def granted(self) -> tuple[bytes, list[list[Any]]]:
        """Return for which author, and which keys (see read_keys) were granted last: in a file of their own,
        for a running peer and the command that enrols write it both. Raises IDENTITY_FILE.
        """
        return self._granted()[0]

    def former(self) -> list[Former]:
        """Return the keys of authors that this peer was before: what it wrote under them it reads by them.
        Raises IDENTITY_FILE.
        """
        return self._granted()[1]

    def _granted(self) -> tuple[tuple[bytes, list[list[Any]]], list[Former]]:
        path = self._granted_path()
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            former = [(to_bytes(name), read_keys(to_bytes(keys))) for name, keys in kept.get("former", [])]
            return (to_bytes(kept["author"]), read_keys(to_bytes(kept["keys"]))), former
        except FileNotFoundError:
            return (b"", []), []
        except (OSError, KeyError, TypeError, ValueError, AttributeError, HedgerowError) as error:
            raise HedgerowError("IDENTITY_FILE", f"{path}: {error}") from None

    def keep_granted(self, author: bytes, entries: list[list[Any]]) -> None:
        """Replace what was granted before in one step, if it is another; for its owner only. What another
        author alone can write under stays, as a former one's.
        """
        before, former = self._granted()
        if (author, entries) == before or not (entries or self._granted_path().exists()):
            return
        own = [entry for entry in before[1] if len(entry[2]) == OWN]
        if before[0] != author and own:
            former = [each for each in former if each[0] != before[0]] + [(before[0], own)]
        kept = {
            "author": to_text(author),
            "keys": to_text(cbor.encode(entries)),
            "former": [
                [to_text(name), to_text(cbor.encode(keys))] for name, keys in former[-MAX_OWN_AUTHORS:]
            ],
        }
        replace_file(self._granted_path(), json.dumps(kept))

    def forget_granted(self) -> None:
        """Forget what was granted: it was another app's."""
        self._granted_path().unlink(missing_ok=True)

    def _granted_path(self) -> Path:
        return self.path.with_suffix(".granted")

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
            self._issuers = None
            self._trust = Trust(self._p256, {}, claims.issuer, list(claims.mode or ()), limits.DEVICES)
        if self._issuers != self._given["issuers"]:
            # What statements said of later ones stays until then.
            self._issuers = self._given["issuers"]
            self._trust.roots = {name_of(point): point for point in map(to_bytes, self._issuers)}
        self._trust.floor = max(self._trust.floor, claims.issued)
        return self._trust

    def greeting(self, now: int, address: str = BIG_PEER, gate: Gate | None = None) -> Greeting:
        """Return the beginning of a session with the Big Peer, or with the board at an address.

        `gate` is what that asks of strangers.
        """
        member = self.member()
        channel = Opening(member, now, self._met.get(address), gate)
        if address == BIG_PEER:
            return KeeperGreeting(channel)
        greeting = BoardGreeting(channel)
        if self.on_met is not None:
            greeting.on_met = partial(_tell, self.on_met, member.trust, channel)
        return greeting

    def met(self, greeting: Greeting, address: str = BIG_PEER) -> None:
        """Note who answered, so that the next contact needs no handshake."""
        if greeting.channel.remote is not None:
            self._met.pop(address, None)
            self._met[address] = greeting.channel.remote
        if len(self._met) > limits.DEVICES:
            del self._met[next(iter(self._met))]


def _tell(on_met: Callable[[Credential], None], trust: Trust, channel: Opening) -> None:
    """Tell of the credential that a channel has shown, if it is still known."""
    found = None if channel.remote is None else trust.known(channel.remote)
    if found is not None:
        on_met(found)


def _follow(p256: P256, roots: dict[bytes, bytes], app: str, said: Sign1) -> None:
    """Add the issuer that a known one names as the next (SPEC 12.2)."""
    values = cbor.decode(said.payload)
    key = None if said.kid is None else roots.get(said.kid)
    if key is None or said.kind != ISSUER or not isinstance(values, dict) or values.get(ISS) != app:
        return
    if finish(said.verify(p256, key)):
        point = point_of(values.get(CNF))
        roots[name_of(point)] = point


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
            _refuse(url, error)
        except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
            raise HedgerowError("UPLINK_LOST", f"{url}: {getattr(error, 'reason', error)}") from None
        if not isinstance(answer, dict):
            raise HedgerowError("ENROLMENT_ANSWER", f"{url}: not a JSON object")
        return answer

    return post


def _refuse(url: str, refusal: urllib.error.HTTPError) -> NoReturn:
    try:
        with refusal:
            said = json.loads(refusal.read(limits.ENROLMENT_BYTES))["error"]
        raise HedgerowError(str(said["code"]), str(said["description"]))
    except (OSError, KeyError, TypeError, ValueError, RecursionError, http.client.HTTPException):
        raise HedgerowError("ENROLMENT_ANSWER", f"{url}: HTTP {refusal.code}") from None
