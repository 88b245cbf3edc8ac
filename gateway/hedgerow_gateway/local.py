"""A ready peer in one call, for programs that record on a Pi, a laptop or a server."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hedgerow.application import ReadyPeer
from hedgerow.errors import HedgerowError
from hedgerow.mesh.tag import mesh_tag
from hedgerow.query.live import Changes
from hedgerow.result import Result
from hedgerow.sync.hello import RELAY
from hedgerow.transaction import Transaction

from . import limits
from .bounded import wait_event
from .clock import KERNEL, Clock
from .confidences import Confidences
from .config import check_uplink, host_name
from .enrolment import Enrolment
from .gateway import tell_time
from .home import Home
from .membership import ProgramPeer, members_of, tell_observers
from .reclaim import Reclaimer
from .sqlite_log import SqliteLog
from .uplink import Uplink

Document = dict[str, Any]


class LocalTransaction:
    """Statements that become one operation when the `with` or `async with` block ends; none if it raises."""

    def __init__(self, home: Home, begin: Callable[[], Transaction]) -> None:
        self._home = home
        self._begin = begin
        self._inner: Transaction | None = None

    def execute(self, text: str, **parameters: Any) -> Result:
        """Run a statement as a part of it; SELECT sees what it has changed."""
        return self._home.call(lambda: self._opened().execute(text, **parameters))

    async def aexecute(self, text: str, **parameters: Any) -> Result:
        """As execute()."""
        return await self._home.acall(lambda: self._opened().execute(text, **parameters))

    def _opened(self) -> Transaction:
        if self._inner is None:
            raise HedgerowError("TRANSACTION_ENDED", "its block has not begun, or has ended")
        return self._inner

    def _enter(self) -> None:
        self._inner = self._begin().__enter__()

    def _exit(self, *error: Any) -> bool | None:
        inner, self._inner = self._opened(), None
        return inner.__exit__(*error)

    def __enter__(self) -> Self:
        self._home.call(self._enter)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._home.call(lambda: self._exit(kind, error, trace))

    async def __aenter__(self) -> Self:
        await self._home.acall(self._enter)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._home.acall(lambda: self._exit(kind, error, trace))


class LocalPeer:
    """A peer on an SQLite file, with its clock and, if it has a URL, its uplink.

    All that it does happens on one thread (see `open_peer`): with a url its methods may be called from any
    thread, without one from the thread that opened it alone. The methods with an `a` before their name are
    the same ones for coroutines. Callbacks run on the peer's thread and must not wait there. A program that
    also runs on boards finds `settings` here, as there. Close it, or use it in a `with` block, async or not.

    Raises HedgerowError: the codes of statements, those of SqliteLog, PEER_THREAD, PEER_CLOSED.
    """

    def __init__(
        self,
        home: Home,
        log: SqliteLog,
        core: ReadyPeer,
        clock: Clock,
        url: str | None,
        enrolment: Enrolment | None = None,
    ) -> None:
        self._enrolment = enrolment
        self.settings: dict[str, Any] = {}
        self._home = home
        self._author: bytes = log.author
        self._log = log
        self._core = core
        self._clock = clock
        self._looked = clock.now()
        self._uplink: Uplink | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        tell_time(core, clock)
        if url is not None:
            self._link(url)

    @property
    def author(self) -> bytes:
        """The 8 bytes that name this peer as an author."""
        return self._author

    @property
    def name(self) -> str:
        """What people call this peer."""
        return self._core.name

    @property
    def uplink(self) -> Uplink | None:
        """The way to the Big Peer: its counters, and whether it is connected."""
        return self._uplink

    def _ready(self) -> ReadyPeer:
        """Return the core's peer for one call, with the time as it is known now."""
        if self._closed:
            raise HedgerowError("PEER_CLOSED", str(self._log.path))
        now = self._clock.now()
        if now - self._looked >= limits.TIME_EVERY_S * 1000:
            self._looked = now
            tell_time(self._core, self._clock)
        return self._core

    # ---- statements

    def execute(self, text: str, **parameters: Any) -> Result:
        """Run one DQL statement with its :parameters. What it writes is durable on return."""
        return self._home.call(lambda: self._ready().execute(text, **parameters))

    async def aexecute(self, text: str, **parameters: Any) -> Result:
        """As execute()."""
        return await self._home.acall(lambda: self._ready().execute(text, **parameters))

    def transaction(self) -> LocalTransaction:
        """Return a transaction, for a `with` or `async with` block.

        Its end raises TRANSACTION_CONFLICT if something else was written meanwhile, such as the time that the
        Big Peer told: do it again then.
        """
        return LocalTransaction(self._home, lambda: self._ready().transaction())

    def insert(self, collection: str, document: Document) -> int:
        """Write a document whose id is its dot; return its number. It is durable on return."""
        return self._home.call(lambda: self._insert(collection, document))

    async def ainsert(self, collection: str, document: Document) -> int:
        """As insert()."""
        return await self._home.acall(lambda: self._insert(collection, document))

    def _insert(self, collection: str, document: Document) -> int:
        core = self._ready()
        number = core.insert(collection, document, self._clock.now())
        core.dispatch()
        return number

    # ---- what changes

    def observe(
        self, text: str, on_change: Callable[[Changes], object], **parameters: Any
    ) -> Callable[[], None]:
        """Call `on_change` with what a SELECT gives, now and after each change; return what ends that.

        What `on_change` writes itself is told after it has returned; without a url, after the next statement.
        """
        return self._stopper(self._home.call(lambda: self._ready().observe(text, on_change, **parameters)))

    async def aobserve(self, text: str, **parameters: Any) -> AsyncIterator[Changes]:
        """Yield what a SELECT gives, now and after each change.

        Raises OBSERVER_SLOW for a reader that falls 1,000 changes behind.
        """
        loop = asyncio.get_running_loop()
        changes: asyncio.Queue[Changes] = asyncio.Queue()

        def on_change(change: Changes) -> None:
            # The reader's loop may have ended before it could say so.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(changes.put_nowait, change)

        stop = await self._home.acall(lambda: self._ready().observe(text, on_change, **parameters))
        try:
            while True:
                if changes.qsize() > limits.OBSERVER_CHANGES:
                    raise HedgerowError("OBSERVER_SLOW", text)
                yield await changes.get()
        finally:
            self._stopper(stop)()

    def subscribe(self, text: str, **parameters: Any) -> Callable[[], None]:
        """Want what a SELECT matches from whoever has it, durably; return what cancels that."""
        return self._stopper(self._home.call(lambda: self._ready().subscribe(text, **parameters)))

    async def asubscribe(self, text: str, **parameters: Any) -> Callable[[], None]:
        """As subscribe()."""
        return self._stopper(await self._home.acall(lambda: self._ready().subscribe(text, **parameters)))

    def _stopper(self, stop: Callable[[], None]) -> Callable[[], None]:
        """Return a function that stops something where the peer lives, as long as it does."""

        def run() -> None:
            if not self._closed:
                self._home.call(stop)

        return run

    # ---- how it is

    def status(self) -> dict[bytes, dict[str, Any]]:
        """Return {author: {"held", "sealed", "seen", "open", "receipted", "holes"}} (ReadyPeer.status)."""
        return self._home.call(lambda: self._ready().status(self._clock.now()))

    async def astatus(self) -> dict[bytes, dict[str, Any]]:
        """As status()."""
        return await self._home.acall(lambda: self._ready().status(self._clock.now()))

    def storage(self) -> dict[str, Any]:
        """Return how full the log is, and what had to go since it was opened (ReadyPeer.storage)."""
        return self._home.call(lambda: self._ready().storage())

    async def astorage(self) -> dict[str, Any]:
        """As storage()."""
        return await self._home.acall(lambda: self._ready().storage())

    def losses(self, author: bytes) -> list[dict[str, Any]]:
        """Return what an author says it has lost, and how (ReadyPeer.losses)."""
        return self._home.call(lambda: self._ready().losses(author))

    async def alosses(self, author: bytes) -> list[dict[str, Any]]:
        """As losses()."""
        return await self._home.acall(lambda: self._ready().losses(author))

    def _delivered(self) -> bool:
        core = self._ready()
        return bool(core.receipted(self.author) >= self._log.held(self.author))

    def wait_delivered(self, timeout_s: float) -> bool:
        """Wait until a keeper holds all that this peer has written; return whether it came to that.

        On the thread of a running loop that would wait for itself: PEER_THREAD; await await_delivered().
        """
        if self._home.here and self._home.loop is not None and timeout_s > 0:
            raise HedgerowError("PEER_THREAD", "wait_delivered() on its own loop; await await_delivered()")
        deadline = time.monotonic() + timeout_s
        while not (delivered := self._home.call(self._delivered)) and time.monotonic() < deadline:
            time.sleep(limits.DELIVERED_LOOK_S)
        return delivered

    async def await_delivered(self, timeout_s: float) -> bool:
        """As wait_delivered()."""
        deadline = time.monotonic() + timeout_s
        while not (delivered := await self._home.acall(self._delivered)) and time.monotonic() < deadline:
            await asyncio.sleep(limits.DELIVERED_LOOK_S)
        return delivered

    # ---- its uplink, and its end

    def _link(self, url: str) -> None:
        """Keep in session with the Big Peer at `url`, as a task of the home's loop.

        If the Big Peer holds more of this author than this log (a backup was put back), the uplink does not
        come up, and the log goes on as a new author when it is opened the next time.
        """

        def outgrown(_: HedgerowError) -> None:
            self._log.disown()

        now, rng = self._clock.now, random.Random()
        self._uplink = Uplink(self._core, url, now, rng, on_outgrown=outgrown, enrolment=self._enrolment)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._uplink.run()), loop.create_task(self._dispatch())]

    async def _dispatch(self) -> None:
        """Tell observers what the uplink has brought, and what time has brought."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        self._core.add_listener(arrived.set)
        while True:
            await wait_event(arrived, limits.DISPATCH_S)
            arrived.clear()
            # Not within this task: an error of a callback is the loop's to report, and the others go on.
            loop.call_soon(self._tell)

    def _tell(self) -> None:
        if not self._closed:
            self._core.dispatch()

    def _end(self) -> "list[asyncio.Task[None]]":
        """Stop everything; return the tasks to be waited for."""
        tasks, self._tasks = self._tasks, []
        if not self._closed:
            self._closed = True
            for task in tasks:
                task.cancel()
            self._log.close()
        return tasks

    async def _end_and_wait(self) -> None:
        tasks = self._end()
        if tasks:
            await asyncio.wait(tasks, timeout=limits.STOP_S)

    def close(self) -> None:
        """End the uplink and close the log; closing again does nothing."""
        if self._home.here or self._home.loop is None:
            self._home.call(self._end)
        else:
            with suppress(RuntimeError):  # the loop has ended, and the log with it
                asyncio.run_coroutine_threadsafe(self._end_and_wait(), self._home.loop).result()
        self._home.close()

    async def aclose(self) -> None:
        """As close(), and wait for the uplink's goodbye."""
        if self._home.here:
            await self._end_and_wait()
            self._home.close()
        else:
            await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def open_peer(
    path: str | Path,
    url: str | None = None,
    *,
    name: str | None = None,
    mesh: str = "demo",
    kinds: dict[str, int] | None = None,
    time: str = KERNEL,
    full: dict[str, str] | None = None,
    log_bytes: int = limits.LOG_BYTES_DEFAULT,
    identity: str | Path | None = None,
    plain: bool = False,
) -> LocalPeer:
    """Open or make the log at `path` and return a ready peer on it.

    `kinds` maps collections to hedgerow's STREAM or KEEP, with CONFIDENTIAL (`|`) where without a key of it
    nothing is to be written. With `url` (ws:// or wss://) it syncs with a Big
    Peer: for as long as the event loop runs that is running now, or, in a plain program, on a thread of its
    own until it is closed. Without a url it is used on this thread, with a loop or without.
    `log_bytes` is the greatest size of the file; `full` maps collections to what becomes of their operations
    that no keeper has yet when it is reached: "refuse" (new ones are refused with LOG_FULL, the default),
    "oldest" (the oldest go) or "thin" (the oldest readings become summaries).
    `identity` is a file that `hedgerow enroll` made; without it only a playground takes this peer. ws:// to
    another machine wants `plain`.
    Raises the codes of SqliteLog, and SETTING_INVALID for another kind of address, size or policy.
    """
    check_uplink("url", url, plain=plain)
    if log_bytes < limits.LOG_BYTES_MIN:
        raise HedgerowError("SETTING_INVALID", f"log_bytes: at least {limits.LOG_BYTES_MIN}")
    home = _home(url)
    clock = Clock(time)

    def make() -> LocalPeer:
        enrolment = None if identity is None else Enrolment(Path(identity))
        log = SqliteLog(path, max_bytes=log_bytes, refuses=True, enrolment=enrolment)
        try:
            # A full log is opened too, or it could never be delivered.
            log.urgent = True
            members = members_of(log, enrolment)
            core = ProgramPeer(
                log,
                clock.now,
                name=host_name() if name is None else name,
                role=RELAY,
                mesh=mesh_tag(mesh),
                kinds=kinds or {},
                full=full,
                members=members,
            )
            if members is not None and enrolment is not None:
                members.on_judged = lambda author: tell_observers(core, author)
                Confidences(core, members, enrolment)
            log.urgent = False
            core.reclaim = Reclaimer(log, core, log_bytes).make_room
            return LocalPeer(home, log, core, clock, url, enrolment)
        except BaseException:
            log.close()
            raise

    try:
        return home.call(make)
    except BaseException:
        home.close()
        raise


def _home(url: str | None) -> Home:
    if url is None:
        return Home()
    try:
        return Home(asyncio.get_running_loop())
    except RuntimeError:
        return Home.background()
