"""What a keeper does before a seal counts: it checks it against the operations of its log (SPEC 5.8)."""

from .. import limits
from ..errors import HedgerowError
from ..log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP
from ..operation import h16
from .seal import NO_SEAL, Seal, check_seal, seal_hash

_READ_BYTES = 8192


def verify_seal(log: object, schemas: dict, author: bytes, body: bytes, apart: bool = False) -> None:
    """Refuse (SEAL_INVALID) a seal that is not for the operations held or not in its place.

    Where an operation is skipped the root cannot be computed: such a seal is taken for its place. `apart`
    says that seals before it are gone, with what its author has lost.
    """
    seal = Seal.decode(body)
    marks: list = []
    skipped = False
    number = seal.first - 1
    entries: list = [None]
    while entries and number < seal.last:
        entries = log.read(author, number, limits.MAX_NUMBER, _READ_BYTES)
        for kind, first, last, operation in entries:
            if kind == ENTRY_OP and first <= seal.last:
                marks.append(h16(author, first, operation, schemas))
            skipped = skipped or (kind == ENTRY_SKIP and first <= seal.last)
            number = last
    before = hash_of_seal_before(log, author, seal.first)
    if skipped or (apart and before is None):
        good = before is None or seal.previous == before
        good = good and (skipped or check_seal(author, body, marks))
    else:
        good = check_seal(author, body, marks) and seal.previous == (before or NO_SEAL)
    if not good:
        raise HedgerowError("SEAL_INVALID", "%d-%d" % (seal.first, seal.last))


def hash_of_seal_before(log: object, author: bytes, first: int) -> bytes | None:
    """Return the hash of the seal that ends right before an operation, None if it is not here."""
    if first > 1:
        for kind, _, last, body in log.read(author, limits.MAX_NUMBER, first - 2, 1):
            if kind == ENTRY_SEAL and last == first - 1:
                return seal_hash(body)
    return None
