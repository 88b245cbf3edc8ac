"""What a keeper does before a seal counts: it checks it against the operations of its log (SPEC 5.8)."""

from .. import limits
from ..errors import HedgerowError
from ..log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP
from ..operation import h16
from .seal import NO_SEAL, Seal, check_seal, is_bare, names_holder, seal_hash

_READ_BYTES = 8192
# Of the curve P-256.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def verify_seal(
    log: object, schemas: dict, author: bytes, body: bytes, apart: bool = False, rules: object = None
) -> None:
    """Refuse (SEAL_INVALID) a seal that is not for the operations held or not in its place.

    Where an operation is skipped the root cannot be computed: such a seal is taken for its place, and so is
    one that vouches for nothing. `apart` says that seals before it are gone, with what its author has lost.
    `rules` are check_seal's.
    """
    seal = Seal.decode(body)
    if is_bare(author, body, rules):
        return
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
    before = seal_before(log, author, seal.first)
    if before is not None and is_bare(author, before, rules):
        # It may stand for one that its author has lost.
        good = skipped or check_seal(author, body, marks, rules)
    elif skipped or (apart and before is None):
        good = before is None or names(seal.previous, before)
        good = good and (skipped or check_seal(author, body, marks, rules))
    else:
        follows = names(seal.previous, before) if before else seal.previous == NO_SEAL
        good = check_seal(author, body, marks, rules) and follows
    if not good or (skipped and not names_holder(author, seal, rules)):
        raise HedgerowError("SEAL_INVALID", "%d-%d" % (seal.first, seal.last))


def names(previous: bytes, body: bytes) -> bool:
    """Say whether a seal names this one before it, with whichever of its two valid signatures it came."""
    return previous in (seal_hash(body), seal_hash(twin(body)))


def twin(body: bytes) -> bytes:
    """Return a seal with the other signature that is as valid: s and n - s both are, and anybody can tell
    one from the other.
    """
    # The signature is the last part.
    s = _ORDER - int.from_bytes(body[-32:], "big")
    return body[:-32] + s.to_bytes(32, "big") if s > 0 else body


def doubt(peer: object, author: bytes, body: bytes | None, now: int) -> bool:
    """Give up what no seal covers of an author of whom this seal does not fit; say whether anything went.

    Nothing does for one that is no seal at all; None is one that could not even be made. Something here is
    not what its author wrote. Up to there it is to come whole, and for DOUBT_MS nothing is given up again
    (SPEC 5.8.6): who says seals that are wrong cannot go on with that.
    """
    log = peer.log
    held = log.held(author)
    base = log.sealed(author) if peer.keeper else max(log.sealed(author), peer.receipted(author))
    doubts = peer.doubts
    for other in [other for other in doubts if doubts[other][1] <= now]:
        del doubts[other]
    if held <= base or author in doubts or len(doubts) >= limits.MAX_AUTHORS or peer.is_own(author):
        return False
    try:
        if body is not None:
            Seal.decode(body)
    except HedgerowError:
        return False
    if log.read(author, base, limits.MAX_NUMBER, 1)[0][1] <= base:
        # A skip that reaches below is not cut in two.
        return False
    log.cut(author, base)
    doubts[author] = held, now + limits.DOUBT_MS
    peer.touch(author)
    peer.commit()
    return True


def seal_before(log: object, author: bytes, first: int) -> bytes | None:
    """Return the seal that ends right before an operation, None if it is not here."""
    if first > 1:
        for kind, _, last, body in log.read(author, limits.MAX_NUMBER, first - 2, 1):
            if kind == ENTRY_SEAL and last == first - 1:
                return body
    return None
