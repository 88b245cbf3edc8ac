"""Batch receipts: a keeper's signed word how far it holds many authors, good everywhere (SPEC 5.6.7)."""

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..custody.receipt import Receipt
from ..errors import HedgerowError
from .cose import Sign1, name_of, sign1

BATCH = "hg-rct"


class Batch:
    """`keeper`, the `incarnation` of its store, `moment` (seconds since 1970), `entries`: [author, number].

    Nothing in it is true before verify() has said so.
    """

    def __init__(self, data: bytes, app: str):
        """Read one of an app; RECEIPT_INVALID, COSE_INVALID, or a code of CBOR."""
        self.data = bytes(data)
        self._signed = Sign1(self.data)
        parts = cbor.decode(self._signed.payload)
        if self._signed.kind != BATCH or not isinstance(parts, list) or len(parts) != 5 or parts[0] != app:
            raise HedgerowError("RECEIPT_INVALID", "shape")
        self.keeper, self.incarnation, self.moment, self.entries = parts[1:]
        good = isinstance(self.keeper, bytes) and isinstance(self.entries, list)
        good = good and is_integer(self.incarnation) and is_integer(self.moment)
        if not good or not 1 <= len(self.entries) <= limits.MAX_BATCH:
            raise HedgerowError("RECEIPT_INVALID", "parts")
        for entry in self.entries:
            if not isinstance(entry, list) or len(entry) != 2:
                raise HedgerowError("RECEIPT_INVALID", "entry")
        self.receipts()

    def receipts(self) -> list:
        """Return what it says as receipts, without a proof of their own; RECEIPT_INVALID."""
        return [
            Receipt.decode(Receipt(self.keeper, self.incarnation, author, number).encode())
            for author, number in self.entries
        ]

    def verify(self, p256: object, sealing: bytes) -> object:
        """Refuse (RECEIPT_INVALID) what this sealing key has not signed: a generator of slices."""
        good = self._signed.kid == name_of(sealing)
        good = good and (yield from self._signed.verify(p256, sealing))
        if not good:
            raise HedgerowError("RECEIPT_INVALID", "signature")


def sign_batch(p256: object, private: bytes, sealing: bytes, app: str, moment: int, receipts: list) -> object:
    """Sign receipts of one keeper by its sealing key, private and public: the generator returns it."""
    keeper, incarnation = receipts[0].keeper, receipts[0].incarnation
    entries = sorted([[receipt.author, receipt.number] for receipt in receipts])
    payload = cbor.encode([app, keeper, incarnation, moment, entries])
    return (yield from sign1(p256, private, payload, name_of(sealing), BATCH))
