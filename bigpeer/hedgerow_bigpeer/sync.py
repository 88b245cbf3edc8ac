"""The sync endpoint: one session per WebSocket, a binary message is one session record (SPEC 7).

The Big Peer is a keeper: it takes operations and seals, answers with receipts and time, and sends what the
other side has an interest in.
"""

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Callable, Iterable

from starlette.websockets import WebSocket, WebSocketDisconnect

from hedgerow.codec.varint import read_uint
from hedgerow.crypto.greeting import Greeting
from hedgerow.custody.digest import digest
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_AUTHORS, MAX_RECORD
from hedgerow.mesh.tag import mesh_tag
from hedgerow.sync import frames, hello
from hedgerow.sync.interest import write_wants
from hedgerow.sync.session import Session

from . import limits
from .auth.authority import work
from .auth.membership import Membership
from .down import Giver, wanted
from .forks import look_again
from .greeting import entry_of, hello_of
from .intake import Intake
from .presence import Remote
from .service import Service
from .sharing import Sharing
from .statements import Statements
from .watch import AskOn, Watch, Watched

log = logging.getLogger(__name__)

_BUSY = 1013
# What nobody meets by accident, unless the other side has said it.
_OFFENCES = (
    "CREDENTIAL_", "HANDSHAKE_", "COSE_", "TAG_INVALID", "POINT_INVALID", "RECORD_TAG", "RECORD_SEQUENCE",
    "SESSION_PLAIN",
)  # fmt: skip
_SAID = "said by the other side"
_POLICY = 1008
_Vector = tuple[bytes, int, int, int]


class SyncEndpoint:
    """Serves the WebSockets of one service, at most `limits.CONNECTIONS` at a time; those that have not said
    a hello yet are counted by themselves.
    """

    def __init__(self, service: Service, membership: Membership) -> None:
        self._service = service
        self._membership = membership
        self._watch: asyncio.Task[None] | None = None
        self._mesh = mesh_tag(service.config.mesh)
        self._open: set[Connection] = set()
        self._ended = asyncio.Event()

    def start(self) -> None:
        """Begin to look who may not go on."""
        self._watch = asyncio.create_task(Watch(self._service, self._membership, lambda: self._open).run())

    async def serve(
        self,
        socket: WebSocket,
        greeted: Callable[[], None] = lambda: None,
        *,
        plain: bool = True,
        ask_on: AskOn | None = None,
    ) -> None:
        """Run one connection to its end; what goes wrong ends it alone.

        `greeted()` is called once the other side has said a hello that is taken; `plain`: it may come without
        a credential; `ask_on()` raises once it may not go on.
        """
        await socket.accept()
        greeted_here = sum(other.remote is not None for other in self._open)
        unproven = len(self._open) - greeted_here
        if greeted_here >= limits.CONNECTIONS or unproven >= limits.UNPROVEN:
            await socket.close(_BUSY, "SYNC_BUSY")
            return
        keys = self._membership.greeting(self._service.clock.uptime(), optional=plain)
        connection = Connection(self._service, self._mesh, socket, greeted, self._membership, keys)
        connection.ask_on = ask_on
        self._open.add(connection)
        self._service.connections = len(self._open)
        try:
            with contextlib.suppress(WebSocketDisconnect, TimeoutError):
                await connection.run()
        finally:
            await self._note(connection, socket)
            self._open.discard(connection)
            self._ended.set()
            self._service.connections = len(self._open)

    def remotes(self) -> list[Remote]:
        """Return who is connected."""
        return [remote for other in self._open if (remote := other.remote) is not None]

    async def _note(self, connection: "Connection", socket: WebSocket) -> None:
        """Have in the audit log who was refused: by its credential if it has shown one, else its address."""
        address = socket.client.host if socket.client else ""
        actor = self._membership.actor(connection.keys) or f"address:{address}"
        for subject, error in connection.offences():
            try:
                await work(self._membership.note, actor, subject, error)
            except HedgerowError as failure:
                log.warning("the audit log could not be written: %s", failure)

    async def stop(self, seconds: float) -> None:
        """Say goodbye on every connection, and wait for their ends so long."""
        if self._watch is not None:
            self._watch.cancel()
        for connection in list(self._open):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    self._ended.clear()
                    await self._ended.wait()


