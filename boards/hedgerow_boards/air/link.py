"""A connection: connection events at an interval, a few packets each way, and supervision."""

from typing import TYPE_CHECKING

from hedgerow_boards.air.bearer import Bearer
from hedgerow_boards.air.events import ConnectionUpdated
from hedgerow_boards.air.limits import (
    BYTE_US,
    ESTABLISH_EVENTS,
    INTER_FRAME_US,
    INTERVAL_UNIT_US,
    PACKET_OVERHEAD_BYTES,
    PACKETS_PER_EVENT,
    TIMEOUT_UNIT_US,
    TRANSMIT_WINDOW_OFFSET_US,
    UPDATE_EVENTS,
)

if TYPE_CHECKING:
    from hedgerow_boards.air.host import Host
    from hedgerow_boards.air.model import AirModel

# Controller error codes (Vol 1 Part F)
REASON_TIMEOUT = 0x08
REASON_REMOTE = 0x13
REASON_LOCAL = 0x16
REASON_NOT_ESTABLISHED = 0x3E


def _airtime(payload: int) -> int:
    return (PACKET_OVERHEAD_BYTES + payload) * BYTE_US


class Link:
    """Between a central and a peripheral; both hosts' bearers hang on it.

    Every interval the central speaks and the peripheral answers, up to PACKETS_PER_EVENT times. What a
    host queues during an event leaves in the next one at the earliest. A packet that the receiving host
    has no buffer for is not acknowledged and stays with its sender.
    """

    def __init__(
        self, model: "AirModel", central: "Host", peripheral: "Host", interval_us: int, timeout_us: int
    ) -> None:
        self._model = model
        self.interval_us = interval_us
        self.timeout_us = timeout_us
        payload = min(central.link_payload, peripheral.link_payload)
        self.central = Bearer(central, self, central.free_handle(), True, payload)
        self.peripheral = Bearer(peripheral, self, peripheral.free_handle(), False, payload)
        self.central.peer, self.peripheral.peer = self.peripheral, self.central
        self._began = self._heard = model.timeline.now
        self._established = False
        self._terminating: Bearer | None = None
        self._wish: tuple[int, int, int, int] | None = None  # events left, and the parameters to come
        phase = model.rng.randrange(interval_us)
        self.anchor = model.timeline.now + TRANSMIT_WINDOW_OFFSET_US + phase
        self._timer = model.timeline.at(self.anchor, self._event)

    @property
    def bearers(self) -> tuple[Bearer, Bearer]:
        return self.central, self.peripheral

    def terminate(self, bearer: Bearer) -> None:
        """Let one side end the link in the next event; what it has queued is dropped."""
        if self._terminating is None:
            self._terminating = bearer
            for packet in bearer.queue:
                if packet.counted:
                    bearer.host.complete()
            bearer.queue.clear()

    def update(self, interval_us: int, latency: int, timeout_us: int) -> None:
        """Go over to other parameters, UPDATE_EVENTS intervals from now; a later wish replaces this one."""
        self._wish = (UPDATE_EVENTS, interval_us, latency, timeout_us)

    def _count_down(self) -> None:
        if self._wish is None:
            return
        left, interval_us, latency, timeout_us = self._wish
        if left:
            self._wish = (left - 1, interval_us, latency, timeout_us)
            return
        self._wish = None
        self.interval_us, self.timeout_us = interval_us, timeout_us
        for bearer in self.bearers:
            units = interval_us // INTERVAL_UNIT_US, latency, timeout_us // TIMEOUT_UNIT_US
            bearer.emit(ConnectionUpdated(bearer.conn, *units, 0))

    def finish_termination(self) -> None:
        """End a terminating link at once if the other side can be told now; else it times out there."""
        if self._model.medium.reaches(self.central.host.address, self.peripheral.host.address):
            self.close(REASON_REMOTE)

    def _event(self) -> None:
        now = self._model.timeline.now
        if self._exchange(now):
            self._heard = now
            self._established = True
            if self._terminating:
                self.close(REASON_REMOTE)
                return
        elif not self._established and now - self._began >= ESTABLISH_EVENTS * self.interval_us:
            self.close(REASON_NOT_ESTABLISHED)
            return
        elif now - self._heard >= self.timeout_us:
            self.close(REASON_TIMEOUT)
            return
        for bearer in self.bearers:
            bearer.host.report_credits()
        self._count_down()
        self.anchor = now + self.interval_us
        self._timer = self._model.timeline.at(self.anchor, self._event)

    def _budget(self, now: int) -> int:
        """Microseconds until either host is due on another link, or this link's next event."""
        rivals = [
            other.link.anchor
            for bearer in self.bearers
            for other in bearer.host.links.values()
            if other.link is not self
        ]
        return min([self.interval_us, *(anchor - now for anchor in rivals if anchor > now)])

    def _exchange(self, now: int) -> bool:
        """One connection event; whether the central heard the peripheral at least once."""
        model = self._model
        central, peripheral = self.bearers
        if not (central.host.present and peripheral.host.present):
            return False
        if not model.medium.reaches(central.host.address, peripheral.host.address):
            return False
        down, up = len(central.queue), len(peripheral.queue)
        budget = self._budget(now)
        elapsed, heard = 0, False
        for turn in range(PACKETS_PER_EVENT):
            there, back = _airtime(_head(central, down)), _airtime(_head(peripheral, up))
            cost = there + back + 2 * INTER_FRAME_US
            if turn and (elapsed + cost > budget or not down + up):
                break
            elapsed += cost
            if not model.passes(central.host, peripheral.host, there):
                break
            down = self._pass(central, down)
            if not model.passes(peripheral.host, central.host, back):
                break
            heard = True
            up = self._pass(peripheral, up)
        for bearer in self.bearers:
            bearer.host.busy = (now, now + elapsed)
        return heard

    def _pass(self, sender: Bearer, left: int) -> int:
        """Hand over one of the `left` packets queued before the event; how many are left for it."""
        receiver = sender.peer
        if not left or not sender.queue or not receiver.host.ready():
            return 0
        packet = sender.queue.popleft()
        self._model.data_passed(sender, packet)
        if packet.counted:
            sender.host.complete()
        receiver.receive(packet)
        return left - 1

    def close(self, reason: int) -> None:
        """End it now on both sides; REASON_REMOTE is told to the side that was not terminating."""
        self._timer.cancel()
        for bearer in self.bearers:
            bearer.host.links.pop(bearer.conn, None)
        self._model.link_closed(self, reason)
        for bearer in self.bearers:
            bearer.close()
            local = reason == REASON_REMOTE and bearer is self._terminating
            bearer.host.link_lost(bearer, REASON_LOCAL if local else reason)


def _head(bearer: Bearer, left: int) -> int:
    """Payload of the packet that goes next, 0 for an empty one."""
    return len(bearer.queue[0].data) if left and bearer.queue else 0
