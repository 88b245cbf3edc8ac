"""An org.bluez with one adapter, hci0, on a private D-Bus daemon; what it advertises is on the emulated air.

As BlueZ 5.7x does it (src/advertising.c) and Linux (net/bluetooth): the advertisement's properties are read
from its owner, registering takes a while, there are few instances, what is too long is `Failed`, an owner
that leaves the bus takes its advertisements along, and what is not connectable comes from another random
address each time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbus_fast import Message, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.constants import MessageType

from hedgerow_boards.air.adapter import Adapter
from hedgerow_boards.air.messages import ADV_IND, ADV_NONCONN_IND

CONFIG = """<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default">
<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy></busconfig>"""
HCI0 = "/org/bluez/hci0"
_ADVERTISEMENT = "org.bluez.LEAdvertisement1"
_MANAGER = "org.bluez.LEAdvertisingManager1"
_LINUX_INTERVAL_MS = 1280
_FLAGS_BYTES = 3
_PAYLOAD_BYTES = 31
PUBLIC = "e0:00:00:00:00:01"


@asynccontextmanager
async def system_bus(tmp_path: Path) -> AsyncIterator[str]:
    """A D-Bus daemon of the test's own; yields its address."""
    conf = tmp_path / "bus.conf"
    conf.write_text(CONFIG.format(path=tmp_path / "bus"))
    daemon = await asyncio.create_subprocess_exec(
        "dbus-daemon",
        "--nofork",
        "--print-address=1",
        f"--config-file={conf}",
        stdout=asyncio.subprocess.PIPE,
    )
    assert daemon.stdout is not None
    try:
        yield (await daemon.stdout.readline()).decode().strip()
    finally:
        daemon.terminate()
        await daemon.wait()


