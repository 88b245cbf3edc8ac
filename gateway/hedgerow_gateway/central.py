"""Decides, with the core's Neighbours, which boards are worth a connection, and visits them."""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from hedgerow.errors import HedgerowError
from hedgerow.peer import Peer
from hedgerow.sync import beacon
from hedgerow.sync.neighbours import Neighbours

from . import limits
from .bounded import wait_event
from .link_ble import BleLink
from .roster import Roster

logger = logging.getLogger(__name__)


@dataclass
class CentralCounters:
    """Beacons and visits since the start.

    `errors` counts failed visits, bad beacons, and authors refused in visits, by code.
    """

    beacons: int = 0
    foreign: int = 0
    stale: int = 0
    connections: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)


@dataclass
class _Beacon:
    """The last beacon of an address; `spent` when a visit has brought what it announced."""

    data: bytes
    spent: bool = False


class Central:
    """Hears beacons, keeps at most `max_connections` visits under way, and tells Neighbours how they went."""

    def __init__(
        self,
        peer: Peer,
        link: BleLink,
        roster: Roster,
        now: Callable[[], int],
        *,
        mesh: bytes,
        max_connections: int,
        hold_off_ms: int = limits.HOLD_OFF_MS,
    ) -> None:
        self.counters = CentralCounters()
        self._peer = peer
        self._link = link
        self._roster = roster
        self._now = now
        self._mesh = mesh
        self._max_connections = max_connections
        self._neighbours = Neighbours(hold_off_ms=hold_off_ms, limit=limits.DEVICES)
        self._beacons: OrderedDict[str, _Beacon] = OrderedDict()
        self._visiting: set[str] = set()
        self._awake = asyncio.Event()

    @property
    def visiting(self) -> int:
        """How many connections are up or being made."""
        return len(self._visiting)

    def heard(self, address: str, data: bytes, rssi: int) -> None:
        """Take the manufacturer data of one advertisement.

        BlueZ reports a cached advertisement again whenever any property of the device changes, so what is
        reported during a visit, and what was known before it, is no news.
        """
        known = self._beacons.get(address)
        if address in self._visiting or (known and known.spent and known.data == data):
            self.counters.stale += 1
            return
        try:
            said = beacon.decode(data)
        except HedgerowError as error:
            self.counters.errors[error.code] += 1
            return
        if not isinstance(said, beacon.State) or said.mesh != self._mesh:
            self.counters.foreign += 1
            return
        self.counters.beacons += 1
        self._beacons[address] = _Beacon(data)
        self._beacons.move_to_end(address)
        if len(self._beacons) > limits.DEVICES:
            self._beacons.popitem(last=False)
        self._roster.heard(said.author, self._now())
        self._neighbours.heard(address, said, rssi, self._now())
        self._awake.set()

    async def run(self) -> None:
        """Visit whoever has something new, until cancelled."""
        async with asyncio.TaskGroup() as visits:
            while True:
                self._awake.clear()
                while len(self._visiting) < self._max_connections:
                    address = self._neighbours.candidate(self._peer, self._now(), self._visiting)
                    if not isinstance(address, str):
                        break
                    self._visiting.add(address)
                    visits.create_task(self._visit(address))
                # Hold-offs and backoffs run out without a beacon to tell.
                await wait_event(self._awake, limits.LOOK_S)

    async def _visit(self, address: str) -> None:
        self.counters.connections += 1
        try:
            visit = await self._link.visit(address, self._neighbours.authors(address))
        except HedgerowError as error:
            self._failed(address, error.code, str(error))
        except Exception as error:
            # One board that upsets us in a way nobody thought of must not stop the others.
            logger.exception("visit to %s", address)
            self._failed(address, "GATEWAY_INTERNAL", repr(error))
        else:
            self.counters.errors.update(visit.refused)
            self._roster.met(visit.remote.author, visit.remote.name, self._now())
            self._neighbours.synced(address, visit.summary, self._now(), visit.told)
            if address in self._beacons:
                self._beacons[address].spent = True
        finally:
            self._visiting.discard(address)
            self._awake.set()

    def _failed(self, address: str, code: str, detail: str) -> None:
        self.counters.failed += 1
        self.counters.errors[code] += 1
        self._neighbours.failed(address, self._now())
        logger.info("visit to %s failed: %s", address, detail)
