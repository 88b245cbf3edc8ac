"""Batch receipts: a keeper's signed word how far it holds many authors, good everywhere (SPEC 5.6.7)."""

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..codec.varint import read_uint, write_uint
from ..custody.receipt import Receipt
from ..errors import HedgerowError
from .cose import Sign1, join, name_of

BATCH = "hg-rct"

# How many bytes of a keeper's name, and of the moment, a letter has; of a signature.
_SHORT = limits.const(4)
_MOMENT = limits.const(5)
_SIGNATURE = limits.const(64)
_NAME = limits.const(8)


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

    def receipts(self, but: bytes = b"") -> list:
        """Return what it says as receipts without a proof of their own, `but` one author's; RECEIPT_INVALID.

        Who has a credential goes by proofs for what it writes under that, made with a key that it shares:
        before a keeper knows the credential, others may have sealed for it.
        """
        return [
            Receipt.decode(Receipt(self.keeper, self.incarnation, author, number).encode())
            for author, number in self.entries
            if author != but
        ]

    def covers(self, other: "Batch") -> bool:
        """Say whether another one of the keeper says nothing more."""
        known = {entry[0]: entry[1] for entry in self.entries}
        same = (self.keeper, self.incarnation) == (other.keeper, other.incarnation)
        return same and not [1 for author, number in other.entries if known.get(author, 0) < number]

    def fold(self) -> bytes:
        """Return what goes into a letter, without the app and the rest of the keeper's name, which members
        know (SPEC 6.15.10); b"" for what fits none."""
        out = bytearray(self.keeper[:_SHORT])
        write_uint(out, self.incarnation)
        out.extend((self.moment & 0xFFFFFFFFFF).to_bytes(_MOMENT, "big"))
        for author, number in self.entries:
            out.extend(author)
            write_uint(out, number)
        out.extend(self._signed.signature)
        return bytes(out) if len(out) <= limits.MAX_FOLDED else b""

    def verify(self, p256: object, sealing: bytes) -> object:
        """Refuse (RECEIPT_INVALID) what this sealing key has not signed: a generator of slices."""
        good = self._signed.kid == name_of(sealing)
        good = good and (yield from self._signed.verify(p256, sealing))
        if not good:
            raise HedgerowError("RECEIPT_INVALID", "signature")


def unfold_batch(brief: bytes, app: str, keepers: object) -> tuple | None:
    """Return (Batch of an app, key that has to have signed it) of what fold() gave; None if it is of none of
    the `keepers`, [(name, sealing key)]. RECEIPT_INVALID, or a code of CBOR or varints.
    """
    end = len(brief) - _SIGNATURE
    if end <= _SHORT + _MOMENT:
        raise HedgerowError("RECEIPT_INVALID", "%d bytes" % len(brief))
    incarnation, at = read_uint(brief, _SHORT)
    moment = int.from_bytes(brief[at : at + _MOMENT], "big")
    at += _MOMENT
    entries = []
    while at < end:
        author = bytes(brief[at : at + _NAME])
        number, at = read_uint(brief, at + _NAME)
        entries.append([author, number])
    if at != end:
        raise HedgerowError("RECEIPT_INVALID", "entry")
    for keeper, sealing in keepers:
        if keeper[:_SHORT] == brief[:_SHORT]:
            payload = cbor.encode([app, keeper, incarnation, moment, entries])
            return Batch(join(payload, name_of(sealing), BATCH, bytes(brief[end:])), app), sealing
    return None
