"""What surprises people about `bluetooth` on an ESP32, between emulated boards: one test for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from air_rig import VM_PRELUDE, Vm, address, wait_until

from hedgerow_boards.air import Air
from hedgerow_boards.air.codec import address_bytes
from hedgerow_boards.air.commands import UpdateConnection

Spawn = Callable[[int, str], Vm]

PERIPHERAL = (
    VM_PRELUDE
    + """
RW, NOTIFY = 0x0E, 0x32
((value_h, tell_h, note_h, no_reply_h, secret_h),) = ble.gatts_register_services((
    (UUID(0x180D), (
        (UUID(0xAA01), RW),
        (UUID(0xAA02), NOTIFY, ((UUID(0x2901), 0x0A),)),
        (UUID(0xAA03), 0x04),
        (UUID(0xAA04), 0x0202),
    )),
))
def advertise():
    ble.gap_advertise(30000, b"\\x02\\x01\\x06", resp_data=b"\\x05\\x09node")
"""
)
VALUE, TELL, SWITCH, NOTE, NO_REPLY, SECRET = 12, 14, 15, 16, 18, 20
CENTRAL = (
    VM_PRELUDE
    + """
ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01")
conn = wait(7)[0]
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
        heard[bytes(data[4])] = (data[0], bytes(data[1]))
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


# ---- the client


def test_discovery(spawn: Spawn) -> None:
    spawn(1, PERIPHERAL + "advertise()\nforever()")
    central = spawn(
        2,
        CENTRAL
        + f"""
ble.gattc_discover_services(conn)
wait(10)
print("services", [row[1:] for row in seen[9]])
ble.gattc_discover_characteristics(conn, 10, 20)
print("busy", code(ble.gattc_discover_characteristics, conn, 10, 20))
wait(12)
print("characteristics", [row[1:] for row in seen.pop(11)])
ble.gattc_discover_characteristics(conn, 10, 20, UUID(0xAA02))
wait(12)
print("one", [row[1:] for row in seen.pop(11)])
ble.gattc_discover_descriptors(conn, {TELL}, {NOTE})
wait(14)
print("descriptors", [row[1:] for row in seen.pop(13)])
print("none", code(ble.gattc_discover_descriptors, conn, 14, 14), code(ble.gattc_read, conn, 0))
print("ranges", code(ble.gattc_discover_characteristics, conn, 5, 4), code(ble.gattc_write, conn, 12, b"", 2))
ble.gattc_discover_services(conn, UUID(0x1234))
wait(10)
print("none", len(seen[9]))
""",
    )
    assert central.wait_for("services") == (
        "services [(1, 5, UUID(0x1800)), (6, 9, UUID(0x1801)), (10, 20, UUID(0x180d))]"
    )
    central.wait_for("busy 16")
    rows = [
        "(12, 12, 14, UUID(0xaa01))",
        "(16, 14, 50, UUID(0xaa02))",
        "(18, 18, 4, UUID(0xaa03))",
        "(20, 20, 2, UUID(0xaa04))",
    ]
    assert central.wait_for("characteristics") == f"characteristics [{', '.join(rows)}]"
    assert central.wait_for("one ") == f"one [{rows[1]}]"
    assert central.wait_for("descriptors") == "descriptors [(15, UUID(0x2902)), (16, UUID(0x2901))]"
    central.wait_for("none EINVAL EINVAL")
    central.wait_for("ranges EINVAL EINVAL")
    central.wait_for("none 3")


def test_what_an_event_holds_is_dead_after_the_handler(spawn: Spawn) -> None:
    spawn(1, PERIPHERAL + "advertise()\nforever()")
    central = spawn(
        2,
        CENTRAL
        + """
kept = []
def keep(event, data):
    if event == 9:
        kept.append((data[3], UUID(data[3])))
    irq(event, data)
ble.irq(keep)
ble.gattc_discover_services(conn, UUID(0x180D))
wait(10)
print("kept", kept[0], kept[0][0] == kept[0][1])
""",
    )
    assert central.wait_for("kept") == "kept (UUID(0x0000), UUID(0x180d)) False"


# ---- the server


def test_writes_overwrite_unless_they_are_appended(spawn: Spawn) -> None:
    server = spawn(
        1,
        PERIPHERAL
        + """
advertise()
wait(3); wait(3)
print("last", ble.gatts_read(value_h))
ble.gatts_set_buffer(value_h, 8, True)
ble.gatts_notify(0, tell_h, b"now appended")
wait(3); wait(3); wait(3)
print("all that fits", ble.gatts_read(value_h), ble.gatts_read(value_h))
forever()
""",
    )
    central = spawn(
        2,
        CENTRAL
        + f"""
for text in (b"first", b"second"):
    ble.gattc_write(conn, {VALUE}, text, 1); wait(17)
wait(18)
for text in (b"one", b"two", b"three"):
    ble.gattc_write(conn, {VALUE}, text, 1); wait(17)
print("written")
""",
    )
    server.wait_for("last b'second'")
    central.wait_for("written")
    server.wait_for("all that fits b'onetwoth' b''")


