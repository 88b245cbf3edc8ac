"""bleak on the air, as a gateway uses it: against MicroPython VMs, through a real socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from air_rig import Vm, address
from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakBluetoothNotAvailableError, BleakError, BleakGATTProtocolError

from hedgerow_boards.air import Air
from hedgerow_boards.air.adapter import Adapter
from hedgerow_boards.air.advertisement import Merged
from hedgerow_boards.air.backend import backends

ECHO = "6e400002-b5a3-f393-e0a9-e50e24dcca9e"
TELL = "6e400003-b5a3-f393-e0a9-e50e24dcca9e"

Heard = asyncio.Queue[tuple[BLEDevice, AdvertisementData]]

BOARD = """
import bluetooth, time
from bluetooth import UUID
ble = bluetooth.BLE()
ble.active(True)
((echo, tell),) = ble.gatts_register_services((
    (UUID("6e400001-b5a3-f393-e0a9-e50e24dcca9e"), (
        (UUID("6e400002-b5a3-f393-e0a9-e50e24dcca9e"), 0x0E),
        (UUID("6e400003-b5a3-f393-e0a9-e50e24dcca9e"), 0x12),
    )),
))
ble.gatts_set_buffer(echo, 512)
said = 0
def say():
    global said
    said += 1
    payload = b"\\x02\\x01\\x06\\x04\\xff\\x34\\x12" + bytes([said])
    ble.gap_advertise(50000, payload, resp_data=b"\\x05\\x09node")
def irq(event, data):
    if event == 2:
        say()
    elif event == 3:
        value = ble.gatts_read(data[1])
        if value == b"leave":
            ble.gap_disconnect(data[0])
        else:
            ble.gatts_notify(data[0], tell, b"heard " + value)
    elif event == 4 and data[1] == echo and ble.gatts_read(echo) == b"secret":
        return 0x80
ble.irq(irq)
say()
print("ready")
while True:
    time.sleep_ms(20)
