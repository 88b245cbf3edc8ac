"""What surprises people about GATT on an ESP32, between emulated boards: one test for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from air_rig import VM_PRELUDE, Vm
from ble_rig import CENTRAL, NO_REPLY, NOTE, PERIPHERAL, SECRET, SWITCH, TELL, VALUE

from hedgerow_boards.air import Air

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


def test_the_end_of_a_read_comes_in_one_breath_with_what_was_read(spawn: Spawn) -> None:
    spawn(1, PERIPHERAL + "advertise()\nforever()")
    central = spawn(
        2,
        CENTRAL
        + """
behind = []
link = ble._link
def told(event, data):
    if event == 15:
        behind.append(link.head - link.tail > 1)
    elif event == 16:
        behind.append("done")
for number in range(20):
    ble.irq(told)
    ble.gattc_read(conn, 12)
    while behind[-1:] != ["done"]:
        time.sleep_ms(1)
    behind.pop()
print("together", all(behind), len(behind))
""",
    )
    central.wait_for("together True 20")


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
