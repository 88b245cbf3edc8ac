"""The documents of a log, merged when somebody asks for them (SPEC 3.10, 5.12).

Nothing but an index is kept: from a number that stands for a document to the dots of the operations that name
it by an id. A document that is called by its dot is found by that alone.
"""

from binascii import crc32

from . import limits
from .clock import hlc
from .codec import cbor
from .codec.schema import CONFIDENTIAL, HEALTH, SCOPE_BIG_PEER, is_stream, scope_of
from .document import Document, document_ids, key_of
from .operation import CLOCK, HIDDEN, INITIAL, INSERT, decode_body

# The key under which the clock records of all authors stand.
CLOCKS = 0x3FFFFFFF
_READ_BYTES = limits.const(1024)
_PRUNE_FROM = limits.const(16)
# The number, that of no operation, under which the index notes that it has forgotten some.
_PRUNED = limits.const(0)


def index_key(collection: str, document_id: object) -> int:
    """Return the 30-bit number under which a document stands in the index; others may share it."""
    return crc32(cbor.encode([collection, document_id])) & 0x3FFFFFFF


def shown(document: Document, document_id: object) -> dict | None:
    """Return a document's fields and `_id`, None if it does not exist."""
    value = document.value()
    if value is None:
        return None
    row = {"_id": document_id}
    row.update(value)
    row["_id"] = document_id
    return row


def dot_of(document_id: object) -> tuple | None:
    """Return the (author, number) that an id is, None if it is no dot."""
    if isinstance(document_id, (list, tuple)) and 2 <= len(document_id) <= 3:
        author, number = document_id[0], document_id[1]
        if isinstance(author, bytes) and len(author) == 8 and isinstance(number, int):
            return author, number
    return None


