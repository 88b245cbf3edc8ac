"""Every call of the emulated `bluetooth`, its arguments and errors, as on an ESP32: one board alone.

What they must be is read off MicroPython's extmod/modbluetooth.c and extmod/nimble/modbluetooth_nimble.c, and
off NimBLE's ble_gap.c, ble_gatts.c and ble_att_clt.c behind them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from air_rig import VM_PRELUDE, Vm

from hedgerow_boards.air import Air

# `show` prints what each expression gives or raises.
SHOW = """
def show(*texts):
    for text in texts:
        try:
            print(text, "->", eval(text))
        except OSError as error:
            print(text, "-> OSError", error.errno)
        except Exception as error:
            print(text, "->", type(error).__name__, error)
"""
BEGIN = "import bluetooth, time\nfrom bluetooth import UUID, BLE\nble = BLE()\n" + SHOW


@pytest.fixture
def air(tmp_path: Path) -> Iterator[Air]:
    with Air(str(tmp_path / "air"), seed=1) as air:
        yield air


def run(air: Air, directory: Path, program: str) -> dict[str, str]:
    """What the program showed, by expression."""
    with Vm(directory, air.path, 1, program + "\nprint('at the end')\n") as vm:
        vm.wait_for("at the end")
        shown = [line.split(" -> ", 1) for line in vm.lines if " -> " in line]
        assert not [line for line in vm.lines if "Traceback" in line], vm.lines
    return dict(shown)


# As many arguments as each takes, of the right kinds.
CALLS = {
    "gap_advertise": "gap_advertise(100000, b'x')",
    "gap_scan": "gap_scan(100)",
    "gap_scan stop": "gap_scan(None)",
    "gap_connect": "gap_connect(0, bytes(6))",
    "gap_connect stop": "gap_connect(None)",
    "gap_disconnect": "gap_disconnect(0)",
    "gatts_register_services": "gatts_register_services(())",
    "gatts_read": "gatts_read(3)",
    "gatts_write": "gatts_write(3, b'')",
    "gatts_set_buffer": "gatts_set_buffer(3, 10)",
    "gatts_notify": "gatts_notify(0, 3, b'')",
    "gatts_indicate": "gatts_indicate(0, 3, b'')",
    "gattc_discover_services": "gattc_discover_services(0)",
    "gattc_discover_characteristics": "gattc_discover_characteristics(0, 1, 2)",
    "gattc_discover_descriptors": "gattc_discover_descriptors(0, 1, 2)",
    "gattc_read": "gattc_read(0, 1)",
    "gattc_write": "gattc_write(0, 1, b'')",
    "mac": "config('mac')",
    "mtu": "config('mtu')",
    "set mtu": "config(mtu=100)",
    "addr_mode": "config(addr_mode=1)",
}


def test_all_calls_of_a_radio_that_is_off_end_in_enodev(air: Air, tmp_path: Path) -> None:
    lines = "".join(f"show({'ble.' + call!r})\n" for call in CALLS.values())
    shown = run(air, tmp_path, BEGIN + lines + "show('ble.gattc_exchange_mtu(0)', 'ble.gap_advertise(None)')")
    assert {shown["ble." + call] for call in CALLS.values()} == {"OSError 19"}
    # These two do not ask whether it is on.
    assert shown["ble.gattc_exchange_mtu(0)"] == "OSError 107"
    assert shown["ble.gap_advertise(None)"] == "None"


def test_a_call_about_no_connection_ends_in_enotconn(air: Air, tmp_path: Path) -> None:
    shown = run(
        air,
        tmp_path,
        BEGIN
        + """
