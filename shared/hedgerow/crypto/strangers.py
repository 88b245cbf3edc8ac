"""Authors whose credential was not verified: places, and their share of a log that is short (SPEC 5.18)."""

from .. import limits
from ..errors import HedgerowError
from ..log import ENTRY_SEAL

# What an entry takes in a log beside its body, about; how much of a log is read at once.
_ENTRY = limits.const(8)
_LOOK = limits.const(256)
# By what they are cut first: bytes of an operation with its seals.
_TYPICAL = limits.const(64)
# At every so many refusals it is looked whether there is room again.
_REFUSALS = limits.const(61)


def strangers(peer: object, vouched: object) -> list:
    """Return the strangers with a place in the log of a peer, by what knows whose credential is verified."""
    return [author for author in peer.log.placed() if _is_strange(peer, vouched, author)]


def _is_strange(peer: object, vouched: object, author: bytes) -> bool:
    return not (peer.is_own(author) or vouched.vouches(author))


def admit(peer: object, author: bytes, bodies: list) -> bool:
    """Say whether what entries of these bodies take counts: that of strangers, while the log is short.
    QUOTA_FULL for what goes beyond their share, and for one who finds no place.

    `peer.strange` has [bytes without a receipt, receipted number, held number] of each stranger in the log.
    """
    vouched = peer.members.vouchers()
    if not _is_strange(peer, vouched, author):
        return False
    placed = peer.log.placed()
    if author not in placed and len(placed) >= limits.MAX_STRANGE_AUTHORS:
        if len(strangers(peer, vouched)) >= vouched.strange_room[1]:
            _refuse(peer, author)
    known = peer.strange
    if known is None:
        return False
    if author not in known and peer.log.held(author):
        known[author] = _measure(peer, author)
    size = sum([len(body) for body in bodies]) + _ENTRY * len(bodies)
    if not _fits(known, size, vouched):
        _settle(peer, known, vouched)
        if not _fits(known, size, vouched):
            if peer.crowded % _REFUSALS or not _has_room(peer):
                _refuse(peer, author)
            peer.strange = None
            return False
    return True


def took(peer: object, author: bytes, body: bytes) -> None:
    """Count an entry of a stranger that the log has taken."""
    place = peer.strange.setdefault(author, [0, peer.receipted(author), 0])
    place[0] += len(body) + _ENTRY
    place[2] = peer.log.held(author)


def give_way(peer: object, author: bytes) -> bool:
    """Cut what strangers have in a log that is full, where there is no room for who is none of them, to their
    share, which they keep to from then on until half of the room is free; say whether anything went.
    """
    vouched = peer.members.vouchers()
    if _is_strange(peer, vouched, author):
        return False
    others = strangers(peer, vouched)
    most = max(1, vouched.strange_room[0] // _TYPICAL // max(1, len(others)))
    known: dict = {}
    dropped = sum([_cut(peer, known, other, most) for other in others])
    while most and not _fits(known, 0, vouched):
        most -= max(1, most // 4)
        for other in others:
            if _fits(known, 0, vouched):
                break
            dropped += _cut(peer, known, other, most)
    peer.strange = known
    from ..full import account

    account(peer)["dropped"] += dropped
    if dropped:
        peer.commit()
    return dropped > 0


def _cut(peer: object, known: dict, author: bytes, most: int) -> int:
    """Leave an author so many operations without a receipt, and measure them; return how many went."""
    log = peer.log
    held = log.held(author)
    if held > peer.receipted(author) + most:
        log.cut(author, peer.receipted(author) + most)
        peer.touch(author)
    known[author] = _measure(peer, author)
    return held - log.held(author)


def _refuse(peer: object, author: bytes) -> None:
    peer.crowded += 1
    peer.stranger = author
    raise HedgerowError("QUOTA_FULL", "of authors without a credential")


def _has_room(peer: object) -> bool:
    from ..full import is_half_free

    return is_half_free(peer)


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
            return [size, base, log.held(author)]
        for kind, _, last, body in found:
            size += len(body) + _ENTRY
            if kind == ENTRY_SEAL:
                sealed = last
            else:
                held = last


def _settle(peer: object, known: dict, vouched: object) -> None:
    """Take out who is no stranger any more, and of the others the part that has receipts, or was cut."""
    placed = peer.log.placed()
    for author in list(known):
        place = known[author]
        number, held = peer.receipted(author), peer.log.held(author)
        if vouched.vouches(author):
            del known[author]
        elif held < place[2]:
            known[author] = _measure(peer, author)
        elif number > place[1]:
            place[0] = place[0] * max(0, held - number) // max(1, held - place[1])
            place[1] = number
        elif not place[0] and author not in placed:
            # All of it is receipted, and its place is another's.
            del known[author]
