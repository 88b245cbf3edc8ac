"""Authors whose credential was not verified: places, and their share of a log that is short (SPEC 5.18)."""

from .. import limits
from ..errors import HedgerowError
from ..full import account
from ..log import ENTRY_SEAL

# What an entry takes in a log beside its body, about; how much of a log is read at once.
_ENTRY = limits.const(8)
_LOOK = limits.const(256)
# By what they are cut first: bytes of an operation with its seals.
_TYPICAL = limits.const(64)
# At every so many refusals it is looked whether there is room again.
_REFUSALS = limits.const(63)


def strangers(peer: object) -> list:
    """Return the strangers in the log of a peer with a credential."""
    vouched = peer.members.vouchers()
    return [author for author in peer.authors() if not (peer.is_own(author) or vouched.vouches(author))]


def admit(peer: object, author: bytes, bodies: list) -> tuple | None:
    """Return (a stranger's place in the share, what entries of these bodies take there), None for others and
    while the log is not short; QUOTA_FULL.

    `peer.strange` has a place, [bytes without a receipt, receipted number], of each stranger in the log.
    """
    vouched = peer.members.vouchers()
    if peer.is_own(author) or vouched.vouches(author):
        return None
    known = peer.strange
    if not peer.log.held(author):
        others = [other for other in strangers(peer) if other != author]
        if len(others) >= vouched.strange_room[1]:
            _refuse(peer, author)
    if known is None:
        return None
    size = sum([len(body) for body in bodies]) + _ENTRY * len(bodies)
    if author not in known:
        known[author] = _measure(peer, author)
    if not _fits(known, size, vouched):
        _settle(peer, known, vouched)
        if not _fits(known, size, vouched):
            if not peer.crowded & _REFUSALS and _has_room(peer):
                peer.strange = None
                return None
            _refuse(peer, author)
    return known.setdefault(author, [0, peer.receipted(author)]), size


def give_way(peer: object, author: bytes) -> bool:
    """Cut what strangers have in a log that is full, where there is no room for who is none of them, to their
    share, which they keep to from then on until half of the room is free; say whether anything went.
    """
    vouched = peer.members.vouchers()
    if not (peer.is_own(author) or vouched.vouches(author)):
        return False
    log = peer.log
    others = strangers(peer)
    most = vouched.strange_room[0] // _TYPICAL // max(1, len(others))
    dropped = 0
    while True:
        for other in others:
            held = log.held(other)
            if held > peer.receipted(other) + most:
                log.cut(other, peer.receipted(other) + most)
                dropped += held - log.held(other)
        peer.strange = {other: _measure(peer, other) for other in others}
        if not most or _fits(peer.strange, 0, vouched):
            break
        most //= 2
    account(peer)["dropped"] += dropped
    if dropped:
        peer.commit()
    return dropped > 0


def _refuse(peer: object, author: bytes) -> None:
    peer.crowded += 1
    peer.stranger = author
    raise HedgerowError("QUOTA_FULL", "of authors without a credential")


def _has_room(peer: object) -> bool:
    storage = peer.log.storage()
    return bool(not storage["capacity"] or storage["open"] * 2 <= storage["capacity"])


def _fits(known: dict, size: int, vouched: object) -> bool:
    return sum([place[0] for place in known.values()]) + size <= vouched.strange_room[0]


def _measure(peer: object, author: bytes) -> list:
    """Return the place of an author in the log."""
    log = peer.log
    base = held = sealed = peer.receipted(author)
    size = 0
    while True:
        found = log.read(author, held, sealed, _LOOK)
        if not found:
            return [size, base]
        for kind, _, last, body in found:
            size += len(body) + _ENTRY
            if kind == ENTRY_SEAL:
                sealed = last
            else:
                held = last


def _settle(peer: object, known: dict, vouched: object) -> None:
    """Take out who is no stranger any more, and of the others the part that has receipts."""
    for author in list(known):
        place = known[author]
        number, held = peer.receipted(author), peer.log.held(author)
        if vouched.vouches(author) or (not held and not place[0]):
            del known[author]
        elif number > place[1]:
            place[0] = place[0] * max(0, held - number) // max(1, held - place[1])
            place[1] = number