ble.active(True)
show("ble.gap_disconnect(0)", "ble.gatts_notify(0, 3, b'')", "ble.gatts_notify(0, 3)")
show("ble.gatts_notify(0, 99)")
show("ble.gatts_indicate(2, 3, b'')", "ble.gattc_discover_services(0)", "ble.gattc_read(0, 1)")
show("ble.gattc_discover_characteristics(0, 1, 2)", "ble.gattc_discover_descriptors(0, 1, 2)")
show("ble.gattc_write(0, 1, b'')", "ble.gattc_write(0, 1, b'', 1)", "ble.gattc_exchange_mtu(0)")
show("ble.gap_pair(0)", "ble.gap_passkey(0, 2, 0)", "ble.gap_passkey(0, 9, 0)")
""",
    )
    assert shown.pop("ble.gap_disconnect(0)") == "False"
    assert shown.pop("ble.gatts_notify(0, 99)") == "OSError -9"  # the value cannot be read
    assert shown.pop("ble.gap_passkey(0, 9, 0)") == "OSError 22"
    assert set(shown.values()) == {"OSError 107"}


def test_arguments_are_taken_by_position_where_c_takes_them_so(air: Air, tmp_path: Path) -> None:
    by_name = (
        "active(active=True)",
        "irq(handler=print)",
        "gap_scan(duration_ms=0)",
        "gap_connect(addr_type=0, addr=bytes(6))",
        "gap_disconnect(conn_handle=0)",
        "gatts_register_services(services=())",
        "gatts_read(value_handle=3)",
        "gatts_write(3, data=b'')",
        "gatts_notify(0, 3, data=b'')",
        "gatts_indicate(0, 3, data=b'')",
        "gatts_set_buffer(3, len=4)",
        "gattc_discover_services(0, uuid=None)",
        "gattc_discover_characteristics(0, 1, end_handle=2)",
        "gattc_discover_descriptors(0, 1, end_handle=2)",
        "gattc_read(0, value_handle=1)",
        "gattc_write(0, 1, b'', mode=1)",
        "gattc_exchange_mtu(conn_handle=0)",
    )
    lines = "".join(f"show({'ble.' + call!r})\n" for call in by_name)
    keywords = "ble.gap_advertise(interval_us=100000, adv_data=b'a', resp_data=b'b', connectable=False)"
    shown = run(air, tmp_path, BEGIN + "ble.active(True)\n" + lines + f"show({keywords!r})\n")
    assert shown.pop(keywords) == "None"
    assert len(shown) == len(by_name)
    assert {result.split()[0] for result in shown.values()} == {"TypeError"}


def test_arguments_of_other_kinds_are_type_errors(air: Air, tmp_path: Path) -> None:
    wrong = (
        "gap_advertise(1.5)",
        "gap_advertise(100000, 5)",
        "gap_scan('long')",
        "gap_connect(0, 5)",
        "gap_connect(None, bytes(6))",
        "gap_disconnect('0')",
        "gatts_register_services(5)",
        "gatts_register_services(x for x in ())",
        "gatts_read(None)",
        "gatts_write(3, 5)",
        "gatts_notify(0, 3, 5)",
        "gatts_set_buffer(3, 'long')",
        "gattc_discover_services(0, 0x180d)",
        "gattc_discover_characteristics(0, 1, 2, '180d')",
        "gattc_read(0, 1.0)",
        "gattc_write(0, 1, 5)",
        "config(mtu='long')",
        "config(gap_name=5)",
        "config(addr_mode='x')",
    )
    lines = "".join(f"show({'ble.' + call!r})\n" for call in wrong)
    shown = run(air, tmp_path, BEGIN + "ble.active(True)\n" + lines)
    assert {call: result.split()[0] for call, result in shown.items()} == {
        "ble." + call: "TypeError" for call in wrong
    }


def test_config(air: Air, tmp_path: Path) -> None:
    shown = run(
        air,
        tmp_path,
        BEGIN
        + """
