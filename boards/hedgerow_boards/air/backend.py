"""A bleak backend on the air: `BleakScanner(backend=...)` and `BleakClient(backend=...)` work as with BlueZ.

    scanner, client = backends("/run/air.sock")

As on Linux, a payload that an advertiser repeats is reported once until it changes, what is known of a
device is merged over everything heard of it, and the central exchanges the MTU and discovers by itself.
"""

import asyncio
import contextlib
from typing import Any, ClassVar, Literal, TypeVar, cast

from bleak.args import SizedBuffer
from bleak.assigned_numbers import CharacteristicPropertyName, gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError

from hedgerow_boards.air import commands, events
from hedgerow_boards.air.adapter import Adapter, Peer
from hedgerow_boards.air.advertisement import Merged, uuid_text
from hedgerow_boards.air.codec import address_text
from hedgerow_boards.air.limits import ADV_DELAY_MAX_US, ATTRIBUTE_MAX
from hedgerow_boards.air.messages import (
    ADV_IND,
    ADV_NONCONN_IND,
    STATUS_ATT,
    WRITE_COMMAND,
    WRITE_LONG,
    Message,
)

DEFAULT_ADDRESS = "e0:00:00:00:00:01"
_DISCONNECT_TIMEOUT_S = 10.0
_INTERVAL_US = 100_000
_CCCD = "00002902-0000-1000-8000-00805f9b34fb"
_Result = TypeVar("_Result", bound=Message)


class AirScanner(BaseBleakScanner):
    """Scans all the time, in active mode unless asked for passive."""

    path: ClassVar[str]
    address: ClassVar[str]

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: Literal["active", "passive"],
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"
        self._adapter: Adapter | None = None
        self._merged: dict[str, Merged] = {}

    async def start(self) -> None:
        """Raises BleakBluetoothNotAvailableError when there is no air."""
        if self._adapter:
            raise BleakError("Scanner is already running")
        self.seen_devices = {}
        self._merged = {}
        self._adapter = await Adapter.hold(self.path, self.address)
        self._adapter.scan(self._heard, self._active)

    async def stop(self) -> None:
        adapter, self._adapter = self._adapter, None
        if adapter:
            adapter.stop_scan(self._heard)
            await adapter.release()

    def _heard(self, result: events.ScanResult) -> None:
        address = address_text(result.address).upper()
        merged = self._merged.setdefault(address, Merged())
        merged.add(result.data)
        advertisement = merged.advertisement(result.rssi)
        name = merged.name or address.replace(":", "-")
        device = self.create_or_update_device(address, address, name, result.address_type, advertisement)
        if self.is_allowed_uuid(advertisement.service_uuids):
            self.call_detection_callbacks(device, advertisement)


