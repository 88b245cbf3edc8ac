"""One bridge that runs: from the outbox through its sink, and the cursor behind what the sink has.

At least once: the cursor moves only when the sink has taken (or refused for good, and then parked) everything
up to it. A document's events stay in their order: behind a parked one the next of its key are parked too.
"""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from hedgerow.codec import cbor
from hedgerow.errors import HedgerowError

from .. import limits
from ..service import Service
from . import table
from .config import BridgeConfig, read_config
from .events import Event, Events
from .sink import BEHIND, Later, Sink
from .sinks import open_sink
from .table import Bridge, Parked

log = logging.getLogger(__name__)

_FIRST_WAIT = 0.2

#: Tells which collections are confidential at this moment, whichever node was told so.
Concealed = Callable[[], Awaitable[Collection[str]]]


class LeaseLost(Exception):
    """Another node runs the bridge now, or it was set anew."""


class Runner:
    """Runs one bridge while this node has its lease; `run` ends when it is paused, changed or lost."""

    def __init__(
        self, service: Service, owner: str, bridge: Bridge, folder: Path, app: str, concealed: Concealed
    ) -> None:
        self._concealed = concealed
        self._service = service
        self._owner = owner
        self._bridge = bridge
        self._folder = folder
        self._app = app
        self._wake = asyncio.Event()
        self._tries = 0
        self._sink: Sink
        self._events: Events
        self._config: BridgeConfig

    async def run(self) -> None:
        """Run until cancelled, paused, changed or lost."""
        config = self._config = read_config(self._bridge.name, json.loads(self._bridge.config))
        self._events = Events(config, self._app, self._service.store.identity.epoch)
        self._sink = open_sink(config, self._folder)
        self._service.add_listener(self._committed)
        renewing = asyncio.create_task(self._renew())
        working = asyncio.create_task(self._work())
        try:
            done, _ = await asyncio.wait((renewing, working), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except LeaseLost:
            log.info("bridge %s: not ours any more", self._bridge.name)
        finally:
            for task in (renewing, working):
                task.cancel()
            await asyncio.gather(renewing, working, return_exceptions=True)
            self._service.remove_listener(self._committed)
            await self._sink.close()
            await self._transact(table.release, self._bridge.fence)

    def _committed(self, moved: Iterable[bytes]) -> None:
        self._wake.set()

    async def _transact(self, function: Any, *args: Any) -> Any:
        name = self._bridge.name
        return await self._service.store.transact(lambda db, key: function(db, key, name, *args))

    async def _renew(self) -> None:
        """Keep the lease; it is lost when the settings or the place are others."""
        while True:
            await asyncio.sleep(limits.BRIDGE_LEASE_MS / 5000)
            now = self._service.clock.utc()
            taken = await self._transact(table.take_lease, self._owner, now, now + limits.BRIDGE_LEASE_MS)
            if taken is None or (taken.fence, taken.version) != (self._bridge.fence, self._bridge.version):
                raise LeaseLost

    async def _work(self) -> None:
        while True:
            try:
                busy = await self.step()
                self._tries = 0
            except Later as later:
                await self._transact(table.note_error, self._bridge.fence, later.reason[:300])
                await asyncio.sleep(self._pause(later.seconds))
                continue
            if not busy:
                try:
                    async with asyncio.timeout(limits.BRIDGE_LOOK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()

    def _pause(self, seconds: float | None) -> float:
        """Return how long to wait: as asked, else ever longer, and never all bridges at the same moment."""
        self._tries += 1
        grown = min(limits.BRIDGE_WAIT_SECONDS, _FIRST_WAIT * 2 ** min(self._tries, 16))
        return seconds if seconds is not None else grown * random.uniform(0.5, 1.0)

    async def step(self) -> bool:
        """Deliver the next events; say whether there were any. Raises Later, LeaseLost."""
        await self._check(self._service.epochs)
        if await self._replay() or await self._requery():
            return True
        bridge = self._bridge
        rows = await self._service.store.outbox((bridge.transaction, bridge.seq), limits.BRIDGE_ROWS)
        if not rows:
            return False
        made = await self._service.work(lambda: [self._events.make(row) for row in rows])
        blocked: set[str] = await self._transact(table.parked_keys)
        sent = [event for event in made if event is not None and event.key not in blocked]
        behind = [event for event in made if event is not None and event.key in blocked]
        outcomes, later = await self._deliver(sent)
        parked = [Parked(event, BEHIND, 0, self._service.clock.utc()) for event in behind]
        end = (rows[-1].transaction, rows[-1].seq)
        if later is not None:
            # What is not taken yet is where the next step begins.
            end = self._before(rows, sent[len(outcomes)])
            parked = [entry for entry in parked if entry.event.place <= end]
        refused: set[str] = set()
        delivered = 0
        for event, outcome in zip(sent, outcomes, strict=False):
            if outcome or event.key in refused:
                refused.add(event.key)
                parked.append(Parked(event, outcome or BEHIND, 0, self._service.clock.utc()))
            else:
                delivered += 1
        await self._advance(end, delivered, parked)
        if later is not None:
            raise later
        return True

    async def _deliver(self, events: list[Event]) -> tuple[list[str], Later | None]:
        """Return the outcomes of those that are decided, and why the others are not."""
        if not events:
            return [], None
        # Asked for behind the reading of what is sent: nothing of it was confidential if nothing is now.
        await self._check(await self._concealed())
        try:
            return list(await self._sink.deliver(events)), None
        except Later as later:
            return [""] * later.taken, later

    async def _check(self, concealed: Collection[str]) -> None:
        """Pause the bridge if one of these collections must not leave. Raises LeaseLost then."""
        try:
            self._config.check(concealed)
        except HedgerowError as error:
            log.warning("bridge %s is paused: %s", self._bridge.name, error)
            await self._transact(table.halt, self._bridge.fence, str(error))
            raise LeaseLost from error

    def _before(self, rows: Any, event: Event) -> tuple[int, int]:
        """Return the place right before an event's change."""
        place = (self._bridge.transaction, self._bridge.seq)
        for row in rows:
            if (row.transaction, row.seq) >= event.place:
                break
            place = (row.transaction, row.seq)
        return place

    async def _advance(self, place: tuple[int, int], delivered: int, parked: list[Parked]) -> None:
        if not await self._transact(table.advance, self._bridge.fence, place, delivered, parked):
            raise LeaseLost
        self._bridge = self._bridge._replace(transaction=place[0], seq=place[1])

    async def _replay(self) -> bool:
        """Send again what somebody has asked for, key by key in order; what is refused again stays parked."""
        waiting: list[Parked] = await self._transact(table.to_replay, limits.BRIDGE_ROWS)
        if not waiting:
            return False
        done: list[tuple[int, int]] = []
        refused: dict[str, Parked] = {}
        for entry in waiting:
            if entry.event.key in refused:
                continue
            outcomes, later = await self._deliver([entry.event])
            if later is not None:
                await self._transact(table.unpark, self._bridge.fence, done)
                raise later
            if outcomes[0]:
                refused[entry.event.key] = entry._replace(reason=outcomes[0])
            else:
                done.append(entry.event.place)
        if not await self._transact(table.unpark, self._bridge.fence, done):
            raise LeaseLost
        for entry in waiting:
            if entry.event.key in refused:
                again = refused[entry.event.key]
                reason = again.reason if again.event.place == entry.event.place else BEHIND
                await self._transact(table.park, entry._replace(reason=reason))
        return True

    async def _requery(self) -> bool:
        """Where the outbox has forgotten what follows the cursor, say which documents to read again."""
        store, bridge = self._service.store, self._bridge
        trimmed = await store.trimmed()
        if bridge.transaction >= trimmed:
            return False
        log.warning("bridge %s: changes were forgotten before they were read", bridge.name)
        for collection in sorted(self._service.kinds):
            if not self._events.is_wanted(collection):
                continue
            after = (bridge.transaction + 1, b"")
            while True:
                touched, _ = await store.touched(collection, after, limits.BRIDGE_ROWS)
                documents = [(collection, cbor.decode(entry.id)) for entry in touched]
                if documents:
                    _, later = await self._deliver([self._events.requery(trimmed, documents)])
                    if later is not None:
                        raise later
                    after = (touched[-1].transaction, touched[-1].id)
                if len(touched) < limits.BRIDGE_ROWS:
                    break
        await self._advance((trimmed, 1 << 62), 0, [])
        return True


def check_runnable(name: str, body: Any, folder: Path, concealed: Collection[str]) -> str:
    """Return the settings of a bridge as they are stored; its sink can be opened. Raises BRIDGE_INVALID, and
    BRIDGE_CONFIDENTIAL for one that sends on what is `concealed` without a word of it.
    """
    config = read_config(name, body)
    config.check(concealed)
    open_sink(config, folder)
    return config.text()


class Bridges:
    """Runs the bridges that no other node runs. `start` and `stop` with the service."""

    def __init__(self, service: Service, folder: Path, app: str, concealed: Concealed) -> None:
        self.concealed = concealed
        self._service = service
        self._folder = folder
        self._app = app
        self._owner = f"{service.store.identity.author.hex()}:{service.store.identity.boot}"
        self._running: dict[str, asyncio.Task[None]] = {}
        # Versions of bridges that cannot run as they are set.
        self._hopeless: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._look = asyncio.Event()

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look_forever())

    def look(self) -> None:
        """Look at once: something was set."""
        self._look.set()

    async def stop(self) -> None:
        """End all, and give their leases back."""
        tasks = [*self._running.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_forever(self) -> None:
        while True:
            try:
                await self._start_what_is_free()
            except HedgerowError as error:
                log.warning("cannot look for bridges: %s", error)
            try:
                async with asyncio.timeout(limits.BRIDGE_LOOK_SECONDS):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()

    async def _start_what_is_free(self) -> None:
        store = self._service.store
        for bridge in await store.transact(table.bridges):
            task = self._running.get(bridge.name)
            is_running = task is not None and not task.done()
            if not is_running and self._hopeless.get(bridge.name) != bridge.version:
                taken = await self._take(bridge.name)
                if taken is not None:
                    self._running[bridge.name] = asyncio.create_task(self._guard(taken))

    async def _take(self, name: str) -> Bridge | None:
        now = self._service.clock.utc()
        until = now + limits.BRIDGE_LEASE_MS
        return await self._service.store.transact(
            lambda db, key: table.take_lease(db, key, name, self._owner, now, until)
        )

    async def _guard(self, bridge: Bridge) -> None:
        """Run a bridge; a fault in it stays its own."""
        try:
            runner = Runner(self._service, self._owner, bridge, self._folder, self._app, self.concealed)
            await runner.run()
        except HedgerowError as error:
            log.warning("bridge %s: %s", bridge.name, error)
            if error.code == "BRIDGE_INVALID":
                self._hopeless[bridge.name] = bridge.version
        except Exception:
            log.exception("bridge %s failed", bridge.name)
