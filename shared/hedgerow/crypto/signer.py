"""Signing COSE_Sign1 objects, and batches of receipts (SPEC 5.6.7); boards only read them."""

from ..codec import cbor
from .batches import BATCH
from .cose import header, join, name_of, to_sign


def sign1(
    p256: object, private: bytes, payload: bytes, kid: bytes, kind: str = "", aad: bytes = b""
) -> object:
    """Sign a payload; the generator returns the object. `kind` says what it is, lest that be mixed up."""
    signature = yield from p256.sign(private, to_sign(header(kind), aad, payload))
    return join(payload, kid, kind, signature)


def sign_batch(p256: object, private: bytes, sealing: bytes, app: str, moment: int, receipts: list) -> object:
    """Sign receipts of one keeper by its sealing key, private and public: the generator returns it."""
    keeper, incarnation = receipts[0].keeper, receipts[0].incarnation
    entries = sorted([[receipt.author, receipt.number] for receipt in receipts])
    payload = cbor.encode([app, keeper, incarnation, moment, entries])
    return (yield from sign1(p256, private, payload, name_of(sealing), BATCH))
