"""A further radio on the demo's air: it hears everything, says what it likes, and connects either way."""

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Self
from uuid import UUID

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from hedgerow.sync import gatt
from hedgerow_boards.air import att, commands, events
from hedgerow_boards.air.adapter import Adapter
from hedgerow_boards.air.backend import backends
from hedgerow_boards.air.codec import FrameReader, address_bytes, address_text, decode_event, encode
from hedgerow_boards.air.messages import ADV_IND, ADV_NONCONN_IND, PUBLIC, Message

_FASTEST_US = 20_000
_EVENT_S = 0.025
_HEARD = 8192
_RX, _TX, _CCCD = 12, 14, 15


class Radio:
    """`heard` has (address, payload) of the newest advertisements, what repeats left out."""

    def __init__(self, path: str, address: str) -> None:
        self.path = path
        self.address = address
        self.heard: deque[tuple[str, bytes]] = deque(maxlen=_HEARD)
        self.listener: Callable[[str, bytes], None] = lambda address, payload: None
        self._last: dict[str, bytes] = {}
        self._adapter: Adapter | None = None

    async def __aenter__(self) -> Self:
        self._adapter = await Adapter.hold(self.path, self.address)
        self._adapter.scan(self._take, False)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._adapter is not None
        with contextlib.suppress(BleakError):
            self._adapter.stop_advertising()
        self._adapter.stop_scan(self._take)
        await self._adapter.release()

    def _take(self, result: events.ScanResult) -> None:
        address, payload = address_text(result.address), bytes(result.data)
        if self._last.get(address) != payload:
            self._last[address] = payload
            self.heard.append((address, payload))
            self.listener(address, payload)

    async def say(self, payload: bytes, seconds: float = _EVENT_S) -> None:
        """Say a payload, at the greatest rate that a controller has."""
        assert self._adapter is not None
        while True:
            try:
                self._adapter.advertise(payload, ADV_NONCONN_IND, _FASTEST_US)
                break
            except BleakError:
                # The air gives up who listens too late; the adapter comes back by itself.
                await asyncio.sleep(_EVENT_S)
        await asyncio.sleep(seconds)

    def hush(self) -> None:
        assert self._adapter is not None
        self._adapter.stop_advertising()

    @contextlib.asynccontextmanager
    async def connected(self, address: str, timeout: float = 5.0) -> AsyncIterator["Pipe"]:
        """Connect to a board as a central, and listen to what it says. Raises BleakError, TimeoutError."""
        _, backend = backends(self.path, self.address)
        pipe = Pipe()
        device = BLEDevice(address.upper(), "board", {})

        def lost(_: BleakClient) -> None:
            pipe.end()

        async with BleakClient(device, lost, backend=backend, timeout=timeout) as client:
            await client.start_notify(gatt.TX, lambda _, data: pipe.push(bytes(data)))

            async def send(data: bytes) -> None:
                size = client.mtu_size - 3
                for at in range(0, len(data), size):
                    await client.write_gatt_char(gatt.RX, data[at : at + size], response=False)

            pipe.send = send
            yield pipe


class Pipe:
    """One connection: `send` writes, `receive` returns what came, b"" when the other side has gone."""

    def __init__(self) -> None:
        self._came: asyncio.Queue[bytes] = asyncio.Queue()
        self.over = asyncio.Event()
        self.send: Callable[[bytes], object] = lambda data: None

    def push(self, data: bytes) -> None:
        self._came.put_nowait(data)

    def end(self) -> None:
        self.over.set()
        self._came.put_nowait(b"")

    async def receive(self, seconds: float) -> bytes | None:
        """Return what came next, None for nothing in so many seconds."""
        try:
            return await asyncio.wait_for(self._came.get(), seconds)
        except TimeoutError:
            return None


def _table() -> bytes:
    rows = (
        (att.KIND_SERVICE, 10, 0, gatt.SERVICE),
        (att.KIND_CHARACTERISTIC, _RX, att.PROPERTY_WRITE_NO_RESPONSE, gatt.RX),
        (att.KIND_CHARACTERISTIC, _TX, att.PROPERTY_NOTIFY, gatt.TX),
    )
    named = [(kind, handle, properties, UUID(text).bytes[::-1]) for kind, handle, properties, text in rows]
    named.append((att.KIND_DESCRIPTOR, _CCCD, att.PROPERTY_READ | att.PROPERTY_WRITE, att.CCCD))
    return b"".join(
        struct.pack("<BHHB", kind, handle, properties, len(uuid)) + uuid
        for kind, handle, properties, uuid in named
    )


class FakeBoard(asyncio.Protocol):
    """A peripheral with Hedgerow's service: `met(pipe)` is called for each central that connects."""

    def __init__(self, path: str, address: str, met: Callable[[Pipe], None]) -> None:
        self._path, self._address, self._met = path, address, met
        self._reader = FrameReader()
        self._pipes: dict[int, Pipe] = {}
        self._mtu: dict[int, int] = {}
        self._transport: asyncio.Transport | None = None

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_unix_connection(lambda: self, self._path)
        raw = address_bytes(self._address)
        self._send(commands.Hello(1, 0, PUBLIC, raw, 256, 251, 4, 0, 0, b"board"))
        self._send(commands.Services(_table()))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def _send(self, command: Message) -> None:
        assert self._transport is not None
        self._transport.write(encode(command))

    def say(self, payload: bytes) -> None:
        """Say it, connectable, until a central connects."""
        self._send(commands.Advertise(ADV_IND, _FASTEST_US, len(payload), payload))

    def data_received(self, data: bytes) -> None:
        for body in self._reader.feed(data):
            if body:
                self._take(decode_event(body))

    def _take(self, event: Message) -> None:
        match event:
            case events.CentralConnected(conn=conn):
                pipe = self._pipes[conn] = Pipe()

                async def send(data: bytes) -> None:
                    size = self._mtu.get(conn, 23) - 3
                    for at in range(0, len(data), size):
                        self._send(commands.Notify(conn, _TX, data[at : at + size]))
                        await asyncio.sleep(0.03)

                pipe.send = send
                self._met(pipe)
            case events.MtuExchanged(conn=conn, mtu=mtu):
                self._mtu[conn] = mtu
            case events.WriteRequest(conn=conn, handle=handle, data=data) if conn in self._pipes:
                if handle == _RX:
                    self._pipes[conn].push(bytes(data))
            case events.CentralDisconnected(conn=conn) if conn in self._pipes:
                self._pipes.pop(conn).end()
