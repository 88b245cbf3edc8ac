"""`vfs` of an emulated board: MicroPython's own with rom_ioctl, as the ESP32 port has it.

There the one segment is the partition labelled `romfs`: an object that can be read in place as a buffer, and
erased and programmed as a block device. `mpremote romfs` does the latter.
"""

import uctypes

from emulator import config as _config
from esp32 import Partition as _Partition
from micropython import const as _const
from vfs import *  # noqa: F403 - what is not here is MicroPython's

_SEGMENTS = _const(1)
_SEGMENT = _const(2)
_EINVAL = _const(22)
_MAGIC = b"\xd2\xcd\x31"


class _Segment(uctypes.struct):
    """The partition, mapped: its memory is the flash itself and none of the heap."""

    def __init__(self, partition):
        _, _, at, size, _, _ = partition.info()
        super().__init__(_config["image_at"] + at, (uctypes.ARRAY | 0, uctypes.UINT8 | size))
        self.info = partition.info
        self.ioctl = partition.ioctl
        self.readblocks = partition.readblocks
        self.writeblocks = partition.writeblocks


def rom_ioctl(command, *arguments):
    """1: how many segments; 2, id: the segment, or -EINVAL. Nothing else is to be done here."""
    found = _Partition.find(_Partition.TYPE_DATA, label="romfs")
    if command == _SEGMENTS:
        return len(found)
    if command == _SEGMENT and found:
        return _Segment(found[0])
    return -_EINVAL


def mount_rom():
    """Mount what the segment holds at /rom; return what comes onto sys.path."""
    if rom_ioctl(_SEGMENTS):
        segment = rom_ioctl(_SEGMENT, 0)
        if bytes(memoryview(segment)[:3]) == _MAGIC:
            try:
                mount(VfsRom(segment), "/rom")  # noqa: F405
                return ["/rom", "/rom/lib"]
            except OSError:
                pass
    return []
