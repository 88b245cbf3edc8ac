"""The emulated `bluetooth` in real MicroPython VMs on a real air: its API, and the traps of an ESP32's."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from air_rig import VM_PRELUDE, Vm, address, wait_until

from hedgerow_boards.air import Air

Spawn = Callable[[int, str], Vm]

SERVER = (
    VM_PRELUDE
    + """
RW = bluetooth.FLAG_READ | bluetooth.FLAG_WRITE | bluetooth.FLAG_WRITE_NO_RESPONSE
NOTIFY = bluetooth.FLAG_READ | bluetooth.FLAG_NOTIFY | bluetooth.FLAG_INDICATE
((plain_h, big_h, tell_h, note_h),) = ble.gatts_register_services((
    (UUID(0x180D), (
        (UUID(0xAA01), RW),
        (UUID("6e400002-b5a3-f393-e0a9-e50e24dcca9e"), RW),
        (UUID(0xAA03), NOTIFY, ((UUID(0x2901), bluetooth.FLAG_READ),)),
    )),
))
ble.gatts_set_buffer(big_h, 600, True)
ble.gatts_write(note_h, "what it tells")
ble.gatts_write(tell_h, b"told")
"""
)
ADVERTISE = (
    'ble.gap_advertise(50000, b"\\x02\\x01\\x06\\x05\\xff\\x34\\x12hi", resp_data=b"\\x05\\x09node")\n'
)

CENTRAL = (
    VM_PRELUDE
    + """
ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01")
conn, _, peer = wait(7)
"""
)


@pytest.fixture
def air(tmp_path: Path) -> Iterator[Air]:
    with Air(str(tmp_path / "air"), seed=1) as air:
        yield air


@pytest.fixture
def spawn(air: Air, tmp_path: Path) -> Iterator[Spawn]:
    made: list[Vm] = []

    def start(number: int, program: str) -> Vm:
        made.append(Vm(tmp_path, air.path, number, program))
        return made[-1]

    yield start
    for vm in made:
        vm.kill()


def test_two_vms_scan_connect_discover_read_write_and_notify(air: Air, spawn: Spawn) -> None:
    server = spawn(1, SERVER + ADVERTISE + "forever()")
    server_says = "irq 1 (0, 0, b'\\xc0\\x00\\x00\\x00\\x00\\x02')"
    central = spawn(
        2,
        VM_PRELUDE
        + """
ble.gap_scan(0, 30000, 30000, True)
heard = wait(5)
print("heard", heard[:3], heard[3] < 0, heard[4])
ble.gap_connect(0, heard[1])
conn = wait(7)[0]
ble.gattc_exchange_mtu(conn); wait(21)
ble.gattc_discover_services(conn, UUID(0x180D)); start, end = wait(9)[1:3]; wait(10)
ble.gattc_discover_characteristics(conn, start, end); wait(12)
handles = {str(row[4]): row[2] for row in seen[11]}
tell = handles["UUID(0xaa03)"]
ble.gattc_discover_descriptors(conn, tell, end); wait(14)
ble.gattc_read(conn, tell); print("read", wait(15)[2], wait(16))
ble.gattc_write(conn, handles["UUID(0xaa01)"], b"exactly this", 1); wait(17)
ble.gattc_read(conn, handles["UUID(0xaa01)"]); print("read", wait(15)[2], wait(16))
ble.gattc_write(conn, tell + 1, b"\\1\\0", 1); print("subscribed", wait(17))
print("refused", ble.gattc_write(conn, tell, b"no", 1), wait(17)[2])
print("left", ble.gap_disconnect(conn), wait(8), ble.gap_disconnect(conn))
""",
    )
    heard = central.wait_for("heard")
    assert heard.startswith("heard (0, b'\\xc0\\x00\\x00\\x00\\x00\\x01', ")
    assert "True" in heard
    central.wait_for("irq 6 ()")
    central.wait_for("irq 21 (0, 256)")
    central.wait_for("irq 13 (0, 18, UUID(0x2901))")
    central.wait_for("read b'told' (0, 16, 0)")
    central.wait_for("read b'exactly this'")
    central.wait_for("subscribed (0, ")
    central.wait_for(f"refused None {0x103}")
    assert central.wait_for("left True").endswith(" False")
    server.wait_for(server_says)
    server.wait_for("irq 4 (0, ")
    server.wait_for("irq 2 (0, 0, b'\\xc0\\x00\\x00\\x00\\x00\\x02')")
    assert (air.counters.connections, air.counters.disconnections) == (1, 1)


def test_remote_writes_are_cut_to_the_buffer_and_append_buffers_keep_them_all(spawn: Spawn) -> None:
    server = spawn(
        1,
        SERVER
        + ADVERTISE
        + """
