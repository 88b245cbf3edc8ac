"""Credentials, and whom a peer believes: verified once, then known by name (SPEC 11.5)."""

from hashlib import sha256

from .. import limits
from ..errors import HedgerowError
from .claims import ALL, DELEGATES, SALT, Claims, author_of
from .cose import Sign1, name_of, untagged
from .edhoc import KCWT, KID

_HEADERS = {1: -7}
_NO_AUTHOR = bytes(8)


class Credential:
    """A credential as it came: `value` without tag, `name` (8 bytes of its hash), `claims`, `agreement` key.

    Nothing in it is true before Trust.accept has said so.
    """

    def __init__(self, data: bytes):
        """Read one; CREDENTIAL_INVALID, COSE_INVALID, or a code of CBOR."""
        if len(data) > limits.MAX_CREDENTIAL:
            raise HedgerowError("CREDENTIAL_INVALID", "%d bytes" % len(data))
        self.value = untagged(data)
        self.signed = Sign1(self.value)
        # What is signed as something else says so in its headers.
        if self.signed.protected != _HEADERS:
            raise HedgerowError("CREDENTIAL_INVALID", "headers")
        self.claims = Claims.decode(self.signed.payload)
        self.agreement = self.claims.agreement
        self.name = sha256(self.value).digest()[:8]


