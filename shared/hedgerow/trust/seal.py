"""Seals: an author's word for a run of its operations (SPEC 5.8).

In kind 1 the signature is that of the sealing key in the credential that the seal names. Kind 0 stands for no
security yet: the 64 bytes of the signature are SHA-256 of the signed bytes and 32 zeros. It catches mixed-up
operations and nobody who means harm.
"""

from hashlib import sha256

from .. import limits
from ..codec import cbor
from ..codec.schema import is_integer
from ..errors import HedgerowError

SEAL_HASH = 0
SEAL_SIGNED = 1
NO_CREDENTIAL = bytes(8)
NO_SEAL = bytes(16)


class Seal:
    """The parts of a seal: `first`, `last`, `credential` (8), `previous` (16), `kind`, `signature` (64)."""

    def __init__(
        self, first: int, last: int, credential: bytes, previous: bytes, kind: int, signature: bytes
    ):
        self.first = first
        self.last = last
        self.credential = credential
        self.previous = previous
        self.kind = kind
        self.signature = signature

    @staticmethod
    def decode(body: bytes) -> "Seal":
        """Read a seal; SEAL_INVALID, or a CBOR code."""
        parts = cbor.decode(body)
        if not isinstance(parts, list) or len(parts) != 7 or parts[0] != 1:
            raise HedgerowError("SEAL_INVALID", "shape")
        _, first, last, credential, previous, kind, signature = parts
        for part, size in ((credential, 8), (previous, 16), (signature, 64)):
            if not isinstance(part, bytes) or len(part) != size:
                raise HedgerowError("SEAL_INVALID", "sizes")
        # True and the decimal 1 equal 1, and would be other bytes for the same seal.
        if not is_integer(parts[0]) or not is_integer(kind):
            raise HedgerowError("SEAL_INVALID", "numbers")
        if not is_integer(first) or not is_integer(last) or not 0 < first <= last <= limits.MAX_NUMBER:
            raise HedgerowError("SEAL_INVALID", "range")
        if last - first >= limits.MAX_SEAL_OPERATIONS or kind not in (SEAL_HASH, SEAL_SIGNED):
            raise HedgerowError("SEAL_INVALID", "kind or length")
        return Seal(first, last, credential, previous, kind, signature)


def signed_part(
    author: bytes, first: int, last: int, h16s: list, previous: bytes, credential: bytes
) -> bytes:
    """Return what the signature of a seal is over; the first five as make_seal() has them."""
    root = sha256(b"".join(h16s)).digest()
    return cbor.encode([1, author, credential, first, last, root, previous])


def make_seal(
    author: bytes, first: int, last: int, h16s: list, previous: bytes, signer: object = None
) -> bytes:
    """Seal the operations `first` to `last`; `h16s` are their H16, `previous` the hash of the seal before.

    `signer` has the name of a `credential` (8 bytes), and sign() for its key; without one it is of kind 0.
    """
    credential = signer.credential if signer else NO_CREDENTIAL
    signed = signed_part(author, first, last, h16s, previous, credential)
    kind = SEAL_SIGNED if signer else SEAL_HASH
    signature = signer.sign(signed) if signer else sha256(signed).digest() + bytes(32)
    return cbor.encode([1, first, last, credential, previous, kind, signature])


def check_seal(author: bytes, body: bytes, h16s: list, rules: object = None) -> bool:
    """Say whether a seal is its author's word for the operations with these H16, in order.

    `rules` (crypto.rules) know who signs: no seal of kind 0 counts for who has a credential.
    """
    seal = Seal.decode(body)
    return len(h16s) == seal.last - seal.first + 1 and _is_word(author, seal, h16s, rules)


def _is_word(author: bytes, seal: Seal, h16s: list, rules: object) -> bool:
    signed = signed_part(author, seal.first, seal.last, h16s, seal.previous, seal.credential)
    if seal.kind == SEAL_SIGNED:
        return rules is not None and rules.check_seal(author, seal.credential, signed, seal.signature)
    if rules is not None and rules.knows(author):
        return False
    return sha256(signed).digest() + bytes(32) == seal.signature


def names_holder(author: bytes, seal: Seal, rules: object = None) -> bool:
    """Say whether a seal at least names its author's credential, where something of its range is skipped.

    Without the root of all its operations nobody can check the signature.
    """
    if rules is None or not rules.knows(author):
        return True
    return seal.kind == SEAL_SIGNED and rules.holds(author, seal.credential)


def bare_seals(author: bytes, first: int, last: int, signer: object = None) -> list:
    """Return seals [(first, last, body)] over a range, that vouch for nothing in it (SPEC 5.8.5).

    So the author of operations that are lost to it says that there is nothing else to wait for.
    """
    found: list = []
    while first <= last:
        end = min(last, first + limits.MAX_SEAL_OPERATIONS - 1)
        found.append((first, end, make_seal(author, first, end, [], NO_SEAL, signer)))
        first = end + 1
    return found


def is_bare(author: bytes, body: bytes, rules: object = None) -> bool:
    """Say whether a seal is one of bare_seals()."""
    seal = Seal.decode(body)
    return seal.previous == NO_SEAL and _is_word(author, seal, [], rules)


def seal_hash(body: bytes) -> bytes:
    """Return the 16 bytes by which the next seal names this one."""
    return sha256(body).digest()[:16]
