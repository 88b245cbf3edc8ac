"""A GATT session in virtual time: real exchanges on both ends of a link of the air."""

from typing import TYPE_CHECKING, Any

from hedgerow.sync.exchange import Exchange
from hedgerow_sim import limits

if TYPE_CHECKING:
    from hedgerow_sim.station import Station
    from hedgerow_sim.world import World


class Session:
    """One connection that `central` makes to `other`; both are told how it ended.

    The link of the air carries whole messages in order, paced by connection events. What discovery and
    subscription take before our first byte is waited out. `up` once connected.
    """

    def __init__(self, world: "World", central: "Station", other: "Station"):
        self.world = world
        self.central = central
        self.other = other
        self.up = False
        self.over = False
        self._link: Any = None
        self._ends: tuple[Exchange, Exchange] | None = None
        self._moved_us = world.now
        self._pumping = False
        self._setup = limits.SETUP_ROUND_TRIPS * 2 * limits.CONNECTION_INTERVAL_US
        world.field.connect(
            central.node,
            other.node,
            self._made,
            self._lost,
            limits.CONNECT_TIMEOUT_US,
            limits.CONNECTION_INTERVAL_US,
            limits.SUPERVISION_US,
        )

    # ---- the link

    def _made(self, link: Any) -> None:
        world = self.world
        if self.over:
            link.close()
            return
        self._link = link
        self.up = True
        self._moved_us = world.now
        link.received = self._received
        self.other.accept(self)
        world.audit.connected(self.central, self.other)
        if not self.over:
            world.field.at(world.now + self._setup, self._begin, None)

    def _begin(self, _: None) -> None:
        if self.over:
            return
        central, other = self.central, self.other
        about = None
        self._ends = (
            Exchange(central.peer, central.ms(), linger_ms=limits.LINGER_MS, central=True, about=about),
            Exchange(other.peer, other.ms(), linger_ms=None),
        )
        self.pump(None)

    def _received(self, link: Any, node: int, data: bytes) -> None:
        if self.over or self._ends is None:
            return
        at = 0 if node == self.central.node else 1
        self._moved_us = self.world.now
        self._ends[at].receive(data, self._station(at).ms())
        self._pump_now()

    def _lost(self, link: Any, reason: Any = None) -> None:
        self.end(False)

    # ---- the exchanges

    def _station(self, at: int) -> "Station":
        return self.other if at else self.central

    def pump(self, _: None) -> None:
        """Move what there is to move, and come again when something is due."""
        self._pumping = False
        self._pump_now()

    def _pump_now(self) -> None:
        if self.over or self._ends is None:
            return
        world = self.world
        due_us = world.now + 1_000_000
        for at in (0, 1):
            station = self._station(at)
            exchange = self._ends[at]
            while not self.over:
                record = exchange.outgoing(limits.RECORD_BYTES, station.ms())
                if not record:
                    break
                self._moved_us = world.now
                self._link.send(station.node, record)
            due_us = min(due_us, station.clock.us(exchange.next_wakeup(station.ms())))
        done = self._ends[0].finished
        if done or world.now - self._moved_us > limits.SESSION_IDLE_MS * 1000:
            self.end(done and self._ends[0].error is None)
        elif not self._pumping:
            self._pumping = True
            world.field.at(max(due_us, world.now + limits.CONNECTION_INTERVAL_US), self.pump, None)

    def end(self, well: bool) -> None:
        """It is over, for whatever reason; safe to call again."""
        if self.over:
            return
        self.over = True
        link, self._link = self._link, None
        if link is not None:
            # The radio hears of it when it is done with what it is at.
            self.world.field.at(self.world.now, _close, link)
        ours, theirs = self._ends or (None, None)
        if self._ends:
            self.world.audit.exchanged(self, self._ends)
        self.other.released(self, theirs, well)
        self.central.parted(self, ours, well)


def _close(link: Any) -> None:
    if link.open:
        link.close()