"""


@pytest.fixture
def air(tmp_path: Path) -> Iterator[Air]:
    with Air(str(tmp_path / "air"), seed=1) as air:
        yield air


@pytest.fixture
def board(air: Air, tmp_path: Path) -> Iterator[Vm]:
    vm = Vm(tmp_path, air.path, 1, BOARD)
    vm.wait_for("ready")
    yield vm
    vm.kill()


def run(body: Callable[[], Awaitable[None]]) -> None:
    """Run an asynchronous test body, and see that it has given the adapter back."""

    async def main() -> None:
        async with asyncio.timeout(30):
            await body()

    asyncio.run(main())
    assert not Adapter._shared


@contextlib.asynccontextmanager
async def scanning(path: str, mode: Literal["active", "passive"] = "active") -> AsyncIterator[Heard]:
    heard: Heard = asyncio.Queue()
    scanner_class, _ = backends(path)

    def put(device: BLEDevice, data: AdvertisementData) -> None:
        heard.put_nowait((device, data))

    async with BleakScanner(put, scanning_mode=mode, backend=scanner_class):
        yield heard


def client(path: str, **options: Any) -> BleakClient:
    _, client_class = backends(path)
    return BleakClient(address(1), backend=client_class, **options)


def test_a_scanner_reports_each_payload_once_and_merges_what_it_knows(air: Air, board: Vm) -> None:
    async def body() -> None:
        async with scanning(air.path) as heard:
            device, data = await heard.get()
            assert device.address == address(1).upper()
            assert data.manufacturer_data == {0x1234: b"\x01"}
            device, data = await heard.get()
            assert (device.name, data.local_name) == ("node", "node")
            assert data.manufacturer_data == {0x1234: b"\x01"}
            assert -70 < data.rssi < -20
            beacons = air.counters.beacons
            while air.counters.beacons < beacons + 8:
                await asyncio.sleep(0.02)
            assert heard.empty()
            assert air.counters.reports == 2

    run(body)


def test_a_passive_scanner_asks_for_no_scan_response(air: Air, board: Vm) -> None:
    async def body() -> None:
        async with scanning(air.path, "passive") as heard:
            assert (await heard.get())[1].local_name is None
            beacons = air.counters.beacons
            while air.counters.beacons < beacons + 4:
                await asyncio.sleep(0.02)
            assert heard.empty()

    run(body)


def test_a_service_filter_holds_back_what_does_not_match(air: Air, board: Vm) -> None:
    async def body() -> None:
        scanner_class, _ = backends(air.path)
        heard: list[BLEDevice] = []
        scanner = BleakScanner(lambda device, _: heard.append(device), [TELL], backend=scanner_class)
        async with scanner:
            while air.counters.reports < 2:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.05)
            assert scanner.discovered_devices
        assert not heard

    run(body)


def test_write_read_and_notify(air: Air, board: Vm) -> None:
    async def body() -> None:
        told: asyncio.Queue[bytes] = asyncio.Queue()
        ended: list[BleakClient] = []
        async with client(air.path, disconnected_callback=ended.append) as peer:
            assert peer.is_connected
            assert peer.mtu_size == 256
            echo = peer.services.get_characteristic(ECHO)
            assert echo
            assert sorted(echo.properties) == ["read", "write", "write-without-response"]
            assert echo.max_write_without_response_size == 253
            await peer.start_notify(TELL, lambda _, data: told.put_nowait(bytes(data)))
            await peer.write_gatt_char(ECHO, b"with", response=True)
            assert await told.get() == b"heard with"
            await peer.write_gatt_char(ECHO, b"without", response=False)
            assert await told.get() == b"heard without"
            assert await peer.read_gatt_char(ECHO) == b"without"
            long = bytes(range(256)) * 2
            await peer.write_gatt_char(ECHO, long, response=True)
            assert await peer.read_gatt_char(ECHO) == long
            await peer.stop_notify(TELL)
            with pytest.raises(BleakError):
                await peer.write_gatt_char(ECHO, bytes(254), response=False)
            with pytest.raises(BleakError):
                await peer.write_gatt_char(ECHO, bytes(513), response=True)
        assert ended == [peer]
        assert not peer.is_connected
        assert air.counters.disconnections == 1

    run(body)


def test_att_errors_are_bleaks_protocol_errors(air: Air, board: Vm) -> None:
    async def body() -> None:
        async with client(air.path) as peer:
            await peer.write_gatt_char(ECHO, b"secret", response=True)
            with pytest.raises(BleakGATTProtocolError) as caught:
                await peer.read_gatt_char(ECHO)
            assert int(caught.value.code) == 0x80
            with pytest.raises(BleakGATTProtocolError):
                await peer.write_gatt_char(TELL, b"x", response=True)

    run(body)


def test_the_board_may_hang_up(air: Air, board: Vm) -> None:
    async def body() -> None:
        ended = asyncio.Event()
        peer = client(air.path, disconnected_callback=lambda _: ended.set())
        await peer.connect()
        await peer.write_gatt_char(ECHO, b"leave", response=False)
        await ended.wait()
        with pytest.raises(BleakError):
            await peer.read_gatt_char(ECHO)
        await peer.disconnect()
        await peer.connect()
        await peer.write_gatt_char(ECHO, b"again", response=True)
        await peer.disconnect()

    run(body)


def test_a_killed_board_ends_the_link_and_what_waits_for_it(air: Air, board: Vm) -> None:
    async def body() -> None:
        ended = asyncio.Event()
        peer = client(air.path, disconnected_callback=lambda _: ended.set())
        await peer.connect()
        board.kill()
        with pytest.raises(BleakError):
            await peer.read_gatt_char(ECHO)
        await ended.wait()
        reasons = [frame["reason"] for frame in air.frames if frame["kind"] == "disconnect"]
        assert reasons == [0x08]
        await peer.disconnect()

    run(body)


def test_connecting_to_nobody_times_out_and_the_next_attempt_is_not_harmed(air: Air, board: Vm) -> None:
    async def body() -> None:
        _, client_class = backends(air.path)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await BleakClient(address(7), timeout=0.1, backend=client_class).connect()
            task = asyncio.create_task(BleakClient(address(7), backend=client_class).connect())
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with client(air.path) as peer:
                await peer.write_gatt_char(ECHO, b"here", response=True)

    run(body)


def test_a_read_given_up_does_not_confuse_the_next(air: Air, board: Vm) -> None:
    async def body() -> None:
        async with client(air.path) as peer:
            await peer.write_gatt_char(ECHO, b"value", response=True)
            for _ in range(5):
                task = asyncio.create_task(peer.read_gatt_char(ECHO))
                await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await peer.read_gatt_char(3) == b"MPY ESP32"

    run(body)


def test_scanning_goes_on_beside_a_link_and_after_it(air: Air, board: Vm) -> None:
    async def body() -> None:
        async with scanning(air.path) as heard:
            await heard.get()
            async with client(air.path) as peer:
                await peer.write_gatt_char(ECHO, b"hello", response=True)
            payloads: set[bytes] = set()
            while payloads != {b"\x01", b"\x02"}:
                payloads.add((await heard.get())[1].manufacturer_data[0x1234])

    run(body)


def test_without_an_air_there_is_no_adapter(tmp_path: Path) -> None:
    async def body() -> None:
        scanner_class, client_class = backends(str(tmp_path / "none"))
        with pytest.raises(BleakBluetoothNotAvailableError):
            await BleakScanner(backend=scanner_class).start()
        with pytest.raises(BleakBluetoothNotAvailableError):
            await BleakClient(address(1), backend=client_class).connect()

    run(body)


def test_a_scanner_outlives_a_restart_of_the_air_and_links_do_not(tmp_path: Path) -> None:
    path = str(tmp_path / "air")

    async def body() -> None:
        async with contextlib.AsyncExitStack() as stack:
            first = stack.enter_context(Air(path, seed=1))
            stack.enter_context(Vm(tmp_path, path, 1, BOARD))
            heard = await stack.enter_async_context(scanning(path))
            await heard.get()
            ended = asyncio.Event()
            peer = client(path, disconnected_callback=lambda _: ended.set())
            await peer.connect()
            await asyncio.to_thread(first.stop)
            await ended.wait()
            with pytest.raises(BleakError):
                await peer.write_gatt_char(ECHO, b"x", response=True)
            stack.enter_context(Air(path, seed=1))
            stack.enter_context(Vm(tmp_path, path, 2, BOARD))
            while (await heard.get())[0].address != address(2).upper():
                pass

    run(body)


def test_a_client_connects_again_after_a_restart_of_the_air(tmp_path: Path) -> None:
    path = str(tmp_path / "air")

    async def body() -> None:
        peer = client(path)
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            with Air(path, seed=1), Vm(folder, path, 1, BOARD):
                await peer.connect()
                await peer.write_gatt_char(ECHO, b"y", response=True)
            with pytest.raises(BleakError):
                await peer.write_gatt_char(ECHO, b"z", response=True)

    run(body)


def test_advertising_data_is_parsed_and_merged() -> None:
    merged = Merged()
    merged.add(bytes.fromhex("020106 03030d18 05ff34120102 020af4 05166e2aff00".replace(" ", "")))
    merged.add(bytes.fromhex("05ff78560304 0409414243".replace(" ", "")) + b"\x09\xff\x01")
    data = merged.advertisement(-60)
    assert data.manufacturer_data == {0x1234: b"\x01\x02", 0x5678: b"\x03\x04"}
    assert data.service_uuids == ["0000180d-0000-1000-8000-00805f9b34fb"]
    assert data.service_data == {"00002a6e-0000-1000-8000-00805f9b34fb": b"\xff\x00"}
    assert (data.local_name, data.tx_power, data.rssi) == ("ABC", -12, -60)
