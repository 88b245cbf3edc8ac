"""One Bluetooth adapter over bleak: a scanner that stays on, connections one after the other.

The rules come from the field: starting and stopping the scanner for each poll ends in
org.bluez.Error.InProgress, two connects at once fail on most controllers, an address without its
BLEDevice starts another scan, and discovery stops now and then without any error. So there is one
long-lived scanner, connects are serialised, every call has a time limit, and silence is treated as a
fault in stages: the scanner is restarted, then the adapter is switched off and on.
"""

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakError

from hedgerow.errors import HedgerowError

from . import limits
from .bounded import Backoff, bounded, wait_event
from .radio import COMPANY

logger = logging.getLogger(__name__)

RADIO_ERRORS = (BleakError, OSError, EOFError)
PowerCycle = Callable[[], Awaitable[None]]
OnAdvert = Callable[[str, bytes, int], None]


@dataclass
class AdapterSettings:
    """How to drive the adapter; None for a backend means the platform's own (BlueZ on Linux)."""

    scanner_backend: type[BaseBleakScanner] | None = None
    client_backend: type[BaseBleakClient] | None = None
    adapter: str | None = None
    pause_scan: bool = False
    power_cycle: PowerCycle | None = None
    call_s: float = limits.CALL_S
    connect_s: float = limits.CONNECT_S
    silence_s: float = limits.SILENCE_S


@dataclass
class AdapterCounters:
    """What the adapter did since the start; all only grow."""

    adverts: int = 0
    scanner_starts: int = 0
    scanner_failures: int = 0
    silences: int = 0
    power_cycles: int = 0
    connects: int = 0
    connect_failures: int = 0
    disconnect_failures: int = 0
    last_error: str = field(default="")


def _passing(device: BLEDevice) -> bool:
    """Say whether the address is a non-resolvable one, which Linux makes anew for each broadcast of its own.

    Nobody can connect to it, and other gateways would soon drive all boards out of our table. Only BlueZ
    tells the kind of address; the two greatest bits of such a random one are 0 (Core Vol 6 Part B 1.3.2.2).
    """
    details = device.details.get("props", {}) if isinstance(device.details, dict) else {}
    return details.get("AddressType") == "random" and device.address[0] in "0123"


