"""Emulated ESP32 boards: the real MicroPython VM with a board's flash, power, sensor and serial port.

`Board` is one board, `pytest_plugin` the fixtures for firmware tests.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hedgerow_boards.board import Board
    from hedgerow_boards.profiles import PROFILES, Profile
    from hedgerow_boards.sensor import SensorSeries

__all__ = ["PROFILES", "Board", "Profile", "SensorSeries"]

_HOMES = {"Board": "board", "PROFILES": "profiles", "Profile": "profiles", "SensorSeries": "sensor"}


def __getattr__(name: str) -> Any:
    # On first use, so that pytest can load the plugin of this package without loading the package.
    if name not in _HOMES:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(f"hedgerow_boards.{_HOMES[name]}"), name)