@dataclass
class _Instance:
    owner: str
    path: str
    adapter: Adapter | None = None
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bluez:
    """The service. Fields may be changed at any time; `log` has the calls, and what Powered was set to.

    latency_s: from the call to the answer. instances: how many the controller has. others: how many of them
    other programs have. modern: whether intervals can be set. refuse: error to answer with, by method.
    hang: methods that are never answered. discoverable: so is the adapter, and connectable things have flags.
    """

    air: str
    latency_s: float = 0.02
    instances: int = 5
    others: int = 0
    modern: bool = True
    powered: bool = True
    discoverable: bool = False
    offload: bool = False
    refuse: dict[str, str] = field(default_factory=dict)
    hang: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    registered: list[_Instance] = field(default_factory=list)
    said: list[tuple[str, bytes]] = field(default_factory=list)
    _count: int = 0
    _bus: MessageBus | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self, bus_address: str) -> AsyncIterator["Bluez"]:
        bus = self._bus = await MessageBus(bus_address=bus_address).connect()
        bus.add_message_handler(self._answer)
        rule = "type='signal',interface='org.freedesktop.DBus',member='NameOwnerChanged'"
        await bus.call(Message(*_DBUS, "AddMatch", signature="s", body=[rule]))
        await bus.request_name("org.bluez")
        try:
            yield self
        finally:
            for task in list(self._tasks):
                task.cancel()
            for instance in list(self.registered):
                await self._drop(instance)
            bus.disconnect()

    # ---- D-Bus

    def _answer(self, message: Message) -> Message | bool | None:
        if message.message_type is MessageType.SIGNAL:
            if message.member == "NameOwnerChanged" and not message.body[2]:
                for instance in [one for one in self.registered if one.owner == message.body[0]]:
                    self._spawn(self._drop(instance))
            return None
        if message.message_type is not MessageType.METHOD_CALL or message.destination != "org.bluez":
            if message.path != HCI0:
                return None
        member = str(message.member)
        if member not in ("Set", "GetAll", "RegisterAdvertisement", "UnregisterAdvertisement"):
            return None
        self.log.append(member)
        self._spawn(self._serve(message, member))
        return True

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, message: Message, member: str) -> None:
        assert self._bus is not None
        if member in self.hang:
            return
        name = self.refuse.get(member)
        if name is None and message.path != HCI0:
            name = "org.freedesktop.DBus.Error.UnknownObject"
        try:
            reply = [] if name else await getattr(self, f"_{member}")(message)
        except Refusal as refusal:
            name, reply = refusal.args[0], []
        if name:
            await self._bus.send(Message.new_error(message, name, "as the test says"))
        elif member == "GetAll":
            await self._bus.send(Message.new_method_return(message, "a{sv}", reply))
        else:
            await self._bus.send(Message.new_method_return(message))

    async def _Set(self, message: Message) -> list[Any]:
        assert self._bus is not None
        interface, name, value = message.body
        assert (interface, name) == ("org.bluez.Adapter1", "Powered")
        self.log.append(f"Powered={value.value}")
        self.powered = value.value
        if not self.powered:
            for instance in list(self.registered):
                await self._drop(instance)
                await self._bus.call(Message(instance.owner, instance.path, _ADVERTISEMENT, "Release"))
        return []

    async def _GetAll(self, message: Message) -> list[Any]:
        assert message.body == [_MANAGER]
        active = len(self.registered) + self.others
        properties = {
            "ActiveInstances": Variant("y", active),
            "SupportedInstances": Variant("y", max(0, self.instances - active)),
            "SupportedIncludes": Variant("as", ["tx-power", "appearance", "local-name"]),
        }
        if self.modern:
            features = ["HardwareOffload"] if self.offload else []
            properties["SupportedFeatures"] = Variant("as", features)
            properties["SupportedCapabilities"] = Variant("a{sv}", {"MaxAdvLen": Variant("y", 31)})
        return [properties]

    async def _RegisterAdvertisement(self, message: Message) -> list[Any]:
        assert self._bus is not None
        path, options = message.body
        assert options == {}
        sender = str(message.sender)
        if any((one.owner, one.path) == (sender, path) for one in self.registered):
            raise Refusal("org.bluez.Error.AlreadyExists")
        if len(self.registered) + self.others >= self.instances:
            raise Refusal("org.bluez.Error.NotPermitted")
        instance = _Instance(sender, path)
        self.registered.append(instance)
        read = Message(
            sender, path, "org.freedesktop.DBus.Properties", "GetAll", signature="s", body=[_ADVERTISEMENT]
        )
        answer = await self._bus.call(read)
        assert answer is not None and answer.message_type is MessageType.METHOD_RETURN, answer
        instance.properties = {name: variant.value for name, variant in answer.body[0].items()}
        await asyncio.sleep(self.latency_s)
        try:
            await self._advertise(instance)
        except Refusal:
            self.registered.remove(instance)
            raise
        return []

    async def _UnregisterAdvertisement(self, message: Message) -> list[Any]:
        sender, path = str(message.sender), message.body[0]
        found = [one for one in self.registered if (one.owner, one.path) == (sender, path)]
        if not found:
            raise Refusal("org.bluez.Error.DoesNotExist")
        await asyncio.sleep(self.latency_s)
        await self._drop(found[0])
        return []

    # ---- the controller

    async def _advertise(self, instance: _Instance) -> None:
        properties = instance.properties
        connectable = properties["Type"] == "peripheral"
        payload = b"\x02\x01\x06" if connectable and self.discoverable else b""
        for company, data in properties["ManufacturerData"].items():
            payload += bytes([len(data.value) + 3, 0xFF]) + company.to_bytes(2, "little") + bytes(data.value)
        if len(payload) > _PAYLOAD_BYTES or not self.powered:
            raise Refusal("org.bluez.Error.Failed")
        interval_ms = properties.get("MinInterval", _LINUX_INTERVAL_MS) if self.modern else _LINUX_INTERVAL_MS
        self._count += 1
        # The two greatest bits of a non-resolvable private address are 0 (Vol 6 Part B 1.3.2.2).
        address = PUBLIC if connectable else f"2a:00:00:00:{self._count >> 8:02x}:{self._count & 255:02x}"
        self.said.append((address, payload))
        instance.adapter = await Adapter.hold(self.air, address)
        kind = ADV_IND if connectable else ADV_NONCONN_IND
        if self.others and not self.offload:
            # The controller has one advertisement at a time; ours waits for its turn of two seconds.
            await asyncio.sleep(0)
            self._spawn(self._in_turn(instance, payload, kind, interval_ms))
        else:
            instance.adapter.advertise(payload, kind, interval_ms * 1000)

    async def _in_turn(self, instance: _Instance, payload: bytes, kind: int, interval_ms: int) -> None:
        await asyncio.sleep(2.0 * self.others)
        if instance.adapter is not None:
            instance.adapter.advertise(payload, kind, interval_ms * 1000)

    async def _drop(self, instance: _Instance) -> None:
        with contextlib.suppress(ValueError):
            self.registered.remove(instance)
        adapter, instance.adapter = instance.adapter, None
        if adapter is not None:
            with contextlib.suppress(Exception):
                adapter.stop_advertising()
            await adapter.release()


_DBUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")


class Refusal(Exception):
    """An error to answer with: its D-Bus name."""
