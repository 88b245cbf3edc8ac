"""A peer's side of a sync connection: a real Exchange over a real WebSocket."""

import contextlib
import time

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_RECORD
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange


class Link:
    """Joins a peer to the Big Peer, with an API key where one is given; `base` is the peer's uptime at the
    start, which goes on with time.
    """

    def __init__(self, peer: Peer, url: str, base: int = 0, key: str = "") -> None:
        self.peer = peer
        self._began = time.monotonic() - base / 1000
        self.exchange = Exchange(peer, self.now(), linger_ms=None, central=True)
        self._stack = contextlib.ExitStack()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.socket = self._stack.enter_context(
            connect(url, compression=None, max_size=1 << 16, additional_headers=headers)
        )

    def now(self) -> int:
        """Return the peer's uptime in ms."""
        return int((time.monotonic() - self._began) * 1000)

    def step(self, seconds: float = 0.02) -> bool:
        """Send what there is to send, and take what comes within a moment; False once it has ended."""
        try:
            # What was received before the end is still to be read.
            with contextlib.suppress(ConnectionClosed):
                while record := self.exchange.outgoing(MAX_RECORD, self.now()):
                    self.socket.send(record)
            try:
                message = self.socket.recv(timeout=seconds)
            except TimeoutError:
                return not self.exchange.finished
            assert isinstance(message, bytes)
            self.exchange.receive(message, self.now())
        except ConnectionClosed:
            return False
        return not self.exchange.finished

    def until(self, number: int, seconds: float = 20) -> None:
        """Exchange until the own log is receipted up to a number."""
        deadline = time.monotonic() + seconds
        while self.peer.receipted(self.peer.author) < number:
            assert time.monotonic() < deadline, self.peer.status(self.now())
            assert self.step(), self.exchange.error

    def error(self, seconds: float = 20) -> HedgerowError | None:
        """Exchange until the other side ends it; return the error that it said."""
        deadline = time.monotonic() + seconds
        while self.step():
            assert time.monotonic() < deadline
        return self.exchange.error

    def close(self) -> None:
        """Break the connection."""
        self._stack.close()
