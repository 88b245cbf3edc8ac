"""The program on an emulated board: the real MicroPython, flashed by the real tools. Run pytest here."""

import subprocess
import sys
from pathlib import Path

from hedgerow_boards.sensor import SensorSeries


def test_it_records_what_the_sensor_says(boards):
    """The first reading is durable, with the digits that the sensor gave."""
    (board,) = boards(1, profile="{board}", sensor=SensorSeries("celsius", ["20.50", "20.75"]))
    flash = [sys.executable, "-m", "hedgerow_cli", "flash", "--port", board.port]
    subprocess.run(flash, cwd=Path(__file__).parent, check=True)
    board.wait_for("recorded 20.50", 30)
