"""Configuration documents on their way down: written at a Big Peer, wanted by boards."""

from typing import TYPE_CHECKING

from hedgerow.subscribe import interest_of

if TYPE_CHECKING:
    from hedgerow_sim.station import Station
    from hedgerow_sim.world import World

COLLECTION = "settings"
_WANTED = "SELECT * FROM settings"
_HOPS = 7


class Documents:
    """Which boards want the settings, when they were written last, and who has those since when (us)."""

    def __init__(self) -> None:
        self.wanted_by: set[int] = set()
        self.written: tuple[bytes, int] | None = None
        self.written_us = 0
        self.reached: dict[int, int] = {}

    def want(self, station: "Station") -> None:
        """Subscribe a board, for good."""
        if station.node not in self.wanted_by:
            self.wanted_by.add(station.node)
            interest = interest_of(_WANTED, {}, _HOPS)
            station.peer.down.subscriptions.subscribe(interest)

    def write(self, world: "World") -> None:
        """Write them at the first keeper; what was written before does not count any more."""
        keeper = world.keepers[0]
        self.reached = {}
        self.written_us = world.now
        number = keeper.peer.insert(COLLECTION, {"every_s": 60, "name": "field"}, keeper.ms())
        self.written = (keeper.peer.author, number)

    def arrived(self, station: "Station", author: bytes, number: int, now_us: int) -> None:
        """Note that an operation came to a station."""
        if (author, number) == self.written:
            self.reached.setdefault(station.node, now_us)

    def missing(self) -> set[int]:
        """Boards that want the settings and do not have them."""
        return self.wanted_by - self.reached.keys() if self.written else set()
