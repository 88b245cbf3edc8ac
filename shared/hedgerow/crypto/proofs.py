"""What shows an author that a receipt is its keeper's: a MAC under a key of these two alone (SPEC 11.14)."""

from .. import limits
from ..codec import cbor
from ..custody.receipt import PROOF_MAC, Receipt
from .kdf import expand, extract, hmac, same

_LABEL = b"hedgerow receipt"
_KEY = limits.const(32)
_TAG = limits.const(8)


def pair_key(p256: object, private: bytes, public: bytes, mesh: list) -> object:
    """Return the key (32 bytes) that the holders of two agreement keys share in a mesh (mode and id): one
    multiplication, once for a pair; a generator. POINT_INVALID.
    """
    shared = yield from p256.agree(private, public)
    return expand(extract(b"", shared), _LABEL + cbor.encode(list(mesh)), _KEY)


def tag(key: bytes, receipt: Receipt) -> bytes:
    """Return the 8 bytes that prove a receipt."""
    parts = [receipt.keeper, receipt.incarnation, receipt.author, receipt.number]
    return hmac(key, cbor.encode(parts))[:_TAG]


def is_proof(key: bytes, receipt: Receipt) -> bool:
    """Say whether a receipt has the proof of who shares a key with us."""
    return receipt.proof_kind == PROOF_MAC and same(tag(key, receipt), receipt.proof)