wait(3); wait(3); wait(3)
print("plain", ble.gatts_read(plain_h), ble.gatts_read(plain_h) == ble.gatts_read(plain_h))
print("big", ble.gatts_read(big_h), ble.gatts_read(big_h))
forever()
""",
    )
    spawn(
        2,
        CENTRAL
        + """
ble.gattc_exchange_mtu(conn); wait(21)
ble.gattc_write(conn, 12, b"0123456789abcdefghijklmnop", 1); wait(17)
ble.gattc_write(conn, 14, b"one,", 0)
ble.gattc_write(conn, 14, b"two", 0)
forever()
""",
    )
    assert server.wait_for("plain") == "plain b'0123456789abcdefghij' True"
    assert server.wait_for("big") == "big b'one,two' b''"


def test_memoryviews_die_with_the_handler(spawn: Spawn) -> None:
    spawn(1, SERVER + ADVERTISE + "forever()")
    central = spawn(
        2,
        VM_PRELUDE
        + """
kept = []
def keep(event, data):
    if event == 5 and not kept:
        kept.append((data[1], data[4], bytes(data[1]), bytes(data[4])))
ble.irq(keep)
ble.gap_scan(0, 30000, 30000)
while not kept:
    time.sleep_ms(1)
time.sleep_ms(50)
view, payload, address, data = kept[0]
print("inside", address, data[:3], "after", bytes(view) == address, bytes(payload) == data)
""",
    )
    inside = central.wait_for("inside")
    assert inside == r"inside b'\xc0\x00\x00\x00\x00\x01' b'\x02\x01\x06' after False False"


def test_a_handler_that_raises_makes_the_board_deaf(air: Air, spawn: Spawn) -> None:
    spawn(1, SERVER + ADVERTISE + "forever()")
    central = spawn(
        2,
        VM_PRELUDE
        + """
calls = [0]
def broken(event, data):
    calls[0] += 1
    raise KeyError("mine")
ble.irq(broken)
ble.gap_scan(0, 30000, 30000)
while not calls[0]:
    time.sleep_ms(1)
time.sleep_ms(400)
print("calls", calls[0])
ble.irq(irq)
wait(5)
print("hears again")
""",
    )
    central.wait_for("Unhandled exception in IRQ callback handler")
    central.wait_for("KeyError: mine")
    central.wait_for("calls 1")
    central.wait_for("hears again")
    assert air.counters.reports > 2


def test_notify_floods_end_in_enomem_and_lose_nothing(spawn: Spawn) -> None:
    spawn(
        1,
        SERVER
        + ADVERTISE
        + """
conn = wait(1)[0]
wait(3)
sent = refused = 0
while sent < 100:
    try:
        ble.gatts_notify(conn, tell_h, b"%03d" % sent)
        sent += 1
    except OSError as error:
        assert error.errno == errno.ENOMEM
        refused += 1
        time.sleep_ms(5)
print("refused", refused)
print("gone", code(ble.gatts_notify, 3, tell_h, b"x"))
forever()
""",
    )
    central = spawn(
        2,
        VM_PRELUDE
        + """
got = []
def collect(event, data):
    if event == 18:
        got.append(int(bytes(data[2])))
    else:
        irq(event, data)
ble.irq(collect)
ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01")
conn = wait(7)[0]
ble.gattc_write(conn, 12, b"go", 0)
while len(got) < 100:
    time.sleep_ms(5)
