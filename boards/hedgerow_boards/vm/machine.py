"""`machine` of an emulated board: resets, sleep, clock, watchdog, pins, ADC and the I2C bus.

Pins and ADC levels live in memory shared with the host, which sets inputs and reads outputs there.
"""

# ruff: noqa: E402, F401, F403, F405 - the VM's own module of this name comes first
import sys

_path = sys.path
sys.path = ()
try:
    from machine import *
finally:
    sys.path = _path

import struct
import time as _time

import control_layout as _layout
from emulator import config as _config
from emulator import control as _control
from emulator import event as _event
from emulator import halt as _halt
from emulator import shared as _shared
from i2c import I2C, SoftI2C

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_EINVAL = 22
_FREQUENCIES = (20000000, 40000000, 80000000, 160000000, 240000000)


def reset():
    """Reset the chip at once; nothing is flushed."""
    _event("reset\n")
    _halt()


def deepsleep(time_ms=0):
    """Power down; the chip resets after `time_ms`, or stays down without it."""
    _event(f"deepsleep {time_ms}\n")
    _halt()


def lightsleep(time_ms=0):
    """Stop for `time_ms` with RAM kept."""
    _time.sleep_ms(time_ms)


sleep = lightsleep


def reset_cause():
    return _control.reset_cause


def unique_id():
    return bytes(int(part, 16) for part in _config["address"].split(":"))


def freq(hertz=None):
    if hertz is None:
        return _config["frequency"]
    if hertz not in _FREQUENCIES:
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _config["frequency"] = hertz


def disable_irq():
    return 0


def enable_irq(state=0):
    pass


class RTC:
    """The clock, and 2048 bytes of memory that outlive deep sleep and resets but not the power."""

    def datetime(self, value=None):
        """(year, month, day, weekday, hours, minutes, seconds, microseconds); weekday 0 is Monday."""
        if value is not None:
            year, month, day, _, hour, minute, second, us = value
            _time._set_clock_us(_time.mktime((year, month, day, hour, minute, second, 0, 0)) * 1000000 + us)
            return None
        now = _time._clock_us()
        year, month, day, hour, minute, second, weekday, _ = _time.gmtime(now // 1000000)
        return year, month, day, weekday, hour, minute, second, now % 1000000

    init = datetime

    def memory(self, data=None):
        """Read, or with `data` (at most 2048 bytes) write, the RTC memory."""
        if data is None:
            return bytes(_shared(_layout.RTC_MEMORY, _control.rtc_length))
        if len(data) > _layout.RTC_MEMORY_BYTES:
            raise ValueError("buffer too long")
        memoryview(_shared(_layout.RTC_MEMORY, _layout.RTC_MEMORY_BYTES))[: len(data)] = memoryview(data)
        _control.rtc_length = len(data)


class WDT:
    """The task watchdog: resets the chip unless fed within `timeout` ms; it cannot be stopped."""

    def __init__(self, id=0, timeout=5000):
        if id != 0 or timeout <= 0:
            raise ValueError("WDT(0, timeout > 0)")
        self._timeout_us = timeout * 1000
        self.feed()

    def feed(self):
        _control.watchdog_us = _time._monotonic_us() + self._timeout_us


class Pin(PinBase):
    """A GPIO; its level is a byte that the host shares."""

    IN = 1
    OUT = 3
    OPEN_DRAIN = 7
    PULL_DOWN = 1
    PULL_UP = 2
    IRQ_RISING = 1
    IRQ_FALLING = 2

    _levels = _shared(_layout.PINS, _layout.GPIOS)

    def __init__(self, id, mode=-1, pull=-1, *, value=None, drive=0, hold=None):
        if not 0 <= id < _layout.GPIOS:
            raise ValueError("invalid pin")
        self.id = id
        self.init(mode, pull, value=value)

    def init(self, mode=-1, pull=-1, *, value=None, drive=0, hold=None):
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return self._levels[self.id]
        self._levels[self.id] = 1 if level else 0

    __call__ = value

    def on(self):
        self.value(1)

    def off(self):
        self.value(0)

    def toggle(self):
        self.value(not self.value())

    def __repr__(self):
        return f"Pin({self.id})"


class ADC:
    """An analogue input; the host sets what it reads."""

    ATTN_0DB = 0
    ATTN_2_5DB = 1
    ATTN_6DB = 2
    ATTN_11DB = 3
    _FULL_SCALE_UV = 3300000
    # Of both converters, by the data sheets.
    _PINS = {
        "esp32": bytes((0, 2, 4, 12, 13, 14, 15, 25, 26, 27)) + bytes(range(32, 40)),
        "esp32c3": bytes(range(6)),
        "esp32s3": bytes(range(1, 21)),
    }

    def __init__(self, pin, *, atten=ATTN_0DB):
        self._id = pin.id if isinstance(pin, Pin) else pin
        if self._id not in self._PINS[_config["chip"]]:
            raise ValueError("invalid pin")

    def init(self, *, atten=ATTN_0DB):
        pass

    def read_u16(self):
        return struct.unpack("<H", _shared(_layout.ANALOG + 2 * self._id, 2))[0]

    def read(self):
        return self.read_u16() >> 4

    def read_uv(self):
        return self.read_u16() * self._FULL_SCALE_UV // 65535