show("ble.config('gap_name')", "ble.config(gap_name='before')", "ble.config('rxbuf')")
show("ble.config(rxbuf=500)")
ble.active(True)
show("ble.config(gap_name='x' * 31)", "ble.config(gap_name='x' * 32)", "ble.config('gap_name')")
show("ble.config('mac')", "ble.config('mtu')", "ble.config(mtu=22)", "ble.config(mtu=23)")
show("ble.config(mtu=527)")
show("ble.config(mtu=528)", "ble.config()", "ble.config('mac', 'mtu')", "ble.config('mac', mtu=30)")
show("ble.config(bond=True, mitm=True, io=3, le_secure=True)", "ble.config('bond')", "ble.config(tx_power=9)")
show("ble.irq(5)", "ble.irq(None)", "ble.config(5)")
ble.active(False)
ble.active(True)
show("ble.config('mtu') ", "len(ble.config('gap_name'))")
""",
    )
    unknown = "ValueError unknown config param"
    assert shown["ble.config('gap_name')"] == repr(b"x" * 31)
    assert shown["ble.config(gap_name='before')"] == "None"
    assert shown["ble.config(gap_name='x' * 32)"] == "OSError 22"
    assert shown["ble.config('mac')"] == r"(0, b'\xc0\x00\x00\x00\x00\x01')"
    assert shown["ble.config('mtu')"] == "256"
    assert shown["ble.config(mtu=22)"] == shown["ble.config(mtu=528)"] == "OSError 22"
    assert shown["ble.config(mtu=23)"] == shown["ble.config(mtu=527)"] == "None"
    assert shown["ble.config()"] == shown["ble.config('mac', 'mtu')"] == "TypeError must query one param"
    assert shown["ble.config('mac', mtu=30)"] == "TypeError can't specify pos and kw args"
    assert shown["ble.config(bond=True, mitm=True, io=3, le_secure=True)"] == "None"
    assert shown["ble.config('rxbuf')"] == shown["ble.config(rxbuf=500)"] == unknown
    assert shown["ble.config('bond')"] == shown["ble.config(tx_power=9)"] == unknown
    assert shown["ble.irq(5)"] == "ValueError invalid callback"
    assert shown["ble.config(5)"].startswith("TypeError")
    # Switching it off and on forgets the MTU, and not the name.
    assert shown["ble.config('mtu') "] == "256"
    assert shown["len(ble.config('gap_name'))"] == "31"


def test_advertising_data_and_intervals_that_nimble_or_its_controller_refuse(
    air: Air, tmp_path: Path
) -> None:
    shown = run(
        air,
        tmp_path,
        BEGIN
        + """
ble.active(True)
show("ble.gap_advertise(100000, bytes(31))", "ble.gap_advertise(100000, bytes(32))")
show("ble.gap_advertise(100000, b'', resp_data=bytes(32))", "ble.gap_advertise(19999)")
show("ble.gap_advertise(20000)", "ble.gap_advertise(10240000)", "ble.gap_advertise(10240625)")
show("ble.gap_advertise(0)", "ble.gap_advertise(None)", "ble.gap_advertise(None) ")
""",
    )
    refused = {text for text, result in shown.items() if result != "None"}
    assert {text: shown[text] for text in refused} == {
        "ble.gap_advertise(100000, bytes(32))": "OSError -18",
        "ble.gap_advertise(100000, b'', resp_data=bytes(32))": "OSError -18",
        "ble.gap_advertise(19999)": "OSError -530",
        "ble.gap_advertise(10240625)": "OSError -530",
    }


def test_one_scan_and_one_connect_at_a_time(air: Air, tmp_path: Path) -> None:
    shown = run(
        air,
        tmp_path,
        BEGIN
        + """
events = []
def irq(event, data):
    events.append((event,) + tuple(bytes(x) if isinstance(x, memoryview) else x for x in data))