print("in order", got == list(range(100)))
print("flood", [code(ble.gattc_write, conn, 12, b"x", 0) for _ in range(20)].count("ENOMEM") >= 3)
""",
    )
    central.wait_for("in order True")
    central.wait_for("flood True")


def test_advertising_stops_when_somebody_connects(air: Air, spawn: Spawn) -> None:
    spawn(1, SERVER + ADVERTISE + "forever()")
    spawn(2, CENTRAL + "forever()").wait_for("irq 7")
    beacons = air.counters.beacons
    frames = len(air.frames)
    spawn(3, VM_PRELUDE + "ble.gap_scan(300, 30000, 30000)\nwait(6)\nprint('heard', seen)").wait_for(
        "heard {"
    )
    assert air.counters.beacons == beacons
    assert not [frame for frame in air.frames[frames:] if frame["kind"] == "report"]


def test_calls_are_refused_as_on_an_esp32(spawn: Spawn) -> None:
    vm = spawn(
        9,
        """
import bluetooth
idle = bluetooth.BLE()
try:
    idle.gap_scan(1)
except OSError as error:
    print("inactive", error.errno)
"""
        + SERVER
        + """
print("rxbuf", code(ble.config, rxbuf=1000), code(ble.config, "rxbuf"))
print("mac", ble.config("mac"), ble.config("mtu"), ble.config("gap_name"))
print("mtu", *[code(ble.config, mtu=mtu) for mtu in (22, 528, 300)], ble.config("mtu"))
print("irq", code(ble.irq, 5))
print("adv", code(ble.gap_advertise, 500000, bytes(32)), code(ble.gap_advertise, 10000, b""))
ble.gap_scan(0)
print("scan", code(ble.gap_scan, 0), code(ble.gap_scan, None), code(ble.gap_scan, 0), wait(6))
print("again", code(ble.gap_scan, 0), code(ble.gap_scan, None), wait(6), code(ble.gap_scan, None))
ble.gap_advertise(500000, b"x")
print("register", code(ble.gatts_register_services, ()))
ble.gap_advertise(None)
print("many", code(ble.gatts_register_services, [(UUID(1), ())] * 9))
print("value", code(ble.gatts_read, 99), code(ble.gatts_write, 99, b""))
print("conn", code(ble.gattc_read, 0, 1), code(ble.gattc_discover_services, 0), code(ble.gatts_notify, 0, 1))
print("absent", hasattr(ble, "l2cap_listen"), hasattr(ble, "gap_pair"), hasattr(ble, "hci_cmd"))
ble.gap_connect(0, bytes(6), 100)
print("connect", code(ble.gap_connect, 0, bytes(6)), code(ble.gap_scan, 0), wait(8))
print("same", bluetooth.BLE() is ble, ble.active(), ble.active(False), ble.active(True))
""",
    )
    vm.wait_for("inactive 19")
    vm.wait_for("rxbuf unknown config param unknown config param")
    vm.wait_for(r"mac (0, b'\xc0\x00\x00\x00\x00\t') 256 b'MPY ESP32'")
    vm.wait_for("mtu EINVAL EINVAL None 300")
    vm.wait_for("irq invalid callback")
    vm.wait_for("adv -18 -530")
    vm.wait_for("scan EALREADY None None ()")
    vm.wait_for("again EALREADY None () None")
    vm.wait_for("register 16")
    vm.wait_for("many 7")
    vm.wait_for("value EINVAL EINVAL")
    vm.wait_for("conn ENOTCONN ENOTCONN ENOTCONN")
    vm.wait_for("absent False True False")
    vm.wait_for(r"connect EALREADY 16 (65535, 255, b'\x00\x00\x00\x00\x00\x00')")
    vm.wait_for("same True True False True")


def test_uuids(spawn: Spawn) -> None:
    vm = spawn(
        1,
        """
from bluetooth import UUID
long = UUID("6E400001-b5a3-f393-e0a9-e50e24dcca9e")
print(repr(UUID(0x180d)), repr(long), bytes(UUID(0x180d)), bytes(long)[:2])
print(UUID(0x180d) == UUID(b"\\x0d\\x18"), UUID(0x180d) == long, {UUID(5): "found"}[UUID(5)])
print(UUID("180d"), UUID(-1), UUID(long) == long, UUID(1) < UUID(2) < long, UUID(1) == b"\\1\\0")
for bad in (70000, b"123", "6e400001-b5a3-f393-e0a9-e50e24dcca9g", "1" * 33, None, 1.0):
    try:
        UUID(bad)
    except (ValueError, TypeError) as error:
        print("bad", error)
for call in (len, list, lambda uuid: uuid[0], lambda uuid: uuid < 3):
    try:
        print("not refused", call(long))
    except TypeError:
        pass
