"""The D-Bus object that BlueZ reads an advertisement from; needs dbus-fast, which bleak brings on Linux."""

import asyncio
from typing import Annotated

from dbus_fast.annotations import DBusSignature, DBusStr, DBusUInt32
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property
from dbus_fast.signature import Variant

from .limits import INTERVAL_MS
from .radio import COMPANY

PATH = "/org/hedgerow/gateway/advertisement"
_Manufacturers = Annotated[dict[int, Variant], DBusSignature("a{qv}")]


class Advertisement(ServiceInterface):
    """org.bluez.LEAdvertisement1: `data` under our company identifier, and nothing else in 31 bytes.

    BlueZ passes over the properties that it does not know, such as the intervals before version 5.56.
    """

    def __init__(self) -> None:
        super().__init__("org.bluez.LEAdvertisement1")
        self.data = b""
        self.connectable = False
        self.released = asyncio.Event()

    @dbus_property(access=PropertyAccess.READ)
    def Type(self) -> DBusStr:
        return "peripheral" if self.connectable else "broadcast"

    @dbus_property(access=PropertyAccess.READ)
    def ManufacturerData(self) -> _Manufacturers:
        return {COMPANY: Variant("ay", self.data)}

    @dbus_property(access=PropertyAccess.READ)
    def MinInterval(self) -> DBusUInt32:
        return INTERVAL_MS

    @dbus_property(access=PropertyAccess.READ)
    def MaxInterval(self) -> DBusUInt32:
        return INTERVAL_MS

    @dbus_method()
    def Release(self) -> None:
        """BlueZ has dropped the advertisement, as when the adapter went away."""
        self.released.set()
