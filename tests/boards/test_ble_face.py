"""The firmware's face to Bluetooth on VMs: alone, beside aioble, and beside a stand-in for it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from air_rig import VM_PRELUDE, Vm, address, wait_until

import hedgerow
import hedgerow_device
from hedgerow.sync import gatt
from hedgerow_boards.air import Air
from hedgerow_boards.air.codec import address_bytes

HOME = Path(os.environ.get("HEDGEROW_MICROPYTHON") or Path.home() / ".micropython")
OURS = (Path(hedgerow.__file__).parent.parent, Path(hedgerow_device.__file__).parent.parent)
LIBRARIES = {"stand-in": Path(__file__).parent.parent / "system" / "standin", "aioble": HOME / "lib"}

Spawn = Callable[..., Vm]

FACE = """
import asyncio, bluetooth, sys, time
from bluetooth import UUID
from hedgerow_device import ble
seen = []
def irq(event, data):
    seen.append((event,) + tuple(bytes(x) if isinstance(x, memoryview) else x for x in data))
face = ble.open(irq)
face.start()
radio = face.ble
def until(done):
    for _ in range(3000):
        if done():
            return True
        time.sleep_ms(2)
    return False
def first(event):
    found = [row for row in seen if row[0] == event]
    return found[0] if found else None
"""
# An application's service; the firmware is there already.
APP = (
    FACE
    + """
import aioble
from aioble import core
theirs = []
core.register_irq_handler(lambda event, data: theirs.append(event), None)
service = aioble.Service(UUID(0x181A))
value = aioble.Characteristic(service, UUID(0x2A6E), read=True, notify=True)
box = aioble.BufferedCharacteristic(service, UUID(0xAA01), write=True, max_len=64)
before = face.generation
aioble.register_services(service)
print("registered", face.generation > before, value._value_handle, box._value_handle, face.rx, face.tx)
"""
)
CALL = (
    VM_PRELUDE
    + """
ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01", 5000)
conn = wait(7)[0]
"""
)
# What it finds, by UUID.
LOOK = (
    CALL
    + """
ble.gattc_discover_services(conn); wait(10)
print("services", [str(row[3]) for row in seen[9]][2:])
"""
)


@pytest.fixture
def air(tmp_path: Path) -> Iterator[Air]:
    with Air(str(tmp_path / "air"), seed=1) as air:
        yield air


@pytest.fixture
def spawn(air: Air, tmp_path: Path) -> Iterator[Spawn]:
    made: list[Vm] = []

    def start(number: int, program: str, *libraries: Path) -> Vm:
        made.append(Vm(tmp_path, air.path, number, program, heap="2m", paths=(*OURS, *libraries)))
        return made[-1]

    yield start
    for vm in made:
        vm.kill()
        assert not [line for line in vm.lines if "Traceback" in line], vm.lines


@pytest.fixture(params=sorted(LIBRARIES))
def library(request: pytest.FixtureRequest) -> Path:
    path = LIBRARIES[request.param]
    if not (path / "aioble").is_dir():
        pytest.skip(f"no aioble in {path} (README, Programs of others)")
    return path


THEIR_SERVICE = "UUID(0x181a)"
OUR_SERVICE = f"UUID('{gatt.SERVICE}')"


def test_alone(air: Air, spawn: Spawn) -> None:
    board = spawn(
        1,
        FACE
        + """
print("loaded", sorted(name for name in sys.modules if "aioble" in name or name.endswith("beside")))
print("state", face.rx, face.tx, face.generation, face.claims(0), radio.config("mtu"))
face.advertise(100000, b"ours", True)
until(lambda: first(1))
until(lambda: first(3))
print("written", radio.gatts_read(face.rx) == bytes(range(40)), radio.gatts_read(face.rx))
face.hush()
radio.active(False)
face.tend()
face.tend()
print("tended", radio.active(), face.generation)
face.restart()
print("restarted", radio.active(), face.generation)
face.advertise(100000, b"again", False)
time.sleep_ms(250)
ble.quiet()
ble.quiet()
print("quiet", radio.active())
time.sleep(20)
""",
    )
    board.wait_for("loaded []")
    board.wait_for("state 12 14 1 True 256")
    central = spawn(
        2,
        LOOK
        + """
ble.gattc_exchange_mtu(conn); wait(21)
ble.gattc_write(conn, 12, bytes(range(40)), 0)
forever()
""",
    )
    central.wait_for("services")
    board.wait_for("written True b''")
    board.wait_for("tended True 2")
    board.wait_for("restarted True 3")
    board.wait_for("quiet True")
    said = [frame["data"] for frame in air.frames if frame["kind"] == "adv"]
    assert said[-1] == b"again".hex()
    probe = spawn(3, VM_PRELUDE + "ble.gap_scan(300, 30000, 30000)\nwait(6)\nprint('heard', 5 in seen)")
    probe.wait_for("heard False")
    assert air.counters.beacons == len(said)


def test_what_is_said_has_no_response_left_over_from_another(spawn: Spawn) -> None:
    spawn(
        1,
        FACE
        + """
radio.gap_advertise(100000, b"theirs", resp_data=b"left over")
face.advertise(30000, b"ours", True)
time.sleep(20)
""",
    )
    scanner = spawn(
        2,
        VM_PRELUDE
        + """
heard = set()
def note(event, data):
    if event == 5:
        heard.add((data[2], bytes(data[4])))
ble.irq(note)
ble.gap_scan(0, 30000, 30000, True)
while not any(kind == 4 for kind, _ in heard):
    time.sleep_ms(5)
