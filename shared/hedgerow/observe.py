"""Observers: a live query and whom it tells (SPEC 10.9)."""

from .codec import cbor
from .query.live import Live


class Observer:
    """One live query of a peer; `on_change` is called with Changes, at once and after each change.

    What is touched while it is being told is told after it has returned, in one step.
    """

    def __init__(self, peer: object, statement: tuple, parameters: dict, on_change: object):
        self._peer = peer
        self._documents = peer.down.documents
        self._on_change = on_change
        self._live = Live(statement, parameters, peer.answer_rows)
        self._touched: dict = {}
        self._fresh = True
        # With others other documents can be read.
        self._keys = peer.collection_keys
        self._busy = False

    def touch(self, collection: str, document_id: object) -> None:
        """Note that a document has changed."""
        if collection == self._live.collection:
            self._touched[cbor.encode(document_id)] = document_id

    def run(self) -> None:
        """Tell what has changed since the last time, if anything has."""
        if self._busy or not (self._fresh or self._touched or self._keys is not self._peer.collection_keys):
            return
        self._busy = True
        try:
            changes = self._step()
            if changes or self._fresh:
                self._fresh = False
                self._on_change(changes)
        finally:
            self._busy = False

    def _step(self) -> object:
        touched, self._touched = self._touched, {}
        live = self._live
        keys = self._peer.collection_keys
        scan = self._fresh or self._keys is not keys
        self._keys = keys
        if not scan:
            collection = live.collection
            ids = [touched[key] for key in sorted(touched)]
            scan = live.touch([(name, self._documents.view(collection, name)) for name in ids])
        if scan:
            live.start()
            for document in self._documents.scan(live.collection):
                if document is not None:
                    live.add(document)
        return live.finish()