ble.active(True)
ble.irq(irq)
show("ble.gap_scan(0, 30000, 30001)", "ble.gap_scan(0, 30000, 60000)", "ble.gap_scan(0) ")
show("ble.gap_scan(None)", "events ", "ble.gap_scan(None) ", "events  ")
show("ble.gap_scan(0, 1, 1)", "ble.gap_scan(0)")
show("ble.gap_connect(0, bytes(6), 300)", "events   ")
show("ble.gap_scan(0)  ", "ble.gap_connect(0, bytes(6))", "ble.gap_connect(None)", "ble.gap_connect(None) ")
time.sleep_ms(50)
show("events    ", "ble.gap_connect(None)  ", "ble.gap_connect(0, bytes(5))", "ble.gap_connect(4, bytes(6))")
show("ble.gap_connect(0, bytes(6), 1000, 7000, 50000)", "ble.gap_connect(0, bytes(6), 1000, 60000)")
show("ble.gap_connect(0, bytes(6), 1000, 30000, 4000000)")
show("ble.gap_connect(0, bytes(6), None, None, None)")
ble.gap_connect(None)
time.sleep_ms(50)
show("ble.gap_connect(0, bytes(6), 60)")
time.sleep_ms(200)
show("events[-2:]")
""",
    )
    failed = (8, 65535, 255, bytes(6))
    assert shown["ble.gap_scan(0, 30000, 30001)"] == "None"  # the same number of 625 us
    assert shown["ble.gap_scan(0, 30000, 60000)"] == "OSError 22"
    assert shown["ble.gap_scan(0) "] == "OSError 114"
    # The handler has heard of the end when the call returns; stopping what does not run is no event.
    assert shown["events "] == shown["events  "] == "[(6,)]"
    assert shown["ble.gap_scan(0, 1, 1)"] == "None"  # raised to 2.5 ms
    assert shown["events   "] == "[(6,), (6,)]"  # connecting has stopped it
    assert shown["ble.gap_scan(0)"] == "OSError 114"
    assert shown["ble.gap_scan(0)  "] == "OSError 16"
    assert shown["ble.gap_connect(0, bytes(6))"] == "OSError 114"
    assert shown["ble.gap_connect(None)"] == "None"
    assert shown["ble.gap_connect(None) "] == shown["ble.gap_connect(None)  "] == "OSError 114"
    assert shown["events    "] == repr([(6,), (6,), failed])
    assert shown["ble.gap_connect(0, bytes(5))"] == "ValueError invalid addr"
    assert shown["ble.gap_connect(4, bytes(6))"] == "OSError 22"
    assert shown["ble.gap_connect(0, bytes(6), 1000, 7000, 50000)"] == "OSError -530"
    assert (
        shown["ble.gap_connect(0, bytes(6), 1000, 60000)"] == "OSError -530"
    )  # above the default for longest
    assert (
        shown["ble.gap_connect(0, bytes(6), 1000, 30000, 4000000)"] == "OSError -530"
    )  # outlasts supervision
    assert shown["ble.gap_connect(0, bytes(6), None, None, None)"] == "None"
    assert shown["events[-2:]"] == repr([failed, failed])


def test_registering_services(air: Air, tmp_path: Path) -> None:
    shown = run(
        air,
        tmp_path,
        BEGIN
        + """
ble.active(True)
one = (UUID(1), ((UUID(2), 2), (UUID(3), 0x30, ((UUID(4), 2), (UUID(5), 8))), (UUID(6), 0x10008)))
show("ble.gatts_register_services((one, (UUID(9), [])))", "ble.gatts_read(12)", "ble.gatts_read(16)")
show("ble.gatts_write(12, 'x' * 30)", "ble.gatts_read(12) ", "ble.gatts_read(14)", "ble.gatts_read(15)")
show("ble.gatts_set_buffer(12, 3)", "ble.gatts_read(12)  ", "ble.gatts_set_buffer(15, 3)")
show("ble.gatts_read(3)")
for what in (
    "5", "[1]", "[(UUID(1),)]", "[(1, ())]", "[(UUID(1), 5)]", "[(UUID(1), (5,))]",
    "[(UUID(1), ((UUID(2),),))]",
    "[(UUID(1), ((2, 2),))]", "[(UUID(1), ((UUID(2), 'r'),))]", "[(UUID(1), ((UUID(2), 2, 5),))]",
    "[(UUID(1), ((UUID(2), 2, ((5, 2),)),))]", "[(UUID(1), ((UUID(2), 2, ((UUID(3),),)),))]",
    "[(UUID(1), ())] * 9",
):
    show("ble.gatts_register_services(%s)" % what)
