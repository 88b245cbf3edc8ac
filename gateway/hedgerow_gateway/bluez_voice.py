"""What the gateway says through BlueZ: org.bluez.LEAdvertisingManager1 (BlueZ's doc/advertising-api).

A payload is changed by unregistering the advertisement and registering it anew: only that has an answer that
says when it is on the air. Linux sends what is not connectable from another random address each time.
"""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bleak.exc import BleakError

from . import limits
from .bounded import bounded, wait_event
from .radio import manufacturer_data

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

    from .bluez_advertisement import Advertisement

_BLUEZ = "org.bluez"
_MANAGER = "org.bluez.LEAdvertisingManager1"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_LENGTH = ("org.bluez.Error.InvalidLength", "org.bluez.Error.Failed")
# The kernel sets intervals from 5.11 on (MGMT Add Extended Advertising Parameters).
_KERNEL = (5, 11)
# Linux' turn of each instance where the controller has one at a time (HCI_DEFAULT_ADV_DURATION).
_TURN_S = 2.0
_EVENT_S = (limits.INTERVAL_MS + 5) / 1000  # with the 0 to 10 ms that the controller adds


class DBusRefused(BleakError):
    """BlueZ's answer was an error; `name` is its D-Bus name."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name


def kernel_release() -> tuple[int, ...]:
    """Return the kernel's version as numbers, as far as it has such."""
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".") if part.isdecimal())


class BluezVoice:
    """A Voice over D-Bus; the connection is made by the first `say`, and again after `close`."""

    name = "bluez"

    def __init__(
        self,
        adapter: str,
        *,
        bus_address: str | None = None,
        kernel: Callable[[], tuple[int, ...]] = kernel_release,
        call_s: float = limits.CALL_S,
    ) -> None:
        self._path = f"/org/bluez/{adapter}"
        self._bus_address = bus_address
        self._kernel = kernel
        self._call_s = call_s
        self._bus: MessageBus | None = None
        self._advertisement: Advertisement | None = None

    async def say(self, payload: bytes, connectable: bool, events: int) -> float:
        """Say it; an adapter that cannot be told the interval is registered once for each event.

        BlueZ adds the flags that go with `connectable`, so what fills 31 bytes is said as a broadcast.
        Raises BleakError, OSError, EOFError, HedgerowError.
        """
        data = manufacturer_data(payload)
        if data is None:
            raise BleakError("BlueZ advertises manufacturer data alone")
        advertisement = await self._open()
        manager = await self._manager()
        advertisement.data = data
        advertisement.connectable = connectable
        hold_s, turns = (events - 0.5) * _EVENT_S, 1
        if "SupportedCapabilities" not in manager or self._kernel() < _KERNEL:
            # The first event comes at once and the second 1.28 s later.
            hold_s, turns = limits.PULSE_S, events
        wait_s = 0.0
        if manager["ActiveInstances"] and "HardwareOffload" not in manager.get("SupportedFeatures", ()):
            wait_s = manager["ActiveInstances"] * _TURN_S
            hold_s += wait_s
            turns = 1
        refresh_s = 0.0
        for _ in range(turns):
            refresh_s = await self._once(advertisement, hold_s)
        return refresh_s + wait_s

    async def _once(self, advertisement: "Advertisement", hold_s: float) -> float:
        began = time.monotonic()
        try:
            await self._register(advertisement)
            refresh_s = time.monotonic() - began
            if await wait_event(advertisement.released, hold_s):
                raise BleakError("BlueZ has dropped the advertisement")
        except BaseException:
            # Also what was not answered may be on the air; it ends with the connection at the latest.
            await self.close()
            raise
        began = time.monotonic()
        await self._call(_MANAGER, "UnregisterAdvertisement", "o", [self._object_path()])
        return refresh_s + time.monotonic() - began

    async def _register(self, advertisement: "Advertisement") -> None:
        advertisement.released.clear()
        try:
            await self._call(_MANAGER, "RegisterAdvertisement", "oa{sv}", [self._object_path(), {}])
        except DBusRefused as error:
            if error.name not in _LENGTH or not advertisement.connectable:
                raise
            # Flags and 27 bytes of ours are too long; nobody can connect to this gateway anyway.
            advertisement.connectable = False
            await self._register(advertisement)

    async def _manager(self) -> dict[str, Any]:
        """Return the properties of the advertising manager. Raises BleakError if no instance is free."""
        [properties] = await self._call(_PROPERTIES, "GetAll", "s", [_MANAGER])
        plain = {name: variant.value for name, variant in properties.items()}
        if "ActiveInstances" not in plain:
            raise BleakError(f"{self._path} cannot advertise; take another adapter, or a board on USB")
        if not plain.get("SupportedInstances", 1):
            raise BleakError(f"all {plain['ActiveInstances']} advertisements of {self._path} are taken")
        return plain

    @staticmethod
    def _object_path() -> str:
        from .bluez_advertisement import PATH

        return PATH

    async def _open(self) -> "Advertisement":
        if self._bus is not None and self._bus.connected and self._advertisement is not None:
            return self._advertisement
        # dbus-fast comes with bleak, on Linux alone.
        from dbus_fast.aio import MessageBus
        from dbus_fast.constants import BusType

        from .bluez_advertisement import Advertisement

        await self.close()
        bus = MessageBus(bus_address=self._bus_address, bus_type=BusType.SYSTEM)
        await bounded(bus.connect(), self._call_s, "RADIO_TIMEOUT", "D-Bus")
        self._bus = bus
        self._advertisement = Advertisement()
        bus.export(self._object_path(), self._advertisement)
        return self._advertisement

    async def _call(self, interface: str, member: str, signature: str, body: list[Any]) -> list[Any]:
        from dbus_fast.constants import MessageType
        from dbus_fast.message import Message

        assert self._bus is not None
        message = Message(_BLUEZ, self._path, interface, member, signature=signature, body=body)
        reply = await bounded(self._bus.call(message), self._call_s, "RADIO_TIMEOUT", member)
        if reply is None or reply.message_type is MessageType.ERROR:
            name = reply.error_name if reply else "no reply"
            raise DBusRefused(str(name), f"{member}: {reply.body[0] if reply and reply.body else ''}")
        return list(reply.body)

    async def close(self) -> None:
        """Leave the bus: BlueZ drops what a connection has registered when it ends."""
        bus, self._bus, self._advertisement = self._bus, None, None
        if bus is not None:
            bus.disconnect()
