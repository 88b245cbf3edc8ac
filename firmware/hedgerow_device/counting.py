"""Readings that count on over restarts: `n` has no holes and none comes twice, whenever the power goes."""

from hedgerow.codec.schema import CONFIDENTIAL
from hedgerow.log import ENTRY_OP, STATE_CONFIG
from hedgerow.operation import INSERT, decode_body

_COUNT = b"n"
_READ_BYTES = 4096
_STEP = 16
_STEPS = 32


class Counting:
    """`count` is the greatest `n` of the readings of a collection that are durable, 0 before the first.

    The next reading gets one more. One for each peer. It goes by the log, whatever became of the call that
    wrote a reading, and by the number that is kept apart from it: that one is written before a receipt is, as
    receipted readings may leave the ring. Of operations that are lost each may have been a reading.
    """

    def __init__(self, peer: object, collection: str):
        self._peer = peer
        self._collection = collection
        self._unread = False
        self._author = peer.author
        self._newest = self._find_newest()
        self._seen = peer.log.held(peer.author)
        peer.before_receipt = self.keep

    @property
    def count(self) -> int:
        """The greatest `n`."""
        self._read()
        if self._author != self._peer.author:
            # Another author goes on for the one that was closed.
            self._author = self._peer.author
            self._seen = 0
            self._read()
        return self._newest

    def _read(self) -> None:
        log = self._peer.log
        held = log.held(self._author)
        while self._seen < held:
            before = self._seen
            for kind, _, last, body in log.read(self._author, self._seen, held, _READ_BYTES):
                if self._seen < last <= held:
                    if kind == ENTRY_OP:
                        self._newest = max(self._newest, self._n_of(self._author, last, body))
                    self._seen = last
            if self._seen == before:
                # The rest cannot be read.
                self._seen = held

    def keep(self) -> None:
        """Make the count durable apart from the readings; LOG_FULL: then no receipt may be taken."""
        log = self._peer.log
        log.put(STATE_CONFIG, _COUNT, self.count.to_bytes(4, "big"))
        log.commit()

    def _find_newest(self) -> int:
        """Return the greatest `n` that there may have been: of all authors of the log, or as kept apart."""
        peer = self._peer
        newest = int.from_bytes(peer.log.get(STATE_CONFIG, _COUNT) or b"", "big")
        lost = 0
        for author in [peer.author] + sorted(peer.former):
            n, number = self._newest_of(author)
            floor = max(number, peer.receipted(author))
            gone = sum([last - max(first - 1, floor) for first, last in peer.lost(author) if last > floor])
            if self._unread:
                gone = max(0, peer.log.held(author) - floor)
            if n:
                newest = max(newest, n + gone)
            else:
                lost += gone
        return newest + lost

    def _newest_of(self, author: bytes) -> tuple:
        """Return (`n`, number) of an author's newest reading that is here, (0, 0) for none.

        Receipted ones count too, as far as a few steps go: `n` may not have been kept for them.
        """
        log = self._peer.log
        self._unread = False
        high = log.held(author)
        floor = self._peer.receipted(author)
        steps = 0
        while high > 0 and steps < _STEPS:
            low = max(0, high - _STEP)
            found = (0, 0)
            here = False
            for kind, _, last, body in log.read(author, low, high, _READ_BYTES):
                if last > high:
                    break
                here = True
                n = self._n_of(author, last, body) if kind == ENTRY_OP else 0
                if n:
                    found = (n, last)
            if found[0]:
                return found
            if high <= floor:
                steps += 1
                if not here:
                    break
            high = low
        return (0, 0)

    def _n_of(self, author: bytes, number: int, body: bytes) -> int:
        """Return the `n` of a reading, 0 for what is none."""
        stamp, changes = decode_body(body)
        change = changes[0]
        schema = self._peer.schemas.get(change[1]) if change[0] == INSERT else None
        if change[0] == INSERT and schema is None:
            # The schema is lost: it may be a reading.
            self._unread = True
        if schema is None or schema.collection != self._collection:
            return 0
        if schema.kind & CONFIDENTIAL:
            keys = self._peer.collection_keys
            change = keys and keys.reveal(author, number, stamp, 0, change, schema)
            if not change:
                self._unread = True
                return 0
        return schema.unpack(change[3]).get("n", 0)
