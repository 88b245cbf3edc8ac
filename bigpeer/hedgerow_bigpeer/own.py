"""What the Big Peer itself writes: the documents that come in over HTTP, as operations of its own author."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from hedgerow import operation
from hedgerow.clock import hlc
from hedgerow.errors import HedgerowError
from hedgerow.limits import SEAL_EVERY
from hedgerow.trust.seal import NO_SEAL, make_seal, seal_hash

from . import limits
from .auth.membership import Membership
from .auth.rights import WHOLE, Rule
from .draft import Draft
from .service import Service
from .store.port import Keyed
from .store.rows import DocumentRow, Entry, NameEntry, Operation, SchemaEntry, SealEntry, Submission

log = logging.getLogger(__name__)

Plan = Callable[[Draft, Keyed], Awaitable[None]]


class Written(NamedTuple):
    """What a statement did: the ids of the documents that it changed, in order, and why others were not."""

    ids: list[Any]
    warnings: list[tuple[Any, str]]


#: Makes of what a statement did the entry that is written with it.
Keep = Callable[[Written], Entry]


class _Ask(NamedTuple):
    """A write that somebody waits for."""

    plan: Plan
    rule: Rule
    keep: Keep | None
    done: "asyncio.Future[Written]"


class _Changed(Exception):
    """What a plan wants to read is changed by one before it in the same transaction."""


class _Before:
    """A view of what was there before a transaction: see `Keyed`. Whoever asks for one of the `places` that
    the transaction changes has to come again after it [_Changed].
    """

    def __init__(self, view: Keyed, places: set[tuple[str, bytes]]) -> None:
        self._view = view
        self._places = places

    async def document(self, collection: str, document_id: bytes) -> DocumentRow | None:
        self._check(collection, [document_id])
        return await self._view.document(collection, document_id)

    async def some(self, collection: str, ids: Sequence[bytes]) -> Sequence[DocumentRow]:
        self._check(collection, ids)
        return await self._view.some(collection, ids)

    def _check(self, collection: str, ids: Sequence[bytes]) -> None:
        if any((collection, key) in self._places for key in ids):
            raise _Changed


class _Planned(NamedTuple):
    """A write that is worked out; `marks` and `previous` are what is to be sealed without it."""

    ask: _Ask
    written: Written
    entries: list[Entry]
    marks: list[bytes]
    previous: bytes


class OwnAuthor:
    """The author of this store. One statement is one operation; a write is durable on return.

    What comes while a transaction is under way goes into the next one together, each as an operation.
    """

    def __init__(self, service: Service, membership: Membership | None = None) -> None:
        self._service = service
        self._membership = membership
        self._author = service.store.identity.author
        self._lock = asyncio.Lock()
        self._marks: list[bytes] = []
        self._previous = NO_SEAL
        self._clock = hlc.Clock(0)
        self._unsure = False
        self._waiting: list[_Ask] = []
        self._task: asyncio.Task[None] | None = None

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
            number = service.frontier(self._author).held + 1
            body = operation.encode_body(self._clock.tick(uptime), [record])
            self._marks.append(operation.h16(self._author, number, body, service.schemas))
            name = NameEntry(self._author, service.config.name)
            await service.submit([name, Operation(self._author, number, body), self._seal(number)])

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
                last = self._service.frontier(self._author).sealed + len(self._marks)
                try:
                    await self._service.submit([self._seal(last)])
                except HedgerowError as error:
                    log.warning("could not seal what was written here: %s", error)

    async def write(self, plan: Plan, rule: Rule = WHOLE, keep: Keep | None = None) -> Written:
        """Let `plan` add changes to an operation, and write it if `rule` covers what it changes; with it what
        `keep` makes of the outcome.

        The view that it is given has all that was written here before. A plan may be asked anew, with another
        draft, after writes that came before it. Raises what the plan raises, and the codes of operations. A
        caller that goes away does not stop a write: the next one must follow on it.
        """
        done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Ask(plan, rule, keep, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all())
        return await asyncio.shield(done)

    async def _write_all(self) -> None:
        """Write what waits, and what comes meanwhile."""
        while self._waiting:
            asks, self._waiting = self._waiting[: limits.OWN_BATCH], self._waiting[limits.OWN_BATCH :]
            try:
                async with self._lock:
                    await self._write_together(asks)
            except BaseException as error:
                for ask in asks:
                    if not ask.done.done() and ask not in self._waiting:
                        _refuse(ask, error)
                if not isinstance(error, Exception):
                    raise

    async def _write_together(self, asks: list[_Ask]) -> None:
        """Write what asks plan, as operations of one transaction. Those that have to see what others in it
        write wait again, before whatever came later.
        """
        service = self._service
        if self._unsure:
            await service.refresh(self._author)
            await self._resume()
        kept = (list(self._marks), self._previous)
        try:
            planned, again = await self._plan_all(asks)
            errors = await service.offer(Submission(entries) for _, _, entries, _, _ in planned)
        # Some of what was planned may be there; nothing of it is where its view could not be left.
        except BaseException:
            self._marks, self._previous = kept
            self._unsure = True
            raise
        again += self._settle(planned, errors)
        self._waiting = again + self._waiting

    async def _plan_all(self, asks: list[_Ask]) -> tuple[list[_Planned], list[_Ask]]:
        """Work out what asks plan; return with it those that have to wait again."""
        service = self._service
        planned: list[_Planned] = []
        again: list[_Ask] = []
        number = service.frontier(self._author).held + 1
        places: set[tuple[str, bytes]] = set()
        async with service.store.snapshot() as snapshot:
            for ask in asks:
                draft = Draft(
                    service, self._author, number, self._clock.tick(service.clock.uptime()), ask.rule
                )
                try:
                    await ask.plan(draft, _Before(snapshot, places))
                    planned.append(self._planned(ask, draft, number))
                except _Changed:
                    again.append(ask)
                # A plan is somebody's statement: what is wrong with it stays theirs.
                except Exception as error:  # noqa: BLE001
                    _refuse(ask, error)
                else:
                    places |= draft.places()
                    number += bool(draft.changes)
        return planned, again

    def _planned(self, ask: _Ask, draft: Draft, number: int) -> _Planned:
        """Return what is to be submitted for a draft, which is operation `number` if it changes something."""
        written = Written(draft.mutated() if draft.changes else [], draft.warnings)
        entries: list[Entry] = [] if ask.keep is None else [ask.keep(written)]
        marks, previous = self._marks, self._previous
        if draft.changes:
            draft.check()
            body = draft.body()
            known = self._service.schemas
            entries += [SchemaEntry(s.encoded) for name, s in draft.schemas.items() if name not in known]
            mark = operation.h16(self._author, number, body, known | draft.schemas)
            entries += draft.absent
            entries.append(Operation(self._author, number, body))
            self._marks = [*marks, mark]
            try:
                entries += [self._seal(number)] if len(self._marks) >= SEAL_EVERY else []
            except BaseException:
                self._marks, self._previous = marks, previous
                raise
        return _Planned(ask, written, entries, marks, previous)

    def _settle(self, planned: list[_Planned], errors: Sequence[HedgerowError | None]) -> list[_Ask]:
        """Tell what became of writes; return those that only followed on one that was refused."""
        again: list[_Ask] = []
        broken = False
        for (ask, written, entries, marks, previous), error in zip(planned, errors, strict=True):
            if error is None:
                ask.done.set_result(written)
                continue
            if broken and error.code == "SYNC_GAP":
                again.append(ask)
                continue
            # A commit whose answer was lost may have happened; and what does not follow on what is there was
            # planned on something else.
            self._unsure |= error.code.startswith("STORE_") or error.code in ("SYNC_GAP", "SEAL_INVALID")
            if not broken and any(isinstance(entry, Operation) for entry in entries):
                self._marks, self._previous, broken = marks, previous, True
            _refuse(ask, error)
        return again

    def _seal(self, last: int) -> SealEntry:
        """Return the seal over what is not sealed yet, which ends at `last`."""
        signer = None if self._membership is None else self._membership.signer(self._author)
        first = last - len(self._marks) + 1
        body = make_seal(self._author, first, last, self._marks, self._previous, signer)
        self._previous = seal_hash(body)
        self._marks = []
        return SealEntry(self._author, body)


def _refuse(ask: _Ask, error: BaseException) -> None:
    ask.done.set_exception(error)
    # Whoever asked may have gone away.
    ask.done.exception()
