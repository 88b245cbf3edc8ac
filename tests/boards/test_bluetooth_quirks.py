"""What surprises people about `bluetooth` on an ESP32, between emulated boards: one test for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from air_rig import VM_PRELUDE, Vm, address, wait_until
from ble_rig import CENTRAL, PERIPHERAL, VALUE

from hedgerow_boards.air import Air
from hedgerow_boards.air.codec import address_bytes
from hedgerow_boards.air.commands import UpdateConnection

Spawn = Callable[[int, str], Vm]


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


# ---- advertising and scanning


def test_data_left_out_is_what_was_said_before_and_an_empty_bytearray_too(air: Air, spawn: Spawn) -> None:
    vm = spawn(
        1,
        VM_PRELUDE
        + """
for data, response in ((b"one", b"more"), (None, None), (bytearray(), None), (b"", None), (b"two", b"")):
    ble.gap_advertise(20000, data, resp_data=response)
    time.sleep_ms(120)
ble.gap_advertise(20000, connectable=False)
time.sleep_ms(120)
print("said")
""",
    )
    vm.wait_for("said")
    said = [bytes.fromhex(frame["data"]) for frame in air.frames if frame["kind"] == "adv"]
    assert [data for at, data in enumerate(said) if not at or said[at - 1] != data] == [b"one", b"", b"two"]
    assert said.count(b"one") >= 9  # three times 120 ms


def test_what_nobody_may_connect_to_is_scannable_even_with_nothing_to_say(air: Air, spawn: Spawn) -> None:
    spawn(1, VM_PRELUDE + 'ble.gap_advertise(100000, b"beacon", connectable=False)\nforever()')
    scanner = spawn(
        2,
        VM_PRELUDE
        + """
kinds = set()
def heard(event, data):
    if event == 5:
        kinds.add((data[2], bytes(data[4])))
ble.irq(heard)
ble.gap_scan(0, 30000, 30000, True)
while len(kinds) < 2:
    time.sleep_ms(2)
print("kinds", sorted(kinds))
""",
    )
    assert scanner.wait_for("kinds") == "kinds [(2, b'beacon'), (4, b'')]"


def test_nothing_is_heard_after_the_end_of_a_scan(spawn: Spawn) -> None:
    spawn(1, VM_PRELUDE + 'ble.gap_advertise(20000, b"noise")\nforever()')
    scanner = spawn(
        2,
        VM_PRELUDE
        + """
order = []
def note(event, data):
    order.append(event)
    if event == 5 and order.count(5) == 5:
        time.sleep_ms(150)  # more are waiting by then
        ble.gap_scan(None)
        order.append("stopped")
ble.irq(note)
ble.gap_scan(0, 20000, 20000)
while "stopped" not in order:
    time.sleep_ms(1)
time.sleep_ms(200)
print("order", order)
""",
    )
    # The handler is called within itself.
    assert scanner.wait_for("order") == f"order {[5, 5, 5, 5, 5, 6, 'stopped']}"


def test_advertising_does_not_come_back_by_itself(air: Air, spawn: Spawn) -> None:
    server = spawn(1, PERIPHERAL + "advertise()\nwait(2)\ntime.sleep_ms(300)\nprint('alone')\nforever()")
    spawn(2, CENTRAL + "ble.gap_disconnect(conn)\nwait(8)\nprint('left')")
    server.wait_for("alone")
    beacons = air.counters.beacons
    probe = spawn(3, VM_PRELUDE + "ble.gap_scan(300, 30000, 30000)\nwait(6)\nprint('heard', 5 in seen)")
    probe.wait_for("heard False")
    assert air.counters.beacons == beacons


def test_addresses_by_mode(air: Air, spawn: Spawn) -> None:
    board = spawn(
        1,
        VM_PRELUDE
        + """
for mode in (0, 1, 3, 2):
    ble.config(addr_mode=mode)
    kind = code(ble.config, "mac")
    print("mode", mode, kind if mode == 2 else (kind[0], kind[1][0] >> 6 if mode else kind[1]))
    ble.gap_advertise(20000, b"mode%d" % mode)
    time.sleep_ms(700)
