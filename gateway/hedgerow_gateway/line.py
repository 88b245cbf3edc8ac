"""Runs one Exchange over one pipe of bytes: whatever carries it, the order of steps is the same."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from hedgerow.errors import HedgerowError
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange

from . import limits
from .bounded import wait_event


class Line:
    """Moves bytes between an Exchange and a pipe until one of them ends.

    Bytes that came in wait in a bounded inbox and are handled in `run`, so that an error of the log or
    the protocol ends this line instead of vanishing in a callback of the radio. With `stall_ms` a line on
    which nothing arrives for so long breaks (LINK_STALLED); sessions alone wait for a minute.
    """

    def __init__(
        self,
        peer: Peer,
        exchange: Exchange,
        now: Callable[[], int],
        record_limit: int,
        stall_ms: int | None = None,
    ) -> None:
        self.exchange = exchange
        self._peer = peer
        self.bytes_in = 0
        self.bytes_out = 0
        self._now = now
        self._record_limit = record_limit
        self._stall_ms = stall_ms
        self._heard_at = now()
        self._inbox: list[bytes] = []
        self._waiting = 0
        self._broken: HedgerowError | None = None
        self._awake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Send what the peer commits, as soon as it does, within the `with` block."""
        wake = self._awake.set
        self._peer.add_listener(wake)
        try:
            yield
        finally:
            self._peer.remove_listener(wake)

    def push(self, data: bytes) -> None:
        """Take bytes from a pipe that cannot be held back; over the limit the line breaks."""
        self._waiting += len(data)
        self.bytes_in += len(data)
        self._heard_at = self._now()
        if self._waiting > limits.INBOX_BYTES:
            self.cut(HedgerowError("LINK_OVERFLOW", f"{self._waiting} bytes wait"))
            return
        self._inbox.append(data)
        self._awake.set()

    async def feed(self, data: bytes) -> None:
        """Take bytes from a pipe that can be held back; returns when there is room for more."""
        self.push(data)
        if self._waiting > limits.INBOX_BYTES // 2:
            self._room.clear()
            await self._room.wait()

    def cut(self, error: HedgerowError) -> None:
        """End the line with `error`, once what has come in is handled; only the first one counts."""
        if self._broken is None:
            self._broken = error
        self._awake.set()

    def _take_in(self) -> None:
        inbox, self._inbox, self._waiting = self._inbox, [], 0
        self._room.set()
        if inbox:
            # All at once: what came together becomes durable together, with one fsync.
            self.exchange.receive(b"".join(inbox), self._now())

    async def run(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Exchange until it is finished; raises what ended it otherwise (HedgerowError)."""
        while True:
            self._awake.clear()
            self._take_in()
            while self._broken is None and (data := self.exchange.outgoing(self._record_limit, self._now())):
                self.bytes_out += len(data)
                await send(bytes(data))
                # A pipe with room returns at once; the others on this event loop want their turn.
                await asyncio.sleep(0)
                self._take_in()
            if self.exchange.error is not None:
                raise self.exchange.error
            if self.exchange.finished:
                return
            if self._broken is not None:
                raise self._broken
            await wait_event(self._awake, self._pause())
            self._check_stall()

    def _pause(self) -> float:
        now = self._now()
        wakeup = self.exchange.next_wakeup(now)
        if self._stall_ms is not None:
            wakeup = min(wakeup, self._heard_at + self._stall_ms)
        return max(wakeup - now, 1) / 1000

    def _check_stall(self) -> None:
        silent_ms = self._now() - self._heard_at
        if self._stall_ms is not None and silent_ms >= self._stall_ms:
            self.cut(HedgerowError("LINK_STALLED", f"nothing came for {silent_ms} ms"))