show("ble.gatts_read(12)   ", "ble.gatts_register_services([(UUID(1), ())] * 8)")
for stop, start in (("gap_advertise", "100000, b''"), ("gap_scan", "0"), ("gap_connect", "0, bytes(6)")):
    eval("ble.%s(%s)" % (stop, start))
    show("ble.gatts_register_services(%s())" % ("" if stop == "gap_scan" else stop and "tuple"))
    eval("ble.%s(None)" % stop)
    time.sleep_ms(40)
""",
    )
    assert shown["ble.gatts_register_services((one, (UUID(9), [])))"] == "((12, 14, 16, 17, 19), ())"
    assert shown["ble.gatts_read(12)"] == shown["ble.gatts_read(14)"] == "b''"
    assert shown["ble.gatts_write(12, 'x' * 30)"] == "30"  # a value of one's own grows
    assert shown["ble.gatts_read(12) "] == repr(b"x" * 30)
    assert shown["ble.gatts_read(15)"] == "OSError 22"  # the stack's own: notifications on and off
    assert shown["ble.gatts_set_buffer(12, 3)"] == "None"
    assert shown["ble.gatts_read(12)  "] == "b''"
    assert shown["ble.gatts_set_buffer(15, 3)"] == "OSError 22"
    assert shown["ble.gatts_read(3)"] == "b''"
    refused = {text[28:-1]: result for text, result in shown.items() if "register_services" in text}
    assert refused["5"].startswith("TypeError")
    assert refused["[1]"] == "TypeError object 'int' isn't a tuple or list"
    assert refused["[(UUID(1),)]"] == "ValueError requested length 2 but object has length 1"
    assert refused["[(1, ())]"] == "ValueError invalid service UUID"
    assert refused["[(UUID(1), 5)]"].startswith("TypeError")
    assert refused["[(UUID(1), (5,))]"].startswith("TypeError")
    assert refused["[(UUID(1), ((UUID(2),),))]"] == "ValueError invalid characteristic tuple"
    assert refused["[(UUID(1), ((2, 2),))]"] == "ValueError invalid characteristic UUID"
    assert refused["[(UUID(1), ((UUID(2), 'r'),))]"].startswith("TypeError")
    assert refused["[(UUID(1), ((UUID(2), 2, 5),))]"].startswith("TypeError")
    assert refused["[(UUID(1), ((UUID(2), 2, ((5, 2),)),))]"] == "ValueError invalid descriptor UUID"
    assert refused["[(UUID(1), ((UUID(2), 2, ((UUID(3),),)),))]"].startswith("ValueError requested length 2")
    assert refused["[(UUID(1), ())] * 9"] == "OSError 7"
    # What is refused takes what was there along.
    assert shown["ble.gatts_read(12)   "] == "OSError 22"
    assert shown["ble.gatts_register_services([(UUID(1), ())] * 8)"] == repr(((),) * 8)
    assert refused["tuple()"] == refused["()"] == "OSError 16"


def test_switching_off_forgets_and_switching_on_twice_does(air: Air, tmp_path: Path) -> None:
    shown = run(
        air,
        tmp_path,
        BEGIN
        + """
events = []
def irq(event, data):
    events.append((event, tuple(bytes(x) if isinstance(x, memoryview) else x for x in data)))
