"""What the mesh engine is measured beside: flooding as it comes to mind, and a connection for every change.

Both get for free what they would need besides: an Oracle turns what an advertisement names into the whole
operation, so names, schemas and stamps cost them nothing.
"""

from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from hedgerow.sync.hello import LEAF

_HEAD = b"\x1b\xff\xff\xff"
_REPEATS = 3
_QUEUE = 256
_REMEMBERED = 4096
_JITTER_MS = 200
_DUTY = 50
_STATE_MS = 1000
_FRESH_MS = 10_000
_HOLD_OFF_MS = 2000
_WINDOW_MS = 2000
_PERIOD_MS = 3_600_000
#: A board far from everything stays at this.
UNKNOWN = 255


class Oracle:
    """All operations by the 15 bytes that stand for them in an advertisement: author, number, check."""

    def __init__(self) -> None:
        self.operations: dict[bytes, tuple[bytes, int, bytes]] = {}

    def name(self, author: bytes, number: int, body: bytes) -> bytes:
        """Note an operation; return what names it."""
        name = author + number.to_bytes(4, "big") + sha256(body).digest()[:3]
        self.operations.setdefault(name, (author, number, body))
        return name


class Quiet:
    """The face of an engine that does nothing."""

    def __init__(self, peer: Any, now: int, chance: Callable[[int], int], role: int):
        self.peer = peer
        self.role = role
        self.chance = chance
        self.stats: dict[str, int] = {}
        self._window = now + _WINDOW_MS

    def duty(self, now: int) -> int:
        """Percent of time to listen."""
        return _DUTY if self.role != LEAF or now < self._window else 0

    def visit(self, now: int, busy: Any = ()) -> Any:
        """Nobody to connect to."""
        return None

    def called(self, now: int) -> bool:
        """Nobody calls."""
        return False

    def synced(self, address: Any, summary: Any, now: int, told: Any = None) -> None:
        """Nothing to note."""

    def failed(self, address: Any, now: int) -> None:
        """Nothing to note."""

    def sleep_until(self, now: int) -> int | None:
        """Once the window is over and all is said."""
        return (
            now + _PERIOD_MS
            if self.role == LEAF and now >= self._window and self.due(now) > now + 1000
            else None
        )

    def due(self, now: int) -> int:
        """Nothing to say."""
        return now + _PERIOD_MS

    def save(self) -> bytes:
        """Nothing to keep."""
        return b""

    def restore(self, data: bytes, now: int = 0) -> bool:
        """Nothing was kept."""
        return False

    def wake(self, now: int) -> None:
        """Listen for a moment."""
        self._window = now + _WINDOW_MS

    def close(self) -> None:
        """Nothing to end."""

    def neighbours(self, now: int) -> list[Any]:
        """Nobody is known."""
        return []


class NaiveFlood(Quiet):
    """Every station says every operation that it has not heard before, three times; nobody asks or answers.

    What a gateway hears it stores, beside the run where something before it is missing.
    """

    def __init__(self, peer: Any, now: int, chance: Callable[[int], int], role: int, oracle: Oracle):
        super().__init__(peer, now, chance, role)
        self._oracle = oracle
        self._seen: dict[bytes, None] = {}
        self._queue: deque[tuple[int, bytes]] = deque()
        self._own = peer.log.held(peer.author)
        peer.add_listener(self._committed)

    def close(self) -> None:
        """Hear of commits no more."""
        self.peer.remove_listener(self._committed)

    def _committed(self) -> None:
        """Queue own operations that are new."""
        log = self.peer.log
        author = self.peer.author
        held = log.held(author)
        while self._own < held:
            self._own += 1
            body = log.fetch(author, self._own)
            if body is not None:
                self._queue_up(self._oracle.name(author, self._own, body), 0)

    def _queue_up(self, name: bytes, at: int) -> None:
        self._seen[name] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if len(self._queue) < _QUEUE:
            self._queue.append((at, name))
        else:
            self.stats["dropped"] = self.stats.get("dropped", 0) + 1

    def heard(self, address: Any, rssi: int, payload: bytes, now: int, connectable: bool = False) -> bool:
        """Take an advertisement."""
        name = payload[len(_HEAD) : len(_HEAD) + 15]
        if name in self._seen:
            self.stats["duplicates"] = self.stats.get("duplicates", 0) + 1
            return True
        known = self._oracle.operations.get(name)
        if known is None:
            return False
        author, number, body = known
        if self.peer.role >= 2:
            self._seen[name] = None
            log = self.peer.log
            if number > log.held(author):
                log.fill(author, number, body)
                log.commit()
        elif self.role != LEAF:
            self._queue_up(name, now + self.chance(_JITTER_MS))
        return True

    def due(self, now: int) -> int:
        """When say() has something."""
        return self._queue[0][0] if self._queue else now + _PERIOD_MS

    def say(self, now: int) -> tuple[bytes, bool, int] | None:
        """The next operation, in the order of their coming."""
        if not self._queue or self._queue[0][0] > now:
            return None
        _, name = self._queue.popleft()
        return _HEAD + name + bytes(31 - len(_HEAD) - len(name)), False, _REPEATS


class ConnectAlways(Quiet):
    """No operation by advertisement: a session with whoever shows another digest, as soon as it may be."""

    def __init__(self, peer: Any, now: int, chance: Callable[[int], int], role: int):
        super().__init__(peer, now, chance, role)
        self._at = now + chance(_STATE_MS)
        self._table: dict[Any, list[Any]] = {}

    def _state(self, now: int) -> bytes:
        peer = self.peer
        summary = peer.summary()
        head = bytes([min(peer.distance(now), UNKNOWN)]) + min(summary[0], 0xFFFF).to_bytes(2, "big")
        return bytes(head + sha256(b"".join(summary[1:])).digest()[:6])

    def heard(self, address: Any, rssi: int, payload: bytes, now: int, connectable: bool = False) -> bool:
        """Take a state."""
        state = payload[len(_HEAD) : len(_HEAD) + 9]
        self.peer.note_distance(state[0], now)
        entry = self._table.setdefault(address, [b"", 0, 0, 0])
        entry[0], entry[1] = state, now
        return True

    def due(self, now: int) -> int:
        """The next state."""
        return self._at

    def say(self, now: int) -> tuple[bytes, bool, int] | None:
        """The own state, connectable, about once a second."""
        if now < self._at:
            return None
        self._at = now + _STATE_MS // 2 + self.chance(_STATE_MS)
        state = self._state(now)
        return _HEAD + state + bytes(31 - len(_HEAD) - len(state)), True, 2

    def visit(self, now: int, busy: Any = ()) -> Any:
        """Whoever shows another digest; of several the one left alone for longest."""
        mine = self._state(now)
        best = None
        for address, (state, at, not_before, _) in self._table.items():
            if now - at > _FRESH_MS or now < not_before or address in busy:
                continue
            if state[3:] != mine[3:] and (best is None or not_before < self._table[best][2]):
                best = address
        return best

    def synced(self, address: Any, summary: Any, now: int, told: Any = None) -> None:
        """Leave alone for two seconds."""
        entry = self._table.setdefault(address, [bytes(9), 0, 0, 0])
        # What was said before the session is no news after it.
        entry[1:] = [now - _FRESH_MS - 1, now + _HOLD_OFF_MS, 0]

    def failed(self, address: Any, now: int) -> None:
        """Leave alone for twice as long each time."""
        entry = self._table.setdefault(address, [bytes(9), 0, 0, 0])
        entry[3] = min(entry[3] + 1, 5)
        entry[2] = now + (_HOLD_OFF_MS << entry[3])
