"""What bleak does not offer of BlueZ: switching an adapter off and on, over D-Bus."""

import asyncio
from typing import TYPE_CHECKING

from bleak.exc import BleakError

if TYPE_CHECKING:
    from dbus_fast.aio import MessageBus

FIRST = "hci0"
OFF_S = 2.0


async def power_cycle(adapter: str = FIRST, *, bus_address: str | None = None) -> None:
    """Set org.bluez.Adapter1.Powered to false and to true again; raises BleakError, OSError.

    This is what gets a controller going whose discovery has stopped delivering without any error.
    """
    # dbus-fast comes with bleak, on Linux alone.
    from dbus_fast.aio import MessageBus
    from dbus_fast.constants import BusType

    bus = MessageBus(bus_address=bus_address, bus_type=BusType.SYSTEM)
    await bus.connect()
    try:
        await _set_powered(bus, adapter, False)
        await asyncio.sleep(OFF_S)
        await _set_powered(bus, adapter, True)
    finally:
        bus.disconnect()


async def _set_powered(bus: "MessageBus", adapter: str, on: bool) -> None:
    from dbus_fast import Variant
    from dbus_fast.constants import MessageType
    from dbus_fast.message import Message

    reply = await bus.call(
        Message(
            destination="org.bluez",
            path=f"/org/bluez/{adapter}",
            interface="org.freedesktop.DBus.Properties",
            member="Set",
            signature="ssv",
            body=["org.bluez.Adapter1", "Powered", Variant("b", on)],
        )
    )
    if reply is None or reply.message_type is MessageType.ERROR:
        detail = reply.error_name if reply else "no reply"
        raise BleakError(f"{adapter}: Powered = {on}: {detail}")
