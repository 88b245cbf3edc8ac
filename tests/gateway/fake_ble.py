"""A bleak backend in the test's own process: boards that speak the core's Exchange, and calls that can hang.

It is neither a radio nor a model of one; it lets a test decide what each call of bleak does.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from gateway_kit import KINDS, MESH, reading, uptime

from hedgerow.memory import MemoryLog
from hedgerow.mesh import frames
from hedgerow.mesh.tag import mesh_key
from hedgerow.peer import Peer
from hedgerow.sync import gatt
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import RELAY

MTU = 100
KEY = mesh_key("demo")


class Board:
    """A board: a peer on a log in memory, its beacons, and its side of a session."""

    def __init__(self, ether: "Ether", address: str, name: str) -> None:
        self.address = address
        self.log = MemoryLog()
        self.peer = Peer(self.log, uptime(), name=name, mesh=MESH, kinds=KINDS)
        self.counter = 0
        self.visits = 0
        self.cut_after: int | None = None
        self.answer: bytes | None = None
        self.mute = False
        self.service = gatt.SERVICE
        ether.boards[address] = self

    def record(self, n: int) -> None:
        self.peer.insert("readings", reading(n), uptime())

    def beacon(self) -> bytes:
        self.counter += 1
        peer = self.peer
        flags = frames.CONNECTABLE | (frames.WANTS_TIME if peer.wants_time(uptime()) else 0)
        state = frames.State(
            peer.mesh[:2], self.counter & 0xFFFF, 0, peer.summary()[1], peer.summary()[0], 255, flags, RELAY,
            peer.author[:3],
        )  # fmt: skip
        return frames.encode_state(state, KEY)


class Ether:
    """All boards and backends of one test; `hang`, `fail` and `deaf` decide what goes wrong."""

    def __init__(self) -> None:
        self.boards: dict[str, Board] = {}
        self.hang: set[str] = set()
        self.fail: set[str] = set()
        self.stubborn = False
        self.deaf = False
        self.strangers = 0
        self.calls: list[str] = []
        self.connecting = self.most_connecting = 0
        self.connected = self.most_connected = 0
        self.scanning = 0
        ether = self

        class Scanner(FakeScanner):
            pass

        class Client(FakeClient):
            pass

        Scanner.ether = Client.ether = ether
        self.backends: dict[str, Any] = {"scanner_backend": Scanner, "client_backend": Client}

    async def gate(self, call: str) -> None:
        """Every call of bleak passes here."""
        self.calls.append(call)
        await asyncio.sleep(0)
        if call in self.fail:
            raise BleakError(f"org.bluez.Error.Failed: {call}")
        while call in self.hang:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise


class FakeScanner(BaseBleakScanner):
    ether: Ether

    def __init__(self, detection_callback: Any, service_uuids: Any, scanning_mode: str, **_: Any) -> None:
        super().__init__(detection_callback, service_uuids)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.ether.gate("scanner.start")
        self.seen_devices = {}
        self.ether.scanning += 1
        self._task = asyncio.create_task(self._hear())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self.ether.scanning -= 1
        await self.ether.gate("scanner.stop")

    async def _hear(self) -> None:
        while True:
            if not self.ether.deaf:
                for board in self.ether.boards.values():
                    self._report(board.address, {0xFFFF: board.beacon()})
                for number in range(self.ether.strangers):
                    self._report(f"5a:00:00:00:{number >> 8:02x}:{number & 255:02x}", {0x004C: b"\x10"})
            await asyncio.sleep(0.02)

    def _report(self, address: str, manufacturer: dict[int, bytes]) -> None:
        advert = AdvertisementData(None, manufacturer, {}, [], None, -60, ())
        device = self.create_or_update_device(address, address, address, None, advert)
        self.call_detection_callbacks(device, advert)


class FakeClient(BaseBleakClient):
    ether: Ether

    def __init__(self, address_or_ble_device: BLEDevice | str, **kwargs: Any) -> None:
        assert isinstance(address_or_ble_device, BLEDevice), "an address alone starts another scan"
        super().__init__(address_or_ble_device, **kwargs)
        self._board = self.ether.boards[self.address]
        self._exchange: Exchange | None = None
        self._notify: Callable[[bytearray], None] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._notified = 0

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return MTU

    @property
    def is_connected(self) -> bool:
        return self._exchange is not None

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        self.ether.connecting += 1
        self.ether.most_connecting = max(self.ether.most_connecting, self.ether.connecting)
        try:
            await self.ether.gate("connect")
        finally:
            self.ether.connecting -= 1
        self._board.visits += 1
        self.ether.connected += 1
        self.ether.most_connected = max(self.ether.most_connected, self.ether.connected)
        self._exchange = Exchange(self._board.peer, uptime(), central=False)
        self.services = BleakGATTServiceCollection()
        service = BleakGATTService(None, 1, self._board.service)
        self.services.add_service(service)
        for handle, uuid, names in ((2, gatt.RX, ["write-without-response"]), (4, gatt.TX, ["notify"])):
            self.services.add_characteristic(
                BleakGATTCharacteristic(None, handle, uuid, names, lambda: MTU - 3, service)  # type: ignore[arg-type]
            )

    async def disconnect(self) -> None:
        self._end()
        await self.ether.gate("disconnect")

    def _end(self) -> None:
        if self._exchange is None:
            return
        self._exchange = None
        self.ether.connected -= 1
        if self._pump is not None:
            self._pump.cancel()
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: Any, **_: Any) -> None:
        await self.ether.gate("start_notify")
        self._notify = callback
        self._pump = asyncio.create_task(self._talk())

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: Any, response: bool
    ) -> None:
        await self.ether.gate("write")
        if self._exchange is None:
            raise BleakError("Not connected")
        assert not response and len(data) <= MTU - 3
        self._exchange.receive(bytes(data), uptime())

    async def _talk(self) -> None:
        while self._exchange is not None and self._notify is not None:
            record = (
                b"" if self._board.mute else self._board.answer or self._exchange.outgoing(1200, uptime())
            )
            for at in range(0, len(record), MTU - 3):
                self._notify(bytearray(record[at : at + MTU - 3]))
                self._notified += 1
                if self._board.cut_after is not None and self._notified >= self._board.cut_after:
                    self._pump = None
                    self._end()
                    return
            await asyncio.sleep(0 if record else 0.005)

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    async def unpair(self) -> None:
        raise NotImplementedError

    async def read_gatt_char(
        self, characteristic: Any, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        raise NotImplementedError

    async def read_gatt_descriptor(
        self, descriptor: Any, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        raise NotImplementedError

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        raise NotImplementedError

    async def stop_notify(self, characteristic: Any) -> None:
        raise NotImplementedError
