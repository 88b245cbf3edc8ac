"""An issuer's word that an author has forked (SPEC 5.16): who judges goes by it, boards never see it."""

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError
from . import claims
from .cose import Sign1

FORK = "hg-frk"

_CLAIMS = (claims.ISS, claims.IAT, claims.AUTHOR, claims.LAST_NUMBER)


class Fork:
    """The `author` of which nothing counts after number `last`, and when that was said (`issued`).

    Nothing in it is true before verify() has said so.
    """

    def __init__(self, statement: bytes, app: str):
        """Read one of an app; STATEMENT_INVALID, COSE_INVALID, or a code of CBOR."""
        self._signed = Sign1(statement)
        values = cbor.decode(self._signed.payload)
        if self._signed.kind != FORK or not isinstance(values, dict) or len(values) != len(_CLAIMS):
            raise HedgerowError("STATEMENT_INVALID", "fork")
        issuer, self.issued, self.author, self.last = [values.get(claim) for claim in _CLAIMS]
        good = is_integer(self.issued) and is_integer(self.last) and isinstance(self.author, bytes)
        if not good or issuer != app or len(self.author) != 8 or self.issued < 0:
            raise HedgerowError("STATEMENT_INVALID", "fork")
        if not 0 <= self.last <= limits.MAX_NUMBER:
            raise HedgerowError("STATEMENT_INVALID", "fork")

    def verify(self, p256: object, roots: dict) -> object:
        """Refuse what no issuer has signed: a generator of slices. CREDENTIAL_ISSUER for one that is not
        known, STATEMENT_INVALID for a signature that is not its.
        """
        key = roots.get(self._signed.kid)
        if key is None:
            raise HedgerowError("CREDENTIAL_ISSUER", "of a fork")
        if not (yield from self._signed.verify(p256, key)):
            raise HedgerowError("STATEMENT_INVALID", "signature")


def payload(app: str, issued: int, author: bytes, last: int) -> bytes:
    """Return what an issuer signs."""
    return cbor.encode({claims.ISS: app, claims.IAT: issued, claims.AUTHOR: author, claims.LAST_NUMBER: last})
