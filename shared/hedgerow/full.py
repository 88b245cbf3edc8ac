"""What happens when the log is full (SPEC 5.14): who makes room for a peer's own operations, in which order.

What others have had receipted and nobody here asks for, and own receipted readings, the log takes back by
itself. Then go others' open operations beyond their share, then own ones by the policy of their collection.
"""

from . import limits
from .errors import HedgerowError

# All others together keep a third of the room of a log that is full, and each of them so many operations.
_SHARE = limits.const(3)
_LEAST = limits.const(32)
# Room is made for a while at a time: a part of the log, or a few operations of the greatest size.
_PART = limits.const(64)
_LEAST_BYTES = limits.const(2048)
# So often room is made for nothing before own operations are left alone until receipts come.
_VAIN = limits.const(2)
_UNDONE = ("LOG_FULL", "SCHEMAS_FULL", "STATE_TOO_LARGE", "OPERATION_TOO_LARGE")


def account(peer: object) -> dict:
    """Return what is counted since the boot, all 0 at first.

    Own operations "lost", others' "dropped", writes "refused"; up to which number nothing is left to go
    ("scanned", while so much was "receipted"), the "quota" of better days and, when it was lowered, how much
    "others" had receipted and the "rest" of open bytes; attempts in "vain".
    """
    if not peer.account:
        names = ("lost", "dropped", "refused", "scanned", "receipted", "quota", "others", "rest", "vain")
        peer.account.update(dict.fromkeys(names, 0))
    return peer.account


def make_room(peer: object, now: int) -> bool:
    """Make room in a log that is full; say whether anything could be done."""
    found = bool(peer.reclaim and peer.reclaim())
    while drop_excess(peer):
        found = True
    return found or give_up(peer, now)


def write(peer: object, error: HedgerowError, now: int, again: object, numbered: bool) -> int:
    """Make room for an operation that the log refused, and write it by `again()`; return its number.

    `numbered` says that its number must be the next one. `error` stands if nothing could be done.
    """
    number = _attempt(again) if peer.reclaim and peer.reclaim() else None
    while number is None and drop_excess(peer):
        number = _attempt(again)
    if number is not None:
        return number
    if peer.receipted(peer.author) != account(peer)["receipted"]:
        account(peer)["vain"] = 0
    if account(peer)["vain"] >= _VAIN:
        # What would go helps nobody.
        return _give_in(peer, error)
    if numbered and peer.full and _thins_next(peer):
        # A summary would take its number: it is written into the reserve first.
        number = _attempt(again, peer)
        if number is not None:
            give_up(peer, now)
            return number
    if give_up(peer, now):
        number = _attempt(again)
        account(peer)["vain"] = account(peer)["vain"] + 1 if number is None else 0
    return _give_in(peer, error) if number is None else number


def _give_in(peer: object, error: HedgerowError) -> int:
    account(peer)["refused"] += 1
    raise HedgerowError("LOG_FULL", error.detail)


def _attempt(again: object, urgent: object = None) -> int | None:
    """Write; None if the log is still full. For an `urgent` peer the reserve may be used."""
    try:
        if urgent:
            urgent.log.urgent = True
        return again()
    except HedgerowError as error:
        if error.code != "LOG_FULL":
            raise
        return None
    finally:
        if urgent:
            urgent.log.urgent = False


# ---- others


def drop_excess(peer: object) -> bool:
    """Give up the open operations of the other author that is farthest beyond its share; say if there is one.

    From then on nobody may have more here, until half of the room is free again.
    """
    if peer.keeper:
        return False
    if peer.strange is None and strangers_give_way(peer, peer.author):
        return True
    log = peer.log
    counts: list = []
    own = 0
    for author in log.authors():
        count = log.held(author) - peer.receipted(author)
        if peer.writer_of(author) is not None or peer.is_own(author):
            own += max(count, 0)
        elif count > 0:
            counts.append((count, author))
    if not counts:
        return False
    share = account(peer)["quota"] or peer.quota
    storage = log.storage()
    if storage["capacity"]:
        mean = max(1, storage["open"] // (own + sum([count for count, _ in counts])))
        share = min(share, max(_LEAST, storage["capacity"] // _SHARE // len(counts) // mean))
    count, author = max(counts)
    if count <= share:
        return False
    held = log.held(author)
    log.cut(author, peer.receipted(author) + share)
    account(peer)["dropped"] += held - log.held(author)
    account(peer)["quota"] = account(peer)["quota"] or peer.quota
    peer.quota = share
    peer.commit()
    account(peer)["others"] = _receipted(peer)
    account(peer)["rest"] = log.storage()["open"]
    return True


def strangers_give_way(peer: object, author: bytes) -> bool:
    """Give up what those have beyond their share whose credential nobody knows, for somebody else's sake; say
    whether there was any (SPEC 5.18).
    """
    if not peer.members or not peer.members.ready:
        return False
    try:
        from .crypto.strangers import give_way

        return give_way(peer, author)
    except MemoryError:
        return False


def is_half_free(peer: object) -> bool:
    """Say whether half of the log's room, if it has a bound, is free of what has no receipt."""
    storage = peer.log.storage()
    return bool(not storage["capacity"] or storage["open"] * 2 <= storage["capacity"])


def _receipted(peer: object) -> int:
    """Return how many operations of all authors here have a receipt."""
    return sum([peer.receipted(author) for author in peer.log.authors()])


def has_room(peer: object) -> bool:
    """Say whether others may have as many operations here again as before the log was full.

    What they lost makes room, and would fill it again: not before a receipt has come, or half of the rest has
    gone.
    """
    found = account(peer)
    if not found["quota"] or not is_half_free(peer):
        return False
    if _receipted(peer) == found["others"] and peer.log.storage()["open"] * 2 > found["rest"]:
        return False
    peer.quota = found["quota"]
    found["quota"] = 0
    return True


# ---- own


def _thins_next(peer: object) -> bool:
    from .thin import find

    plan = find(peer)
    return plan is not None and plan.summary is not None


def give_up(peer: object, now: int) -> bool:
    """Drop or thin own open operations by the policies of their collections; say whether there were any."""
    if not peer.full:
        return False
    from .thin import find, finish

    log = peer.log
    wanted = max((log.storage()["capacity"] or 0) // _PART, _LEAST_BYTES)
    gained = 0
    try:
        log.urgent = True
        if finish(peer):
            return True
        while gained < wanted:
            plan = find(peer)
            if plan is None:
                break
            plan.carry_out(now)
            gained += plan.gain
    except HedgerowError as error:
        if error.code not in _UNDONE:
            raise
    finally:
        log.urgent = False
    return gained > 0
