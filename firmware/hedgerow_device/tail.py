"""Where the log lies if the partition table names no place: behind the file system of `vfs` (SPEC 9.1).

MicroPython mounts the whole partition. A FAT that was made for fewer sectors says so in its boot sector, is
mounted all the same and never goes beyond; a littlefs is mounted only on as many sectors as it was made for.
"""

import struct

from hedgerow.errors import HedgerowError
from hedgerow.limits import const

FILES = "vfs"
#: So much of each of the first two sectors tells where a file system ends.
HEAD = const(512)
SECTOR = const(4096)
#: The fewest sectors that a log can use.
FEWEST = const(8)

_EINVAL = const(22)
_COUNT = const(4)
_ERASE = const(6)


def files_end(first: bytes, second: bytes) -> int | None:
    """Return how many sectors a file system reaches at most, None if its first bytes do not prove that.

    `first` and `second` are the first HEAD bytes of sectors 0 and 1.
    """
    ends = [_littlefs_end(head) for head in (first, second) if head[8:16] == b"littlefs"]
    if ends:
        # Either of the two may be the older one.
        return None if None in ends else max(ends)
    return _fat_end(first)


def _littlefs_end(head: bytes) -> int | None:
    version, size, count = struct.unpack_from("<III", head, 20)
    return count if version >> 16 == 2 and size == SECTOR and count else None


def _fat_end(head: bytes) -> int | None:
    named = head[54:57] == b"FAT" or head[82:87] == b"FAT32"
    if not named or head[0] not in (0xEB, 0xE9) or head[510:512] != b"\x55\xaa":
        return None
    (size,) = struct.unpack_from("<H", head, 11)
    count = struct.unpack_from("<H", head, 19)[0] or struct.unpack_from("<I", head, 32)[0]
    return -(-count * size // SECTOR) if count and size and not size & (size - 1) else None


class Tail:
    """The sectors of a partition from `start` on as a block device; what lies before is out of reach."""

    def __init__(self, partition: object, start: int):
        self._partition = partition
        self._start = start
        self._count = partition.ioctl(_COUNT, 0) - start

    def info(self) -> tuple:
        """Return what Partition.info() does: (type, subtype, address, size, label, encrypted)."""
        kind, subtype, at, _, label, encrypted = self._partition.info()
        return kind, subtype, at + self._start * SECTOR, self._count * SECTOR, label, encrypted

    def readblocks(self, block: int, buf: bytearray, offset: int = 0) -> None:
        """Read; OSError(EINVAL) outside, as for everything here."""
        self._partition.readblocks(self._sector(block, offset, len(buf)), buf, offset)

    def writeblocks(self, block: int, buf: bytes, offset: int) -> None:
        """Program without an erase."""
        self._partition.writeblocks(self._sector(block, offset, len(buf)), buf, offset)

    def ioctl(self, command: int, argument: int) -> int | None:
        """As MicroPython's block devices do: 4 count, 5 size, 6 erase."""
        if command == _COUNT:
            return self._count
        if command == _ERASE:
            argument = self._sector(argument, 0, SECTOR)
        return self._partition.ioctl(command, argument)

    def _sector(self, block: int, offset: int, length: int) -> int:
        if block < 0 or offset < 0 or block * SECTOR + offset + length > self._count * SECTOR:
            raise OSError(_EINVAL)
        return block + self._start


def tail_of(partition: object) -> Tail | None:
    """Return what lies behind the file system in a partition; None where that is too little or not proven."""
    first, second = bytearray(HEAD), bytearray(HEAD)
    partition.readblocks(0, first, 0)
    partition.readblocks(1, second, 0)
    end = files_end(first, second)
    if end is None or end + FEWEST > partition.ioctl(_COUNT, 0):
        return None
    return Tail(partition, end)


def log_device() -> object:
    """Return the tail of `vfs`; LOG_PARTITION where the file system may reach the end of its partition."""
    from esp32 import Partition

    for partition in Partition.find(Partition.TYPE_DATA, label=FILES):
        tail = tail_of(partition)
        if tail:
            return tail
    raise HedgerowError("LOG_PARTITION", FILES)
