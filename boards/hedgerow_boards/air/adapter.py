"""A gateway's Bluetooth adapter on the air: one socket per event loop, shared by its scanners and clients."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import commands, events
from hedgerow_boards.air.codec import FrameReader, address_bytes, decode_event, encode
from hedgerow_boards.air.limits import LINK_PAYLOAD_MAX, PROTOCOL_VERSION, TRANSMIT_BUFFERS
from hedgerow_boards.air.messages import NO_PEER, PUBLIC, RESUMES_SCAN, Message

_MTU = 517  # what BlueZ offers
_CONNECTIONS = 10
_RETRY_S = 0.2
# Linux: connection interval 30 to 50 ms, supervision 420 ms; its scan interval and window while discovering.
_INTERVAL_MIN_US, _INTERVAL_MAX_US = 30_000, 50_000
_SUPERVISION_MS = 420
_SCAN_INTERVAL_US = _SCAN_WINDOW_US = 22_500

_ScanCallback = Callable[[events.ScanResult], None]


@dataclass
class Peer:
    """A link as its client sees it. `ended` is set when the link is gone."""

    conn: int
    on_end: Callable[[], None]
    mtu: int = 23
    replies: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    unfinished: list[type[Message]] = field(default_factory=list)  # last events of procedures given up
    notify: dict[int, Callable[[bytearray], None]] = field(default_factory=dict)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    procedure: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class _Attempt:
    """A connection being made; exactly one event of the air ends it."""

    on_end: Callable[[], None]
    future: asyncio.Future[Peer]
    abandoned: bool = False


class Adapter(asyncio.Protocol):
    """Get one with `hold`, give it back with `release`; the last one out switches the radio off.

    While it is held and the air goes away, links end, and it comes back by itself with its scan going on.
    """

    _shared: ClassVar[dict[tuple[str, str, int], "Adapter"]] = {}

    def __init__(self, path: str, address: str) -> None:
        self._key = (path, address, id(asyncio.get_running_loop()))
        self._path = path
        self._address = address_bytes(address)
        self._loop = asyncio.get_running_loop()
        self._users = 0
        self._opening = asyncio.Lock()
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._retry: asyncio.Task[None] | None = None
        self._reader = FrameReader()
        self._scans: dict[_ScanCallback, bool] = {}
        self._said: commands.Advertise | None = None
        self._peers: dict[int, Peer] = {}
        self._connecting = asyncio.Lock()
        self._attempt: _Attempt | None = None
        self._sent = self._completed = 0
        self._room = asyncio.Event()

    @classmethod
    async def hold(cls, path: str, address: str) -> "Adapter":
        """Raises BleakBluetoothNotAvailableError when there is no air at `path`."""
        key = (path, address, id(asyncio.get_running_loop()))
        adapter = cls._shared.get(key)
        if adapter is None or adapter._loop is not asyncio.get_running_loop():  # noqa: SLF001
            adapter = cls._shared[key] = cls(path, address)
        adapter._users += 1
        try:
            await adapter._open()
        except BaseException:
            await adapter.release()
            raise
        return adapter

    async def release(self) -> None:
        self._users -= 1
        if self._users:
            return
        self._shared.pop(self._key, None)
        if self._retry:
            self._retry.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._retry
        if self._transport:
            self.send(commands.Bye())
            await self._closed.wait()

    async def _open(self) -> None:
        async with self._opening:
            if self._transport:
                return
            try:
                await self._loop.create_unix_connection(lambda: self, self._path)
            except OSError as error:
                raise BleakBluetoothNotAvailableError(
                    f"no air at {self._path}: {error}", BleakBluetoothNotAvailableReason.POWERED_OFF
                ) from error
            hello = commands.Hello(
                PROTOCOL_VERSION,
                RESUMES_SCAN,
                PUBLIC,
                self._address,
                _MTU,
                LINK_PAYLOAD_MAX,
                _CONNECTIONS,
                0,
                0,
                b"hedgerow",
            )
            self.send(hello)
            if self._scans:
                self._start_scan()
            if self._said:
                self.send(self._said)

    async def _reopen(self) -> None:
        while not self._transport:
            await asyncio.sleep(_RETRY_S)
            with contextlib.suppress(BleakError):
                await self._open()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._reader = FrameReader()
        self._sent = self._completed = 0
        self._closed.clear()
        self._room.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._closed.set()
        self._room.set()
        for conn in list(self._peers):
            self._end(conn)
        self._fail_attempt(BleakError("the air is gone"))
        if self._users:
            self._retry = self._loop.create_task(self._reopen())

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._reader.feed(data):
                if body:
                    self._take(decode_event(body))
        except HedgerowError:
            if self._transport:
                self._transport.abort()

    def send(self, command: Message) -> None:
        """Raises BleakError when the air is gone."""
        if self._transport is None:
            raise BleakError("the air is gone")
        self._transport.write(encode(command))

    def _take(self, event: Message) -> None:
        match event:
            case events.ScanResult():
                for callback in list(self._scans):
                    callback(event)
            case events.PeripheralConnected():
                self._connected(event.conn)
            case events.PeripheralDisconnected(conn=conn):
                if conn == NO_PEER:
                    self._fail_attempt(TimeoutError("no connectable advertisement heard"))
                else:
                    self._end(conn)
            case events.Notification() | events.Indication():
                peer = self._peers.get(event.conn)
                callback_ = peer.notify.get(event.handle) if peer else None
                if callback_:
                    callback_(bytearray(event.data))
            case events.MtuExchanged(conn=conn) if conn in self._peers:
                self._peers[conn].mtu = event.mtu
                self._peers[conn].replies.put_nowait(event)
            case events.Credits():
                self._completed = event.completed
                self._room.set()
            case _:
                peer = self._peers.get(getattr(event, "conn", NO_PEER))
                if peer:
                    peer.replies.put_nowait(event)

    # Scanning

    def scan(self, callback: _ScanCallback, active: bool) -> None:
        self._scans[callback] = active
        self._start_scan()

    def stop_scan(self, callback: _ScanCallback) -> None:
        self._scans.pop(callback, None)
        if self._transport is None:
            return
        if self._scans:
            self._start_scan()
        else:
            self.send(commands.StopScan())

    def _start_scan(self) -> None:
        active = any(self._scans.values())
        self.send(commands.Scan(active, 1, 0, _SCAN_INTERVAL_US, _SCAN_WINDOW_US))

    # Advertising

    def advertise(self, payload: bytes, kind: int, interval_us: int) -> None:
        """Say this payload from now on, also when the air comes back. Raises BleakError when it is away."""
        said = commands.Advertise(kind, interval_us, len(payload), payload)
        self.send(said)
        self._said = said

    def stop_advertising(self) -> None:
        """Raises BleakError when the air is gone, which has fallen silent too then."""
        self._said = None
        self.send(commands.StopAdvertising())

    # Links

    async def connect(self, address: str, timeout: float, on_end: Callable[[], None]) -> Peer:
        """One attempt at a time, as BlueZ does it. Raises TimeoutError or BleakError."""
        target = address_bytes(address)
        async with self._connecting:
            if self._attempt:
                await asyncio.wait([self._attempt.future])
            duration_ms = max(1, int(timeout * 1000))
            self.send(
                commands.Connect(
                    PUBLIC, target, duration_ms, _INTERVAL_MIN_US, _INTERVAL_MAX_US, _SUPERVISION_MS
                )
            )
            attempt = self._attempt = _Attempt(on_end, self._loop.create_future())
            try:
                return await asyncio.shield(attempt.future)
            except asyncio.CancelledError:
                self._abandon(attempt)
                raise

    def _abandon(self, attempt: _Attempt) -> None:
        """A connect was given up: cancel it, or end the link that was made meanwhile."""
        attempt.abandoned = True
        with contextlib.suppress(BleakError):
            if not attempt.future.done():
                self.send(commands.CancelConnect())
            elif not attempt.future.exception():
                self.send(commands.Disconnect(attempt.future.result().conn))

    def _connected(self, conn: int) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None or attempt.abandoned:
            self.send(commands.Disconnect(conn))
        if attempt:
            peer = Peer(conn, attempt.on_end)
            if not attempt.abandoned:
                self._peers[conn] = peer
            attempt.future.set_result(peer)

    def _fail_attempt(self, error: Exception) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt:
            attempt.future.set_exception(error)
            attempt.future.exception()  # one that was abandoned has nobody to fetch it

    def _end(self, conn: int) -> None:
        peer = self._peers.pop(conn, None)
        if peer:
            peer.ended.set()
            self._room.set()
            peer.replies.put_nowait(events.PeripheralDisconnected(conn, PUBLIC, bytes(6), 0))
            peer.on_end()

    async def take_buffer(self, peer: Peer) -> None:
        """Wait for one of the transmit buffers. Raises BleakError when the link ends meanwhile."""
        while (self._sent - self._completed) & 0xFFFF >= TRANSMIT_BUFFERS and not peer.ended.is_set():
            self._room.clear()
            await self._room.wait()
        if peer.ended.is_set():
            raise BleakError("Not connected")
        self._sent += 1