ble.config(addr_mode=9)
ble.active(True)
print("again", ble.config("mac"))
ble.config(addr_mode=1)
print("mine", ble.config("mac")[1].hex())
ble.gap_advertise(20000, b"find me")
wait(1)
forever()
""",
    )
    scanner = spawn(
        2,
        VM_PRELUDE
        + """
heard = {}
def note(event, data):
    if event == 5:
        # Each is said first under its own mode: the next mode is there before its words are.
        heard.setdefault(bytes(data[4]), (data[0], bytes(data[1])))
    else:
        irq(event, data)
ble.irq(note)
ble.gap_scan(0, 30000, 30000)
while b"find me" not in heard:
    time.sleep_ms(1)
for name in ("mode0", "mode1", "mode3", "mode2"):
    kind, who = heard[name.encode()]
    print("heard", name, kind, who if not kind else who[0] >> 6)
ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01", 300)
print("by its old name", wait(8)[:2])
ble.gap_connect(*heard[b"find me"])
print("found", wait(7)[2].hex())
""",
    )
    board.wait_for("mode 0 " + repr((0, address_bytes(address(1)))))
    board.wait_for("mode 1 (1, 3)")
    board.wait_for("mode 3 (1, 0)")
    board.wait_for("mode 2 EINVAL")
    board.wait_for("again " + repr((0, address_bytes(address(1)))))
    scanner.wait_for("heard mode0 0 " + repr(address_bytes(address(1))))
    scanner.wait_for("heard mode1 1 3")
    scanner.wait_for("heard mode3 1 0")
    scanner.wait_for("heard mode2 1 1")
    scanner.wait_for("by its old name (65535, 255)")
    assert scanner.wait_for("found").split()[1] == board.wait_for("mine").split()[1]
    # In the frame log, and to distances, it is the same board all the time.
    assert {frame["from"] for frame in air.frames if frame["kind"] == "adv"} == {address(1)}


# ---- connections


def test_four_connections_and_no_more(air: Air, spawn: Spawn) -> None:
    peers = [spawn(number, PERIPHERAL + "advertise()\nforever()") for number in (1, 3, 4, 5)]
    hub = spawn(
        2,
        VM_PRELUDE
        + """
for last in (1, 3, 4, 5):
    ble.gap_connect(0, bytes((0xC0, 0, 0, 0, 0, last)), 8000)
    wait(7)
    if last == 1:
        print("twice", code(ble.gap_connect, 0, bytes((0xC0, 0, 0, 0, 0, 1))))
print("fifth", code(ble.gap_connect, 0, bytes((0xC0, 0, 0, 0, 0, 6))))
beacon = code(ble.gap_advertise, 100000, b"x", connectable=False)
print("advertise", code(ble.gap_advertise, 100000, b"x"), beacon)
ble.gap_advertise(None)
print("register", code(ble.gatts_register_services, ()))
ble.gap_disconnect(2)
wait(8)
print("free", code(ble.gap_advertise, 100000, b"x"))
""",
    )
    hub.wait_for("twice EIO")
    hub.wait_for("fifth ENOMEM")
    hub.wait_for("advertise ENOMEM None")
    hub.wait_for("register 16")
    hub.wait_for("free None")
    assert len(peers) == air.counters.connections == 4


def test_ends_of_procedures_come_before_the_end_of_their_link(air: Air, spawn: Spawn) -> None:
    server = spawn(1, PERIPHERAL + "advertise()\nforever()")
    central = spawn(
        2,
        CENTRAL
        + f"""
print("connected")
while not code(lambda: ble.gattc_read(conn, {VALUE})) == "ENOMEM":
    time.sleep_ms(1)
