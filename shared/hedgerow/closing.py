"""Closing an author of which own operations are lost, and going on as a new one (SPEC 5.10).

The author is closed at the greatest number that it may have used: a note in the log, durable before the log
gets its new author. What is not held up to there is replaced by a lost skip, and sealed as far as no seal
covers it, so that custody and receipts go on; what survives elsewhere still counts. Loaded on demand.
"""

from . import limits
from .clock import hlc
from .custody.skip import DAMAGED, LOST, RECEIPTED, RESTORED, Skip
from .errors import HedgerowError
from .log import CLOSED, ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG
from .trust.lost import make_lost
from .trust.seal import bare_seals


def boot(peer: object) -> None:
    """Finish what a former boot had begun, and take up what the log has found lost."""
    try:
        if peer.author in peer.former:
            renew(peer)
        repair(peer)
    except HedgerowError as error:
        _pass_full(error)
    if peer.former:
        finish(peer)


def repair(peer: object) -> bool:
    """Take up what the log has found lost and no receipt covers: own authors are closed, others fall back.

    Say whether there was any.
    """
    log = peer.log
    lost: list = []
    for author, first, last in log.damage():
        if last > peer.receipted(author) and not _is_named(peer, author, first, last):
            lost.append((author, max(first, peer.receipted(author) + 1), last))
    ends = [last for author, _, last in lost if author == peer.author]
    if not ends and not _seal_tail(peer):
        # A lost schema: what is there can be read by others, and cannot be sealed here.
        ends = [log.held(peer.author)]
    if ends:
        if len(peer.former) + 1 < limits.MAX_OWN_AUTHORS:
            close(peer, max(ends + [log.held(peer.author)]))
        else:
            # No more authors: what may have been used is passed over, so that no number comes twice.
            _write_end(peer, peer.author, max(ends))
            peer.take_author()
    for author, first, last in lost:
        last = min(last, log.held(author))
        if first > last:
            continue
        if not peer.is_own(author) and peer.writer_of(author) is None:
            # Whoever has it hands it over once more.
            log.cut(author, first - 1)
        else:
            log.replace(author, first, last, _lost_skip(peer, author, first, last))
    log.commit()
    return bool(lost)


def _seal_tail(peer: object) -> bool:
    """Seal the own operations that no seal covers yet, if all of them are here; say whether they are."""
    author, first, _, marks, _ = peer.unsealed()
    if first != peer.log.sealed(author) + 1:
        return False
    if marks:
        peer.append_seal(peer.sealed_at, True)
    return True


def _is_named(peer: object, author: bytes, first: int, last: int) -> bool:
    """Say whether a range is held as lost already."""
    return bool([1 for low, high in peer.lost(author) if low <= first and last <= high])


def close(peer: object, number: int) -> None:
    """Close the author at a number, and go on as another; where the log is full, before the next write."""
    log = peer.log
    author = peer.author
    try:
        _seal_tail(peer)
    except HedgerowError as error:
        _pass_full(error)
    _note(peer, author, number)
    try:
        renew(peer)
    except HedgerowError as error:
        _pass_full(error)
    log.commit()


def _note(peer: object, author: bytes, number: int) -> None:
    peer.log.put(STATE_CONFIG, CLOSED + author, number.to_bytes(4, "big") + peer.clock.last)
    peer.log.commit()
    peer.former[author] = number
    peer.closing_at = 0


def renew(peer: object) -> None:
    """Go on as a new author; LOG_FULL where there is no room for it yet."""
    required = peer.ledger.required.get(peer.author, ())
    peer.log.renew()
    peer.take_author(anew=True)
    peer.ledger.required[peer.author] = required


def prove(peer: object, author: bytes, number: int, receipted: bool = False) -> None:
    """Take it that an own author has used numbers up to one that is not held here.

    Another peer has sent the operation, or a receipt for it. SYNC_OWN_AUTHOR for a number too far away to be
    believed, and from the last author on: who invents operations in our name cannot go on for ever.
    """
    known = max(peer.log.held(author), number if receipted else peer.receipted(author))
    if number > known + limits.MAX_CLOSED_GAP:
        raise HedgerowError("SYNC_OWN_AUTHOR", "%d on %d" % (number, known))
    if author != peer.author:
        if number > peer.former[author]:
            _note(peer, author, number)
        return
    if len(peer.former) + 1 >= limits.MAX_OWN_AUTHORS:
        raise HedgerowError("SYNC_OWN_AUTHOR", "%d, after %d authors" % (number, len(peer.former)))
    close(peer, max(number, min(peer.claimed, known + limits.MAX_CLOSED_GAP)))


def step(peer: object, now: int) -> None:
    """Write the ends of former authors, a while after they were closed: others may still bring survivors."""
    if peer.closing_at == 0:
        peer.closing_at = now + limits.CLOSING_DELAY_MS
    elif now >= peer.closing_at:
        finish(peer)


def finish(peer: object) -> None:
    """Write the ends of former authors now; where the log is full, later."""
    peer.closing_at = None
    try:
        for author in sorted(peer.former):
            _write_end(peer, author, peer.former[author])
    except HedgerowError as error:
        peer.closing_at = 0
        _pass_full(error)
    peer.commit()


def _write_end(peer: object, author: bytes, end: int) -> None:
    """Bring an author's run, and its seals, up to where it is closed."""
    log = peer.log
    receipted = peer.receipted(author)
    if end <= receipted:
        return
    held = log.held(author)
    seen = log.seen(author)
    while held < end:
        number = held + 1
        body = log.fetch(author, number) if number <= seen else None
        if body is not None:
            log.append(ENTRY_OP, author, number, number, body)
            held = number
            continue
        held = receipted if number <= receipted else end
        # What survives further up is not skipped.
        for at in range(number + 1, min(held, seen) + 1):
            if log.fetch(author, at) is not None:
                held = at - 1
                break
        if held <= receipted:
            skip = Skip(number, held, RECEIPTED).encode()
        else:
            skip = _lost_skip(peer, author, number, held)
        log.append(ENTRY_SKIP, author, number, held, skip)
    for first, last, body in bare_seals(author, max(log.sealed(author), receipted) + 1, end, peer.members):
        log.append(ENTRY_SEAL, author, first, last, body)


def _lost_skip(peer: object, author: bytes, first: int, last: int) -> bytes:
    """Return our word that own operations are lost with damaged storage, since they were closed."""
    noted = peer.log.get(STATE_CONFIG, CLOSED + author) or b""
    stamp = hlc.wire(noted[4:] or peer.clock.last)
    return make_lost(author, first, last, DAMAGED, stamp, None, None, peer.members)


def restored_skip(peer: object, first: int, last: int) -> bytes | None:
    """Return our word that own operations are gone which a restored keeper no longer stands by.

    None if the log knows better: they are lost here, and other skips stand for them now.
    """
    if repair(peer):
        return None
    if peer.members:
        stamp = hlc.wire(peer.clock.last)
        return make_lost(peer.author, first, last, RESTORED, stamp, None, None, peer.members)
    return Skip(first, last, LOST, [RESTORED, peer.clock.last]).encode()


def _pass_full(error: HedgerowError) -> None:
    if error.code != "LOG_FULL":
        raise error
