"""One operation in the making: statements see the documents as they will be (SPEC 3.5, 10.8)."""

from . import limits
from .codec import cbor
from .codec.schema import SCOPE_LOCAL, scope_of
from .document import Document, document_ids
from .documents import shown
from .errors import HedgerowError
from .operation import INITIAL


class Batch:
    """Changes of a peer that become one operation, or none; several if it is `divisible` and they are many.

    `mutated` are the ids of the documents that it changes, in order; where a document has no id of its own
    they are final once it is written.
    """

    def __init__(self, peer: object, now: int, divisible: bool = False):
        self._peer = peer
        self._documents = peer.down.documents
        self._now = now
        self.divisible = divisible
        self.mutated: list = []
        self._begin()

    def _begin(self) -> None:
        peer = self._peer
        try:
            peer.introduce(self._now)
        except HedgerowError:
            # What only reads needs no room; what writes will meet it again.
            pass
        self._stamp = peer.clock.tick(self._now)
        self._held = self._state()
        self._plans: list = []
        self._overlay: dict = {}
        self._scope: int | None = None

    def _state(self) -> tuple:
        peer = self._peer
        return peer.author, peer.log.held(peer.author), peer.log.held(peer.local)

    def divide(self) -> None:
        """Write what is in it, and go on with another operation: for statements over many documents."""
        self.commit()
        self._begin()

    def add(self, collection: str, change: list, schema: object) -> None:
        """Add a change; it shows at once to what follows. SCOPE_MIXED, OPERATION_CHANGES."""
        scope = scope_of(schema.kind)
        if self._scope not in (None, scope):
            raise HedgerowError("SCOPE_MIXED", collection)
        if len(self._plans) >= limits.MAX_CHANGES:
            raise HedgerowError(
                "OPERATION_CHANGES", "more than %d; narrow the statement" % limits.MAX_CHANGES
            )
        self._scope = scope
        self._plans.append((change, schema))
        document_id = self._ids()[-1]
        place = (collection, cbor.encode(document_id))
        document = self.load(collection, document_id)
        merge = document.merge_stamp(self._stamp)
        if merge and change[0] != INITIAL:
            # It follows on what it has seen, however far ahead that is; the clock stays where it is.
            from .query.mutate import set_merge_stamp

            set_merge_stamp(change, merge)
        document.apply(change, schema, self._stamp, self._author())
        self._overlay[place] = (document_id, document)

    def _author(self) -> bytes:
        return self._peer.local if self._scope == SCOPE_LOCAL else self._peer.author

    def _ids(self) -> list:
        number = self._held[1 + (self._scope == SCOPE_LOCAL)] + 1
        return document_ids(self._author(), number, [change for change, _ in self._plans])

    def author_for(self, collection: str) -> bytes:
        """Return who writes to a collection: the author, or its local half."""
        return (
            self._peer.local if scope_of(self._peer.kind_of(collection)) == SCOPE_LOCAL else self._peer.author
        )

    def commit(self) -> int:
        """Write the operation, durable on return; return its number, 0 if there is nothing to write.

        TRANSACTION_CONFLICT if something else was written meanwhile.
        """
        peer = self._peer
        if not self._plans:
            return 0
        peer.introduce(self._now)
        if self._state() != self._held:
            raise HedgerowError("TRANSACTION_CONFLICT", "something else was written meanwhile")
        for document_id in self._ids():
            if document_id not in self.mutated:
                self.mutated.append(document_id)
        changes = [change for change, _ in self._plans]
        schemas = [schema for _, schema in self._plans]
        return peer.write(changes, schemas, self._now, self._scope == SCOPE_LOCAL, self._stamp)

    # ---- documents as they will be

    def load(self, collection: str, document_id: object) -> Document:
        """Return the merged document with the changes of this batch."""
        entry = self._overlay.get((collection, cbor.encode(document_id)))
        return entry[1] if entry else self._documents.load(collection, document_id)

    def view(self, collection: str, document_id: object) -> dict | None:
        """Return a document as queries see it, with the changes of this batch."""
        entry = self._overlay.get((collection, cbor.encode(document_id)))
        if entry is None:
            return self._documents.view(collection, document_id)
        return shown(entry[1], document_id)

    def scan(self, collection: str) -> object:
        """Yield the documents of a collection, as Documents.scan does, with the changes of this batch."""
        for document in self._documents.scan(collection):
            if document is None or (collection, cbor.encode(document["_id"])) not in self._overlay:
                yield document
        for place in sorted(self._overlay):
            if place[0] == collection:
                document_id, document = self._overlay[place]
                row = shown(document, document_id)
                if row is not None:
                    yield row
