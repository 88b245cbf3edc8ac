"""ESP-IDF partition tables: the binary at 0x8000 of the flash, read and written.

Format (ESP-IDF Programming Guide, "Partition Tables"): 32-byte entries {magic AA 50, type, subtype,
offset u32, size u32, label 16 bytes, flags u32}, little-endian, then an entry {EB EB, 14 bytes FF,
MD5 of the entries}, padded with FF to 0xC00 bytes.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from hedgerow.errors import HedgerowError
from hedgerow_boards.limits import PARTITIONS

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
SECTOR = 0x1000
TYPE_APP = 0x00
TYPE_DATA = 0x01
SUBTYPE_PHY = 0x01
SUBTYPE_NVS = 0x02
SUBTYPE_FAT = 0x81
SUBTYPE_ROMFS = 0x8F  # MicroPython finds it by its label, "romfs"
HEDGEROW_LOG = 0x40
FLAG_ENCRYPTED = 1

_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"
_MD5_HEAD = b"\xeb\xeb" + b"\xff" * 14
_APP_ALIGNMENT = 0x10000


@dataclass(frozen=True)
class Partition:
    """One entry; offset and size in bytes of flash."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int
    flags: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size


def _bad(detail: str) -> HedgerowError:
    return HedgerowError("PARTITION_TABLE_INVALID", detail)


def check(table: Sequence[Partition], flash_bytes: int) -> None:
    """Refuse (`PARTITION_TABLE_INVALID`) what a boot loader would: overlap, misalignment, bad names."""
    if not table or len(table) > PARTITIONS:
        raise _bad(f"{len(table)} entries; 1 to {PARTITIONS} fit")
    labels = [entry.label for entry in table]
    if len(set(labels)) != len(labels):
        raise _bad("two partitions with one name")
    end = TABLE_OFFSET + SECTOR
    for entry in sorted(table, key=lambda entry: entry.offset):
        alignment = _APP_ALIGNMENT if entry.type == TYPE_APP else SECTOR
        if not 1 <= len(entry.label.encode()) <= 15:
            raise _bad(f"name {entry.label!r} must have 1 to 15 bytes")
        if not (0 <= entry.type <= 0xFE and 0 <= entry.subtype <= 0xFE and 0 <= entry.flags < 1 << 32):
            raise _bad(f"{entry.label}: type, subtype or flags out of range")
        if entry.offset % alignment or entry.size % SECTOR or entry.size <= 0:
            raise _bad(f"{entry.label}: 0x{entry.offset:x}+0x{entry.size:x} is not aligned")
        if entry.offset < end or entry.end > flash_bytes:
            raise _bad(f"{entry.label}: 0x{entry.offset:x}+0x{entry.size:x} overlaps or leaves the flash")
        end = entry.end


def pack(table: Sequence[Partition], flash_bytes: int) -> bytes:
    """The 0xC00 bytes to write at 0x8000."""
    check(table, flash_bytes)
    entries = b"".join(
        _ENTRY.pack(
            _MAGIC, entry.type, entry.subtype, entry.offset, entry.size, entry.label.encode(), entry.flags
        )
        for entry in table
    )
    digest = hashlib.md5(entries, usedforsecurity=False).digest()
    return (entries + _MD5_HEAD + digest).ljust(TABLE_BYTES, b"\xff")


def parse(data: bytes) -> tuple[Partition, ...]:
    """Entries of a table in its order; raises `PARTITION_TABLE_INVALID` on a bad magic or MD5."""
    table: list[Partition] = []
    for at in range(0, min(len(data), TABLE_BYTES) - 31, 32):
        entry = data[at : at + 32]
        if entry.startswith(_MD5_HEAD):
            if hashlib.md5(data[:at], usedforsecurity=False).digest() != entry[16:]:
                raise _bad("MD5 does not match")
            break
        if entry == b"\xff" * 32:
            break
        magic, kind, subtype, offset, size, label, flags = _ENTRY.unpack(entry)
        if magic != _MAGIC:
            raise _bad(f"entry {len(table)} begins with {magic.hex()}")
        try:
            name = label.rstrip(b"\0").decode()
        except UnicodeDecodeError:
            raise _bad(f"entry {len(table)} has no readable name") from None
        table.append(Partition(name, kind, subtype, offset, size, flags))
    if not table:
        raise _bad("no entries")
    return tuple(table)