class AirClient(BaseBleakClient):
    """A link to one peripheral, made when `connect` hears a connectable advertisement of it."""

    path: ClassVar[str]
    own_address: ClassVar[str]

    def __init__(self, address_or_ble_device: BLEDevice | str, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        self._filter: set[str] | None = kwargs.get("services")
        known = address_or_ble_device.name if isinstance(address_or_ble_device, BLEDevice) else None
        self._name = known or self.address.replace(":", "-")
        self._adapter: Adapter | None = None
        self._peer: Peer | None = None
        self._releasing: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def mtu_size(self) -> int:
        return self._peer.mtu if self._peer else 23

    @property
    def is_connected(self) -> bool:
        return self._peer is not None and not self._peer.ended.is_set()

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Raises TimeoutError when the peripheral is not heard in time, else BleakError."""
        if pair:
            raise BleakError("pairing is not supported")
        if self.is_connected:
            raise BleakError("already connected")
        self._peer = None
        self._adapter = await Adapter.hold(self.path, self.own_address)
        try:
            async with asyncio.timeout(self._timeout):
                self._peer = await self._adapter.connect(self.address, self._timeout, self._ended)
                await self._procedure(commands.ExchangeMtu(self._peer.conn), events.MtuExchanged)
                await self._discover()
        except BaseException:
            await self._give_up()
            raise

    async def _give_up(self) -> None:
        """Leave nothing of a connect that failed, without telling the disconnected callback."""
        self._disconnected_callback, callback = None, self._disconnected_callback
        with contextlib.suppress(BleakError, TimeoutError):
            await self.disconnect()
        self._disconnected_callback = callback
        await self._release()

    def _ended(self) -> None:
        self.services = None
        if self._disconnected_callback:
            self._disconnected_callback()
        self._releasing = asyncio.get_running_loop().create_task(self._release())

    async def _release(self) -> None:
        adapter, self._adapter = self._adapter, None
        if adapter:
            await adapter.release()

    async def disconnect(self) -> None:
        peer, adapter = self._peer, self._adapter
        if peer and adapter and not peer.ended.is_set():
            adapter.send(commands.Disconnect(peer.conn))
            async with asyncio.timeout(_DISCONNECT_TIMEOUT_S):
                await peer.ended.wait()
        await self._release()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("the air has no pairing")

    async def unpair(self) -> None:
        raise NotImplementedError("the air has no pairing")

    # GATT

    def _link(self) -> tuple[Adapter, Peer]:
        if self._adapter is None or self._peer is None or self._peer.ended.is_set():
            raise BleakError("Not connected")
        return self._adapter, self._peer

    async def _procedure(self, command: Message, done: type[_Result]) -> tuple[list[Message], _Result]:
        """Run one GATT procedure: its results and its last event. Raises BleakError if the link ends."""
        _, peer = self._link()
        async with peer.procedure:
            adapter, _ = self._link()
            while peer.unfinished:
                if isinstance(await self._reply(peer), peer.unfinished[0]):
                    peer.unfinished.pop(0)
            adapter.send(command)
            results: list[Message] = []
            try:
                while not isinstance(event := await self._reply(peer), done):
                    results.append(event)
            except asyncio.CancelledError:
                peer.unfinished.append(done)
                raise
        status = getattr(event, "status", 0)
        if status & STATUS_ATT:
            raise BleakGATTProtocolError(status & 0xFF)
        if status:
            raise BleakError(f"GATT procedure failed with status {status}")
        return results, event

    async def _reply(self, peer: Peer) -> Message:
        event = await peer.replies.get()
        if isinstance(event, events.PeripheralDisconnected):
            peer.replies.put_nowait(event)
            raise BleakError("disconnected")
        return event

    async def _discover(self) -> None:
        _, peer = self._link()
        collection = BleakGATTServiceCollection()
        found, _ = await self._procedure(commands.DiscoverServices(peer.conn, b""), events.ServiceDone)
        for row in cast(list[events.ServiceResult], found):
            service = BleakGATTService(row, row.start, uuid_text(row.uuid))
            if self._filter is None or service.uuid in self._filter:
                collection.add_service(service)
                await self._discover_characteristics(collection, service, row.end)
        self.services = collection

    async def _discover_characteristics(
        self, collection: BleakGATTServiceCollection, service: BleakGATTService, last: int
    ) -> None:
        _, peer = self._link()
        command = commands.DiscoverCharacteristics(peer.conn, service.handle, last, b"")
        found, _ = await self._procedure(command, events.CharacteristicDone)
        for row in cast(list[events.CharacteristicResult], found):
            names = cast(list[CharacteristicPropertyName], list(gatt_char_props_to_strs(row.properties)))
            characteristic = BleakGATTCharacteristic(
                row, row.value_handle, uuid_text(row.uuid), names, lambda: self.mtu_size - 3, service
            )
            collection.add_characteristic(characteristic)
            if row.end > row.value_handle:
                command_ = commands.DiscoverDescriptors(peer.conn, row.value_handle + 1, row.end)
                descriptors, _ = await self._procedure(command_, events.DescriptorDone)
                for item in cast(list[events.DescriptorResult], descriptors):
                    uuid = uuid_text(item.uuid)
                    collection.add_descriptor(BleakGATTDescriptor(item, item.handle, uuid, characteristic))

    async def _read(self, handle: int) -> bytearray:
        _, peer = self._link()
        results, _ = await self._procedure(commands.Read(peer.conn, handle, 1), events.ReadDone)
        return bytearray(b"".join(event.data for event in cast(list[events.ReadResult], results)))

    async def _write(self, handle: int, data: bytes) -> None:
        if len(data) > ATTRIBUTE_MAX:
            raise BleakError(f"{len(data)} bytes are too long for an attribute")
        _, peer = self._link()
        await self._procedure(commands.Write(peer.conn, handle, WRITE_LONG, data), events.WriteDone)

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        return await self._read(characteristic.handle)

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **kwargs: Any
    ) -> bytearray:
        return await self._read(descriptor.handle)

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        """Without response it returns when the data are in a transmit buffer, and takes MTU - 3 bytes."""
        payload = bytes(cast(bytes, data))
        if response:
            await self._write(characteristic.handle, payload)
            return
        adapter, peer = self._link()
        if len(payload) > self.mtu_size - 3:
            raise BleakError(f"{len(payload)} bytes do not fit an MTU of {self.mtu_size}")
        await adapter.take_buffer(peer)
        adapter.send(commands.Write(peer.conn, characteristic.handle, WRITE_COMMAND, payload))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        await self._write(descriptor.handle, bytes(cast(bytes, data)))

    def _cccd(self, characteristic: BleakGATTCharacteristic) -> int:
        descriptor = characteristic.get_descriptor(_CCCD)
        if descriptor is None:
            raise BleakError(f"{characteristic.uuid} can neither notify nor indicate")
        return descriptor.handle

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **kwargs: Any
    ) -> None:
        _, peer = self._link()
        handle = self._cccd(characteristic)
        if characteristic.handle in peer.notify:
            raise BleakError("notifications are already on")
        peer.notify[characteristic.handle] = callback
        bits = b"\x01\x00" if "notify" in characteristic.properties else b"\x02\x00"
        try:
            await self._write(handle, bits)
        except BaseException:
            peer.notify.pop(characteristic.handle, None)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        _, peer = self._link()
        await self._write(self._cccd(characteristic), b"\x00\x00")
        peer.notify.pop(characteristic.handle, None)


def backends(path: str, address: str = DEFAULT_ADDRESS) -> tuple[type[AirScanner], type[AirClient]]:
    """Backend classes for bleak that are bound to the air at `path` and to a gateway's own address."""
    scanner = type("AirScanner", (AirScanner,), {"__module__": __name__, "path": path, "address": address})
    client = type("AirClient", (AirClient,), {"__module__": __name__, "path": path, "own_address": address})
    return scanner, client


class AirVoice:
    """What a gateway's adapter says on the air: one payload at a time, for a number of advertising events.

    With the name and the meaning of its methods a gateway's `Voice`.
    """

    name = "air"

    def __init__(self, path: str, address: str = DEFAULT_ADDRESS) -> None:
        self._path = path
        self._address = address
        self._adapter: Adapter | None = None

    async def say(self, payload: bytes, connectable: bool, events: int) -> float:
        """Advertise for that many events, then fall silent; returns 0, the seconds that a change takes.

        Raises BleakError while there is no air.
        """
        if self._adapter is None:
            self._adapter = await Adapter.hold(self._path, self._address)
        self._adapter.advertise(payload, ADV_IND if connectable else ADV_NONCONN_IND, _INTERVAL_US)
        try:
            # In the middle between the last event and the one after it; an event comes 0 to 10 ms late.
            await asyncio.sleep((events - 0.5) * (_INTERVAL_US + ADV_DELAY_MAX_US // 2) / 1e6)
        except asyncio.CancelledError:
            with contextlib.suppress(BleakError):
                self._adapter.stop_advertising()
            raise
        self._adapter.stop_advertising()
        return 0.0

    async def close(self) -> None:
        """Give the adapter back; the next `say` takes it again."""
        adapter, self._adapter = self._adapter, None
        if adapter:
            await adapter.release()
