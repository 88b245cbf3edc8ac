"""Whom to connect to: where advertisements would take too long, or cannot carry it (SPEC 6.14)."""

from .. import limits
from . import frames, tells

# Operations behind which a session is worth its price.
_MANY = limits.const(32)
_CALLED_MS = limits.const(10000)


class _Neighbour:
    """What is remembered of one address."""

    def __init__(self) -> None:
        self.state: object = None
        self.rssi = 0
        self.heard_at = 0
        # Bucket digests heard since the last session, those heard right after it, and the receipts told in it.
        self.digests: dict = {}
        self.told: list = []
        self.synced_at = -1
        self.not_before = 0
        self.failures = 0
        self.vain = 0
        self.lag = 0
        self.open_at_sync = -1


class Visits:
    """A table of at most `limit` addresses; who was not heard for longest makes room."""

    def __init__(self, mesh: object, hold_off_ms: int, limit: int):
        self._mesh = mesh
        self._hold_off_ms = hold_off_ms
        self._limit = limit
        self._table: dict = {}
        self._lag = 0
        self._called_until = 0

    def heard(self, address: object, state: object, rssi: int, now: int) -> None:
        """Note a STATE."""
        neighbour = self._get(address)
        neighbour.state = state
        neighbour.rssi = rssi
        neighbour.heard_at = now
        neighbour.digests[state.bucket] = state.digest
        neighbour.lag = self._lag
        self._lag = 0

    def shown(self, address: object) -> dict:
        """Return the digests that an address has shown, by bucket."""
        return self._table[address].digests

    def note_lag(self, count: int) -> None:
        """Note that somebody holds so many operations more than we do of one author."""
        self._lag += count

    def heard_call(self, frame: bytes, now: int) -> None:
        """Note that somebody wants to connect to a peer: maybe to us."""
        target, _, seconds = tells.decode_call(frame)
        if target == self._mesh.peer.author[:3]:
            self._called_until = now + min(seconds * 1000, _CALLED_MS)

    def called(self, now: int) -> bool:
        """Say whether somebody wants to connect to us now."""
        return now < self._called_until

    def nearer(self, now: int) -> int:
        """Return how many neighbours are nearer a keeper than we are."""
        code = self._mesh.code
        count = 0
        for neighbour in self._table.values():
            state = neighbour.state
            if (
                state
                and now - neighbour.heard_at < limits.MESH_AROUND_MS
                and frames.code_of(state.distance) < code
            ):
                count += 1
        return count

    def authors(self, address: object) -> list:
        """Return the authors whom an address spoke of in the last session."""
        neighbour = self._table.get(address)
        return [author for author, _ in neighbour.told] if neighbour else []

    def synced(self, address: object, now: int, told: list | None = None) -> None:
        """Note a session that ended well."""
        neighbour = self._get(address)
        neighbour.told = told or []
        neighbour.failures = 0
        neighbour.synced_at = now
        neighbour.not_before = now + self._hold_off_ms

    def failed(self, address: object, now: int) -> None:
        """Note a connection that did not come about, or a session that ended in an error."""
        neighbour = self._get(address)
        neighbour.failures += 1
        doublings = min(neighbour.failures, limits.MAX_BACKOFF_DOUBLINGS)
        neighbour.not_before = now + (self._hold_off_ms << doublings)

    def candidate(self, now: int, busy: object = ()) -> object:
        """Return the address to connect to now, or None."""
        return None

    def report(self, now: int) -> list:
        """Return [(name, rssi, age_ms, distance, role, due_ms or None, overdue)]."""
        found = []
        for neighbour in self._table.values():
            state = neighbour.state
            if state:
                age = now - neighbour.heard_at
                found.append((state.author, neighbour.rssi, age, state.distance, state.role, None, False))
        return found

    def _get(self, address: object) -> _Neighbour:
        neighbour = self._table.get(address)
        if neighbour is None:
            if len(self._table) >= self._limit:
                oldest = min(self._table, key=lambda key: self._table[key].heard_at)
                del self._table[oldest]
            neighbour = self._table[address] = _Neighbour()
        return neighbour