print("end")
""",
    )
    vm.wait_for("end")
    assert vm.lines[0] == (r"UUID(0x180d) UUID('6e400001-b5a3-f393-e0a9-e50e24dcca9e') b'\r\x18' b'\x9e\xca'")
    assert vm.lines[1] == "True False found"
    assert vm.lines[2] == "UUID(0x64303831) UUID(0xffff) True True False"
    no_buffer = "bad object with buffer protocol required"
    assert vm.lines[3:] == [
        "bad invalid UUID",
        "bad UUID too short",
        "bad invalid char in UUID",
        "bad UUID too long",
        no_buffer,
        no_buffer,
        "end",
    ]


def test_a_killed_vm_is_gone_from_the_air(air: Air, spawn: Spawn) -> None:
    server = spawn(1, SERVER + ADVERTISE + "forever()")
    central = spawn(
        2, CENTRAL + "ble.gattc_exchange_mtu(conn)\nwait(21)\nprint('up')\nwait(8)\nprint('lost')"
    )
    central.wait_for("up")
    server.kill()
    central.wait_for("lost")
    assert [frame["reason"] for frame in air.frames if frame["kind"] == "disconnect"] == [0x08]
    beacons = air.counters.beacons
    again = spawn(3, VM_PRELUDE + "ble.gap_scan(200, 30000, 30000)\nwait(6)\nprint('done')")
    again.wait_for("done")
    assert air.counters.beacons == beacons


def test_a_busy_board_misses_reports_but_no_writes(air: Air, spawn: Spawn) -> None:
    spawn(3, VM_PRELUDE + 'ble.gap_advertise(20000, b"noise")\nforever()')
    server = spawn(
        1,
        SERVER
        + ADVERTISE
        + """
wait(1)
ble.gap_scan(0, 30000, 30000)
wait(3)
import micropython
got = []
def slow(event, data):
    if event == 3:
        got.append(int(ble.gatts_read(data[1])))
    time.sleep_ms(40)
ble.irq(slow)
while len(got) < 40:
    time.sleep_ms(10)
print("in order", got == list(range(40)))
forever()
""",
    )
    spawn(
        2,
        CENTRAL
        + """
ble.gattc_write(conn, 12, b"go", 1); wait(17)
n = 0
while n < 40:
    if code(ble.gattc_write, conn, 12, b"%d" % n, 0) == "ENOMEM":
        time.sleep_ms(5)
    else:
        n += 1
forever()
""",
    )
    server.wait_for("in order True")
    assert air.counters.reports_dropped > 0


RETURNING = (
    CENTRAL
    + """
print("up")
wait(8)
ble.gap_advertise(50000, b"into the void")
ble.active(False)
while True:
    try:
        ble.active(True)
        break
    except OSError as error:
        print("down", errno.errorcode[error.errno])
        time.sleep_ms(50)
ble.gap_advertise(50000, b"back")
forever()
"""
)


def test_a_board_whose_air_has_gone_loses_its_links_and_can_come_back(tmp_path: Path) -> None:
    path = str(tmp_path / "air")
    with contextlib.ExitStack() as stack:
        with Air(path, seed=1):
            stack.enter_context(Vm(tmp_path, path, 1, SERVER + ADVERTISE + "forever()"))
            central = stack.enter_context(Vm(tmp_path, path, 2, RETURNING))
            central.wait_for("up")
        central.wait_for("down ETIMEDOUT")
        with Air(path, seed=1) as air:
            wait_until(lambda: air.counters.beacons > 2)
            assert air.frames[0]["from"] == address(2)
            assert air.frames[0]["data"] == b"back".hex()


def test_collections_under_radio_traffic(air: Air, spawn: Spawn) -> None:
    spawn(1, SERVER + 'ble.gap_advertise(20000, b"noise")\nforever()')
    spawn(3, SERVER + 'ble.gap_advertise(20000, b"more noise")\nforever()')
    vm = spawn(
        2,
        VM_PRELUDE
        + """
import gc
count = [0]
def tally(event, data):
    count[0] += 1
    bytes(data[4])
ble.irq(tally)
ble.gap_scan(0, 30000, 30000)
while count[0] < 100:
    junk = [bytearray(100) for _ in range(100)]
    gc.collect()
print("tallied")
""",
    )
    vm.wait_for("tallied")
    assert air.counters.reports >= 100
