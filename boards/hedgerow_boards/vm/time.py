"""`time` as on an ESP32: epoch 2000, ticks from the chip's reset with period 2**30.

At power-on it is 2000-01-01 00:00:00. The crystal drifts by the configured parts per billion.
"""

# ruff: noqa: E402, F403, F405 - the VM's own module of this name comes first
import sys

_path = sys.path
sys.path = ()
try:
    from time import *
finally:
    sys.path = _path

import emulator as _emulator

_PERIOD = 1 << 30
_HALF = 1 << 29
_UNIX_2000 = 946684800
_monotonic_us = ticks_us
_gmtime = gmtime
_mktime = mktime
_wall_ns = time_ns
_drift_ppb = _emulator.config["drift_ppb"]
# Read once, and as a small integer: on a chip the ticks take no memory, and interrupt handlers ask for them.
_chip_boot_us = int(str(_emulator.control.chip_boot_us))


def _drifted(us):
    return us + us * _drift_ppb // 1000000000


def _uptime_us():
    return _drifted(_monotonic_us() - _chip_boot_us)


def _clock_us():
    """Microseconds of the board's clock since 2000-01-01."""
    control = _emulator.control
    return _drifted(_monotonic_us() - control.power_on_us) + control.rtc_offset_us


def _set_clock_us(us):
    control = _emulator.control
    control.rtc_offset_us = 0
    control.rtc_offset_us = us - _clock_us()


def ticks_ms():
    return _uptime_us() // 1000 & _PERIOD - 1


def ticks_us():
    return _uptime_us() & _PERIOD - 1


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    return ticks + delta & _PERIOD - 1


def ticks_diff(end, start):
    return (end - start + _HALF & _PERIOD - 1) - _HALF


def time():
    return _clock_us() // 1000000


def time_ns():
    return _clock_us() * 1000


def gmtime(seconds=None):
    return _gmtime((time() if seconds is None else int(seconds)) + _UNIX_2000)[:8]


localtime = gmtime


def mktime(fields):
    return int(_mktime(tuple(fields[:8]) + (0,))) - _UNIX_2000
