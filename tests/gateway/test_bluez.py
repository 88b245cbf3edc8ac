"""Switching an adapter off and on, against a D-Bus daemon with an org.bluez of the test's own."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bleak.exc import BleakError
from gateway_kit import run

from hedgerow_gateway import bluez

dbus_fast = pytest.importorskip("dbus_fast", reason="dbus-fast comes with bleak on Linux only")
if shutil.which("dbus-daemon") is None:
    pytest.skip("no dbus-daemon here", allow_module_level=True)

from emulated_bluez import system_bus  # noqa: E402


@contextlib.asynccontextmanager
async def adapter(address: str) -> AsyncIterator[list[bool]]:
    """An org.bluez with one adapter, hci0; yields what its Powered was set to."""
    from dbus_fast import Message, Variant
    from dbus_fast.aio import MessageBus

    said: list[bool] = []
    bus = await MessageBus(bus_address=address).connect()

    def answer(message: Message) -> Message | None:
        if message.member != "Set":
            return None
        interface, name, value = message.body
        assert (message.path, interface, name) == ("/org/bluez/hci0", "org.bluez.Adapter1", "Powered")
        assert isinstance(value, Variant)
        said.append(value.value)
        return Message.new_method_return(message)

    bus.add_message_handler(answer)
    await bus.request_name("org.bluez")
    try:
        yield said
    finally:
        bus.disconnect()


def test_power_cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bluez, "OFF_S", 0.01)

    async def main() -> None:
        async with system_bus(tmp_path) as address:
            async with adapter(address) as said:
                await bluez.power_cycle("hci0", bus_address=address)
                assert said == [False, True]
            with pytest.raises(BleakError, match=r"hci0: Powered = False: .*ServiceUnknown"):
                await bluez.power_cycle("hci0", bus_address=address)

    run(main())


def test_without_a_bus(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        run(bluez.power_cycle("hci0", bus_address=f"unix:path={tmp_path / 'nothing'}"))
