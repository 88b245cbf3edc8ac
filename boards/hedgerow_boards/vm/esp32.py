"""`esp32` of an emulated board: Partition over the NOR flash image, NVS, heap figures.

Codes are ESP-IDF's (esp_err.h), negative in OSError as the ESP32 port reports them. A program that is
to set a cleared bit leaves it cleared on a chip, without an error. Here it raises OSError(EIO), as it
is a mistake; only under the file system it does what a chip does, because littlefs, after a power cut,
finds out by reading back what it can no longer program, and goes elsewhere.

An encrypted partition holds noise: erased cells read as such, programs begin and end at multiples of 16
bytes, and bytes are programmed once between two erases (the same ones again change nothing).
"""

import struct

import control_layout as _layout
import micropython
from emulator import config as _config
from emulator import control as _control
from emulator import event as _event
from emulator import flash as _flash
from emulator import halt as _halt
from emulator import shared as _shared
from emulator import wear as _wear
from emulator import worn as _worn
from micropython import const as _const
from nor import cipher as _cipher
from nor import clear as _clear
from nor import unclear as _unclear

HEAP_EXEC = 1
HEAP_DATA = 4

_SECTOR = _const(4096)
_CIPHER_BLOCK = _const(16)
_TABLE = _const(0x8000)
_TABLE_END = _const(0x8C00)
_FAT = _const(0x81)
_ENOENT = _const(2)
_EIO = _const(5)
_EINVAL = _const(22)
_INVALID_ARG = _const(-0x102)
_INVALID_SIZE = _const(-0x104)
_FLASH_FAIL = _const(-0x6001)

_cells = memoryview(_flash)
_blank = memoryview(_shared(_layout.BLANK, _SECTOR))


def idf_heap_info(capabilities):
    """One tuple (total, free, largest free block, least free ever) per region of the IDF heap, in bytes."""
    return [tuple(_config["heap_info"])]


def _entries():
    """The partition table: (type, subtype, address, size, label, encrypted), in its order."""
    end = _TABLE_END
    automatic = True
    for at in range(_TABLE, _TABLE_END, 32):
        if _flash[at] != 0xAA or _flash[at + 1] != 0x50:
            break
        kind, subtype, address, size = struct.unpack_from("<BBII", _flash, at + 2)
        label = str(bytes(_cells[at + 12 : at + 28]).rstrip(b"\x00"), "utf8")
        end = max(end, address + size)
        if label in ("vfs", "ffat"):
            automatic = False
        yield kind, subtype, address, size, label, bool(_flash[at + 28] & 1)
    if automatic and end < len(_flash):
        # The port's own: what lies behind the last partition, known in RAM only.
        yield 1, 0x81, end, len(_flash) - end, "vfs", False


@micropython.native
def _power_cut(kind, at, left, data):
    _event(f"cut {kind} {at} {left} {len(data)}\n", data)
    _halt()


@micropython.native
def _program(at, data, strict):
    control = _control
    length = len(data)
    worn = _worn[at // _SECTOR]
    if worn & _layout.PROGRAM_ERROR:
        raise OSError(_FLASH_FAIL, "ESP_ERR_FLASH_OP_FAIL")
    if worn & _layout.PROGRAM_NOOP:
        return
    wrong = _unclear(_flash, at, data, length)
    if wrong >= 0:
        control.overwrites += 1
        if strict:
            raise OSError(_EIO, f"program over unerased bits at 0x{at + wrong:x}")
    if control.cut_kind == 1 and control.cut_low <= at < control.cut_high:
        if control.cut_left <= length:
            _power_cut("program", at, control.cut_left, data)
        control.cut_left -= length
    _clear(_flash, at, data, length)
    control.programmed += length
    control.programs += 1


@micropython.native
def _erase(at):
    control = _control
    if control.cut_kind == 2 and control.cut_low <= at < control.cut_high:
        if control.cut_left <= 1:
            _power_cut("erase", at, 0, b"")
        control.cut_left -= 1
    worn = _worn[at // _SECTOR]
    if worn & _layout.ERASE_ERROR:
        raise OSError(_FLASH_FAIL, "ESP_ERR_FLASH_OP_FAIL")
    if worn & _layout.ERASE_NOOP:
        return
    _cells[at : at + _SECTOR] = _blank
    control.erases += 1
    _wear[at // _SECTOR] += 1


def _once(at, data):
    """Refuse to program bytes of an encrypted partition a second time with others."""
    there = _cells[at : at + len(data)]
    if there != data:
        for i, cell in enumerate(there):
            if cell != 0xFF and cell != data[i]:
                _control.overwrites += 1
                raise OSError(_EIO, f"program over encrypted bytes at 0x{at + i:x}")


class Partition:
    """A partition as a block device with the extended protocol, erase block 4096 bytes."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, id, block_size=_SECTOR):
        if block_size <= 0 or block_size % _SECTOR:
            raise ValueError("block_size must be a multiple of 4096")
        for info in _entries():
            if info[4] == id or (id in (self.BOOT, self.RUNNING) and info[0] == self.TYPE_APP):
                break
        else:
            raise OSError(_ENOENT)
        self._info = info
        self._at = info[2]
        self._size = info[3]
        self._block = block_size
        self._strict = info[:2] != (self.TYPE_DATA, _FAT)
        self._encrypted = info[5]

    @staticmethod
    def find(type=TYPE_APP, subtype=0xFF, label=None, block_size=_SECTOR):
        """Partitions of a type; subtype 0xFF and label None match all."""
        return [
            Partition(info[4], block_size)
            for info in _entries()
            if info[0] == type and subtype in (0xFF, info[1]) and label in (None, info[4])
        ]

    def info(self):
        """(type, subtype, address, size, label, encrypted)"""
        return self._info

    @micropython.native
    def readblocks(self, block, buf, offset=0):
        start = block * self._block + offset
        length = len(buf)
        if start < 0 or start + length > self._size:
            raise OSError(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
        start += self._at
        memoryview(buf)[:] = _cells[start : start + length]
        if self._encrypted:
            _cipher(buf, start, length)
        _control.read += length

    @micropython.native
    def writeblocks(self, block, buf, offset=None):
        """Without offset: erase, then program. With offset: program only."""
        start = block * self._block
        length = len(buf)
        if offset is not None:
            start += offset
        elif length % _SECTOR:
            raise OSError(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
        if start < 0 or start + length > self._size:
            raise OSError(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
        start += self._at
        if self._encrypted:
            if start % _CIPHER_BLOCK:
                raise OSError(_INVALID_ARG, "ESP_ERR_INVALID_ARG")
            if length % _CIPHER_BLOCK:
                raise OSError(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
            buf = bytearray(buf)
            _cipher(buf, start, length)
        if offset is None:
            at = start
            while at < start + length:
                _erase(at)
                at += _SECTOR
        elif self._encrypted and self._strict:
            _once(start, buf)
        _program(start, buf, self._strict)

    @micropython.native
    def ioctl(self, command, argument):
        if command <= 3:
            return 0
        if command == 4:
            return self._size // self._block
        if command == 5:
            return self._block
        if command == 6:
            if self._block != _SECTOR:
                return -_EINVAL
            start = argument * _SECTOR
            if start < 0 or start >= self._size:
                raise OSError(_INVALID_SIZE, "ESP_ERR_INVALID_SIZE")
            _erase(self._at + start)
            return 0

    def __repr__(self):
        kind, subtype, address, size, label, _ = self._info
        return f"<Partition type={kind}, subtype={subtype}, address={address}, size={size}, label={label}>"


# Last, because it uses Partition.
from nvs import NVS  # noqa: E402, F401
