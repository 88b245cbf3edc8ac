"""An author's sealed word that operations of its own are lost, and how they are shown (SPEC 5.5.5).

As in seals kind 1 is signed, by the sealing key of a credential of the author; kind 0 stands for no security
yet: SHA-256 of the signed bytes and 32 zeros.
"""

from hashlib import sha256

from ..clock.civil import rfc3339
from ..clock.hlc import stamp_ms
from ..codec import cbor
from ..custody.skip import LOST, SEALED, Skip
from ..errors import HedgerowError
from ..log import ENTRY_SEAL, ENTRY_SKIP
from .seal import NO_SEAL, SEAL_HASH, SEAL_SIGNED, Seal
from .verify import names, seal_before

_READ_BYTES = 2048


# The names of the reasons in custody.skip.
_REASONS = ("dropped", "restored", "damaged", "thinned")


def _word_of(author: bytes, first: int, last: int, parts: list, signer: object = None) -> list:
    """Return [kind of the seal, signature]."""
    signed = cbor.encode([1, author, first, last, parts])
    if signer is None:
        return [SEAL_HASH, sha256(signed).digest() + bytes(32)]
    return [SEAL_SIGNED, signer.sign(signed)]


def make_lost(
    author: bytes,
    first: int,
    last: int,
    reason: int,
    stamp: bytes,
    summary: list | None = None,
    previous: bytes | None = None,
    signer: object = None,
) -> bytes:
    """Return the skip that stands for lost operations.

    `summary` is [first, last] of the author's operations that hold the summaries of a THINNED range,
    `previous` the hash of the seal before the range, NO_SEAL where it is the first, None if nobody knows it.
    `signer` is make_seal's.
    """
    parts = [reason, stamp, summary, previous]
    return Skip(first, last, LOST, parts + _word_of(author, first, last, parts, signer)).encode()


def check_lost(log: object, author: bytes, skip: Skip, rules: object = None) -> None:
    """Refuse (SKIP_INVALID) a sealed lost skip that is not its author's word, or not in its place.

    `rules` (crypto.rules) know who signs: no other skip counts for who has a credential.
    """
    check_word(author, skip, seal_before(log, author, skip.first), rules)


def check_word(author: bytes, skip: Skip, before: bytes | None, rules: object = None) -> None:
    """See check_lost; `before` is the seal right before the skip, None if it is not here."""
    signs = rules is not None and rules.knows(author)
    if skip.kind != LOST or len(skip.detail) != SEALED:
        if signs:
            raise HedgerowError("SKIP_INVALID", "%d-%d: not signed" % (skip.first, skip.last))
        return
    parts = skip.detail[:4]
    if signs and skip.detail[4] == SEAL_SIGNED:
        signed = cbor.encode([1, author, skip.first, skip.last, parts])
        good = rules.check_word(author, signed, skip.detail[5])
    else:
        good = not signs and _word_of(author, skip.first, skip.last, parts) == skip.detail[4:]
    if not good:
        raise HedgerowError("SKIP_INVALID", "%d-%d: not sealed by its author" % (skip.first, skip.last))
    previous = parts[3]
    if skip.first == 1:
        follows = previous in (None, NO_SEAL)
    else:
        follows = None in (previous, before) or names(previous, before)
    if not follows:
        raise HedgerowError("SKIP_INVALID", "%d-%d: another seal before it" % (skip.first, skip.last))


def seal_over(log: object, author: bytes, number: int) -> Seal | None:
    """Return the seal that covers an operation, None if the log has none."""
    for kind, first, last, body in log.read(author, log.held(author), number - 1, 1):
        if kind == ENTRY_SEAL and first <= number <= last:
            return Seal.decode(body)
    return None


def spans(log: object, author: bytes, sealed: int, first: int) -> bool:
    """Say whether all between what is sealed and operation `first` is said to be lost.

    What an author says of its own operations is sealed by itself, also where some of them are here.
    """
    number = at = sealed
    while number < first - 1:
        entries = log.read(author, at, log.sealed(author), _READ_BYTES)
        if not entries or at >= first - 1:
            return False
        for kind, _, last, body in entries:
            at = max(at, last)
            skip = Skip.decode(body) if kind == ENTRY_SKIP else None
            if skip and skip.kind == LOST and skip.first <= number + 1:
                number = max(number, skip.last)
    return True


def show(skip: Skip) -> dict:
    """Return a lost skip for people: {"first", "last", "reason", "time", "summary"}.

    `time` is what the author's clock said (RFC 3339); `summary` is [first, last] of its operations that
    stand for a thinned range, None for any other.
    """
    reason = skip.detail[0]
    if not isinstance(reason, str):
        reason = _REASONS[reason] if reason < len(_REASONS) else "reason %d" % reason
    return {
        "first": skip.first,
        "last": skip.last,
        "reason": reason,
        "time": rfc3339(stamp_ms(skip.detail[1] + b"\0\0")),
        "summary": skip.detail[2] if len(skip.detail) == SEALED else None,
    }


def losses(log: object, author: bytes) -> list:
    """Return what an author has lost and nobody brought, as show() does, ascending."""
    found: list = []
    for first, last, kind in log.missing(author):
        if kind != LOST:
            continue
        number = first - 1
        entries: list = [None]
        while entries and number < last:
            entries = log.read(author, number, log.sealed(author), _READ_BYTES)
            for entry, low, high, body in entries:
                if entry == ENTRY_SKIP and low <= last and high >= first:
                    row = show(Skip.decode(body))
                    row["first"] = max(first, low)
                    row["last"] = min(last, high)
                    found.append(row)
                number = max(number, high)
                if low > last:
                    break
    return found
