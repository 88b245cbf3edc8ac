"""Visits the boards that the mesh engine names; where the gateway cannot speak, each board once an hour."""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from hedgerow.errors import HedgerowError
from hedgerow.mesh.mesh import Mesh

from . import limits
from .bounded import wait_event
from .link_ble import BleLink
from .radio import key_of, text_of
from .roster import Roster
from .suspects import Suspects

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

    `mute` says whether the radio cannot say receipts: then the engine names whoever has something or waits
    for something, and each board is visited once in `HOURLY_MS` at most.
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
        suspects: Suspects,
    ) -> None:
        self._suspects = suspects
        self.counters = CentralCounters()
        self._mesh = mesh
        self._link = link
        self._roster = roster
        self._now = now
        self._max_connections = max_connections
        self._mute = mute
        self._visited: OrderedDict[str, int] = OrderedDict()
        self._visiting: set[str] = set()
        self._awake = asyncio.Event()

    @property
    def visiting(self) -> int:
        """How many connections are up or being made."""
        return len(self._visiting)

    def heard(self) -> None:
        """Look again, for the mesh has taken something in."""
        self._awake.set()

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
        busy = {key_of(address) for address in self._visiting}
        mute = self._mesh.visits.mute = self._mute()
        if mute:
            busy.update(
                key_of(address) for address, at in self._visited.items() if now - at < limits.HOURLY_MS
            )
        named = self._mesh.visit(now, busy)
        if not isinstance(named, bytes):
            return None
        self.counters.hourly += mute
        return text_of(named)

    async def _visit(self, address: str) -> None:
        self.counters.connections += 1
        _remember(self._visited, address, self._now())
        try:
            visit = await self._link.visit(address, self._mesh.authors(key_of(address)))
        except HedgerowError as error:
            self._failed(address, error.code, str(error))
        except Exception as error:
            # One board that upsets us in a way nobody thought of must not stop the others.
            logger.exception("visit to %s", address)
            self._failed(address, "GATEWAY_INTERNAL", repr(error))
        else:
            self.counters.errors.update(visit.refused)
            for code in visit.refused:
                self._suspects.note_visit(code, address)
            self._roster.met(visit.remote.author, visit.remote.name, self._now())
            self._mesh.synced(key_of(address), visit.summary, self._now(), visit.told)
        finally:
            self._visiting.discard(address)
            self._awake.set()

    def _failed(self, address: str, code: str, detail: str) -> None:
        self.counters.failed += 1
        self.counters.errors[code] += 1
        self._suspects.note_visit(code, address)
        self._mesh.failed(key_of(address), self._now())
        _remember(self._visited, address, self._now() - limits.HOURLY_MS + limits.HOURLY_RETRY_MS)
        logger.info("visit to %s failed: %s", address, detail)


def _remember(table: "OrderedDict[str, int]", address: str, now: int) -> None:
    table[address] = now
    table.move_to_end(address)
    if len(table) > limits.DEVICES:
        table.popitem(last=False)
