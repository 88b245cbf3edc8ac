"""Receipts: a keeper's word that it holds an author durably up to a number (SPEC 5.6)."""

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError

PROOF_NONE = 0
PROOF_MAC = 1
NO_PROOF = bytes(8)


class Receipt:
    """`keeper` and `author` are 8 bytes; `incarnation` counts the restores of the keeper's store.

    `proof` is 8 bytes: of `proof_kind` 1 a MAC that shows its author that the keeper has said so (see
    crypto.proofs), of kind 0 zeros.
    """

    def __init__(
        self,
        keeper: bytes,
        incarnation: int,
        author: bytes,
        number: int,
        proof_kind: int = PROOF_NONE,
        proof: bytes = NO_PROOF,
    ):
        self.keeper = keeper
        self.incarnation = incarnation
        self.author = author
        self.number = number
        self.proof_kind = proof_kind
        self.proof = proof

    def encode(self) -> bytes:
        """Return CBOR [version, keeper, incarnation, author, number, proof kind, proof]."""
        return cbor.encode(
            [1, self.keeper, self.incarnation, self.author, self.number, self.proof_kind, self.proof]
        )

    @staticmethod
    def decode(data: bytes) -> "Receipt":
        """Read a receipt; RECEIPT_INVALID, or a CBOR code."""
        parts = cbor.decode(data)
        if not isinstance(parts, list) or len(parts) != 7 or parts[0] != 1:
            raise HedgerowError("RECEIPT_INVALID", "shape")
        for part in (parts[1], parts[3], parts[6]):
            if not isinstance(part, bytes) or len(part) != 8:
                raise HedgerowError("RECEIPT_INVALID", "names and proof are 8 bytes")
        for part in (parts[2], parts[4]):
            if not is_integer(part) or not 0 < part <= limits.MAX_NUMBER:
                raise HedgerowError("RECEIPT_INVALID", "numbers")
        # True and the decimal 1 equal 1, and would be other bytes for the same receipt.
        if not is_integer(parts[0]) or not is_integer(parts[5]):
            raise HedgerowError("RECEIPT_INVALID", "numbers")
        if parts[5] != PROOF_MAC and (parts[5] != PROOF_NONE or parts[6] != NO_PROOF):
            raise HedgerowError("RECEIPT_INVALID", "proof")
        return Receipt(*parts[1:])
