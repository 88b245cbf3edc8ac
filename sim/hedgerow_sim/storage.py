"""Where a station keeps its log: in memory, or on NOR flash through the boards' own code."""

import copy
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from hedgerow import limits as core
from hedgerow.sync.hello import GATEWAY
from hedgerow_sim import limits
from hedgerow_sim.board_log import BoardLog, BoardStore

if TYPE_CHECKING:
    from hedgerow_sim.station import Station


class Storage(Protocol):
    """What outlives a power cut. open() gives the log that is there, cut() takes the power; lose() all that
    is there: who begins anew has another name; keep() makes a copy, to which put_back() returns."""

    flash: bool

    def author(self) -> bytes: ...
    def open(self) -> Any: ...
    def cut(self) -> None: ...
    def tear_boot(self) -> None: ...
    def booted(self) -> None: ...
    def lose(self) -> None: ...
    def keep(self) -> None: ...
    def put_back(self) -> None: ...


def author(seed: int, name: str, losses: int = 0) -> bytes:
    """The author of a station's log: what a board draws by chance, here by the seed; anew after each loss."""
    life = f" {losses}" if losses else ""
    return sha256(f"hedgerow sim {seed} {name}{life}".encode()).digest()[:8]


class Memory:
    """A log in memory; a board's makes room as a ring does, a gateway's or keeper's never has to."""

    flash = False

    def __init__(self, station: "Station"):
        self._station = station
        self._losses = 0
        self._backup: BoardStore | None = None
        self.store = BoardStore(author(station.world.seed, station.name))

    def author(self) -> bytes:
        """Whose log it is."""
        return self.store.author

    def open(self) -> BoardLog:
        """The log as it is after a power cut."""
        station = self._station
        audit = station.world.audit
        small = station.role < GATEWAY
        return BoardLog(
            self.store,
            core.MAX_AUTHORS if small else 1_000_000,
            limits.LOG_ENTRIES if small else 1 << 60,
            lambda author, number, body: audit.arrived(station, author, number, body),
        )

    def cut(self) -> None:
        """What was not committed is gone."""

    def tear_boot(self) -> None:
        """A boot is not torn: what it writes is committed at once."""

    def booted(self) -> None:
        """Nothing to do."""

    def lose(self) -> None:
        """Begin anew."""
        station = self._station
        self._losses += 1
        self.store = BoardStore(author(station.world.seed, station.name, self._losses))

    def keep(self) -> None:
        """A backup."""
        self._backup = copy.deepcopy(self.store)

    def put_back(self) -> None:
        """The log of that moment, and the knowledge that others may have seen more of it."""
        incarnation = self.store.incarnation + 1
        self.store = copy.deepcopy(self._backup) or BoardStore(self.store.author)
        self.store.incarnation = incarnation
