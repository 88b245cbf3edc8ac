"""The I2C bus of an emulated board, and the sensor on it, at register level.

Registers of the sensor at address 0x48, big-endian: 0x00 WHO_AM_I = 0xE5; 0x01 STATUS, bit 0 = a
sample is ready (starting a conversion clears it); 0x02 CTRL, writing 0x01 starts a conversion, which
takes 2 ms; 0x03 EXPONENT (int8); 0x04 to 0x07 MANTISSA (int32). A value is mantissa * 10**exponent.
"""

import time as _time

import uctypes
from emulator import config as _config
from emulator import control as _control
from emulator import event as _event

_ADDRESS = 0x48
_WHO_AM_I = 0xE5
_CONVERSION_US = 2000
_RECORD = 8
_ENODEV = 19


class _Sensor:
    """Takes one value of the recorded series per conversion, wrapping at its end."""

    def __init__(self, at, count):
        self._series = uctypes.bytearray_at(at, count * _RECORD)
        self._count = count
        self._registers = bytearray(8)
        self._registers[0] = _WHO_AM_I
        self._sample = bytes(5)
        self._pointer = 0
        self._done_us = None

    def write(self, data):
        if not data:
            return
        self._pointer = data[0]
        for value in data[1:]:
            if self._pointer == 2:
                self._registers[2] = value
                if value & 1:
                    self._convert()
            self._pointer += 1

    def read(self, into):
        if self._done_us is not None and _time._monotonic_us() >= self._done_us:
            self._done_us = None
            self._registers[1] |= 1
            self._registers[2] &= 0xFE
            self._registers[3:] = self._sample
        for i in range(len(into)):
            into[i] = self._registers[self._pointer] if self._pointer < 8 else 0
            self._pointer += 1

    def _convert(self):
        number = _control.conversions
        _control.conversions = number + 1
        index = number % self._count
        self._registers[1] &= 0xFE
        _event(f"sample {index} {_time._wall_ns()}\n")
        self._sample = bytes(self._series[index * _RECORD : index * _RECORD + 5])
        self._done_us = _time._monotonic_us() + _CONVERSION_US


_sensor = _Sensor(_config["series_at"], _config["series_count"]) if _config.get("series_count") else None


class I2C:
    """machine.I2C: the sensor answers if the pins are those that it is wired to."""

    def __init__(self, id=-1, *, scl=None, sda=None, freq=400000, timeout=50000):
        wired = _config["i2c"]
        given = (getattr(sda, "id", sda), getattr(scl, "id", scl))
        here = all(pin is None or pin == wired[i] for i, pin in enumerate(given))
        self._device = _sensor if here else None

    def _at(self, address):
        if self._device is None or address != _ADDRESS:
            raise OSError(_ENODEV)
        return self._device

    def scan(self):
        return [_ADDRESS] if self._device else []

    def readfrom_into(self, address, buffer, stop=True):
        self._at(address).read(buffer)

    def readfrom(self, address, length, stop=True):
        buffer = bytearray(length)
        self.readfrom_into(address, buffer)
        return bytes(buffer)

    def writeto(self, address, data, stop=True):
        """Write, and return the number of bytes acknowledged."""
        self._at(address).write(data)
        return len(data)

    def readfrom_mem_into(self, address, register, buffer, *, addrsize=8):
        device = self._at(address)
        device.write(bytes((register,)))
        device.read(buffer)

    def readfrom_mem(self, address, register, length, *, addrsize=8):
        buffer = bytearray(length)
        self.readfrom_mem_into(address, register, buffer)
        return bytes(buffer)

    def writeto_mem(self, address, register, data, *, addrsize=8):
        self._at(address).write(bytes((register,)) + bytes(data))


class SoftI2C(I2C):
    """machine.SoftI2C(scl, sda): the same bus."""

    def __init__(self, scl, sda, *, freq=400000, timeout=50000):
        super().__init__(scl=scl, sda=sda)
