"""What the Big Peer itself writes: the documents that come in over HTTP, as operations of its own author."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.codec.schema import Schema
from hedgerow.errors import HedgerowError
from hedgerow.limits import SEAL_EVERY
from hedgerow.trust.seal import NO_SEAL, make_seal, seal_hash

from .auth.membership import Membership
from .auth.rights import WHOLE, Rule
from .draft import Draft
from .service import Service
from .store.port import Snapshot
from .store.rows import Entry, NameEntry, Operation, SchemaEntry, SealEntry

log = logging.getLogger(__name__)

Plan = Callable[[Draft, Snapshot], Awaitable[None]]


class Written(NamedTuple):
    """What a statement did: the ids of the documents that it changed, in order, and why others were not."""

    ids: list[Any]
    warnings: list[tuple[Any, str]]


#: Makes of what a statement did the entry that is written with it.
Keep = Callable[[Written], Entry]


class OwnAuthor:
    """The author of this store. One statement is one operation; a write is durable on return."""

    def __init__(self, service: Service, membership: Membership | None = None) -> None:
        self._service = service
        self._membership = membership
        self._author = service.store.identity.author
        self._lock = asyncio.Lock()
        self._marks: list[bytes] = []
        self._previous = NO_SEAL
        self._clock = hlc.Clock(0)
        self._unsure = False

    async def start(self) -> None:
        """Go on where the store ends, and write the clock record of this boot."""
        service = self._service
        await self._resume()
        last = hlc.ZERO
        for written in await service.store.boundaries():
            if written.author == self._author:
                last = max(last, written.stamp)
        uptime, utc = service.clock.uptime(), service.clock.utc()
        base = max(0, utc - uptime)
        self._clock = hlc.Clock(base, last)
        boot = service.store.identity.boot
        record = [operation.CLOCK, boot, uptime, base, operation.SOURCE_KEEPER, utc, service.clock.error_ms]
        async with self._lock:
            body = operation.encode_body(self._clock.tick(uptime), [record])
            await self._write(body, [NameEntry(self._author, service.config.name)], seal=True)

    async def _resume(self) -> None:
        """Learn where the log of this author ends."""
        marks, seal = await self._service.store.tail(self._author)
        self._marks = [mark for _, mark in marks]
        self._previous = seal_hash(seal) if seal else NO_SEAL
        self._unsure = False

    async def stop(self) -> None:
        """Seal what is not sealed yet; where that cannot be, the next boot does."""
        async with self._lock:
            if self._marks:
                try:
                    await self._service.submit([self._seal()])
                except HedgerowError as error:
                    log.warning("could not seal what was written here: %s", error)

    async def write(self, plan: Plan, rule: Rule = WHOLE, keep: Keep | None = None) -> Written:
        """Let `plan` add changes to an operation, and write it if `rule` covers what it changes; with it what
        `keep` makes of the outcome.

        The view that it is given has all that was written here before. Raises what the plan raises, and the
        codes of operations. A caller that goes away does not stop a write: the next one must follow on it.
        """
        return await asyncio.shield(asyncio.create_task(self._plan(plan, rule, keep)))

    async def _plan(self, plan: Plan, rule: Rule, keep: Keep | None) -> Written:
        service = self._service
        async with self._lock:
            if self._unsure:
                await service.refresh(self._author)
                await self._resume()
            number = service.frontier(self._author).held + 1
            draft = Draft(service, self._author, number, self._clock.tick(service.clock.uptime()), rule)
            async with service.store.snapshot() as snapshot:
                await plan(draft, snapshot)
            written = Written(draft.mutated() if draft.changes else [], draft.warnings)
            entries: list[Entry] = [] if keep is None else [keep(written)]
            if draft.changes:
                draft.check()
                known = service.schemas
                schemas = [schema for name, schema in draft.schemas.items() if name not in known]
                await self._write(draft.body(), [*entries, *[SchemaEntry(s.encoded) for s in schemas]])
            elif entries:
                await service.submit(entries)
            return written

    async def _write(self, body: bytes, entries: list[Entry], *, seal: bool = False) -> None:
        service = self._service
        number = service.frontier(self._author).held + 1
        schemas = dict(service.schemas)
        for entry in entries:
            if isinstance(entry, SchemaEntry):
                schema = Schema.decode(entry.encoded)
                schemas[schema.name] = schema
        kept = (self._marks, self._previous)
        self._marks = [*self._marks, operation.h16(self._author, number, body, schemas)]
        submission = [*entries, Operation(self._author, number, body)]
        if seal or len(self._marks) >= SEAL_EVERY:
            submission.append(self._seal())
        try:
            await service.submit(submission)
        except HedgerowError as error:
            self._marks, self._previous = kept
            # A commit whose answer was lost may have happened.
            self._unsure = error.code in ("STORE_FAILED", "STORE_MOVED")
            raise

    def _seal(self) -> SealEntry:
        last = self._service.frontier(self._author).sealed + len(self._marks)
        signer = None if self._membership is None else self._membership.signer(self._author)
        first = last - len(self._marks) + 1
        body = make_seal(self._author, first, last, self._marks, self._previous, signer)
        self._previous = seal_hash(body)
        self._marks = []
        return SealEntry(self._author, body)
