"""A keeper on the host: hears boards with bleak, connects to those with news, gives receipts and time.

Small on purpose: the tests of the firmware need another end for a board's link, not a gateway.
"""

import asyncio
import contextlib
import threading
import time
from types import TracebackType
from typing import Self

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from hedgerow.log import MemoryLog
from hedgerow.mesh.frames import CONNECTABLE, STATE, WANTS_TIME, decode_state
from hedgerow.mesh.tag import check, mesh_key, mesh_tag
from hedgerow.peer import Peer
from hedgerow.sync import gatt
from hedgerow.sync.exchange import Exchange
from hedgerow_boards.air.backend import backends

_COMPANY = 0xFFFF
_FRESH_S = 3.0
_HOLD_OFF_S = 0.5
_YEAR_2026 = 820454400000


class Keeper:
    """Runs in a thread from `with` on. `errors` holds the codes with which exchanges ended early."""

    def __init__(self, path: str, mesh: str = "demo"):
        self._scanner, self._client = backends(path)
        self._stop = threading.Event()
        self._started = time.monotonic()
        self._devices: dict[str, BLEDevice] = {}
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        tag = mesh_tag(mesh)
        self.log = MemoryLog()
        self.peer = Peer(self.log, 0, name="keeper", mesh=tag, keeper=True)
        self.peer.set_time(_YEAR_2026, 10, 2, 0)
        self._key = mesh_key(mesh)
        # Whom it has heard say that there is something for a keeper, and when it may visit whom again.
        self._waiting: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
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
        # Not what goes by advertisements: the tests are about the link.
        frame = data.manufacturer_data.get(_COMPANY, b"")
        if len(frame) != 24 or frame[0] & 0x0F != STATE or not check(self._key, frame):
            return
        state = decode_state(frame)
        self._devices[device.address] = device
        if state.flags & CONNECTABLE and (state.open_count or state.flags & WANTS_TIME):
            self._waiting[device.address] = time.monotonic()

    def _next(self) -> str | None:
        now = time.monotonic()
        for address, heard in self._waiting.items():
            if now - heard < _FRESH_S and now >= self._not_before.get(address, 0.0):
                return address
        return None

    async def _run(self) -> None:
        async with BleakScanner(self._heard, backend=self._scanner):
            while not self._stop.is_set():
                address = self._next()
                if address is None:
                    await asyncio.sleep(0.05)
                    continue
                try:
                    async with asyncio.timeout(20):
                        await self._visit(address)
                except (BleakError, TimeoutError) as error:
                    self.errors.append(repr(error))
                self._waiting.pop(address, None)
                self._not_before[address] = time.monotonic() + _HOLD_OFF_S

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
