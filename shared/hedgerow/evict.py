"""EVICT: taking documents off this peer, and off no other (SPEC 10.8)."""

from .codec import cbor
from .errors import HedgerowError
from .operation import COUNTER, HIDDEN, decode_body
from .reveal import reveal


def evict(peer: object, collection: str, ids: list, force: bool) -> tuple:
    """Forget documents; return (ids of those that went, [(id, why another stays)]).

    EVICT_SUBSCRIBED while an own subscription names the collection, unless forced: what it asks for would
    come again.
    """
    down = peer.down
    if down.subscriptions.covers(collection) and not force:
        raise HedgerowError("EVICT_SUBSCRIBED", collection + ": cancel the subscription first, or say FORCE")
    if peer.keeper:
        raise HedgerowError("EVICT_KEEPER", "a keeper holds what it has receipted")
    leaving = {}
    for document_id in ids:
        leaving[collection, cbor.encode(document_id)] = (
            document_id,
            down.documents.dots(collection, document_id),
        )
    warnings: list = []
    staying = [None]
    while staying:
        staying = []
        for place in sorted(leaving):
            why = _why_not(peer, leaving[place][1], leaving)
            if why:
                staying.append(place)
                warnings.append((leaving[place][0], why))
        for place in staying:
            del leaving[place]
    gone: list = []
    for place in sorted(leaving):
        document_id, dots = leaving[place]
        gone.append(document_id)
        for author, number in dots:
            body = peer.log.fetch(author, number)
            if body is not None:
                down.documents.forget(author, number, body)
    peer.commit()
    return gone, warnings


def _why_not(peer: object, dots: list, leaving: dict) -> str:
    """Return why a document has to stay, "" if it may go."""
    for author, number in dots:
        if peer.carries(author, number):
            return "no keeper has receipted it yet"
        if author in (peer.author, peer.local) and _counts(peer, author, number):
            return "this peer counts in it, and goes on from what it has counted"
        for collection, document_id in peer.down.documents.touched(author, number):
            if (collection, cbor.encode(document_id)) not in leaving:
                return "one operation wrote another document with it, which stays"
    return ""


def _counts(peer: object, author: bytes, number: int) -> bool:
    body = peer.log.fetch(author, number)
    if body is None:
        return False
    stamp, changes = decode_body(body)
    changes = reveal(peer, author, number, stamp, changes)
    return bool([1 for change in changes if change[0] in (COUNTER, HIDDEN)])
