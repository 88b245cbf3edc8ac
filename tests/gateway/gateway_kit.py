"""What the gateway's tests share: coroutines under a deadline, polling, a Big Peer, configurations."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.memory import MemoryLog
from hedgerow.mesh.tag import mesh_tag
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange
from hedgerow_gateway import GatewayConfig

T = TypeVar("T")
MESH = mesh_tag("demo")
KINDS = {"readings": STREAM}
DEADLINE_S = 20.0


def run(main: Coroutine[Any, Any, T], seconds: float = DEADLINE_S) -> T:
    """Run a test's coroutine; a hang is a failure."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await main

    return asyncio.run(bounded())


async def until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Poll until the condition holds, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.01)


def uptime() -> int:
    return time.monotonic_ns() // 1_000_000


def reading(n: int) -> dict[str, object]:
    return {"board": "b1", "n": n, "temperature_f": Decimal(394 + n % 50, -1)}


def config(data: Path, **settings: Any) -> GatewayConfig:
    """Settings of a test: quick, no pages, a trusted clock."""
    quick: dict[str, Any] = {
        "http": None,
        "time": "trust",
        "radio": "off",
        "name": "gw",
        "uplink_first_pause_s": 0.02,
        "uplink_max_pause_s": 0.05,
    }
    return GatewayConfig(data=data, **{**quick, **settings})


class BigPeer:
    """A keeper in memory behind a real WebSocket; `misbehave` runs in the place of a session when set."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.peer = Peer(self.log, uptime(), name="big", mesh=MESH, kinds=KINDS, keeper=True)
        self.sessions = 0
        self.messages = 0
        self.misbehave: Callable[[ServerConnection], Awaitable[None]] | None = None
        self.cut_after: int | None = None
        self.errors: list[str] = []

    async def serve(self, socket: ServerConnection) -> None:
        self.sessions += 1
        if self.misbehave is not None:
            await self.misbehave(socket)
            return
        exchange = Exchange(self.peer, uptime(), linger_ms=None, central=False)
        awake = asyncio.Event()
        self.peer.add_listener(awake.set)
        sender = asyncio.create_task(self._send(socket, exchange, awake))
        try:
            async for message in socket:
                assert isinstance(message, bytes)
                self.messages += 1
                if self.cut_after is not None and self.messages >= self.cut_after:
                    socket.transport.abort()
                    return
                exchange.receive(message, uptime())
                awake.set()
        except ConnectionClosed:
            pass
        finally:
            sender.cancel()
            await asyncio.wait({sender})
            self.peer.remove_listener(awake.set)
            if exchange.error is not None:
                self.errors.append(exchange.error.code)

    async def _send(self, socket: ServerConnection, exchange: Exchange, awake: asyncio.Event) -> None:
        while True:
            awake.clear()
            while record := exchange.outgoing(1200, uptime()):
                await socket.send(bytes(record))
            if exchange.finished:
                await socket.close()
                return
            await awake.wait()

    def numbers(self, author: bytes) -> list[int]:
        """The numbers of the author's operations, as they lie in the log."""
        return [first for kind, first, _, _ in self.log.read(author, 0, 1 << 31, 1 << 30) if kind == 0]


@asynccontextmanager
async def listening(big: BigPeer, port: int = 0) -> AsyncIterator[str]:
    """Serve a Big Peer; yields its URL."""
    async with serve(big.serve, "127.0.0.1", port) as server:
        bound = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{bound}/api/hedgerow/v1/sync"
