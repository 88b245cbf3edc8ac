"""Driver of a register-level I2C sensor that gives decimals: mantissa * 10 ** exponent, no float.

Registers, big-endian: 0x00 WHO_AM_I = 0xE5, 0x01 STATUS (bit 0: a sample is ready), 0x02 CTRL (writing 1
starts a conversion), 0x03 EXPONENT int8, 0x04 MANTISSA int32.
"""

import struct
import time

from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow.limits import const

_WHO_AM_I = const(0x00)
_STATUS = const(0x01)
_CTRL = const(0x02)
_EXPONENT = const(0x03)
_IDENTITY = const(0xE5)
_READY = const(1)
_START = b"\x01"
_TIMEOUT_MS = const(50)


class Sensor:
    """One sensor at `address` of an I2C bus. SENSOR_MISSING if nothing, or something else, answers there."""

    def __init__(self, bus: object, address: int):
        self._bus = bus
        self._address = address
        self._byte = bytearray(1)
        self._sample = bytearray(5)
        if self._register(_WHO_AM_I) != _IDENTITY:
            raise HedgerowError("SENSOR_MISSING", "another device at 0x%02x" % address)

    def _register(self, register: int) -> int:
        try:
            self._bus.readfrom_mem_into(self._address, register, self._byte)
        except OSError as error:
            raise HedgerowError("SENSOR_MISSING", "0x%02x: %s" % (self._address, error))
        return self._byte[0]

    def read(self) -> Decimal:
        """Measure once; SENSOR_TIMEOUT if the conversion does not end within 50 ms."""
        try:
            self._bus.writeto_mem(self._address, _CTRL, _START)
            started = time.ticks_ms()
            while not self._register(_STATUS) & _READY:
                if time.ticks_diff(time.ticks_ms(), started) > _TIMEOUT_MS:
                    raise HedgerowError("SENSOR_TIMEOUT", "0x%02x" % self._address)
                time.sleep_ms(1)
            self._bus.readfrom_mem_into(self._address, _EXPONENT, self._sample)
        except OSError as error:
            raise HedgerowError("SENSOR_MISSING", "0x%02x: %s" % (self._address, error))
        exponent, mantissa = struct.unpack(">bi", self._sample)
        return Decimal(mantissa, exponent)


def open_sensor(settings: dict) -> Sensor:
    """Open the sensor that the configuration names; pins of -1 stand for the bus's own."""
    from machine import I2C, Pin

    pins = {name: Pin(settings[name]) for name in ("sda", "scl") if settings[name] >= 0}
    return Sensor(I2C(settings["bus"], **pins), settings["address"])