class Connection(Watched):
    """One session over one WebSocket."""

    def __init__(
        self,
        service: Service,
        mesh: bytes,
        socket: WebSocket,
        greeted: Callable[[], None] = lambda: None,
        membership: Membership | None = None,
        keys: Greeting | None = None,
    ) -> None:
        self._statements = None if membership is None else Statements(membership)
        self._service = service
        self._greeted = greeted
        self._mesh = mesh
        self._socket = socket
        known = service.frontiers.values()
        newest = heapq.nlargest(MAX_AUTHORS, known, key=lambda frontier: frontier.last_seen)
        self._partial = len(known) > MAX_AUTHORS
        self._told = {frontier.author for frontier in newest}
        self._session = Session(self._hello(), service.clock.uptime(), keys)
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(limits.INBOX_MESSAGES)
        self._gone = False
        self._wake = asyncio.Event()
        self._intake = Intake(service, self.__str__, self._learn, self._owner)
        self._giver = Giver(service, self._session, self._intake.came)
        self._theirs: dict[bytes, int] = {}
        self._sharing = Sharing(service, self._session, self._intake, self._giver, self._theirs)
        self._due: set[bytes] = set()

    def __str__(self) -> str:
        remote = self._session.remote
        return f"session with {remote.author.hex()} ({remote.name})" if remote else "session"

    @property
    def remote(self) -> Remote | None:
        """Who the other side is, None before it has said so and was believed."""
        said = self._session.remote
        return Remote(said.author, said.name, said.role, self._intake.offered) if said else None

    @property
    def keys(self) -> Greeting | None:
        """The keys of the session, None where it has none."""
        keys: Greeting | None = self._session.keys
        return keys

    def _owner(self) -> bytes | None:
        """Return the author that the other side has shown by its keys to be."""
        return self._statements.membership.owner(self.keys) if self._statements is not None else None

    def stop(self) -> None:
        """End the session in order."""
        self._session.close()
        self._wake.set()

    def offences(self) -> list[tuple[str, HedgerowError]]:
        """Return (whose, why) of what was refused: the session, seals that are not an author's word."""
        found = [(author.hex(), error) for author, error in self._intake.forged]
        error = self._session.error
        if error is not None and error.code.startswith(_OFFENCES) and error.detail != _SAID:
            found.append(("session", error))
        return found

    def end(self, error: HedgerowError) -> None:
        """End the session with an error."""
        self._session.fail(error)
        self._wake.set()

    async def run(self) -> None:
        """Exchange until either side ends it."""
        self._service.counters.sessions += 1
        self._service.add_listener(self._moved)
        reader = asyncio.create_task(self._read())
        try:
            while not self._session.closed:
                await self._send()
                if self._session.closed:
                    break
                if self._giver.has_work() or self._sharing.has_work():
                    # The loop has a turn, and this session takes what has come, between two slices.
                    await asyncio.sleep(0)
                else:
                    await self._wait()
                await self._take()
                if self._gone and self._inbox.empty():
                    raise WebSocketDisconnect
        finally:
            self._service.remove_listener(self._moved)
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
            self._count_end()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            error, keys = self._session.error, self.keys
            # Who gets no keys learns why from the end of the socket alone.
            if error is not None and keys is not None and not keys.done:
                await self._socket.close(_POLICY, error.code)
            else:
                await self._socket.close()

    # ---- in

    async def _read(self) -> None:
        """Move messages from the socket to the inbox; a full inbox holds the other side back."""
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] != "websocket.receive":
                    break
                await self._inbox.put(message.get("bytes") or b"")
                self._wake.set()
        finally:
            self._gone = True
            self._wake.set()

    async def _wait(self) -> None:
        now = self._service.clock.uptime()
        wakeup = self._session.next_wakeup(now)
        due = self._giver.wakes(now)
        seconds = max(0, (wakeup if due is None else min(wakeup, due)) - now) / 1000
        if self._statements is not None and self.keys is not None:
            seconds = min(seconds, self._statements.wait(self._session))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    async def _take(self) -> None:
        """Act on the messages that have come: good content of all of them, as a rule in one commit."""
        fault: HedgerowError | None = None
        try:
            for _ in range(self._inbox.qsize()):
                for kind, value in self._receive(self._inbox.get_nowait()):
                    if kind == frames.INTEREST:
                        await self._ask(value)
                        continue
                    self._event(kind, value)
                    if kind == frames.HELLO:
                        await self._meet()
                        await self._want_lost()
                    elif kind == frames.STATEMENTS and self._statements is not None:
                        assert isinstance(value, bytes)
                        await self._statements.ask(read_uint(value, 0)[0])
                    if self._intake.entries >= limits.TAKE_ENTRIES:
                        await self._commit()
                    elif kind == frames.SEGMENT:
                        # A segment is milliseconds of work: the loop has a turn between two.
                        await asyncio.sleep(0)
        except HedgerowError as error:
            fault = error
        except Exception:
            log.exception("%s: a record could not be taken", self)
            fault = HedgerowError("SYNC_MESSAGE", "a fault of the Big Peer; its log says more")
        try:
            # What came before a fault stands.
            await self._commit()
        except HedgerowError as error:
            fault = fault or error
        if fault is not None:
            self._session.fail(fault)
        else:
            self._session.grant()

    async def _meet(self) -> None:
        """Take what the other side's credential says of its author: it may be newer than the last look."""
        if self.keys is not None and self._statements is not None:
            membership = self._statements.membership
            membership.meet(self.keys)
            await self._service.judge(membership.unjudged)

    async def _learn(self) -> None:
        """Look for credentials that were issued a moment ago."""
        if self._statements is not None:
            membership = self._statements.membership
            await work(membership.refresh)
            await self._service.judge(membership.unjudged)

    async def tell(self, *, news: bool) -> None:
        """Say what has been said of others since the other side asked for it; with `news` have what comes
        under credentials that were not known before come again.
        """
        if self._statements is None:
            return
        if news:
            for author in self._intake.forgive():
                self._session.queue_want_schema([])
                self._session.queue_have([self._entry(author)])
                self._wake.set()
        if await self._statements.look():
            self._wake.set()

    async def _ask(self, interests: object) -> None:
        assert isinstance(interests, list) and self._session.remote is not None
        await self._giver.ask(self._session.remote.author, interests)

    async def _want_lost(self) -> None:
        """Ask for what is held as lost: the other side may have it."""
        assert self._session.remote is not None
        ranges = wanted(await self._service.lost(), self._session.remote.vector)
        if ranges:
            self._session.queue(frames.WANT, write_wants(ranges))

    async def _commit(self) -> None:
        for author in await self._intake.commit():
            self._session.queue_want_schema([])
            self._session.queue_have([self._entry(author)])
        if self._statements is not None:
            await look_again(self._service, self._statements.membership, self._session, self._intake)

    def _receive(self, message: bytes) -> list[tuple[int, object]]:
        self._service.counters.bytes_in += len(message)
        if len(message) < 2 or len(message) != 2 + int.from_bytes(message[:2], "big"):
            self._session.fail(HedgerowError("SYNC_MESSAGE", f"{len(message)} bytes"))
            return []
        events: list[tuple[int, object]] = self._session.receive(message, self._service.clock.uptime())
        return events

    def _event(self, kind: int, value: object) -> None:
        """Hand an event to the intake, or answer it."""
        intake = self._intake
        if kind == frames.SEGMENT and isinstance(value, bytes):
            author = intake.add_segment(value)
            if author is not None:
                self._carry(author, self._theirs.get(author, 0))
        elif kind == frames.PICK and isinstance(value, bytes):
            intake.add_pick(value)
        elif kind == frames.SCHEMA and isinstance(value, bytes):
            intake.add_schema(value)
        elif kind == frames.SEAL and isinstance(value, tuple):
            intake.add_seal(*value)
        elif kind == frames.SKIP and isinstance(value, tuple):
            intake.add_skip(*value)
        elif kind == frames.HELLO and isinstance(value, hello.Hello):
            self._greeted()
            intake.add_name(value.author, value.name)
            self._giver.greet(value)
            self._note_vector(value.vector)
        elif kind == frames.HAVE and isinstance(value, list):
            self._note_vector(value)
            self._tell([entry[0] for entry in value])
        elif kind == frames.WANT_SCHEMA and isinstance(value, list):
            self._giver.send_schemas(value)
            if not value:
                self._giver.forget_schemas()
                self._sharing.rewind()
        elif kind == frames.WANT and isinstance(value, list):
            self._giver.want(value)
        elif kind == frames.TIME_ASK:
            clock = self._service.clock
            self._session.queue_time((clock.utc(), clock.error_ms), clock.uptime())
        elif kind == frames.DRAINED:
            self._session.queue_drained([0, *digest(self._mesh, [])])

    def _note_vector(self, vector: Iterable[_Vector]) -> None:
        """Remember whom the other side carries, and what it knows to be receipted."""
        for author, held, _, receipted in vector:
            self._intake.offer(author, held)
            self._carry(author, receipted)
            self._due.add(author)

    def _carry(self, author: bytes, receipted: int) -> None:
        if len(self._theirs) >= limits.SESSION_AUTHORS and author not in self._theirs:
            raise HedgerowError("AUTHORS_FULL", str(limits.SESSION_AUTHORS))
        self._theirs[author] = receipted

    def _tell(self, authors: list[bytes]) -> None:
        """Say what we hold of authors for whom our hello had no room."""
        news = [author for author in authors if author not in self._told]
        if self._partial and news:
            self._told.update(news)
            self._session.queue_have([self._entry(author) for author in news])

    # ---- out

    def _moved(self, authors: Iterable[bytes]) -> None:
        self._due.update(authors)
        self._wake.set()

    async def _send(self) -> None:
        session = self._session
        if session.remote is not None:
            for author in self._due & self._theirs.keys():
                receipt = self._service.receipt(author)
                if receipt is not None and receipt.number > self._theirs[author]:
                    self._theirs[author] = receipt.number
                    session.queue_receipt(receipt)
                    # Of its own author the other side needs no more than that.
                    if self._statements is not None and author != session.remote.author:
                        self._statements.note(receipt)
                self._sharing.look(author)
            self._due.clear()
            if self._statements is not None:
                self._statements.fill(session)
            if not session.ending:
                try:
                    await self._giver.fill()
                    await self._sharing.fill()
                except HedgerowError as error:
                    session.fail(error)
        while record := session.outgoing(MAX_RECORD, self._service.clock.uptime()):
            self._service.counters.bytes_out += len(record)
            async with asyncio.timeout(limits.SEND_SECONDS):
                await self._socket.send_bytes(record)

    def _hello(self) -> hello.Hello:
        return hello_of(self._service, self._mesh, self._told, partial=self._partial)

    def _entry(self, author: bytes) -> _Vector:
        return entry_of(self._service, author)

    def _count_end(self) -> None:
        error = self._session.error
        if error is not None:
            self._service.counters.session_errors += 1
            log.warning("%s ended: %s", self, error)
        else:
            log.info("%s ended", self)
