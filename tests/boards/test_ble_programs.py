"""Programs that others wrote for MicroPython's BLE, unchanged, on two and three emulated boards at a time.

They are not part of the project: they lie in $HEDGEROW_MICROPYTHON, ~/.micropython without it (README,
"Programs of others"). What is missing there is said when a test is skipped.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from air_rig import Vm, wait_until

from hedgerow_boards.air import Air

HOME = Path(os.environ.get("HEDGEROW_MICROPYTHON") or Path.home() / ".micropython")
LIBRARY, EXAMPLES = HOME / "lib", HOME / "examples"
RAW = EXAMPLES / "bluetooth"
AIOBLE = EXAMPLES / "aioble"

# What MicroPython's own test runner gives to the instances of a test, over files instead of a serial port.
MULTITEST = """
import os, time
FOLDER, ME = {folder!r}, {number}
class multitest:
    _at = 0
    @staticmethod
    def globals(**values):
        with open(FOLDER + "/globals", "w") as file:
            file.write(repr(values))
    @staticmethod
    def next():
        if ME == 0:
            open(FOLDER + "/ready", "w").close()
            return
        multitest._until(lambda: "ready" in os.listdir(FOLDER))
        with open(FOLDER + "/globals") as file:
            globals().update(eval(file.read()))
    @staticmethod
    def broadcast(message):
        with open(FOLDER + "/from%d" % ME, "a") as file:
            file.write(message + "\\n")
    @staticmethod
    def wait(message):
        multitest._until(lambda: multitest._take(message))
    @staticmethod
    def output_metric(text):
        print(text)
    @staticmethod
    def _take(message):
        try:
            with open(FOLDER + "/from%d" % (1 - ME)) as file:
                lines = file.read().split("\\n")[:-1]
        except OSError:
            return False
        while multitest._at < len(lines):
            multitest._at += 1
            if lines[multitest._at - 1] == message:
                return True
        return False
    @staticmethod
    def _until(done):
        for _ in range(4000):
            if done():
                return
            time.sleep_ms(5)
        raise OSError("waited in vain")
"""

CENTRAL = """
import bluetooth, time
ble = bluetooth.BLE()
ble.active(True)
seen = []
def irq(event, data):
    if event == 18:
        print("got", bytes(data[2]))
    seen.append((event, data[0] if data else None))
ble.irq(irq)
def wait(event):
    while not any(kind == event for kind, _ in seen):
        time.sleep_ms(5)
    return [first for kind, first in seen if kind == event][0]
ble.gap_connect(0, b"\\xc0\\0\\0\\0\\0\\x01")
conn = wait(7)
ble.gattc_write(conn, 15, "hello from afar", 1)
wait(17)
while True:
    time.sleep_ms(20)
