"""Skips: statements that stand in the place of operations (SPEC 5.5)."""

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError

SUPERSEDED = 0
LOST = 1
RECEIPTED = 2

# Reasons of a lost skip: dropped by the author's policy, given up under a receipt that a restored keeper does
# not stand by any more, damaged flash, replaced by summaries.
DROPPED = 0
RESTORED = 1
DAMAGED = 2
THINNED = 3
# How many parts the detail of a sealed lost skip has.
SEALED = 6


class Skip:
    """Numbers `first` to `last` are not here, and why.

    SUPERSEDED: `detail` is the greatest dominating dot [author, number]. LOST: [reason, stamp], a number
    below 256 or a text, and 6 or 8 bytes; if it is sealed (trust.lost), besides [first, last] of the own
    operations with the summaries or None, the 16 bytes by which the seal before is named or None, the kind
    of the seal, its 64 bytes. RECEIPTED: None; the keeper has them. It is a note of this log alone and never
    sent.
    """

    def __init__(self, first: int, last: int, kind: int, detail: object = None):
        self.first = first
        self.last = last
        self.kind = kind
        self.detail = detail

    def encode(self) -> bytes:
        """Return CBOR [version, first, last, kind, detail]."""
        return cbor.encode([1, self.first, self.last, self.kind, self.detail])

    @staticmethod
    def decode(data: bytes) -> "Skip":
        """Read a skip; SKIP_INVALID, or a CBOR code."""
        parts = cbor.decode(data)
        if not isinstance(parts, list) or len(parts) != 5 or parts[0] != 1:
            raise HedgerowError("SKIP_INVALID", "shape")
        _, first, last, kind, detail = parts
        # True and the decimal 1 equal 1, and would be other bytes for the same skip.
        if not is_integer(parts[0]) or not is_integer(kind):
            raise HedgerowError("SKIP_INVALID", "numbers")
        if not is_integer(first) or not is_integer(last) or not 0 < first <= last <= limits.MAX_NUMBER:
            raise HedgerowError("SKIP_INVALID", "range")
        if not is_integer(kind) or not _fits(kind, detail):
            raise HedgerowError("SKIP_INVALID", "kind or detail")
        return Skip(first, last, kind, detail)


def _fits(kind: int, detail: object) -> bool:
    if kind == RECEIPTED:
        return detail is None
    if kind not in (SUPERSEDED, LOST) or not isinstance(detail, list) or len(detail) not in (2, SEALED):
        return False
    if len(detail) == SEALED and (kind != LOST or not _fits_seal(detail)):
        return False
    one, other = detail[:2]
    if kind == SUPERSEDED:
        if not is_integer(other) or not 0 < other <= limits.MAX_NUMBER:
            return False
        return isinstance(one, bytes) and len(one) == 8
    if not isinstance(other, bytes) or len(other) not in (6, 8):
        return False
    if isinstance(one, str):
        return 0 < len(one) <= limits.MAX_CODE
    return is_integer(one) and 0 <= one < 256


def _fits_seal(detail: list) -> bool:
    reason, _, summary, previous, kind, signature = detail
    if summary is not None:
        if not isinstance(summary, list) or len(summary) != 2:
            return False
        first, last = summary
        if not is_integer(first) or not is_integer(last) or not 0 < first <= last <= limits.MAX_NUMBER:
            return False
    if previous is not None and not (isinstance(previous, bytes) and len(previous) == 16):
        return False
    if not is_integer(kind) or kind not in (0, 1) or not isinstance(signature, bytes) or len(signature) != 64:
        return False
    return is_integer(reason) and (reason == THINNED) == (summary is not None)