def test_a_read_request_is_asked_and_may_be_refused_or_answered_late(spawn: Spawn) -> None:
    server = spawn(
        1,
        PERIPHERAL
        + """
answers = [None, 0, 5, True, "what", 0x181]
def on(event, data):
    if event == 4:
        print("asked", data)
        ble.gatts_write(data[1], "answer %d" % len(answers))
        return answers.pop(0) if answers else 3
    irq(event, data)
ble.irq(on)
advertise()
wait(3)
print("own", code(ble.gatts_notify, 0, tell_h), code(ble.gatts_notify, 0, tell_h, b"x"))
forever()
""",
    )
    central = spawn(
        2,
        CENTRAL
        + f"""
for n in range(6):
    ble.gattc_read(conn, {VALUE})
    print("read", wait(16)[2], seen[15].pop(0)[2] if seen.get(15) else None)
ble.gattc_write(conn, {VALUE}, b"x", 1)
wait(18)
print("done")
""",
    )
    central.wait_for("done")
    assert [line for line in central.lines if line.startswith("read")] == [
        "read 0 b'answer 6'",
        "read 0 b'answer 5'",
        "read 261 None",
        "read 257 None",
        "read 0 b'answer 2'",
        f"read {0x181} None",
    ]
    server.wait_for("asked (0, 12)")
    # To send the value that is there the stack asks, too: for nobody's connection, and a refusal is final.
    server.wait_for("asked (65535, 14)")
    server.wait_for("own -9 None")


def test_indications_are_told_when_they_are_confirmed_to_a_peripheral_only(spawn: Spawn) -> None:
    server = spawn(
        1,
        PERIPHERAL
        + """
ble.gatts_write(tell_h, b"from the table")
advertise()
conn = wait(1)[0]
ble.gatts_indicate(conn, tell_h)
print("confirmed", wait(20))
ble.gatts_indicate(conn, tell_h, b"given")
print("confirmed", wait(20))
forever()
""",
    )
    central = spawn(
        2,
        PERIPHERAL
        + """
ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01")
conn = wait(7)[0]
wait(19); wait(19)
ble.gatts_indicate(conn, tell_h, b"upwards")
time.sleep_ms(500)
print("heard", seen.get(20))
forever()
""",
    )
    server.wait_for(f"confirmed (0, {TELL}, 0)")
    central.wait_for(f"irq 19 (0, {TELL}, b'from the table')")
    central.wait_for(f"irq 19 (0, {TELL}, b'given')")
    server.wait_for(f"irq 19 (0, {TELL}, b'upwards')")
    central.wait_for("heard None")


def test_subscribers_get_updates_and_a_new_connection_has_no_subscription(spawn: Spawn) -> None:
    server = spawn(
        1,
        PERIPHERAL
        + """
for turn in range(2):
    advertise()
    wait(1)
    for at in range(3):
        wait(3)
        ble.gatts_write(tell_h, b"%d%d" % (turn, at), True)
    wait(2)
forever()
""",
    )
    central = spawn(
        2,
        VM_PRELUDE
        + f"""
for turn in range(2):
    ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01", 5000)
    conn = wait(7)[0]
    ble.gattc_read(conn, {SWITCH}); wait(16)
    print("switch", seen[15].pop()[2])
    ble.gattc_write(conn, {VALUE}, b"", 1); wait(17); time.sleep_ms(200)
    if not turn:
        for bits in (b"\\1\\0", b"\\2\\0"):
            ble.gattc_write(conn, {SWITCH}, bits, 1); wait(17)
            ble.gattc_write(conn, {VALUE}, b"", 1); wait(17); time.sleep_ms(200)
    else:
        ble.gattc_write(conn, {VALUE}, b"", 1); wait(17)
        ble.gattc_write(conn, {VALUE}, b"", 1); wait(17)
        time.sleep_ms(200)
    ble.gap_disconnect(conn); wait(8)
print("told", seen.get(18), seen.get(19))
""",
    )
    told = f"told [(0, {TELL}, b'01')] [(0, {TELL}, b'02')]"
    assert central.wait_for("told", timeout=20) == told
    assert [line for line in central.lines if line.startswith("switch")] == [r"switch b'\x00\x00'"] * 2
    assert "Traceback" not in " ".join(server.lines)


def test_permissions_are_nimbles(spawn: Spawn) -> None:
    spawn(1, PERIPHERAL + 'ble.gatts_write(note_h, b"note")\nadvertise()\nforever()')
    central = spawn(
        2,
        CENTRAL
        + f"""
def read(handle):
    ble.gattc_read(conn, handle)
    return wait(16)[2]
def write(handle):
    ble.gattc_write(conn, handle, b"x", 1)
    return wait(17)[2]
print("read", read({NO_REPLY}), read({SECRET}), read({NOTE}), read(99))
print("write", write({TELL}), write({NO_REPLY}), write({NOTE}), write(11), write({SECRET}))
""",
    )
    # Without a response or with one is the same; a link that is not encrypted reads no secret.
    assert central.wait_for("read") == f"read {0x102} {0x105} 0 {0x101}"
    assert central.wait_for("write") == f"write {0x103} 0 0 {0x103} {0x103}"


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