class Documents:
    """The documents of a peer's log. `horizon` is a stamp: what is later waits for its time.

    `on_touch(collection, id)` is called for each document that an operation which came in changes.
    """

    def __init__(self, peer: object):
        self._peer = peer
        self._log = peer.log
        self.horizon: bytes | None = None
        self.on_touch: object = None
        # (stamp, collection, id) of what waits for its time, as far as it was met.
        self.waiting: list = []
        index = getattr(peer.log, "index", None)
        if index is None:
            from .index import RamIndex

            index = RamIndex()
        self._index = index
        # An index that lies beside the log lacks what came in before anybody asked for documents.
        for author, number, body in self.operations(index.position):
            self._enter(author, number, decode_body(body)[1])
        index.position = self._log.position()

    def operations(self, position: int = 0) -> object:
        """Yield (author, number, body) of the operations behind a position, in the order of their arrival."""
        entries = self._log.since(position, _READ_BYTES)
        while entries:
            for _, author, number, body in entries:
                yield author, number, body
            entries = self._log.since(entries[-1][0], _READ_BYTES)

    # ---- what comes in

    def note(self, author: bytes, number: int, body: bytes) -> None:
        """Take an operation into account that has just been appended or filled in."""
        changes = decode_body(body)[1]
        self._enter(author, number, changes)
        self._index.noted()
        if len(changes) == 1 and changes[0][2] is None and not self.on_touch:
            # A reading: nothing else can have named it.
            return
        for collection, document_id in self.named(author, number, changes):
            self._prune(collection, document_id)
            if self.on_touch:
                self.on_touch(collection, document_id)

    def named(self, author: bytes, number: int, changes: list) -> list:
        """Return [(collection, id)] of the documents that the changes of an operation are about."""
        ids = document_ids(author, number, changes)
        return [
            (self._peer.schemas[change[1]].collection, document_id)
            for change, document_id in zip(changes, ids)
            if change[0] != CLOCK
        ]

    def touched(self, author: bytes, number: int) -> list:
        """Return [(collection, id)] of the documents that an operation changes, none if it is not here."""
        body = self._log.fetch(author, number)
        return [] if body is None else self.named(author, number, decode_body(body)[1])

    def _enter(self, author: bytes, number: int, changes: list) -> None:
        for change in changes:
            if change[0] == CLOCK:
                self._index.add(CLOCKS, author, number)
            elif change[2] is not None:
                collection = self._peer.schemas[change[1]].collection
                self._index.add(index_key(collection, change[2]), author, number)

    def _prune(self, collection: str, document_id: object) -> None:
        """Forget the operations of a document that are superseded, so that a busy one stays cheap."""
        key = index_key(collection, document_id)
        if len(self._index.get(key)) < _PRUNE_FROM:
            return
        document, changes = self._merge(collection, document_id)
        dead: list = []
        needed: list = []
        for author, number, stamp, change, schema, seen in changes:
            carried = not seen or document.carries(change, schema, stamp, author)
            (needed if carried else dead).append((author, number))
        for dot in dead:
            if dot not in needed:
                # In this order: an index that is written down never lacks the mark.
                self._index.add(key, self._peer.author, _PRUNED)
                self._index.remove(key, dot[0], dot[1])

    # ---- one document

    def dots(self, collection: str, document_id: object) -> list:
        """Return [(author, number)] of the operations here that change a document."""
        return [entry[:2] for entry in self._changes(collection, document_id)]

    def _changes(self, collection: str, document_id: object) -> list:
        """Return [(author, number, stamp, change, schema)] of a document."""
        found: list = []
        encoded = cbor.encode(document_id)
        dots = list(self._index.get(index_key(collection, document_id)))
        own = dot_of(document_id)
        if own and own not in dots:
            dots.insert(0, own)
        for author, number in dots:
            body = None if number == _PRUNED else self._log.fetch(author, number)
            if body is None:
                continue
            stamp, changes = decode_body(body)
            ids = document_ids(author, number, changes)
            for at in range(len(changes)):
                change = changes[at]
                if change[0] != CLOCK and cbor.encode(ids[at]) == encoded:
                    schema = self._peer.schemas[change[1]]
                    if schema.collection == collection:
                        if schema.kind & CONFIDENTIAL:
                            from .reveal import revealed

                            change = revealed(self._peer, author, number, stamp, at, change)
                        found.append((author, number, stamp, change, schema))
        return found

    def _merge(self, collection: str, document_id: object) -> tuple:
        """Return (document, [(author, number, stamp, change, schema, in view)])."""
        changes = self._changes(collection, document_id)
        dot = dot_of(document_id)
        # Of a document that only the author of its dot has written the order concerns nobody else.
        others = [1 for entry in changes if dot is None or entry[0] != dot[0]]
        horizon = self.horizon if others else None
        document = Document()
        judged: list = []
        for author, number, stamp, change, schema in changes:
            seen = self._seen(author, number, stamp, change, schema)
            if seen and horizon and stamp > horizon and not _alone(change):
                seen = False
                self._wait(stamp, collection, document_id)
            if seen:
                document.apply(change, schema, stamp, author)
            judged.append((author, number, stamp, change, schema, seen))
        return document, judged

    def _wait(self, stamp: bytes, collection: str, document_id: object) -> None:
        entry = (stamp, collection, document_id)
        if entry not in self.waiting and len(self.waiting) < limits.MAX_WAITING:
            self.waiting.append(entry)

    def _seen(self, author: bytes, number: int, stamp: bytes, change: list, schema: object) -> bool:
        """Say whether a change counts here: not if it cannot be read, is for Big Peers alone, or may not be
        written.
        """
        peer = self._peer
        if change[0] == HIDDEN:
            return False
        if schema.collection == HEALTH and change[2] != author:
            return False
        if scope_of(schema.kind) == SCOPE_BIG_PEER and not peer.keeper and not peer.is_own(author):
            return False
        return peer.verdict is None or peer.verdict(author, number, stamp, change, schema)

    def history(self, collection: str, document_id: object) -> list:
        """Return the changes here of a document, as _changes does, in the order in which they merge."""
        changes = self._changes(collection, document_id)
        changes.sort(key=_merge_order)
        return changes

    def pruned(self, collection: str, document_id: object) -> bool:
        """Say whether the history of a document may lack changes that are superseded."""
        dots = self._index.get(index_key(collection, document_id))
        return bool([1 for dot in dots if dot[1] == _PRUNED])

    def replay(self, document_id: object, changes: list) -> dict | None:
        """Return the document that these changes alone make, as queries see it."""
        document = Document()
        for author, _, stamp, change, schema in changes:
            if change[0] != HIDDEN:
                document.apply(change, schema, stamp, author)
        return self._shown(document, document_id, changes)

    def load(self, collection: str, document_id: object) -> Document:
        """Return the merged document, an empty one if nothing is known of it."""
        return self._merge(collection, document_id)[0]

    def view(self, collection: str, document_id: object) -> dict | None:
        """Return a document as queries see it, with `_id` and in streams `_time`; None if there is none."""
        document, changes = self._merge(collection, document_id)
        return self._shown(document, document_id, [entry for entry in changes if entry[5]])

    def _shown(self, document: Document, document_id: object, changes: list) -> dict | None:
        row = shown(document, document_id)
        if row is not None and changes and is_stream(changes[0][4].kind) and "_time" not in row:
            best = changes[0]
            for entry in changes:
                if entry[2] + entry[0] > best[2] + best[0] and entry[3][0] == INSERT:
                    best = entry
            self._peer.down.show_time(row, best[0], best[1], best[2])
        return row

    # ---- all of them

    def scan(self, collection: str, slice_size: int = limits.SLICE_DOCUMENTS) -> object:
        """Yield the existing documents of a collection as queries see them, in no order that means anything.

        None comes after every `slice_size` operations that were looked at: a caller may take a breath then.
        """
        looked = 0
        for author, number, body in self.operations():
            looked += 1
            if looked % slice_size == 0:
                yield None
            stamp, changes = decode_body(body)
            ids = document_ids(author, number, changes)
            met: list = []
            for at in range(len(changes)):
                change = changes[at]
                if change[0] == CLOCK or self._peer.schemas[change[1]].collection != collection:
                    continue
                if len(changes) > 1:
                    encoded = cbor.encode(ids[at])
                    if encoded in met:
                        continue
                    met.append(encoded)
                shown = self._first(collection, ids[at], author, number, stamp, at, change)
                if shown is not None:
                    yield shown

    def _first(
        self, collection: str, document_id: object, author: bytes, number: int, stamp: bytes, at: int,
        change: list,
    ) -> dict | None:  # fmt: skip
        """Return the document if this operation is the one under which a scan shows it."""
        key = index_key(collection, document_id)
        if change[2] is None and not self._index.get(key):
            # The common case: one operation, one document.
            schema = self._peer.schemas[change[1]]
            if schema.kind & CONFIDENTIAL:
                from .reveal import revealed

                change = revealed(self._peer, author, number, stamp, at, change)
            if not self._seen(author, number, stamp, change, schema):
                return None
            document = Document()
            document.apply(change, schema, stamp, author)
            return self._shown(document, document_id, [(author, number, stamp, change, schema, True)])
        document, changes = self._merge(collection, document_id)
        if not changes or changes[0][:2] != (author, number):
            return None
        return self._shown(document, document_id, [entry for entry in changes if entry[5]])

    # ---- what may go

    def superseded(self, author: bytes, number: int, body: bytes) -> bool:
        """Say whether nothing of an operation is needed any more by the documents that it changes."""
        stamp, changes = decode_body(body)
        ids = document_ids(author, number, changes)
        for change, document_id in zip(changes, ids):
            if change[0] == CLOCK:
                return False
            schema = self._peer.schemas[change[1]]
            document, judged = self._merge(schema.collection, document_id)
            here = [entry[5] for entry in judged if entry[:2] == (author, number)]
            if not here and not self.pruned(schema.collection, document_id):
                # The index does not know it yet: nothing is said of it.
                return False
            waits = [1 for seen in here if not seen]
            if waits or document.carries(change, schema, stamp, author):
                return False
        return True

    def forget(self, author: bytes, number: int, body: bytes) -> None:
        """Drop an operation from log and index; in this order, so that the index never lacks what is here."""
        self._log.drop(author, number, number)
        for change in decode_body(body)[1]:
            if change[0] != CLOCK and change[2] is not None:
                key = index_key(self._peer.schemas[change[1]].collection, change[2])
                self._index.remove(key, author, number)

    def clocks(self) -> list:
        """Return [(author, number)] of the operations that hold clock records."""
        return list(self._index.get(CLOCKS))

    def due(self, horizon: bytes) -> list:
        """Return [(collection, id)] of what has waited for its time and does so no more."""
        ready = [entry[1:] for entry in self.waiting if entry[0] <= horizon]
        self.waiting = [entry for entry in self.waiting if entry[0] > horizon]
        return ready


def _merge_order(entry: tuple) -> tuple:
    author, number, stamp, change, schema = entry
    return key_of(change, schema, stamp, author), author, number


def _alone(change: list) -> bool:
    """Say whether nothing else's order depends on a change: a new document, or a default."""
    return change[0] == INITIAL or (change[0] == INSERT and change[2] is None)


def horizon_at(utc_ms: int) -> bytes:
    """Return the stamp above which operations are ahead of a moment (ms since 2000)."""
    return hlc.pack(min(utc_ms + limits.AHEAD_MS, (1 << 48) - 1), 0xFFFF)