class Trust:
    """What a peer goes by: `roots`, the keys of the Authentication Service by name; its `app`, mode and mesh.

    `revoked` maps the cti of revoked credentials to the last number that is still accepted, `revoked_keys`
    has the sealing keys of those, `revoked_authors` the authors of their logs: whoever holds one is out with
    all its credentials. `floor` is the greatest
    time in anything that was verified, in seconds since 1970: it is later than that now. `most`
    credentials are known.
    """

    def __init__(self, p256: object, roots: dict, app: str, mode: list, most: int = limits.MAX_CREDENTIALS):
        self._most = most
        self.roots = roots
        self.revoked: dict = {}
        self.revoked_keys: set = set()
        self.revoked_authors: set = set()
        self.floor = 0
        self._p256 = p256
        self.app = app
        self.mode = mode
        self._known: dict = {}
        self._order: list = []

    def find(self, label: int, value: bytes) -> Credential | None:
        """Return the credential that a header of EDHOC names or holds, None for one that is not known."""
        if label == KID:
            return self.known(value)
        if label != KCWT:
            return None
        return self._known.get(sha256(value).digest()[:8]) or Credential(value)

    def known(self, name: bytes) -> Credential | None:
        """Return a credential that was accepted, by its name."""
        return self._known.get(name)

    def delegation(self, cti: bytes) -> Credential | None:
        """Return the delegation of this number, if it was verified and is known."""
        # A delegate may give any number to what it issues: that of a delegation too.
        found = [
            known for known in self._known.values() if known.claims.cti == cti and known.claims.delegation
        ]
        return found[0] if found else None

    def stands(self, claims: Claims) -> bool:
        """Say whether neither a credential, nor another of its key, nor its delegation is revoked."""
        if claims.sealing in self.revoked_keys or claims.author in self.revoked_authors:
            return False
        if claims.cti in self.revoked or claims.under in self.revoked:
            return False
        delegate = self.delegation(claims.under) if claims.under else None
        return delegate is None or delegate.claims.sealing not in self.revoked_keys

    def revoke(self, cti: bytes, author: bytes, last: int) -> None:
        """Shut out the holder of a credential, and of the log of an author (zeros for none)."""
        self.revoked[cti] = max(last, self.revoked.get(cti, 0))
        if author != _NO_AUTHOR:
            self.revoked_authors.add(author)
        for known in self._known.values():
            if known.claims.cti == cti and known.claims.sealing:
                self.revoked_keys.add(known.claims.sealing)

    def accept(self, found: Credential, issuer: bytes | None = None) -> object:
        """Refuse whom this peer has no reason to believe: a generator of slices.

        `issuer` is the credential of the delegate that issued it, if it came along. An expired one is
        accepted: what it may still do is another question (`expired`). CREDENTIAL_FOREIGN,
        CREDENTIAL_REVOKED, CREDENTIAL_ISSUER, CREDENTIAL_RIGHTS, CREDENTIAL_INVALID.
        """
        self._check(found.claims)
        if found.name in self._known:
            delegate = self.delegation(found.claims.under)
        else:
            delegate = yield from self.verify(found, issuer)
            if delegate is not None:
                self._check(delegate.claims)
        self._keep(found)
        if delegate is not None:
            # It goes after those that it has brought in: they are counted by it.
            self._keep(delegate)

    def verify(self, found: Credential, issuer: bytes | None = None) -> object:
        """Refuse what nobody has issued that may; return the delegation, None where a root has issued it.

        One that is revoked, or whose delegate is, is good for what came before that.
        """
        self._check_place(found.claims)
        key = self.roots.get(found.signed.kid)
        delegate = None
        if key is None:
            delegate = yield from self._delegate(found.signed.kid, found.claims.under, issuer)
            _within(found.claims, delegate.claims)
            key = delegate.claims.sealing
        yield from self._verify(found, key)
        return delegate

    def expired(self, found: Credential, grace: int = 0) -> bool:
        """Say whether a credential's time is over for sure, by more than so many seconds."""
        return self.floor > found.claims.expires + grace

    def keep(self, found: Credential) -> None:
        """Take a credential that was verified before, as it comes from a store of one's own."""
        self._keep(found)

    def _keep(self, found: Credential) -> None:
        """Who was not met for longest makes room."""
        if found.name in self._known:
            self._order.remove(found.name)
        elif len(self._order) >= self._most:
            del self._known[self._order.pop(0)]
        self._known[found.name] = found
        self._order.append(found.name)
        if found.claims.under is None:
            # A delegate's clock is its own.
            self.floor = max(self.floor, found.claims.issued)

    def _check(self, claims: Claims) -> None:
        self._check_place(claims)
        if not self.stands(claims):
            raise HedgerowError("CREDENTIAL_REVOKED", claims.cti.hex())

    def _check_place(self, claims: Claims) -> None:
        if claims.issuer != self.app or claims.mode != self.mode:
            raise HedgerowError(
                "CREDENTIAL_FOREIGN", "%s, mode %s" % (claims.issuer, claims.mode and claims.mode[0])
            )

    def _verify(self, found: Credential, key: bytes) -> object:
        if not (yield from found.signed.verify(self._p256, key)):
            raise HedgerowError("CREDENTIAL_INVALID", "signature")

    def _delegate(self, kid: bytes, under: bytes | None, data: bytes | None) -> object:
        """Return the verified delegation of this number, whose holder's sealing key has this name."""
        for name in self._order:
            known = self._known[name]
            if known.claims.cti == under and _is_delegate(known.claims, kid):
                return known
        issuer = None if data is None else Credential(data)
        key = None if issuer is None else self.roots.get(issuer.signed.kid)
        if key is None or not _is_delegate(issuer.claims, kid):
            raise HedgerowError("CREDENTIAL_ISSUER", "nobody known")
        self._check_place(issuer.claims)
        yield from self._verify(issuer, key)
        self._keep(issuer)
        return issuer


def _is_delegate(claims: Claims, kid: bytes) -> bool:
    if not claims.kinds & DELEGATES or claims.delegation is None or claims.under is not None:
        return False
    return claims.sealing is not None and name_of(claims.sealing) == kid


def _within(claims: Claims, giver: Claims) -> None:
    """Refuse what a delegate may not have given: more than it has, longer, or the right to go on giving."""
    collections, _, until = giver.delegation
    good = (
        claims.under == giver.cti != claims.cti and not claims.kinds & DELEGATES and claims.delegation is None
    )
    # Else it could name the author of another, who would be shut out wherever it came first.
    named = (None, author_of(claims.sealing or b"", claims.values.get(SALT) or b""))
    good = good and claims.author in named
    good = good and claims.kinds & ~giver.kinds == 0 and claims.issued <= until and claims.expires <= until
    for entry in claims.scope:
        good = good and (entry[0] in collections or ALL in collections)
        # A right under no condition covers all of it; else the condition must be the giver's own.
        granted = giver.may(entry[0], entry[1])
        good = good and ("" in granted or (entry[2] if len(entry) > 2 else "") in granted)
    if not good:
        raise HedgerowError("CREDENTIAL_RIGHTS", claims.cti.hex())
