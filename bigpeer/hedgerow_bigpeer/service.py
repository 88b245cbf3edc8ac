"""The Big Peer behind its endpoints: the store, what of it is kept in memory, and group commits."""

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from hedgerow.clock.timemap import TimeMap
from hedgerow.codec.schema import CONFIDENTIAL, KEEP, SCOPE_LOCAL, Schema, is_stream, scope_of
from hedgerow.crypto.rules import FORKED
from hedgerow.custody.frontier import Frontier as StabilityFrontier
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_FRONTIER

from . import limits
from .clock import Clock
from .config import BigPeerConfig
from .counters import Counters
from .refusals import Refusals
from .store.port import Store
from .store.rows import Entry, Frontier, Ingested, JudgeEntry, Lost, Stable, Submission
from .view import Moment, source_name

log = logging.getLogger(__name__)

Result = TypeVar("Result")

Listener = Callable[[Iterable[bytes]], None]


class Service:
    """What every endpoint shares. `start` before use, `stop` at the end."""

    def __init__(self, config: BigPeerConfig, store: Store) -> None:
        self.config = config
        self.store = store
        self.clock = Clock(config.clock_error_ms)
        self.counters = Counters()
        self.connections = 0
        self.healthy = True
        # Adds to a receipt what proves it to its author.
        self.prove: Callable[[Receipt], Receipt] | None = None
        # Signs a stability frontier.
        self.vouch: Callable[[StabilityFrontier], None] | None = None
        # The newest transaction before which none is on its way, and the newest that was written here.
        self.transaction = 0
        self.written = 0
        self.frontiers: dict[bytes, Frontier] = {}
        self.schemas: dict[bytes, Schema] = {}
        self.kinds: dict[str, int] = {}
        self.epochs: dict[str, int] = {}  # of confidential collections
        self._times: dict[bytes, TimeMap] = {}
        self._touched: dict[str, int] = {}
        self._expired: dict[str, int] = {}
        self._gone: dict[str, tuple[int, int]] = {}
        self._first = 0
        self._lost: Sequence[Lost] = []
        self._lost_until = 0
        self._listeners: set[Listener] = set()
        self.refusals = Refusals()
        #: Authors of whom sessions with this node have brought something since somebody looked.
        self.brought: set[bytes] = set()
        self._waiting: list[tuple[Submission, asyncio.Future[HedgerowError | None]]] = []
        self._wake = asyncio.Event()
        self._committed = asyncio.Event()
        self._stopping = False
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._threads = ThreadPoolExecutor(limits.THREADS, thread_name_prefix="work")
        self._due: int | None = None
        self._timed = asyncio.Event()
        identity = store.identity
        self.frontier_said = StabilityFrontier(identity.keeper, identity.incarnation, 0, {})

    async def start(self) -> None:
        """Read what is kept in memory, and begin to commit."""
        # What other nodes write meanwhile comes after this.
        async with self.store.snapshot() as snapshot:
            self.transaction = self._first = snapshot.transaction
        for frontier in await self.store.frontiers():
            self.frontiers[frontier.author] = frontier
        for encoded in await self.store.schemas():
            self._add_schema(Schema.decode(encoded))
        await self._read_times(self.frontiers)
        self._tasks = [asyncio.create_task(self._commit_forever()), asyncio.create_task(self._keep_time())]
        if self.store.is_shared:
            self._tasks.append(asyncio.create_task(self._follow_forever()))
        # What has become due while we were away enters now.
        await self.offer([Submission(())])
        await self.refresh_frontier()

    async def stop(self) -> None:
        """Commit what waits, and close the store."""
        self._stopping = True
        self._ended.set()
        self._wake.set()
        self._timed.set()
        for task in self._tasks:
            await task
        self._threads.shutdown(wait=False)
        await self.store.close()

    async def work(self, function: Callable[..., Result], *args: Any) -> Result:
        """Run a function that changes nothing shared in a thread, so that the loop is free meanwhile."""
        if self._stopping:
            raise HedgerowError("STORE_FAILED", "the Big Peer is stopping")
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    # ---- in

    async def submit(self, entries: Sequence[Entry]) -> None:
        """Take entries, wholly or not at all; they are durable on return. Raises the store's refusal."""
        (error,) = await self.offer([Submission(entries)])
        if error is not None:
            raise error

    async def offer(self, submissions: Iterable[Submission]) -> list[HedgerowError | None]:
        """Take submissions in their order, and return the refusal of each; what was taken is durable then.

        STORE_FAILED and STORE_MOVED say that it was not the submission's fault.
        """
        if self._stopping:
            raise HedgerowError("STORE_FAILED", "the Big Peer is stopping")
        loop = asyncio.get_running_loop()
        waiting = [(submission, loop.create_future()) for submission in submissions]
        self._waiting += waiting
        self._wake.set()
        return [await done for _, done in waiting]

    def why_refused(self, author: bytes) -> str | None:
        """Return the code of why nothing more of an author is taken, or counts; None where it does."""
        rules = self.store.rules
        return (
            FORKED if rules is not None and rules.forked(author) is not None else self.refusals.code(author)
        )

    async def judge(self, authors: set[bytes]) -> None:
        """Have what these authors wrote judged anew, for other rules hold; who is judged leaves the set.

        Raises STORE_FAILED.
        """
        while authors:
            author = authors.pop()
            try:
                if author in self.frontiers:
                    await self.submit([JudgeEntry(author)])
            except BaseException:
                authors.add(author)
                raise

    async def _commit_forever(self) -> None:
        """Commit whatever came in while the transaction before was under way, as one transaction."""
        while not self._stopping or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._commit(self._take_batch())

    def _take_batch(self) -> list[tuple[Submission, asyncio.Future[HedgerowError | None]]]:
        count = size = 0
        for submission, _ in self._waiting:
            size += len(submission.entries)
            count += 1
            if size >= limits.BATCH_ENTRIES:
                break
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _commit(self, batch: list[tuple[Submission, asyncio.Future[HedgerowError | None]]]) -> None:
        errors: Sequence[HedgerowError | None]
        try:
            ingested = await self.store.ingest([submission for submission, _ in batch], self.clock.utc())
        except Exception as error:
            # An app that moves is nobody's fault, and over in a moment.
            if isinstance(error, HedgerowError) and error.code == "STORE_MOVED":
                errors = [error] * len(batch)
            else:
                log.exception("ingest failed")
                self.healthy = False
                errors = [HedgerowError("STORE_FAILED", str(error))] * len(batch)
        else:
            self.healthy = True
            self.counters.commits += 1
            self.written = max(self.written, ingested.transaction)
            self._note(ingested)
            await self._read_times(ingested.cut)
            if self.store.is_shared:
                await self._follow()
            errors = ingested.errors
        for (_, done), refusal in zip(batch, errors, strict=True):
            self.counters.refusals += refusal is not None
            if not done.done():
                done.set_result(refusal)

    def _note(self, ingested: Ingested, *, followed: bool = False) -> None:
        """Bring what is kept in memory up to a transaction, and tell the listeners.

        Of a shared store only what follow() says is all that has happened up to one.
        """
        self.counters.operations += ingested.operations
        self.counters.documents += ingested.documents
        for encoded in ingested.schemas:
            self._add_schema(Schema.decode(encoded))
        for record in ingested.clocks:
            self._time_map(record.author).add(*record[1:])
        for written in ingested.written:
            self._time_map(written.author).note(written.number, written.stamp)
        for author in ingested.cut:
            self.refusals.forget(author)
        for frontier in ingested.frontiers:
            known = self.frontier(frontier.author)
            is_newer = (frontier.held, frontier.sealed) >= (known.held, known.sealed)
            if is_newer or frontier.author in ingested.cut:
                self.frontiers[frontier.author] = frontier
                self.refusals.moved(frontier)
        if ingested.due != self._due:
            self._due = ingested.due
            self._timed.set()
        for author, number, code in ingested.refused:
            self.counters.refused[code] = self.counters.refused.get(code, 0) + 1
            self.refusals.note_write(author, number, code)
        if not self.store.is_shared or followed:
            for collection in ingested.collections:
                self._touched[collection] = ingested.transaction
            self._expired |= dict.fromkeys(ingested.expired, ingested.transaction)
            self.transaction = ingested.transaction
        self._committed.set()
        self._committed = asyncio.Event()
        self._tell([frontier.author for frontier in ingested.frontiers])

    async def _follow_forever(self) -> None:
        """Learn what other nodes do."""
        while not self._stopping:
            pause = limits.FOLLOW_SECONDS if self.healthy else limits.FOLLOW_AGAIN_SECONDS
            # Who stops does not wait for the next look: an app that has moved is opened elsewhere then.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._ended.wait()
                    return
            await self._follow()

    async def _follow(self) -> None:
        try:
            news = await self.store.follow(self.transaction)
        except HedgerowError as error:
            log.log(logging.WARNING if self.healthy else logging.DEBUG, "cannot follow: %s", error)
            self.healthy = False
            return
        self.healthy = True
        if news is not None and news.transaction > self.transaction:
            self._note(news, followed=True)
            await self._read_times(news.cut)

    def _tell(self, moved: list[bytes]) -> None:
        for listener in list(self._listeners):
            listener(moved)

    def _add_schema(self, schema: Schema) -> None:
        self.schemas[schema.name] = schema
        # What others keep to themselves says nothing about what is written here.
        if scope_of(schema.kind) != SCOPE_LOCAL and (
            is_stream(schema.kind) or schema.collection not in self.kinds
        ):
            # What is confidential the rights say.
            self.kinds[schema.collection] = schema.kind & ~CONFIDENTIAL

    async def _read_times(self, authors: Collection[bytes]) -> None:
        """Read anew what authors say of time: something that they were said to have written went, too."""
        if not authors:
            return
        for author in authors:
            self._times.pop(author, None)
        for record in await self.store.clocks():
            if record.author in authors:
                self._time_map(record.author).add(*record[1:])
        for written in await self.store.boundaries():
            if written.author in authors:
                self._time_map(written.author).note(written.number, written.stamp)

    def _time_map(self, author: bytes) -> TimeMap:
        return self._times.setdefault(author, TimeMap())

    # ---- time passes

    async def _keep_time(self) -> None:
        """Let operations into the view when their time comes; move the frontier and collect now and then."""
        collect_at = self.clock.uptime() + limits.COLLECT_EVERY_MS
        while not self._stopping:
            wait = collect_at - self.clock.uptime()
            if self._due is not None:
                # Not the whole time at once: the machine's clock may be set meanwhile.
                wait = min(wait, self._due - self.clock.utc(), limits.CLOCK_CHECK_MS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0, wait) / 1000):
                    await self._timed.wait()
            self._timed.clear()
            if self._stopping:
                return
            try:
                if self._due is not None and self._due <= self.clock.utc():
                    await self.offer([Submission(())])
                if self.clock.uptime() >= collect_at:
                    collect_at = self.clock.uptime() + limits.COLLECT_EVERY_MS
                    await self.collect()
            except HedgerowError as error:
                log.warning("could not keep time: %s", error)
                self._due = None

    async def refresh_frontier(self) -> Stable:
        """Work out the stability frontier, and tell the listeners if it has moved."""
        now = self.clock.utc()
        before = now - int(self.config.collect_after_days * limits.DAY_MS)
        stable = await self.store.stable(now - limits.RETIRE_MS, before)
        if stable.position > self.frontier_said.position:
            authors = heapq.nlargest(
                MAX_FRONTIER, stable.numbers, key=lambda author: self.frontier(author).last_seen
            )
            numbers = {author: stable.numbers[author] for author in authors}
            identity = self.store.identity
            said = StabilityFrontier(identity.keeper, identity.incarnation, stable.position, numbers)
            if self.vouch is not None:
                self.vouch(said)
            self.frontier_said = said
            self._tell([])
        return stable

    async def collect(self) -> int:
        """Remove what is superseded, stable and old enough; return how many operations went."""
        stable = await self.refresh_frontier()
        after: tuple[str, bytes] | None = ("", b"")
        operations = 0
        while after is not None and not self._stopping:
            collected = await self.store.collect(stable.lowest, after, limits.COLLECT_DOCUMENTS)
            operations += collected.operations
            after = collected.after
        await self._trim()
        if operations:
            self.counters.collected += operations
            log.info("%d superseded operations collected", operations)
        return operations

    async def _trim(self) -> None:
        """Forget old changes of the outbox, whoever has not read them."""
        before = self.clock.utc() - int(self.config.outbox_days * limits.DAY_MS)
        while not self._stopping and await self.store.trim(before, limits.TRIMMED_CHANGES):
            pass

    # ---- out

    def add_listener(self, listener: Listener) -> None:
        """Call `listener(authors whose frontier moved)` after each commit."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Call it no more."""
        self._listeners.discard(listener)

    @property
    def newest(self) -> int:
        """The newest transaction that an answer has seen: what was written here counts at once."""
        return max(self.transaction, self.written)

    def frontier(self, author: bytes) -> Frontier:
        """Return how far an author is held; all zero for an unknown one."""
        return self.frontiers.get(author) or Frontier(author, "", 0, 0, 0, 0)

    async def refresh(self, author: bytes) -> None:
        """Read an author's frontier from the store: nobody knows whether what was written last is there."""
        for frontier in await self.store.frontiers():
            if frontier.author == author:
                self.frontiers[author] = frontier

    def receipt(self, author: bytes) -> Receipt | None:
        """Return this keeper's receipt for an author: what is held and sealed, None for nothing."""
        number = self.frontier(author).receipted
        identity = self.store.identity
        if not number:
            return None
        found = Receipt(identity.keeper, identity.incarnation, author, number)
        return found if self.prove is None else self.prove(found)

    def touched(self, collection: str) -> int:
        """Return a transaction after which nothing of a collection was touched."""
        return self._touched.get(collection, self._first)

    def expired(self, collection: str) -> tuple[int, ...]:
        """Return what is another when readings of a collection have expired: the transaction that told so
        last, and what heed_expired() noted.
        """
        return self._expired.get(collection, 0), *self._gone.get(collection, (0, 0))

    def heed_expired(self, collection: str, gone: tuple[int, int]) -> None:
        """Note before which moment, in ms, readings of a collection are gone, and how many operations."""
        self._gone[collection] = gone

    def is_stream(self, collection: str) -> bool:
        """Say whether a collection holds readings."""
        return is_stream(self.kinds.get(collection, KEEP))

    def time_of(self, author: bytes, number: int, stamp: bytes) -> Moment | None:
        """Return when an operation was written, None while nothing bounds it."""
        times = self._times.get(author)
        found = times.resolve(number, stamp) if times else None
        if times is None or found is None:
            return None
        return Moment(*found, source_name(times.source(number, stamp)))

    async def lost(self) -> Sequence[Lost]:
        """Return ranges that are held as lost, so many; looked up anew after a while."""
        now = self.clock.uptime()
        if self._lost_until <= now:
            self._lost_until = now + limits.LOST_LOOK_MS
            self._lost = await self.store.lost(limits.LOST_RANGES)
        return self._lost

    async def reached(self, transaction: int, seconds: float) -> None:
        """Wait until a transaction has happened here. Raises TRANSACTION_NOT_REACHED, at once for one that
        was lost when the store was put back.
        """
        if any(last < transaction < first for last, first in self.store.gaps):
            raise HedgerowError("TRANSACTION_NOT_REACHED", f"{transaction} was lost: the store was put back")
        try:
            async with asyncio.timeout(seconds):
                while self.transaction < transaction:
                    await self._committed.wait()
        except TimeoutError:
            detail = f"{transaction}, the newest is {self.transaction}"
            raise HedgerowError("TRANSACTION_NOT_REACHED", detail) from None
