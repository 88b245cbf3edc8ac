"""Places of authors in a log that has no more of them (SPEC 5.17): loaded when a new one was refused.

Who says operations of invented authors takes places, and none of these is ever receipted.
"""

from . import limits

# So many give way at a time.
_MANY = limits.const(8)


def make_places(peer: object, now: int) -> None:
    """Have others give way for new authors, if that is due; the new ones come again.

    For PLACES_MS after the first refusal nobody does: seals and receipts may be on their way. Then those of
    whom least is lost: without a receipt and without a seal, of these who has the fewest operations here and
    came first, several at once; else one that is sealed; else, where documents are nobody's wish, one of
    whom all is receipted. What was open of them their authors say again.
    """
    if not peer.places_at:
        peer.places_at = now + limits.PLACES_MS
    if now < peer.places_at:
        return
    peer.places_at = now + limits.PLACES_MS
    log = peer.log
    found = []
    for order, author in enumerate(log.authors()):
        held = log.held(author)
        if not held or peer.is_own(author) or peer.writer_of(author) is not None:
            continue
        receipted = peer.receipted(author)
        if not receipted:
            found.append((1 if log.sealed(author) else 0, held, order, author))
        elif receipted >= held and not peer.may_want:
            found.append((2, held, order, author))
    found.sort()
    for kind, _, _, author in found[:_MANY]:
        if kind and author != found[0][3]:
            break
        log.cut(author, 0)
        peer.touch(author)
    peer.commit()
