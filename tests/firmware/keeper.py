"""A keeper on the host: hears boards with bleak, connects to those with news, gives receipts and time.

Small on purpose: the tests of the firmware need another end for a board's link, not a gateway.
"""

import asyncio
import contextlib
import hashlib
import threading
import time
from types import TracebackType
from typing import Self

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from hedgerow.log import MemoryLog
from hedgerow.peer import Peer
from hedgerow.sync import beacon, gatt
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.neighbours import Neighbours
from hedgerow_boards.air.backend import backends

_COMPANY = 0xFFFF
_YEAR_2026 = 820454400000


class Keeper:
    """Runs in a thread from `with` on. `errors` holds the codes with which exchanges ended early."""

    def __init__(self, path: str, mesh: str = "demo"):
        self._scanner, self._client = backends(path)
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._devices: dict[str, BLEDevice] = {}
        self._neighbours = Neighbours(hold_off_ms=300)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        tag = hashlib.sha256(b"hedgerow mesh " + mesh.encode()).digest()[:3]
        self.log = MemoryLog()
        self.peer = Peer(self.log, 0, name="keeper", mesh=tag, keeper=True)
        self.peer.set_time(_YEAR_2026, 10, 2, 0)
        self.errors: list[str] = []
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(20)

    def now(self) -> int:
        return int((time.monotonic() - self._started) * 1000)

    def wait_for(self, author: bytes, number: int, timeout: float) -> None:
        """Until the author's operations are held and sealed up to a number."""
        deadline = time.monotonic() + timeout
        while min(self.log.held(author), self.log.sealed(author)) < number:
            state = (self.log.held(author), self.log.sealed(author), self.errors)
            assert time.monotonic() < deadline, f"{state} instead of {number} after {timeout} s"
            time.sleep(0.05)

    def _heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        state = beacon.decode(data.manufacturer_data.get(_COMPANY, b""))
        if isinstance(state, beacon.State):
            self._devices[device.address] = device
            self._neighbours.heard(device.address, state, data.rssi, self.now())

    async def _run(self) -> None:
        async with BleakScanner(self._heard, backend=self._scanner):
            while not self._stop.is_set():
                address = self._neighbours.candidate(self.peer, self.now())
                if address is None:
                    await asyncio.sleep(0.05)
                    continue
                try:
                    async with asyncio.timeout(20):
                        await self._visit(str(address))
                except (BleakError, TimeoutError) as error:
                    self.errors.append(repr(error))
                    self._neighbours.failed(address, self.now())

    async def _visit(self, address: str) -> None:
        self.connections += 1
        came = asyncio.Event()
        gone = asyncio.Event()

        def lost(_: BleakClient) -> None:
            gone.set()
            came.set()

        device = self._devices[address]
        async with BleakClient(device, backend=self._client, disconnected_callback=lost) as client:
            exchange = Exchange(self.peer, self.now(), linger_ms=200, central=True)

            def notified(_: object, data: bytearray) -> None:
                exchange.receive(bytes(data), self.now())
                came.set()

            await client.start_notify(gatt.TX, notified)
            size = client.mtu_size - 3
            while not exchange.finished and not gone.is_set():
                record = exchange.outgoing(1000, self.now())
                for at in range(0, len(record), size):
                    await client.write_gatt_char(gatt.RX, record[at : at + size], response=False)
                if not record:
                    came.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(came.wait(), 0.05)
        if exchange.error or not exchange.finished:
            self.errors.append(str(exchange.error or "LINK_LOST"))
            self._neighbours.failed(address, self.now())
        else:
            self._neighbours.synced(address, exchange.summary, self.now(), exchange.told())
