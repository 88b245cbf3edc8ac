"""A session of the Big Peer and a Small Peer's Exchange in one event loop, without a socket."""

import asyncio
from collections.abc import Callable
from typing import Any

from bigpeer_harness import Local

from hedgerow.application import ReadyPeer
from hedgerow.codec.segment import decode_segment
from hedgerow.limits import MAX_FRAME, MAX_RECORD
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.mesh.tag import mesh_tag
from hedgerow.sync import frames
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import Hello
from hedgerow.sync.interest import Interest, read_marks, write_interests
from hedgerow.sync.session import Session
from hedgerow_bigpeer.sync import Connection

# What the Big Peer sends is looked at from here.
_OFFSET = 1000


class Subscriber:
    """A peer that is asked by an application; its log outlives links, not power cuts."""

    def __init__(self, served: Local, credit: int = 4096) -> None:
        self._served = served
        self.store = MemoryStore()
        self.peer: Any = ReadyPeer(
            MemoryLog(self.store), self.now, name="subscriber", mesh=mesh_tag("demo"), credit=credit
        )

    def now(self) -> int:
        """Return the uptime in ms."""
        return self._served.peer.service.clock.uptime() + _OFFSET

    def rows(self, statement: str, **parameters: object) -> list[dict[str, Any]]:
        """Run a SELECT on the peer."""
        rows: list[dict[str, Any]] = self.peer.execute(statement, **parameters).rows
        return rows


class _Socket:
    """The one side of a WebSocket that a Connection uses."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.outgoing: list[bytes] = []

    async def receive(self) -> dict[str, Any]:
        data = await self.incoming.get()
        return {"type": "websocket.receive", "bytes": data} if data is not None else {"type": "end"}

    async def send_bytes(self, data: bytes) -> None:
        self.outgoing.append(data)

    async def close(self) -> None:
        pass


class Wire:
    """One link. `kinds` are the frames that came from the Big Peer, with their bodies."""

    def __init__(self, served: Local, side: Any, now: Callable[[], int]) -> None:
        self._served = served
        self._side = side
        self._now = now
        self._socket = _Socket()
        self.kinds: list[tuple[int, bytes]] = []
        self._records = 0
        self._partial = b""
        service = served.peer.service
        connection = Connection(service, mesh_tag("demo"), self._socket)  # type: ignore[arg-type]
        self._task = served.run(_start(connection))

    def until(self, condition: Callable[[], object], turns: int = 4000) -> None:
        """Let both sides go on until a condition is true."""
        self._served.run(self._until(condition, turns))

    def settle(self) -> None:
        """Let both sides go on until neither has said anything for a while."""
        quiet = 0

        def silent() -> bool:
            nonlocal quiet
            count = len(self.kinds)
            quiet = quiet + 1 if count == silent.count else 0  # type: ignore[attr-defined]
            silent.count = count  # type: ignore[attr-defined]
            return quiet > 60

        silent.count = -1  # type: ignore[attr-defined]
        self.until(silent)

    async def _until(self, condition: Callable[[], object], turns: int) -> None:
        for _ in range(turns):
            if condition():
                return
            self.step()
            await asyncio.sleep(0.001)
        raise AssertionError("did not happen")

    def step(self) -> None:
        """Move what there is to move, once."""
        while record := self._side.outgoing(MAX_RECORD, self._now()):
            self._socket.incoming.put_nowait(record)
        messages, self._socket.outgoing = self._socket.outgoing, []
        for message in messages:
            self._look(message)
            self.last = self._side.receive(message, self._now())

    def _look(self, message: bytes) -> None:
        payload = frames.open_record(message, self._records)
        self._records += 1
        for kind, body in frames.read_frames(payload):
            self._partial += body
            if not kind & frames.CONTINUED:
                self.kinds.append((kind, self._partial))
                self._partial = b""

    def of(self, kind: int) -> list[bytes]:
        """Return the bodies of the frames of a type that have come."""
        return [body for found, body in self.kinds if found == kind]

    def cut(self) -> None:
        """Break the link."""

        async def end() -> None:
            self._task.cancel()
            await asyncio.wait([self._task])

        self._served.run(end())


async def _start(connection: Connection) -> asyncio.Task[None]:
    return asyncio.create_task(connection.run())


def link(served: Local, subscriber: Subscriber) -> Wire:
    """Join a peer to the Big Peer."""
    exchange = Exchange(subscriber.peer, subscriber.now(), linger_ms=None, central=True)
    return Wire(served, exchange, subscriber.now)


def raw(served: Local, session: Session) -> Wire:
    """Join a bare session."""
    return Wire(served, session, served.peer.service.clock.uptime)


class Asker:
    """A bare session that has said hello."""

    def __init__(self, served: Local, author: bytes = b"an asker", credit: int = 65_536) -> None:
        self.served = served
        self.session = Session(Hello(mesh_tag("demo"), author, credit=credit), 0)
        self.wire: Wire = raw(served, self.session)
        self.wire.until(lambda: self.session.remote is not None)

    def ask(self, *interests: tuple[str, str, int]) -> None:
        rows = [Interest(collection, where) for collection, where, _ in interests]
        body = write_interests(rows, [position for *_, position in interests])
        self.session.queue(frames.INTEREST, body)

    def picked(self) -> list[tuple[bytes, int]]:
        """Return the dots that came, in their order."""
        schemas = dict(self.served.peer.service.schemas)
        dots = []
        for body in self.wire.of(frames.PICK):
            assert len(body) <= MAX_FRAME
            author, first, bodies = decode_segment(body, schemas)
            dots += [(author, first + at) for at in range(len(bodies))]
        return dots

    def position(self) -> int:
        """Return the first position of the newest mark."""
        serial, positions = read_marks(self.wire.of(frames.MARK)[-1])
        assert serial >= 1
        return int(positions[0])


def done(served: Local, statement: str, args: object = None) -> Any:
    """Run a statement that must succeed; return its answer."""
    response = served.execute(statement, args)
    assert response.status_code == 200, response.text
    return response.json()


def ids(subscriber: Subscriber, collection: str = "cars") -> list[Any]:
    return [row["_id"] for row in subscriber.rows(f"SELECT _id FROM {collection} ORDER BY _id")]


def has(subscriber: Subscriber, expected: list[Any]) -> bool:
    return ids(subscriber) == expected
