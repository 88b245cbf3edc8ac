"""Visits the boards that the mesh engine names; where the gateway cannot speak, each board once an hour."""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from hedgerow.errors import HedgerowError
from hedgerow.mesh.mesh import Mesh
from hedgerow.sync import beacon

from . import limits
from .bounded import wait_event
from .link_ble import BleLink
from .roster import Roster

logger = logging.getLogger(__name__)


@dataclass
class CentralCounters:
    """Visits since the start; `hourly` of them because this gateway cannot say receipts.

    `errors` counts failed visits, and authors refused in visits, by code.
    """

    connections: int = 0
    hourly: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Central:
    """Keeps at most `max_connections` visits under way, and tells `mesh` how they went.

    `mute` says whether the radio cannot say receipts: then a board that shows open operations is visited once
    in `HOURLY_MS`, whatever else leads to a visit counting too.
    """

    def __init__(
        self,
        mesh: Mesh,
        link: BleLink,
        roster: Roster,
        now: Callable[[], int],
        *,
        max_connections: int,
        mute: Callable[[], bool],
    ) -> None:
        self.counters = CentralCounters()
        self._mesh = mesh
        self._link = link
        self._roster = roster
        self._now = now
        self._max_connections = max_connections
        self._mute = mute
        self._waiting: OrderedDict[str, int] = OrderedDict()  # address -> when it showed open operations
        self._visited: OrderedDict[str, int] = OrderedDict()
        self._visiting: set[str] = set()
        self._awake = asyncio.Event()

    @property
    def visiting(self) -> int:
        """How many connections are up or being made."""
        return len(self._visiting)

    def heard(self, address: str, payload: bytes) -> None:
        """Look again, for the mesh has taken in an advertisement of this address."""
        if self._mute():
            self._note_open(address, payload)
        self._awake.set()

    def _note_open(self, address: str, payload: bytes) -> None:
        try:
            said = beacon.decode(payload)
        except HedgerowError:
            return
        if isinstance(said, beacon.State) and said.flags & beacon.CONNECTABLE:
            self._waiting.pop(address, None)
            if said.open_count:
                _remember(self._waiting, address, self._now())

    async def run(self) -> None:
        """Visit whoever is worth it, until cancelled."""
        async with asyncio.TaskGroup() as visits:
            while True:
                self._awake.clear()
                while len(self._visiting) < self._max_connections:
                    address = self._next()
                    if address is None:
                        break
                    self._visiting.add(address)
                    visits.create_task(self._visit(address))
                # Hold-offs and backoffs run out without a beacon to tell.
                await wait_event(self._awake, limits.LOOK_S)

    def _next(self) -> str | None:
        now = self._now()
        address = self._mesh.visit(now, self._visiting)
        if isinstance(address, str):
            return address
        if self._mute():
            for address, seen in reversed(self._waiting.items()):
                if now - seen > limits.FRESH_MS:
                    break
                visited = self._visited.get(address)
                if address not in self._visiting and (visited is None or now - visited >= limits.HOURLY_MS):
                    self.counters.hourly += 1
                    return address
        return None

    async def _visit(self, address: str) -> None:
        self.counters.connections += 1
        self._waiting.pop(address, None)
        _remember(self._visited, address, self._now())
        try:
            visit = await self._link.visit(address, self._mesh.authors(address))
        except HedgerowError as error:
            self._failed(address, error.code, str(error))
        except Exception as error:
            # One board that upsets us in a way nobody thought of must not stop the others.
            logger.exception("visit to %s", address)
            self._failed(address, "GATEWAY_INTERNAL", repr(error))
        else:
            self.counters.errors.update(visit.refused)
            self._roster.met(visit.remote.author, visit.remote.name, self._now())
            self._mesh.synced(address, visit.summary, self._now(), visit.told)
        finally:
            self._visiting.discard(address)
            self._awake.set()

    def _failed(self, address: str, code: str, detail: str) -> None:
        self.counters.failed += 1
        self.counters.errors[code] += 1
        self._mesh.failed(address, self._now())
        _remember(self._visited, address, self._now() - limits.HOURLY_MS + limits.HOURLY_RETRY_MS)
        logger.info("visit to %s failed: %s", address, detail)


def _remember(table: "OrderedDict[str, int]", address: str, now: int) -> None:
    table[address] = now
    table.move_to_end(address)
    if len(table) > limits.DEVICES:
        table.popitem(last=False)