class Adapter:
    """The adapter: `run` keeps it listening; `connect` and `release` handle one connection.

    `on_advert(address, data, rssi)` gets the manufacturer data of Hedgerow's company identifier.
    """

    def __init__(self, settings: AdapterSettings, on_advert: OnAdvert, rng: random.Random) -> None:
        self.counters = AdapterCounters()
        self.scanning = False
        self._settings = settings
        self._on_advert = on_advert
        self._devices: OrderedDict[str, BLEDevice] = OrderedDict()
        self._connecting = asyncio.Lock()
        self._switching = asyncio.Lock()
        self._heard = asyncio.Event()
        self._retry = Backoff(limits.SCANNER_RETRY_S, limits.SCANNER_RETRY_MAX_S, rng)
        self._scanner: BleakScanner | None = None
        self._stage = 0
        self._anew = False

    def _make_scanner(self) -> BleakScanner:
        settings = self._settings
        if settings.adapter is None:
            return BleakScanner(self._on_detection, backend=settings.scanner_backend)
        return BleakScanner(
            self._on_detection, backend=settings.scanner_backend, bluez={"adapter": settings.adapter}
        )

    def _on_detection(self, device: BLEDevice, advert: AdvertisementData) -> None:
        self.counters.adverts += 1
        self._heard.set()
        data = advert.manufacturer_data.get(COMPANY)
        if data is None:
            return
        if not _passing(device):
            self._devices[device.address] = device
            self._devices.move_to_end(device.address)
            if len(self._devices) > limits.DEVICES:
                self._devices.popitem(last=False)
        self._on_advert(device.address, data, advert.rssi)

    async def run(self) -> None:
        """Listen until cancelled, whatever the adapter does."""
        try:
            while True:
                try:
                    await self._start()
                except HedgerowError as error:
                    self.counters.scanner_failures += 1
                    self._note(error)
                    await asyncio.sleep(self._retry.pause())
                    if self._retry.failures % limits.SCANNER_FAILURES == 0:
                        await self.cycle_power()
                    continue
                self._retry.reset()
                if await self._fell_silent():
                    await self._recover()
                else:
                    await self._stop()
        finally:
            await self._stop()

    async def _fell_silent(self) -> bool:
        """Wait until nothing is heard for too long (True), or the scanner has to begin anew (False)."""
        while True:
            self._heard.clear()
            # Perhaps there is just nobody: disturb the adapter less and less often.
            silence_s = min(self._settings.silence_s * 2**self._stage, limits.SILENCE_MAX_S)
            if not await wait_event(self._heard, silence_s):
                return True
            if self._anew:
                self._anew = False
                return False
            self._stage = 0
            if self._scanner is not None and len(self._scanner.discovered_devices) > limits.SEEN_DEVICES:
                # bleak keeps every address that it saw until the scanner starts anew, and phones change
                # theirs every quarter of an hour.
                return False
            await asyncio.sleep(min(1.0, silence_s))

    async def _recover(self) -> None:
        """First stage: stop the scanner, to be started anew. From the second on: the adapter too."""
        self.counters.silences += 1
        self._stage = min(self._stage + 1, limits.SILENCE_STAGES)
        logger.warning("no adverts heard, recovery stage %d", self._stage)
        await self._stop()
        if self._stage >= 2:
            await self.cycle_power()

    async def begin_anew(self) -> None:
        """Switch the adapter off and on for another's sake; what it did, the scanner too, has ended then."""
        await self.cycle_power()
        self._anew = True
        self._heard.set()

    async def cycle_power(self) -> None:
        hook = self._settings.power_cycle
        if hook is None:
            return
        self.counters.power_cycles += 1
        try:
            await bounded(self._power_cycle(hook), limits.POWER_CYCLE_S, "RADIO_TIMEOUT", "power cycle")
        except HedgerowError as error:
            self._note(error)

    @staticmethod
    async def _power_cycle(hook: PowerCycle) -> None:
        try:
            await hook()
        except RADIO_ERRORS as error:
            raise HedgerowError("RADIO_UNAVAILABLE", f"power cycle: {error}") from error

    def _note(self, error: HedgerowError) -> None:
        self.counters.last_error = str(error)
        logger.warning("radio: %s", error)

    async def _start(self) -> None:
        async with self._switching:
            if self.scanning:
                return
            # A scanner that failed or fell silent keeps state of its own: take a new one.
            self._scanner = self._make_scanner()
            try:
                await bounded(self._scanner.start(), self._settings.call_s, "RADIO_TIMEOUT", "scanner start")
            except RADIO_ERRORS as error:
                raise HedgerowError("RADIO_UNAVAILABLE", f"scanner start: {error}") from error
            except HedgerowError:
                # It may have started after all; left alone it would make the next start fail.
                await self._stop_scanner(self._scanner)
                raise
            self.scanning = True
            self.counters.scanner_starts += 1

    async def _stop(self) -> None:
        async with self._switching:
            scanner, self._scanner = self._scanner, None
            if not self.scanning or scanner is None:
                return
            self.scanning = False
            await self._stop_scanner(scanner)

    async def _stop_scanner(self, scanner: BleakScanner) -> None:
        try:
            await bounded(scanner.stop(), self._settings.call_s, "RADIO_TIMEOUT", "scanner stop")
        except (HedgerowError, *RADIO_ERRORS) as error:
            self.counters.last_error = f"scanner stop: {error}"

    async def connect(self, address: str, on_lost: Callable[[], None]) -> BleakClient:
        """Connect to a device that was heard; `on_lost` is called when the connection breaks.

        Raises RADIO_UNKNOWN, RADIO_CONNECT, RADIO_TIMEOUT. One connect is under way at a time.
        """
        async with self._connecting:
            device = self._devices.get(address)
            if device is None:
                raise HedgerowError("RADIO_UNKNOWN", address)
            self.counters.connects += 1
            if self._settings.pause_scan:
                await self._stop()
            try:
                return await self._connect(device, on_lost)
            except HedgerowError as error:
                self.counters.connect_failures += 1
                self.counters.last_error = str(error)
                raise
            finally:
                if self._settings.pause_scan:
                    await self._resume()

    async def _connect(self, device: BLEDevice, on_lost: Callable[[], None]) -> BleakClient:
        client = self._make_client(device, on_lost)
        limit_s = self._settings.connect_s
        try:
            await bounded(client.connect(), limit_s, "RADIO_TIMEOUT", f"connect to {device.address}")
        except BaseException as error:
            # BlueZ goes on connecting in the background unless it is told to stop.
            await self.release(client)
            if isinstance(error, RADIO_ERRORS):
                raise HedgerowError("RADIO_CONNECT", f"{device.address}: {error}") from error
            raise
        return client

    def _make_client(self, device: BLEDevice, on_lost: Callable[[], None]) -> BleakClient:
        settings = self._settings

        def lost(_: BleakClient) -> None:
            on_lost()

        if settings.adapter is None:
            return BleakClient(device, lost, timeout=settings.connect_s, backend=settings.client_backend)
        return BleakClient(
            device,
            lost,
            timeout=settings.connect_s,
            backend=settings.client_backend,
            bluez={"adapter": settings.adapter},
        )

    async def _resume(self) -> None:
        """Scan again after a connect; when that fails, the silence that follows brings the recovery."""
        try:
            await self._start()
        except HedgerowError as error:
            self.counters.scanner_failures += 1
            self._note(error)

    async def call(self, call: Coroutine[Any, Any, None], what: str) -> None:
        """Run one GATT call within the time limit; raises RADIO_TIMEOUT, LINK_LOST."""
        try:
            await bounded(call, self._settings.call_s, "RADIO_TIMEOUT", what)
        except RADIO_ERRORS as error:
            raise HedgerowError("LINK_LOST", f"{what}: {error}") from error

    async def release(self, client: BleakClient) -> None:
        """Disconnect; never raises, but counts what failed."""
        try:
            await bounded(client.disconnect(), self._settings.call_s, "RADIO_TIMEOUT", "disconnect")
        except (HedgerowError, *RADIO_ERRORS) as error:
            self.counters.disconnect_failures += 1
            self.counters.last_error = f"disconnect: {error}"
