"""Connections in virtual time: made by hearing an advertisement, paced by events, ended by supervision.

As the real-time `Link`, less what no simulated peer can tell apart: messages go whole instead of over ATT,
and events without anything to carry are reckoned, not run.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hedgerow_boards.air.limits import (
    ADV_PDU_SPACING_US,
    BOARD_CONNECTIONS,
    BYTE_US,
    ESTABLISH_EVENTS,
    INITIATOR_WINDOW_US,
    INTER_FRAME_US,
    LINK_PAYLOAD_MAX,
    PACKET_OVERHEAD_BYTES,
    PACKETS_PER_EVENT,
    TRANSMIT_WINDOW_OFFSET_US,
)
from hedgerow_boards.air.link import REASON_NOT_ESTABLISHED, REASON_REMOTE, REASON_TIMEOUT
from hedgerow_boards.air.scanning import open_channel

if TYPE_CHECKING:
    from hedgerow_boards.air.field import Field

_HEADERS = 7  # L2CAP and ATT, of each packet
_CONNECT_IND_US = 352
REASON_NOT_FOUND = 0x3C  # advertising timeout, Vol 1 Part F: who was called was not heard

Lost = Callable[["FieldLink | None", int], None]


class _Call:
    """A central that waits for an advertisement of a peripheral."""

    __slots__ = ("central", "interval", "lost", "made", "peripheral", "phase", "supervision")

    def __init__(self, central: int, peripheral: int, phase: int, **options: Any) -> None:
        self.central, self.peripheral, self.phase = central, peripheral, phase
        self.made: Callable[[FieldLink], None] = options["made"]
        self.lost: Lost = options["lost"]
        self.interval: int = options["interval"]
        self.supervision: int = options["supervision"]


class FieldLinks:
    """The calls and links of a field."""

    def __init__(self, field: "Field") -> None:
        self._field = field
        self.calls: dict[int, list[_Call]] = {}  # by the peripheral that is called
        self.calling: set[int] = set()  # they scan for that alone, and report nothing
        self._links: dict[int, list[FieldLink]] = {}

    def count(self, node: int) -> int:
        """Links that a node has."""
        return len(self._links.get(node, ()))

    def left(self, node: int) -> None:
        """It has gone off: when it comes back it knows nothing of its links."""
        for link in self._links.get(node, ()):
            link.orphaned = True

    def connect(
        self,
        central: int,
        peripheral: int,
        made: Callable[["FieldLink"], None],
        lost: Lost,
        timeout_us: int,
        interval_us: int,
        supervision_us: int,
    ) -> None:
        if central in self.calling:
            raise ValueError(f"node {central} is connecting already")
        call = _Call(
            central,
            peripheral,
            self._field.now,
            made=made,
            lost=lost,
            interval=interval_us,
            supervision=supervision_us,
        )
        self.calls.setdefault(peripheral, []).append(call)
        self.calling.add(central)
        self._field.at(self._field.now + timeout_us, self._expire, call)

    def _end(self, call: _Call) -> bool:
        calls = self.calls.get(call.peripheral, [])
        if call not in calls:
            return False
        calls.remove(call)
        if not calls:
            del self.calls[call.peripheral]
        self.calling.discard(call.central)
        return True

    def _expire(self, call: _Call) -> None:
        if self._end(call):
            call.lost(None, REASON_NOT_FOUND)

    def advertised(self, node: int, start: int, airtime: int) -> None:
        """A connectable event of `node` has ended: the first caller that heard it and is heard has a link."""
        for call in list(self.calls[node]):
            if self._heard(call, start, airtime) and self.count(node) < BOARD_CONNECTIONS:
                self._end(call)
                self._field.hush(node)
                call.made(FieldLink(self, self._field, call))
                return

    def _heard(self, call: _Call, start: int, airtime: int) -> bool:
        field = self._field
        if not field.is_on(call.central):
            return False
        window = INITIATOR_WINDOW_US
        channel = open_channel(call.phase, window, window, start, airtime)
        at = start + channel * ADV_PDU_SPACING_US
        if channel < 0 or field.is_busy(call.central, at, airtime):
            return False
        heard = field.passes(call.peripheral, call.central, airtime, start, channel)
        return heard and field.passes(call.central, call.peripheral, _CONNECT_IND_US)

    def changed(self, link: "FieldLink", by: int) -> None:
        """A link has been made (1) or has ended (-1)."""
        for node in (link.central, link.peripheral):
            links = self._links.setdefault(node, [])
            if by > 0:
                links.append(link)
            else:
                links.remove(link)
            self._field.tally.link(node, by, self._field.now)


class FieldLink:
    """Between `central` and `peripheral`. Set `received(link, node, data)` when it is made; what is sent
    arrives whole and in order, or `lost` is called once, for both ends, with a controller's reason."""

    def __init__(self, links: FieldLinks, field: "Field", call: _Call) -> None:
        self.central, self.peripheral = call.central, call.peripheral
        self.received: Callable[[FieldLink, int, bytes], None] = lambda *_: None
        self.open = True
        self.orphaned = False  # one of the two has been off since
        self._links, self._field, self._call = links, field, call
        self._queues: dict[int, deque[tuple[int, bytes | None]]] = {
            call.central: deque(),
            call.peripheral: deque(),
        }
        self._began = self._heard = field.now
        self._established = self._scheduled = False
        self._closing = False
        self._anchor = field.now + TRANSMIT_WINDOW_OFFSET_US + field.rng.randrange(call.interval)
        links.changed(self, 1)
        self._schedule()
        field.at(field.now + call.supervision // 4, self._watch, None)

    def send(self, node: int, data: bytes) -> None:
        """Queue a message of one of the two; ignored when the link is gone."""
        if not self.open:
            return
        step = LINK_PAYLOAD_MAX - _HEADERS
        queue = self._queues[node]
        for at in range(0, max(1, len(data)), step):
            last = at + step >= len(data)
            queue.append((min(step, len(data) - at) + _HEADERS, data if last else None))
        self._schedule()

    def close(self) -> None:
        """End it in its next event; what is queued is dropped."""
        self._closing = True
        for queue in self._queues.values():
            queue.clear()
        self._schedule()

    def _schedule(self) -> None:
        if self._scheduled or not self.open:
            return
        now, interval = self._field.now, self._call.interval
        if self._anchor <= now:
            self._anchor += (now - self._anchor) // interval * interval + interval
        self._scheduled = True
        self._field.at(self._anchor, self._event, None)

    def _event(self, _: None) -> None:
        self._scheduled = False
        if not self.open:
            return
        now = self._field.now
        if self._exchange(now):
            self._heard, self._established = now, True
            if self._closing:
                self._end(REASON_REMOTE)
                return
        elif not self._established and now - self._began >= ESTABLISH_EVENTS * self._call.interval:
            self._end(REASON_NOT_ESTABLISHED)
            return
        if not self._established or self._closing or any(self._queues.values()):
            self._schedule()

    def _exchange(self, now: int) -> bool:
        """One connection event; whether the central heard the peripheral at least once."""
        field, queues = self._field, self._queues
        central, peripheral = self.central, self.peripheral
        if self.orphaned:
            return False
        down, up = len(queues[central]), len(queues[peripheral])
        elapsed, heard = 0, False
        for turn in range(PACKETS_PER_EVENT):
            # Who receives may close the link, which empties both queues in the middle of an event.
            down, up = min(down, len(queues[central])), min(up, len(queues[peripheral]))
            sizes = [queues[node][0][0] if left else 0 for node, left in ((central, down), (peripheral, up))]
            airtimes = [(PACKET_OVERHEAD_BYTES + size) * BYTE_US for size in sizes]
            cost = sum(airtimes) + 2 * INTER_FRAME_US
            if turn and (not down + up or elapsed + cost > self._call.interval):
                break
            elapsed += cost
            if not field.passes(central, peripheral, airtimes[0]):
                break
            down = self._pass(central, peripheral, down)
            if not field.passes(peripheral, central, airtimes[1]):
                break
            heard = True
            up = self._pass(peripheral, central, up)
        field.take(central, now, elapsed)
        field.take(peripheral, now, elapsed)
        return heard

    def _pass(self, sender: int, receiver: int, left: int) -> int:
        queue = self._queues[sender]
        if not left or not queue:
            return 0
        size, message = queue.popleft()
        self._field.tally.link_packets[sender] += 1
        self._field.tally.link_bytes[sender] += size
        if message is not None:
            self.received(self, receiver, message)
        return left - 1

    def _watch(self, _: None) -> None:
        """Supervision; events that were not run were heard if both were in reach."""
        if not self.open:
            return
        field = self._field
        both = (self.central, self.peripheral), (self.peripheral, self.central)
        if not (self._scheduled or self.orphaned) and all(field.in_reach(a, b) for a, b in both):
            self._heard = field.now
        elif field.now - self._heard >= self._call.supervision:
            self._end(REASON_TIMEOUT)
            return
        field.at(field.now + self._call.supervision // 4, self._watch, None)

    def _end(self, reason: int) -> None:
        self.open = False
        self._links.changed(self, -1)
        self._call.lost(self, reason)
