"""Which neighbour to connect to, from the beacons that were heard (SPEC 6.5)."""

from .. import limits
from .beacon import CONNECTABLE, WANTS_TIME


class _Neighbour:
    """What is remembered of one address."""

    def __init__(self) -> None:
        self.state: object = None
        self.rssi = 0
        self.heard_at = 0
        # Bucket digests heard since the last session, and the summary and receipts told in that session.
        self.digests: dict = {}
        self.summary: list | None = None
        self.told: list = []
        self.synced_at = -1
        self.not_before = 0
        self.failures = 0


class Neighbours:
    """A table of at most `limit` addresses (any hashable); who was not heard for longest makes room.

    After a session an address is left alone for `hold_off_ms`, after failures for twice as long each time.
    """

    def __init__(self, *, hold_off_ms: int = 2000, limit: int = limits.MAX_NEIGHBOURS):
        self._hold_off_ms = hold_off_ms
        self._limit = limit
        self._table: dict = {}

    def __len__(self) -> int:
        return len(self._table)

    def heard(self, address: object, state: object, rssi: int, now: int) -> None:
        """Note a STATE beacon."""
        neighbour = self._get(address)
        neighbour.state = state
        neighbour.rssi = rssi
        neighbour.heard_at = now
        neighbour.digests[state.bucket] = state.digest

    def authors(self, address: object) -> list:
        """Return the authors whom an address spoke of in the last session."""
        neighbour = self._table.get(address)
        return [author for author, _ in neighbour.told] if neighbour else []

    def forget(self, address: object) -> None:
        """Drop what is known of an address that is not to be visited."""
        self._table.pop(address, None)

    def synced(self, address: object, summary: list | None, now: int, told: list | None = None) -> None:
        """Note a session that ended well: Exchange.summary and Exchange.told() of it."""
        neighbour = self._get(address)
        neighbour.summary = summary
        neighbour.told = told or []
        neighbour.digests = {}
        # What was said before the session is no news after it.
        neighbour.state = None
        neighbour.failures = 0
        neighbour.synced_at = now
        neighbour.not_before = now + self._hold_off_ms

    def failed(self, address: object, now: int) -> None:
        """Note a connection that did not come about, or a session that ended in an error."""
        neighbour = self._get(address)
        neighbour.failures += 1
        doublings = min(neighbour.failures, limits.MAX_BACKOFF_DOUBLINGS)
        neighbour.not_before = now + (self._hold_off_ms << doublings)

    def candidate(self, peer: object, now: int, busy: object = ()) -> object:
        """Return the address to connect to now, or None; of several the one left alone for longest.

        `busy` holds addresses that are being visited.
        """
        best = None
        found = None
        for address, neighbour in self._table.items():
            state = neighbour.state
            if (
                state is None
                or state.mesh != peer.mesh
                or now - neighbour.heard_at > limits.NEIGHBOUR_FRESH_MS
            ):
                continue
            peer.note_distance(state.distance, now)
            if now < neighbour.not_before or not state.flags & CONNECTABLE or address in busy:
                continue
            rank = (neighbour.synced_at, -neighbour.rssi)
            if (best is None or rank < best) and _worthwhile(neighbour, peer, now):
                best = rank
                found = address
        return found

    def _get(self, address: object) -> _Neighbour:
        neighbour = self._table.get(address)
        if neighbour is None:
            if len(self._table) >= self._limit:
                oldest = min(self._table, key=lambda key: self._table[key].heard_at)
                del self._table[oldest]
            neighbour = self._table[address] = _Neighbour()
        return neighbour


def _worthwhile(neighbour: _Neighbour, peer: object, now: int) -> bool:
    """Say whether a session would bring operations up, or receipts or time down."""
    state = neighbour.state
    if state.distance > peer.distance(now) and state.open_count and _differs(neighbour):
        return True
    if state.flags & WANTS_TIME and peer.utc(now) and not peer.wants_time(now):
        return True
    for author, receipted in neighbour.told:
        if peer.receipted(author) > receipted:
            return True
    return False


def _differs(neighbour: _Neighbour) -> bool:
    """Say whether a digest heard since the last session differs from what that session ended with."""
    summary = neighbour.summary
    if summary is None or len(summary) - 1 != 1 << neighbour.state.log2:
        return True
    for bucket, digest in neighbour.digests.items():
        if summary[1 + bucket] != digest:
            return True
    return False
