"""One client of the air's socket: frames in become commands, events become frames, ring slots are counted."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from hedgerow.errors import HedgerowError
from hedgerow_boards.air.codec import POKE, FrameReader, decode_command, encode
from hedgerow_boards.air.commands import Ack, Control, Hello
from hedgerow_boards.air.events import Controlled, ScanResult
from hedgerow_boards.air.host import Host
from hedgerow_boards.air.limits import (
    BACKLOG_MAX_BYTES,
    HELLO_TIMEOUT_S,
    OUTBOX_MAX,
    REPORT_BUFFERS,
    VALUE_ROOM,
)
from hedgerow_boards.air.messages import Message
from hedgerow_boards.air.remote import obey

if TYPE_CHECKING:
    from hedgerow_boards.air.server import Air


class _Ring:
    """What a client's receive ring holds: frames lie in whole slots, none wraps around the end."""

    def __init__(self, slots: int, slot_size: int) -> None:
        if slots and slots * slot_size < 2 * VALUE_ROOM:
            raise HedgerowError("AIR_PARAMETER", f"ring: {slots} slots of {slot_size}")
        self.slots = slots
        self._slot_size = slot_size
        self.sent = self.freed = 0
        self._pending: deque[tuple[int, bool]] = deque()  # slots sent up to this frame, is a report
        self.reports = 0

    def _next(self, length: int) -> int:
        need = -(-length // self._slot_size)
        left = self.slots - self.sent % self.slots
        return self.sent + need + (left if need > left else 0)

    def fits(self, length: int) -> bool:
        return self._next(length) - self.freed <= self.slots

    def add(self, length: int, report: bool) -> None:
        self.sent = self._next(length)
        self._pending.append((self.sent, report))
        self.reports += report

    def free(self, slots: int) -> None:
        """Take the client's count, modulo 65536. Raises HedgerowError AIR_ACK for what was not sent."""
        freed = self.freed + ((slots - self.freed) & 0xFFFF)
        if freed > self.sent:
            raise HedgerowError("AIR_ACK", f"{slots} of {self.sent & 0xFFFF}")
        self.freed = freed
        while self._pending and self._pending[0][0] <= freed:
            self.reports -= self._pending.popleft()[1]


class Session(asyncio.Protocol):
    """Closes the client on the first message that breaks a rule; its radio is then gone."""

    def __init__(self, air: "Air") -> None:
        self._air = air
        self._reader = FrameReader()
        self._host: Host | None = None
        self._ring: _Ring | None = None
        self._outbox: deque[tuple[bytes, bool]] = deque()
        self._transport: asyncio.Transport
        self._acked_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.call_later(HELLO_TIMEOUT_S, self._late)

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._air.admit(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._air.catch_up()
        try:
            for body in self._reader.feed(data):
                if body:
                    self._obey(decode_command(body))
        except HedgerowError as error:
            self._air.refuse(error)
            self._transport.abort()
        self._air.catch_up()

    def connection_lost(self, error: Exception | None) -> None:
        self._deadline.cancel()
        self._air.forget(self)
        if self._host:
            self._air.catch_up()
            self._host.leave(orderly=False)

    def _late(self) -> None:
        self._air.refuse(HedgerowError("AIR_MESSAGE_UNEXPECTED", "no Hello in time"))
        self._transport.abort()

    def close(self) -> None:
        self._transport.abort()

    # Commands

    def _obey(self, command: Message) -> None:
        if isinstance(command, Hello):
            if self._host:
                raise HedgerowError("AIR_MESSAGE_UNEXPECTED", f"second Hello of {self._host.address}")
            self._ring = _Ring(command.slots, command.slot_size) if command.slots else None
            self._host = self._air.model.join(command, self)
            self._deadline.cancel()
        elif isinstance(command, Control):
            self._deadline.cancel()
            self.emit(Controlled(obey(self._air.model, command.request)))
        elif self._host is None:
            raise HedgerowError("AIR_MESSAGE_UNEXPECTED", f"{type(command).__name__} before Hello")
        elif not self._host.present:
            self._transport.close()  # another client has taken its address
        elif isinstance(command, Ack):
            self._acked_at = self._loop.time()
            if self._ring:
                self._ring.free(command.slots)
                self._drain()
        else:
            self._host.handle(command)
            if not self._host.present:
                self._transport.close()

    # Events

    def emit(self, event: Message) -> None:
        frame = encode(event)
        report = isinstance(event, ScanResult)
        if self._ring is None:
            if self._transport.get_write_buffer_size() > BACKLOG_MAX_BYTES:
                self._transport.abort()
            else:
                self._transport.write(frame)
            return
        self._outbox.append((frame, report))
        if len(self._outbox) > OUTBOX_MAX:
            self._transport.abort()
        else:
            self._drain()

    def _drain(self) -> None:
        ring = self._ring
        while ring and self._outbox and ring.fits(len(self._outbox[0][0]) - 2):
            frame, report = self._outbox.popleft()
            if not ring.sent - ring.freed:
                self._acked_at = self._loop.time()
            ring.add(len(frame) - 2, report)
            self._transport.write(frame)

    def ready(self) -> bool:
        if self._ring is None:
            return self._transport.get_write_buffer_size() < BACKLOG_MAX_BYTES // 2
        return not self._outbox and self._ring.fits(VALUE_ROOM)

    def report_room(self) -> bool:
        return self._ring is None or (not self._outbox and self._ring.reports < REPORT_BUFFERS)

    def poke(self, now: float, patience: float) -> None:
        """Remind a client that has let its ring lie for `patience` seconds."""
        if self._ring and self._ring.sent > self._ring.freed and now - self._acked_at > patience:
            self._transport.write(POKE)
