"""What a peer with a credential knows of others: credentials and revocations, in its log (SPEC 11.13)."""

from hashlib import sha256

from ..codec import cbor
from ..codec.schema import is_integer
from ..codec.varint import read_uint, write_uint
from ..errors import HedgerowError
from ..limits import MAX_NUMBER
from ..log import STATE_CONFIG
from ..operation import CLOCK
from . import claims
from .cose import Sign1
from .credentials import Credential, Trust
from .port import finish
from .rules import FORBIDDEN, REVOKED, Rules

REVOCATION = "hg-rev"
_POSITION = b"statements to"
# With the first 8 bytes of the hash of what is kept behind it.
_KEPT = b"s:"
_REVOCATION_CLAIMS = (claims.ISS, claims.IAT, claims.CTI, claims.AUTHOR, claims.LAST_NUMBER)


class Members(Rules):
    """Rules that a log keeps, and the sealing key of the own `identity`.

    `trust` says who is believed, `own` is the own credential, None before there is one; `ready` says that it
    names the author of the log, so that seals can be signed. `on_judged(author)` is called when verdicts over
    an author may have changed.
    """

    def __init__(self, log: object, trust: Trust, identity: object, sealed_under: object = None):
        Rules.__init__(self, self._verify_at_once, sealed_under)
        self._log = log
        self.trust = trust
        self.identity = identity
        self.own: Credential | None = None
        self.on_judged: object = None
        for key, value in log.items(STATE_CONFIG):
            if key[:2] == _KEPT and len(key) == 10:
                # It was verified when it came.
                self._enter(value, False)

    def _verify_at_once(self, key: bytes, message: bytes, signature: bytes) -> bool:
        return finish(self.identity.p256.verify(key, message, signature))

    # ---- the own seals

    @property
    def ready(self) -> bool:
        return self.own is not None and self.own.claims.author == self._log.author

    @property
    def credential(self) -> bytes:
        """The name of the own credential."""
        return self.own.name

    def sign(self, message: bytes) -> bytes:
        return finish(self.identity.sign(message))

    def enrol(self, own: Credential) -> None:
        """Take a credential of one's own."""
        self.own = own
        self.add(own.name, own.claims)

    def permit(self, number: int, changes: list, schemas: dict) -> None:
        """Refuse changes that the own credential does not allow, before they are written: WRITE_FORBIDDEN,
        WRITE_REVOKED.
        """
        author = self._log.author
        for change in changes:
            if change[0] == CLOCK or self.own is None:
                continue
            last = self._last.get(author)
            if last is not None and number > last:
                raise HedgerowError(REVOKED, self.own.claims.subject)
            schema = schemas[change[1]]
            if not self._may(self.own.claims, author, number, change, schema):
                raise HedgerowError(FORBIDDEN, schema.collection)

    # ---- what others say

    @property
    def position(self) -> int:
        """Up to which moment the Big Peer's statements are here, in seconds."""
        return int.from_bytes(self._log.get(STATE_CONFIG, _POSITION) or b"", "big")

    def asking(self) -> bytes:
        """Return what asks for those that are not here: a varint."""
        out = bytearray()
        write_uint(out, self.position)
        return bytes(out)

    def take(self, body: bytes) -> None:
        """Take a statement as frames carry it; what is not believed is passed over. It is not durable yet.

        STATEMENT_INVALID for what has no such form.
        """
        position, at = read_uint(body, 0)
        statement = bytes(body[at:])
        try:
            author = self._enter(statement, True)
        except HedgerowError as error:
            if error.code not in ("CREDENTIAL_ISSUER", "CREDENTIAL_RIGHTS"):
                raise HedgerowError("STATEMENT_INVALID", str(error)) from error
            author = None
        else:
            self._log.put(STATE_CONFIG, _KEPT + sha256(statement).digest()[:8], statement)
        if position > self.position:
            self._log.put(STATE_CONFIG, _POSITION, position.to_bytes(8, "big"))
        if author is not None and self.on_judged:
            self.on_judged(author)

    def _enter(self, statement: bytes, verify: bool) -> bytes | None:
        """Take a credential or a revocation into account; return the author whose verdicts it may change."""
        signed = Sign1(statement)
        if signed.kind == REVOCATION:
            return self._revoke(signed, verify)
        found = Credential(statement)
        if verify:
            finish(self.trust.verify(found))
        return found.claims.author if self.add(found.name, found.claims) else None

    def _revoke(self, signed: Sign1, verify: bool) -> bytes | None:
        values = cbor.decode(signed.payload)
        if not isinstance(values, dict) or len(values) != len(_REVOCATION_CLAIMS):
            raise HedgerowError("STATEMENT_INVALID", "revocation")
        _, at, cti, author, last = [values.get(claim) for claim in _REVOCATION_CLAIMS]
        good = values.get(claims.ISS) == self.trust.app and is_integer(at) and is_integer(last)
        good = good and isinstance(cti, bytes) and isinstance(author, bytes)
        if not good or not 0 <= last <= MAX_NUMBER:
            raise HedgerowError("STATEMENT_INVALID", "revocation")
        key = self.trust.roots.get(signed.kid)
        if verify and (key is None or not finish(signed.verify(self.identity.p256, key))):
            raise HedgerowError("CREDENTIAL_ISSUER", "of a revocation")
        self.trust.revoked[cti] = max(last, self.trust.revoked.get(cti, 0))
        self.trust.floor = max(self.trust.floor, at)
        return author if self.revoke(author, cti, last) else None