ble.irq(irq)
show("ble.active()", "ble.active(True)", "[event for event, data in events]", "events[0]")
show("len(events[1][1][2])")
ble.gatts_register_services([(UUID(1), ((UUID(2), 2),))])
ble.config(mtu=100)
ble.gap_scan(0)
show("ble.active(1)", "[event for event, data in events] ", "ble.gatts_read(12)", "ble.config('mtu')")
show("ble.gap_scan(0)")
show("ble.active(0)", "ble.active() ", "ble.active(False)", "[event for event, data in events]  ")
ble.irq(lambda event, data: b"sixteen bytes..." if event == 29 else events.append((event, data)))
events.clear()
show("ble.active(True) ", "events")
""",
    )
    assert shown["ble.active()"] == shown["ble.active() "] == "False"
    assert shown["ble.active(True)"] == shown["ble.active(1)"] == "True"
    # The stack asks for its identity key, and makes one.
    assert shown["[event for event, data in events]"] == "[29, 30]"
    assert shown["events[0]"] == repr((29, (10, 0, b"irk")))
    assert shown["len(events[1][1][2])"] == "16"
    assert shown["[event for event, data in events] "] == "[29, 30, 6, 29, 30]"
    assert shown["ble.gatts_read(12)"] == "OSError 22"
    assert shown["ble.config('mtu')"] == "256"
    assert shown["ble.gap_scan(0)"] == "None"
    assert shown["ble.active(0)"] == shown["ble.active(False)"] == "False"
    assert shown["[event for event, data in events]  "] == "[29, 30, 6, 29, 30, 6]"
    assert shown["events"] == "[]"  # a key that the handler has is taken


def test_what_an_esp32_has_and_has_not(air: Air, tmp_path: Path) -> None:
    shown = run(
        air,
        tmp_path,
        BEGIN
        + """
names = sorted(name for name in dir(bluetooth) if name[0].isupper())
show("[name for name in names if name in ('BLE', 'UUID') or name.startswith('FLAG_')]")
show("[hasattr(ble, name) for name in ('l2cap_listen', 'l2cap_connect', 'hci_cmd', 'gap_pair')]")
show("BLE() is ble")
""",
    )
    flags = ["FLAG_INDICATE", "FLAG_NOTIFY", "FLAG_READ", "FLAG_WRITE", "FLAG_WRITE_NO_RESPONSE"]
    assert shown["[name for name in names if name in ('BLE', 'UUID') or name.startswith('FLAG_')]"] == repr(
        ["BLE", *flags, "UUID"]
    )
    assert shown[
        "[hasattr(ble, name) for name in ('l2cap_listen', 'l2cap_connect', 'hci_cmd', 'gap_pair')]"
    ] == ("[False, False, False, True]")
    assert shown["BLE() is ble"] == "True"


def test_the_handler_may_not_be_interrupted_and_a_fault_of_any_kind_ends_it(air: Air, tmp_path: Path) -> None:
    with (
        Vm(tmp_path, air.path, 2, VM_PRELUDE + 'ble.gap_advertise(20000, b"noise")\nforever()'),
        Vm(
            tmp_path,
            air.path,
            1,
            VM_PRELUDE
            + """
import micropython, sys
order = []
def later(_):
    order.append("scheduled")
def handler(event, data):
    if event == 5 and len(order) < 1:
        order.append("begins")
        micropython.schedule(later, None)
        time.sleep_ms(30)
        order.append("ends")
    elif event == 5 and len(order) > 2:
        order.append("exits")
        sys.exit(3)
ble.irq(handler)
ble.gap_scan(0, 30000, 30000)
while "exits" not in order:
    time.sleep_ms(1)
time.sleep_ms(200)
print("order", order)
""",
        ) as vm,
    ):
        vm.wait_for("Unhandled exception in IRQ callback handler")
        assert vm.wait_for("order") == "order ['begins', 'ends', 'scheduled', 'exits']"
