"""Readings that count on over restarts: `n` has no holes and none comes twice, whenever the power goes."""

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, STATE_CONFIG
from hedgerow.operation import INSERT, decode_body

_COUNT = b"n"
_READ_BYTES = 4096
_STEP = 16


class Counting:
    """`count` is the greatest `n` of the readings of a collection that are durable, 0 before the first.

    The next reading gets one more. One for each peer. It goes by the log, whatever became of the call that
    wrote a reading, and by the number that is kept apart from it: that one is written before a receipt is, as
    receipted readings may leave the ring.
    """

    def __init__(self, peer: object, collection: str):
        self._peer = peer
        self._collection = collection
        self._newest = self._find_newest()
        self._seen = peer.log.held(peer.author)
        peer.before_receipt = self.keep

    @property
    def count(self) -> int:
        """The greatest `n`."""
        peer = self._peer
        held = peer.log.held(peer.author)
        while self._seen < held:
            for kind, _, last, body in peer.log.read(peer.author, self._seen, held, _READ_BYTES):
                if self._seen < last <= held:
                    if kind == ENTRY_OP:
                        self._newest = max(self._newest, self._n_of(body))
                    self._seen = last
        return self._newest

    def keep(self) -> None:
        """Make the count durable apart from the readings; a log too full for it keeps the older one."""
        log = self._peer.log
        try:
            log.put(STATE_CONFIG, _COUNT, self.count.to_bytes(4, "big"))
            log.commit()
        except HedgerowError as error:
            if error.code != "LOG_FULL":
                raise

    def _find_newest(self) -> int:
        """Return the greatest `n` so far: that of the newest reading in the log, or as kept apart."""
        peer = self._peer
        log = peer.log
        kept = int.from_bytes(log.get(STATE_CONFIG, _COUNT) or b"", "big")
        high = log.held(peer.author)
        floor = peer.receipted(peer.author)
        while high > floor:
            low = max(floor, high - _STEP)
            found = 0
            for kind, _, last, body in log.read(peer.author, low, high, _READ_BYTES):
                if last > high:
                    break
                found = (self._n_of(body) if kind == ENTRY_OP else 0) or found
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
