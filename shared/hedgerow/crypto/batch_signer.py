"""What a keeper does to say a batch of receipts (SPEC 5.6.7); boards only read them."""

from ..codec import cbor
from .batches import BATCH
from .cose import name_of, sign1


def sign_batch(p256: object, private: bytes, sealing: bytes, app: str, moment: int, receipts: list) -> object:
    """Sign receipts of one keeper by its sealing key, private and public: the generator returns it."""
    keeper, incarnation = receipts[0].keeper, receipts[0].incarnation
    entries = sorted([[receipt.author, receipt.number] for receipt in receipts])
    payload = cbor.encode([app, keeper, incarnation, moment, entries])
    return (yield from sign1(p256, private, payload, name_of(sealing), BATCH))
