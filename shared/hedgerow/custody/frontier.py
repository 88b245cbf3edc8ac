"""The stability frontier: below it every enrolled peer has been told everything (SPEC 5.11).

Only what lies below it may be collected: superseded operations, and the deletes of documents that are gone.
"""

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError

PROOF_NONE = 0
PROOF_SIGNED = 1
NO_PROOF = bytes(8)

_SIGNATURE = limits.const(64)


class Frontier:
    """A keeper's word: up to `position` of its arrivals, which is `numbers` {author: number}, all have heard;
    its `signature` over that (64 bytes), b"" of one that has no identity.

    Of two frontiers of one keeper the one with the higher (incarnation, position) is the later; those of
    different keepers say nothing about each other, and a peer follows the one that it met first.
    """

    def __init__(self, keeper: bytes, incarnation: int, position: int, numbers: dict, signature: bytes = b""):
        self.keeper = keeper
        self.incarnation = incarnation
        self.position = position
        self.numbers = numbers
        self.signature = signature

    def covers(self, author: bytes, number: int) -> bool:
        """Say whether an operation lies below."""
        return number <= self.numbers.get(author, 0)

    def may_cover(self, author: bytes, number: int) -> bool:
        """Say whether an operation may lie below: a full frontier had no room for all authors."""
        unnamed = author not in self.numbers and len(self.numbers) >= limits.MAX_FRONTIER
        return unnamed or self.covers(author, number)

    def reaches(self, other: "Frontier | None") -> bool:
        """Say whether all that lies below another one, or below none, lies below this one.

        A keeper that has not been put back knows; it may name others of its authors each time.
        """
        if other is not None:
            if (self.keeper, self.incarnation) == (other.keeper, other.incarnation):
                return self.position >= other.position
            for author in other.numbers:
                if not self.covers(author, other.numbers[author]):
                    return False
        return True

    def later(self, other: "Frontier | None") -> bool:
        """Say whether this one says more than another of the same keeper, or than none."""
        if other is None:
            return True
        if self.keeper != other.keeper:
            return False
        return (self.incarnation, self.position) > (other.incarnation, other.position)

    def encode(self) -> bytes:
        """Return CBOR [1, keeper, incarnation, position, [[author, number], ...], proof kind, proof]."""
        proof = [PROOF_SIGNED, self.signature] if self.signature else [PROOF_NONE, NO_PROOF]
        return cbor.encode([1] + self._parts() + proof)

    def signed(self) -> bytes:
        """Return what the keeper signs."""
        return cbor.encode(["hedgerow frontier"] + self._parts())

    def _parts(self) -> list:
        if len(self.numbers) > limits.MAX_FRONTIER:
            raise HedgerowError("FRONTIER_INVALID", "%d authors" % len(self.numbers))
        rows = [[author, self.numbers[author]] for author in sorted(self.numbers)]
        return [self.keeper, self.incarnation, self.position, rows]

    @staticmethod
    def decode(data: bytes) -> "Frontier":
        """Read a frontier; FRONTIER_INVALID, or a CBOR code."""
        parts = cbor.decode(data)
        if not isinstance(parts, list) or len(parts) != 7:
            raise HedgerowError("FRONTIER_INVALID", "shape")
        if not is_integer(parts[0]) or parts[0] != 1:
            raise HedgerowError("FRONTIER_INVALID", "version")
        _, keeper, incarnation, position, rows, kind, signature = parts
        good = is_integer(kind) and isinstance(signature, bytes)
        if not good or (kind != PROOF_SIGNED and [kind, signature] != [PROOF_NONE, NO_PROOF]):
            raise HedgerowError("FRONTIER_INVALID", "proof")
        if kind == PROOF_SIGNED and len(signature) != _SIGNATURE:
            raise HedgerowError("FRONTIER_INVALID", "signature")
        if not isinstance(keeper, bytes) or len(keeper) != 8:
            raise HedgerowError("FRONTIER_INVALID", "keeper")
        if not is_integer(incarnation) or not 0 < incarnation <= limits.MAX_NUMBER:
            raise HedgerowError("FRONTIER_INVALID", "incarnation")
        if not is_integer(position) or not 0 <= position < 1 << 53:
            raise HedgerowError("FRONTIER_INVALID", "position")
        if not isinstance(rows, list) or len(rows) > limits.MAX_FRONTIER:
            raise HedgerowError("FRONTIER_INVALID", "authors")
        numbers: dict = {}
        last = b""
        for row in rows:
            good = isinstance(row, list) and len(row) == 2 and isinstance(row[0], bytes) and len(row[0]) == 8
            if not good or not is_integer(row[1]) or not 0 < row[1] <= limits.MAX_NUMBER:
                raise HedgerowError("FRONTIER_INVALID", "not [author, number]")
            if numbers and row[0] <= last:
                raise HedgerowError("FRONTIER_INVALID", "authors out of order")
            last = row[0]
            numbers[last] = row[1]
        return Frontier(keeper, incarnation, position, numbers, signature if kind else b"")