print("heard", sorted(heard))
""",
    )
    assert scanner.wait_for("heard") == "heard [(0, b'ours'), (4, b'')]"


def test_both_services_are_there_and_theirs_have_the_handles_they_would_have_alone(
    spawn: Spawn, library: Path
) -> None:
    board = spawn(
        1,
        APP
        + """
value.write(b"held")
face.advertise(30000, b"ours", True)
until(lambda: first(3))
print("box", box.read(), "given", theirs.count(1), "claims", face.claims(0))
face.restart()
print("after", value.read(), box.read(), face.rx)
""",
        library,
    )
    board.wait_for("registered True 12 15 18 20")
    central = spawn(
        2,
        LOOK
        + """
ble.gattc_read(conn, 12); wait(16)
print("value", seen[15][0][2])
ble.gattc_write(conn, 15, b"in the box, far beyond the ten and ten", 1); wait(17)
forever()
""",
        library,
    )
    assert central.wait_for("services") == f"services {[THEIR_SERVICE, OUR_SERVICE]}"
    central.wait_for("value b'held'")
    # Nobody awaited advertise(): aioble was not told, and did not fail.
    board.wait_for("box b'in the box, far beyo' given 0 claims False")
    board.wait_for("after b'held' b'in the box, far beyo' 18")


def test_an_application_that_advertises_is_told_who_connects(air: Air, spawn: Spawn, library: Path) -> None:
    board = spawn(
        1,
        APP
        + """
async def main():
    waiting = asyncio.create_task(aioble.advertise(30000, name="mine", services=[UUID(0x181A)]))
    await asyncio.sleep_ms(200)
    face.advertise(30000, b"ours", False)
    await asyncio.sleep_ms(300)
    face.hush()
    print("theirs again")
    connection = await waiting
    print("met", connection._conn_handle, theirs.count(1), face.claims(0))
    face.hush()
    await connection.disconnected()
    print("parted")
asyncio.run(main())
""",
        library,
    )
    board.wait_for("theirs again")
    said = [bytes.fromhex(frame["data"]) for frame in air.frames if frame["kind"] == "adv"]
    kinds = [data == b"ours" for data in said]
    assert kinds[0] is False
    assert True in kinds
    assert all(b"mine" in data for data in said if data != b"ours")
    central = spawn(2, LOOK + "ble.gap_disconnect(conn)\nforever()", library)
    central.wait_for("services")
    board.wait_for("met 0 1 False")
    board.wait_for("parted")
    last = [bytes.fromhex(frame["data"]) for frame in air.frames if frame["kind"] == "adv"][-1]
    assert b"mine" in last


def test_their_scan_takes_the_place_of_ours_without_an_end_that_they_have_not_asked_for(
    spawn: Spawn, library: Path
) -> None:
    board = spawn(
        1,
        APP
        + """
radio.gap_scan(0, 30000, 30000)
face.scan_theirs(300, 20000, 20000, False)
print("ours ended", [row[0] for row in seen].count(6), theirs.count(6))
until(lambda: theirs.count(6))
print("theirs ended", [row[0] for row in seen].count(6), theirs.count(6))
try:
    face.scan_theirs(100, 20000, 30000)
except OSError as error:
    print("refused", error.errno)
""",
        library,
    )
    board.wait_for("ours ended 1 0")
    board.wait_for("theirs ended 2 1")
    board.wait_for("refused 22")


def test_registering_in_the_midst_of_it_all(air: Air, spawn: Spawn, library: Path) -> None:
    board = spawn(
        1,
        FACE
        + """
import aioble
face.advertise(30000, b"ours", True)
until(lambda: first(1))
face.advertise(30000, b"ours", True)
radio.gap_scan(0, 30000, 30000)
service = aioble.Service(UUID(0x181A))
value = aioble.Characteristic(service, UUID(0x2A6E), read=True)
aioble.register_services(service)
print("registered", value._value_handle, face.generation, [row[0] for row in seen if row[0] in (2, 6)])
aioble.stop()
print("off", radio.active())
face.tend()
print("on", radio.active(), face.rx, face.generation)
ble.quiet()
print("as before", aioble.register_services is not None, type(aioble.register_services).__name__)
ours = [type(handler).__name__ == "bound_method" for handler in aioble.core._irq_handlers]
print("handlers", any(ours))
""",
        library,
    )
    spawn(2, CALL + "wait(8)\nprint('hung up')\nforever()", library).wait_for("hung up")
    board.wait_for("registered 12 2 [6, 2]")
    board.wait_for("off False")
    # The application's are gone, as it wanted.
    board.wait_for("on True 12 3")
    board.wait_for("as before True function")
    board.wait_for("handlers False")


def test_a_board_beside_the_bare_core_of_aioble_has_our_service_alone(
    air: Air, spawn: Spawn, tmp_path: Path
) -> None:
    core = tmp_path / "lib" / "aioble"
    core.mkdir(parents=True)
    (core / "__init__.py").write_text("")
    (core / "core.py").write_text((LIBRARIES["stand-in"] / "aioble" / "core.py").read_text())
    board = spawn(
        1,
        FACE
        + """
print("state", face.rx, face.tx, face.generation, "hedgerow_device.blebeside" in sys.modules)
face.advertise(30000, b"ours", True)
until(lambda: first(1))
print("met", first(1)[2:])
time.sleep(20)
""",
        core.parent,
    )
    board.wait_for("state 12 14 1 True")
    spawn(2, LOOK + "forever()").wait_for("services")
    board.wait_for(f"met {(0, address_bytes(address(2)))}")
    wait_until(lambda: air.counters.connections == 1)
