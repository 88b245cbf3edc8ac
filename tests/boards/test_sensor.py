"""The emulated I2C sensor and the series that it replays."""

from collections.abc import Callable
from pathlib import Path

import pytest

import hedgerow_boards
from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board
from hedgerow_boards.sensor import SensorSeries

DATA = Path(hedgerow_boards.__file__).parent / "data" / "seattle-hourly-temperature-2010.csv"
MEASURE = """
import struct, time
from machine import I2C, Pin
bus = I2C(0, sda=Pin({sda}), scl=Pin({scl}))
def measure():
    bus.writeto_mem(0x48, 2, b"\\x01")
    while not bus.readfrom_mem(0x48, 1, 1)[0] & 1:
        time.sleep_us(200)
    return struct.unpack(">bi", bus.readfrom_mem(0x48, 3, 5))
"""


@pytest.fixture
def sensed(boards: Callable[..., list[Board]]) -> Board:
    return boards(sensor=SensorSeries("temperature_f", ["39.4", "-1.25", "100"]))[0]


def run(board: Board, program: str) -> str:
    pins = board.profile
    return board.mpremote("exec", MEASURE.format(sda=pins.i2c_sda, scl=pins.i2c_scl) + program).stdout


def test_values_come_in_order_with_their_digits_and_wrap(sensed: Board) -> None:
    printed = run(sensed, "print([measure() for _ in range(4)])")
    assert printed == "[(-1, 394), (-2, -125), (0, 100), (-1, 394)]\n"
    assert [(sample.index, sample.text) for sample in sensed.samples] == [
        (0, "39.4"),
        (1, "-1.25"),
        (2, "100"),
        (0, "39.4"),
    ]
    times = [sample.host_time for sample in sensed.samples]
    assert times == sorted(times)
    assert times[3] - times[0] >= 0.006  # three conversions of 2 ms lie between


def test_the_series_goes_on_after_a_power_cut(sensed: Board) -> None:
    run(sensed, "measure()")
    sensed.reset()
    assert run(sensed, "print(measure())") == "(-2, -125)\n"


def test_registers(sensed: Board) -> None:
    program = """
print(bus.scan(), bus.readfrom_mem(0x48, 0, 2), bus.writeto(0x48, b"\\x02\\x01"))
# Whether it has converted by now depends on the host; the next one says.
print(bus.readfrom_mem(0x48, 1, 1) in (b"\\x00", b"\\x01"))
buffer = bytearray(1)
bus.writeto(0x48, b"\\x00")
bus.readfrom_into(0x48, buffer)
print(buffer, bus.readfrom(0x48, 1) in (b"\\x00", b"\\x01"))
try:
    bus.readfrom(0x49, 1)
except OSError as error:
    print(error.errno)
print(I2C(0, sda=Pin(32), scl=Pin(33)).scan())
"""
    printed = r"[72] b'\xe5\x00' 2" + "\nTrue\n" + r"bytearray(b'\xe5') True" + "\n19\n[]\n"
    assert run(sensed, program) == printed


def test_a_board_without_a_series_has_no_sensor(board: Board) -> None:
    assert run(board, "print(bus.scan())") == "[]\n"


def test_the_recorded_series_is_cut_into_slices() -> None:
    series = SensorSeries.from_csv(DATA)
    assert (series.name, len(series.values), series.values[0]) == ("temperature_f", 8759, "39.4")
    parts = [series.slice(i, 5) for i in range(5)]
    assert all(len(part.values) == 1751 for part in parts)
    assert parts[4].values[0] == series.values[4 * 1751]


def test_columns_and_digits(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("# mine\ntime,level,note\n1,2.50,a\n2,,b\n3,-0.1,c\n")
    assert SensorSeries.from_csv(path, "level").values == ["2.50", "-0.1"]
    assert SensorSeries("level", ["2.50"]).records() == b"\xfe\x00\x00\x00\xfa\0\0\0"


@pytest.mark.parametrize("text", ["nan", "warm", "99999999999", "1e-200", ""])
def test_what_is_no_decimal_is_refused(text: str) -> None:
    with pytest.raises(HedgerowError) as caught:
        SensorSeries("x", [text]).records()
    assert caught.value.code == "SERIES_INVALID"


def test_missing_columns_and_empty_series_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("time,level\n")
    for column in ("depth", "level"):
        with pytest.raises(HedgerowError) as caught:
            SensorSeries.from_csv(path, column)
        assert caught.value.code == "SERIES_INVALID"
    with pytest.raises(HedgerowError):
        SensorSeries("level", ["1", "2"]).slice(0, 3)
