"""What joins a gateway to its Big Peer: one exchange that stays open, on a link that loses nothing."""

from typing import TYPE_CHECKING

from hedgerow.sync.exchange import Exchange
from hedgerow_sim import limits

if TYPE_CHECKING:
    from hedgerow_sim.station import Station
    from hedgerow_sim.world import World


class Uplink:
    """Between `gateway` and `keeper` until close(). What either commits goes over after a moment."""

    def __init__(self, world: "World", gateway: "Station", keeper: "Station"):
        self.world = world
        self.stations = (gateway, keeper)
        self.open = True
        self._due_us = 0
        self.ends = (
            Exchange(gateway.peer, gateway.ms(), central=True, linger_ms=None),
            Exchange(keeper.peer, keeper.ms(), linger_ms=None),
        )
        for station in self.stations:
            station.peer.add_listener(self._soon)
        self._soon()

    def close(self) -> None:
        """The link is gone, at once for both."""
        if self.open:
            self.open = False
            for station in self.stations:
                station.peer.remove_listener(self._soon)

    def _soon(self) -> None:
        self._wake(self.world.now + limits.UPLINK_GATHER_US)

    def _wake(self, due_us: int) -> None:
        if not self._due_us or due_us < self._due_us:
            self._due_us = due_us
            self.world.field.at(due_us, self._pump, due_us)

    def _pump(self, due_us: int) -> None:
        """Carry all there is; a round trip costs no more than one gathering, as records follow each other."""
        if not self.open or due_us != self._due_us:
            return
        self._due_us = -1
        ends = self.ends
        moved = True
        while moved:
            moved = False
            for at in (0, 1):
                data = ends[at].outgoing(1200, self.stations[at].ms())
                if data:
                    moved = True
                    ends[1 - at].receive(data, self.stations[1 - at].ms())
        self._due_us = 0
        self.world.audit.uplinked(self)
        if ends[0].finished or ends[1].finished:
            self.close()
            self.world.field.at(self.world.now + 1_000_000, self.world.join_up, self.stations[0])
            return
        wakeups = [
            station.clock.us(end.next_wakeup(station.ms()))
            for station, end in zip(self.stations, ends, strict=True)
        ]
        self._wake(max(min(wakeups), self.world.now + limits.UPLINK_GATHER_US))
