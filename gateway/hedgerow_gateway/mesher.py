"""Runs the core's mesh engine over a radio: what is heard goes into the log together, then is answered."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from hedgerow.errors import HedgerowError
from hedgerow.mesh.mesh import Mesh
from hedgerow.peer import Peer

from . import limits
from .bounded import wait_event
from .radio import Radio, Repeats, key_of
from .sqlite_log import SqliteLog
from .suspects import Watcher

logger = logging.getLogger(__name__)

_Report = tuple[str, int, bytes, bool]


@dataclass
class MesherCounters:
    """Advertisements since the start: of this mesh, of others, heard again, lost for want of room; batches.

    `errors` counts by code what went wrong with an advertisement.
    """

    beacons: int = 0
    foreign: int = 0
    repeats: int = 0
    lost: int = 0
    batches: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Mesher:
    """Gives `mesh` what the radios hear, and says on `radio` what it has to say.

    What is heard within a moment becomes durable with one fsync, and only after that is anything said: an
    advertisement that acknowledges custody speaks of what the log has. `on_ours()` is called when something
    of this mesh was taken in.
    """

    def __init__(
        self,
        log: SqliteLog,
        peer: Peer,
        mesh: Mesh,
        radio: Radio,
        now: Callable[[], int],
        on_ours: Callable[[], None],
        watcher: Watcher,
    ) -> None:
        self._watcher = watcher
        self.counters = MesherCounters()
        self._log = log
        self._peer = peer
        self._mesh = mesh
        self._radio = radio
        self._now = now
        self._on_ours = on_ours
        self._repeats = Repeats()
        self._inbox: list[_Report] = []
        self._arrived = asyncio.Event()
        self._awake = asyncio.Event()

    def heard(self, address: str, rssi: int, payload: bytes, connectable: bool) -> None:
        """Take what a radio reports; never blocks, and drops what there is no room for."""
        if self._repeats.again(address, payload):
            self.counters.repeats += 1
        elif len(self._inbox) >= limits.HEARD_MAX:
            self.counters.lost += 1
        else:
            self._inbox.append((address, rssi, payload, connectable))
            self._arrived.set()

    async def run(self) -> None:
        """Hear and speak until cancelled, or until the log fails."""
        self._peer.add_listener(self._awake.set)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._hear())
                both.create_task(self._speak())
        except* HedgerowError as group:
            raise group.exceptions[0] from None
        finally:
            self._peer.remove_listener(self._awake.set)

    async def _hear(self) -> None:
        while True:
            await self._arrived.wait()
            # Others say the same at about the same time; an fsync each would hold up everything else.
            await asyncio.sleep(limits.GATHER_S)
            self._arrived.clear()
            reports, self._inbox = self._inbox, []
            self.take(reports)

    def take(self, reports: list[_Report]) -> None:
        """Take a batch in, durably. Raises DATABASE_*."""
        ours = 0
        self.counters.batches += 1
        with self._log.together():
            for report in reports:
                ours += self._take_one(*report)
        if ours:
            self._watcher.judge(self._now())
            self._on_ours()
        self._awake.set()

    def _take_one(self, address: str, rssi: int, payload: bytes, connectable: bool) -> bool:
        before = self._watcher.before()
        try:
            ours: bool = self._mesh.heard(key_of(address), rssi, payload, self._now(), connectable)
            self._watcher.heard(address, payload, before, self._now(), ours=ours)
        except HedgerowError as error:
            if error.code.startswith("DATABASE_"):
                raise
            self.counters.errors[error.code] += 1
            return False
        except Exception:
            # One advertisement that upsets us in a way nobody thought of must not stop the others.
            logger.exception("advertisement of %s: %s", address, payload.hex())
            self.counters.errors["GATEWAY_INTERNAL"] += 1
            return False
        if ours:
            self.counters.beacons += 1
        else:
            self.counters.foreign += 1
        return ours

    async def _speak(self) -> None:
        while True:
            self._awake.clear()
            # Where nobody speaks what it has to say is lost, but the engine also does what is due in it.
            said = self._next_saying()
            rest_s = self._radio.rest_s()
            if said is None or rest_s is None or rest_s > 0:
                pause_s = (self._mesh.due(self._now()) - self._now()) / 1000
                await wait_event(self._awake, min(max(pause_s, limits.SPEAK_PAUSE_S), limits.LOOK_S))
                continue
            try:
                await self._radio.say(*said)
            except HedgerowError:
                # The radio has counted it, and done what may help; what was lost will be said again.
                await asyncio.sleep(limits.SPEAK_PAUSE_S)

    def _next_saying(self) -> tuple[bytes, bool, int] | None:
        self._mesh.down.lag_ms = self._radio.lag_ms()
        try:
            said: tuple[bytes, bool, int] | None = self._mesh.say(self._now())
        except HedgerowError:
            raise
        except Exception:
            # What lies in the log would upset us again after a restart; everything else goes on.
            logger.exception("nothing said")
            self.counters.errors["GATEWAY_INTERNAL"] += 1
            return None
        return said
