"""The mesh engine of a peer: advertisements in, advertisements out, and when (SPEC 6).

It reads no clock and touches no radio: the shell tells it what was heard, and asks what to say and when.
"""

from .. import limits
from ..errors import HedgerowError
from ..sync import beacon
from ..sync.hello import LEAF, RELAY
from ..sync.neighbours import Neighbours

_BEACON_MS = limits.const(1000)
_RELAY_DUTY = limits.const(50)


class Mesh:
    """What `peer` says and hears; times are the peer's milliseconds.

    `random(n)` gives an integer in [0, n); `key` is the mesh key; `budget` a Budget or None.
    """

    def __init__(
        self,
        peer: object,
        now: int,
        *,
        random: object,
        role: int = RELAY,
        key: bytes = b"",
        budget: object = None,
        hold_off_ms: int = 2000,
        table: int = limits.MAX_NEIGHBOURS,
    ):
        self.peer = peer
        self.role = role
        self.stats: dict = {}
        self._random = random
        self._counter = random(0x10000)
        self._at = now + random(_BEACON_MS)
        self._neighbours = Neighbours(hold_off_ms=hold_off_ms, limit=table)

    def heard(self, address: object, rssi: int, payload: bytes, now: int, connectable: bool = False) -> bool:
        """Take an advertisement; say whether it was one of this mesh. It never raises."""
        try:
            state = beacon.decode(payload)
        except HedgerowError:
            return False
        if not isinstance(state, beacon.State) or state.mesh != self.peer.mesh:
            return False
        self.peer.note_distance(state.distance, now)
        self._neighbours.heard(address, state, rssi, now)
        return True

    def due(self, now: int) -> int:
        """Return the moment at which say() has something to say."""
        return self._at

    def say(self, now: int) -> tuple | None:
        """Return (payload, connectable, events), or None if there is nothing to say now."""
        if now < self._at:
            return None
        self._at = now + _BEACON_MS // 2 + self._random(_BEACON_MS)
        self._counter += 1
        return beacon.encode_state(self.peer.state_beacon(self._counter, now)), True, 2

    def duty(self, now: int) -> int:
        """Return the percentage of time in which to listen."""
        return 0 if self.role == LEAF else _RELAY_DUTY

    def visit(self, now: int, busy: object = ()) -> object:
        """Return the address to connect to, or None; `busy` are being visited."""
        return self._neighbours.candidate(self.peer, now, busy)

    def authors(self, address: object) -> list:
        """Return the authors whom an address spoke of in the last session."""
        return self._neighbours.authors(address)

    def called(self, now: int) -> bool:
        """Say whether to be connectable at the short interval, for somebody wants to connect."""
        return False

    def synced(self, address: object, summary: list | None, now: int, told: list | None = None) -> None:
        """Note a session that ended well: Exchange.summary and Exchange.told() of it."""
        self._neighbours.synced(address, summary, now, told)

    def failed(self, address: object, now: int) -> None:
        """Note a session that failed."""
        self._neighbours.failed(address, now)

    def sleep_until(self, now: int) -> int | None:
        """Return until when a leaf may sleep, None to stay awake."""
        return None

    def save(self) -> bytes:
        """Return what should survive a deep sleep, at most 512 bytes."""
        return self._counter.to_bytes(4, "big")

    def restore(self, data: bytes) -> None:
        """Take back what save() gave; anything else is passed over."""
        if len(data) == 4:
            self._counter = int.from_bytes(data, "big")

    def neighbours(self, now: int) -> list:
        """Return [(name, rssi, age_ms, distance, role, due_ms or None, overdue)]."""
        return []
