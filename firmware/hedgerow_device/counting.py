"""Readings that count on over restarts: `n` has no holes and none comes twice, whenever the power goes."""

from hedgerow.errors import HedgerowError
from hedgerow.log import STATE_CONFIG
from hedgerow.operation import INSERT, decode_body

from .uptime import now

_COUNT = b"n"
_READ_BYTES = 4096
_STEP = 16


class Counting:
    """Records documents of a collection with a field `n`, one more each time; `count` is the newest.

    One for each peer. It goes on from the newest reading in the log, or from the number that is kept apart
    from it: that is written before a receipt is, because receipted readings may leave the ring.
    """

    def __init__(self, peer: object, collection: str):
        self._peer = peer
        self._collection = collection
        self.count = self._newest()
        peer.before_receipt = self.keep

    def record(self, document: dict) -> int:
        """Add the next `n` to a document and insert it; return its operation's number. It is durable then."""
        document["n"] = self.count + 1
        peer = self._peer
        held = peer.log.held(peer.author)
        try:
            return peer.insert(self._collection, document, now())
        finally:
            # If it became durable before an error it counts: the next one must not have its `n`.
            if peer.log.held(peer.author) > held:
                self.count += 1

    def keep(self) -> None:
        """Make the count durable apart from the readings; a log too full for it keeps the older one."""
        log = self._peer.log
        try:
            log.put(STATE_CONFIG, _COUNT, self.count.to_bytes(4, "big"))
            log.commit()
        except HedgerowError as error:
            if error.code != "LOG_FULL":
                raise

    def _newest(self) -> int:
        """Return the greatest `n` so far: that of the newest reading in the log, or as kept apart."""
        peer = self._peer
        log = peer.log
        kept = int.from_bytes(log.get(STATE_CONFIG, _COUNT) or b"", "big")
        high = log.held(peer.author)
        floor = peer.receipted(peer.author)
        while high > floor:
            low = max(floor, high - _STEP)
            found = 0
            for _, _, last, body in log.read(peer.author, low, high, _READ_BYTES):
                if last > high:
                    break
                found = self._n_of(body) or found
            if found:
                return max(found, kept)
            high = low
        return kept

    def _n_of(self, body: bytes) -> int:
        """Return the `n` of a reading, 0 for what is none."""
        change = decode_body(body)[1][0]
        schema = self._peer.schemas.get(change[1]) if change[0] == INSERT else None
        if schema is None or schema.collection != self._collection:
            return 0
        return schema.unpack(change[3]).get("n", 0)