"""


class Programs:
    """Starts programs on boards of one air."""

    def __init__(self, directory: Path, air: Air) -> None:
        self.air = air
        self.boards: list[Vm] = []
        self._directory = directory

    def start(self, number: int, program: Path | str) -> Vm:
        text = program if isinstance(program, str) else program.read_text()
        paths = (LIBRARY, RAW)
        board = Vm(self._directory, self.air.path, number, text, heap="2m", paths=paths)
        self.boards.append(board)
        return board


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    with Air(str(tmp_path / "air"), seed=1) as air:
        started = Programs(tmp_path, air)
        yield started
        for board in started.boards:
            board.kill()
    for board in started.boards:
        assert not [line for line in board.lines if "Traceback" in line or "Unhandled" in line], board.lines


def needs(*files: Path) -> None:
    missing = [str(file) for file in files if not file.exists()]
    if missing:
        pytest.skip(f"not there: {', '.join(missing)} (README, Programs of others)")


def reads_a_temperature(board: Vm) -> bool:
    return any(line[:1].isdigit() and 20 < float(line) < 30 for line in board.lines)


def test_the_uart_examples_talk_both_ways_until_the_peripheral_is_gone(programs: Programs) -> None:
    peripheral_file, central_file = RAW / "ble_simple_peripheral.py", RAW / "ble_simple_central.py"
    needs(peripheral_file, central_file, RAW / "ble_advertising.py")
    peripheral = programs.start(1, peripheral_file)
    central = programs.start(2, central_file)
    central.wait_for("Found peripheral: 0 b'\\xc0\\x00\\x00\\x00\\x00\\x01' mpy-uart")
    central.wait_for("Connected")
    central.wait_for("RX ")
    peripheral.wait_for("RX b'5_'")
    assert "TX failed" not in central.lines
    peripheral.kill()
    # Its buffers fill, and then the link is lost.
    central.wait_for("TX failed")
    central.wait_for("Disconnected")


def test_the_temperature_examples(programs: Programs) -> None:
    sensor_file, central_file = RAW / "ble_temperature.py", RAW / "ble_temperature_central.py"
    needs(sensor_file, central_file, RAW / "ble_advertising.py")
    programs.start(1, sensor_file)
    central = programs.start(2, central_file)
    central.wait_for("Found sensor:")
    central.wait_for("Connected")
    wait_until(lambda: reads_a_temperature(central))
    # It advertises again when the first is gone, for a third board.
    central.kill()
    wait_until(lambda: programs.air.counters.disconnections == 1)
    third = programs.start(3, central_file)
    wait_until(lambda: reads_a_temperature(third))


def test_two_sensors_and_whoever_wants_them_at_a_time(programs: Programs) -> None:
    """Three boards on one air, then four: each central finds a sensor that is free, and both links live."""
    sensor_file, central_file = RAW / "ble_temperature.py", RAW / "ble_temperature_central.py"
    needs(sensor_file, central_file, RAW / "ble_advertising.py")
    sensors = [programs.start(number, sensor_file) for number in (1, 2)]
    first = programs.start(3, central_file)
    wait_until(lambda: reads_a_temperature(first))
    second = programs.start(4, central_file)
    wait_until(lambda: reads_a_temperature(second))
    assert all(sensor.process.poll() is None for sensor in sensors)
    assert programs.air.counters.disconnections == 0
    found = {line for board in (first, second) for line in board.lines if line.startswith("Found sensor:")}
    assert len(found) == 2, found


def test_the_nordic_uart_example_with_a_central_of_ours(programs: Programs) -> None:
    needs(RAW / "ble_uart_peripheral.py", RAW / "ble_advertising.py")
    peripheral = programs.start(1, RAW / "ble_uart_peripheral.py")
    central = programs.start(2, CENTRAL)
    peripheral.wait_for("rx:  hello from afar")
    central.wait_for("got b'4\\n'", timeout=20)


def test_aioble_sensor_with_its_client_and_with_one_without_aioble(programs: Programs) -> None:
    files = AIOBLE / "temp_sensor.py", AIOBLE / "temp_client.py", RAW / "ble_temperature_central.py"
    needs(LIBRARY / "aioble", RAW / "ble_advertising.py", *files)
    sensor = programs.start(1, files[0])
    client = programs.start(2, files[1])
    client.wait_for("Connecting to Device(ADDR_PUBLIC, c0:00:00:00:00:01)")
    client.wait_for("Temperature: 2")
    sensor.wait_for("Connection from Device(ADDR_PUBLIC, c0:00:00:00:00:02, CONNECTED)")
    client.kill()
    wait_until(lambda: programs.air.counters.disconnections == 1)
    other = programs.start(3, files[2])
    sensor.wait_for("Connection from Device(ADDR_PUBLIC, c0:00:00:00:00:03, CONNECTED)")
    wait_until(lambda: reads_a_temperature(other))


def test_aioble_client_with_a_sensor_without_aioble(programs: Programs) -> None:
    files = AIOBLE / "temp_client.py", RAW / "ble_temperature.py"
    needs(LIBRARY / "aioble", RAW / "ble_advertising.py", *files)
    programs.start(1, files[1])
    programs.start(2, files[0]).wait_for("Temperature: 2")


def _two_instances(programs: Programs, file: Path, folder: Path) -> list[list[str]]:
    """Run both to their ends; what each printed."""
    folder.mkdir()
    boards = [
        programs.start(
            1 + number,
            MULTITEST.format(folder=str(folder), number=number)
            + file.read_text()
            + f'\ninstance{number}()\nprint("at the end")\n',
        )
        for number in (0, 1)
    ]
    for board in boards:
        board.wait_for("at the end", timeout=40)
    return [board.lines[:-1] for board in boards]


# Tests of MicroPython and of aioble that need neither pairing nor L2CAP; what both must have printed.
MULTITESTS = {
    "multi_bluetooth/ble_irq_calls.py": ("_IRQ_CENTRAL_DISCONNECT", "connection closed"),
    "multi_bluetooth/ble_subscribe.py": ("sync D", "_IRQ_GATTC_NOTIFY b'periph10'"),
    "multi_bluetooth/ble_gap_connect.py": ("gap_disconnect: True", "_IRQ_PERIPHERAL_DISCONNECT"),
    "multi_bluetooth/ble_gap_advertise.py": ("gap_advertise(None)", "adv_types: [0, 2]"),
    "multi_bluetooth/ble_mtu.py": ("characteristic len: 297 c", "_IRQ_GATTC_NOTIFY 47 3"),
    "aioble_multitests/ble_characteristic.py": ("written b'central2'", "indicated b'periph3'"),
    "aioble_multitests/ble_buffered_characteristic.py": ("disconnected", "disconnected"),
    "aioble_multitests/ble_write_capture.py": ("written b'central4' True", "write"),
    "aioble_multitests/ble_write_order.py": ("written: first r4", "write r4"),
    "aioble_multitests/ble_descriptor.py": ("written b'update'", "read b'char3_desc1'"),
    "aioble_multitests/ble_notify.py": ("notify direct-4-0", "notified b'direct-4-0'"),
}
# Their expectations in the repository are older or newer than they are, at times.
INEXACT = ("multi_bluetooth/ble_mtu.py", "aioble_multitests/ble_characteristic.py")


@pytest.mark.parametrize("name", sorted(MULTITESTS))
def test_tests_of_others(programs: Programs, tmp_path: Path, name: str) -> None:
    file = EXAMPLES / name
    needs(file, *([LIBRARY / "aioble"] if name.startswith("aioble") else []))
    printed = _two_instances(programs, file, tmp_path / "between")
    for lines, wanted in zip(printed, MULTITESTS[name], strict=True):
        assert wanted in lines
    expected = file.with_name(file.name + ".exp")
    if expected.exists() and name not in INEXACT:
        text = "".join(
            f"--- instance{number} ---\n" + "".join(line + "\n" for line in lines)
            for number, lines in enumerate(printed)
        )
        assert text == expected.read_text()