ble.gattc_write(conn, {VALUE}, b"x", 0)
wait(8)
print("after", conn)
""",
    )
    central.wait_for("connected")
    air.block(address(1), address(2))
    central.wait_for("after")
    events = [line for line in central.lines if line.startswith("irq")]
    # Four at once; of those that the link took along nobody knows the handle.
    assert events[-5:-1] == ["irq 16 (0, 0, 7)"] * 4
    assert events[-1].startswith("irq 8 (0, ")
    server.wait_for("irq 2 (0, ")


def test_disconnecting_once(spawn: Spawn) -> None:
    server = spawn(1, PERIPHERAL + "advertise()\nforever()")
    central = spawn(
        2,
        CENTRAL
        + """
print("ends", code(ble.gap_disconnect, conn), code(ble.gap_disconnect, conn), code(ble.gap_disconnect, 7))
wait(8)
print("ended", code(ble.gap_disconnect, conn))
""",
    )
    central.wait_for("ends True EALREADY False")
    central.wait_for("ended False")
    server.wait_for("irq 2 (0, 0, ")


def test_switching_off_ends_the_links_and_says_so_on_both_sides(spawn: Spawn) -> None:
    server = spawn(1, PERIPHERAL + "advertise()\nforever()")
    central = spawn(2, CENTRAL + "print('off', ble.active(False), len(seen.get(8, ())))\nforever()")
    central.wait_for("irq 8 (0, 0, ")
    central.wait_for("off False 1")
    server.wait_for("irq 2 (0, 0, ")


def test_other_connection_parameters_are_told_to_both(air: Air, spawn: Spawn) -> None:
    server = spawn(1, PERIPHERAL + "advertise()\nforever()")
    central = spawn(2, CENTRAL + "wait(27)\nprint('updated')\nforever()")
    central.wait_for("irq 7")
    server.wait_for("irq 1 ")
    host = air.model.hosts[address(2)]
    air._in_thread(lambda: host.handle(UpdateConnection(0, 100_000, 2, 4000)))
    central.wait_for("updated")
    for board in (server, central):
        board.wait_for("irq 27 (0, 80, 2, 400, 0)")


def test_the_mtu_is_exchanged_once_a_connection_by_whoever_begins(spawn: Spawn) -> None:
    server = spawn(
        1,
        PERIPHERAL
        + """
ble.config(mtu=100)
advertise()
conn = wait(1)[0]
wait(21)
print("again", code(ble.gattc_exchange_mtu, conn))
forever()
""",
    )
    central = spawn(
        2,
        CENTRAL
        + """
print("first", code(ble.gattc_exchange_mtu, conn), code(ble.gattc_exchange_mtu, conn))
wait(21)
print("then", code(ble.gattc_exchange_mtu, conn))
""",
    )
    central.wait_for("first None EALREADY")
    central.wait_for("irq 21 (0, 100)")
    central.wait_for("then EALREADY")
    server.wait_for("irq 21 (0, 100)")
    server.wait_for("again EALREADY")


# ---- faults


@pytest.mark.parametrize("until", ["scan", "active", "reset"])
def test_a_radio_made_deaf_hears_again_after_what_it_takes(air: Air, spawn: Spawn, until: str) -> None:
    spawn(1, VM_PRELUDE + 'ble.gap_advertise(20000, b"noise")\nforever()')
    program = (
        VM_PRELUDE
        + """
def hears(words):
    seen.pop(5, None)
    time.sleep_ms(250)
    print(words, 5 in seen)
ble.gap_scan(0, 30000, 30000)
hears("before")
while 5 in seen:
    seen.pop(5)
    time.sleep_ms(100)
hears("deaf")
ble.gap_scan(None)
ble.gap_scan(0, 30000, 30000)
hears("scan")
ble.active(False)
ble.active(True)
ble.gap_scan(0, 30000, 30000)
hears("active")
"""
    )
    board = spawn(2, program)
    board.wait_for("before True")
    air.deafen(address(2), until)
    for stage, heard in (("deaf", False), ("scan", until == "scan"), ("active", until != "reset")):
        board.wait_for(f"{stage} {heard}")
    board.kill()
    (Path(air.path).parent / "vm2").rename(Path(air.path).parent / "before")
    spawn(2, program).wait_for("before True")
    wait_until(lambda: not air.model.faults.is_deaf(address(2)))
