"""What a store gives up of its documents: superseded operations, deleted documents. Loaded for that."""

from . import limits
from .codec import cbor
from .operation import DELETE, decode_body

_READ_BYTES = limits.const(1024)


def collect(peer: object, frontier: object = None) -> tuple:
    """Drop receipted operations that are superseded, and what is deleted below the frontier.

    What a keeper holds goes below the frontier alone. Returns (how many were dropped because they are
    superseded, how many with deleted documents, the position of the last one of these or 0).
    """
    documents = peer.down.documents
    dropped = gone_with = collected = position = 0
    deletes: list = []
    entries = peer.log.since(0, _READ_BYTES)
    while entries:
        for position, author, number, body in entries:
            stable = _stable(peer, frontier, author, number)
            if not stable and (peer.keeper or peer.carries(author, number)):
                continue
            gone = stable and _gone(peer, frontier, author, number)
            if gone and peer.writer_of(author) is None:
                collected = position
            stamp, changes = decode_body(body)
            if gone and [1 for change in changes if change[0] == DELETE]:
                deletes.append((stamp, author, number))
            elif gone or documents.superseded(author, number, body):
                documents.forget(author, number, body)
                gone_with += gone
                dropped += not gone
        entries = peer.log.since(position, _READ_BYTES)
    # A power cut must not leave the documents without their deletes.
    for _, author, number in sorted(deletes):
        documents.forget(author, number, peer.log.fetch(author, number))
    return dropped, gone_with + len(deletes), collected


def _stable(peer: object, frontier: object, author: bytes, number: int) -> bool:
    """Say whether everybody who has to know of an operation does, and no seal needs it."""
    if peer.writer_of(author) is not None:
        return True
    below = frontier is not None and frontier.covers(author, number)
    return below and not peer.carries(author, number)


def _gone(peer: object, frontier: object, author: bytes, number: int) -> bool:
    """Say whether all documents of an operation are deleted, and that everywhere.

    So must be those of all operations that go with it: no delete leaves before what it deletes.
    """
    documents = peer.down.documents
    waiting = documents.touched(author, number)
    found = bool(waiting)
    met: list = []
    while waiting:
        collection, document_id = waiting.pop()
        place = (collection, cbor.encode(document_id))
        if place in met:
            continue
        met.append(place)
        document = documents.load(collection, document_id)
        if document.exists() or not document.deleted():
            return False
        for dot in documents.dots(collection, document_id):
            if not _stable(peer, frontier, *dot):
                return False
            if len(decode_body(peer.log.fetch(*dot))[1]) > 1:
                waiting += documents.touched(*dot)
    return found
