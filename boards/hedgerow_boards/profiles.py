"""The supported boards: chip, flash, heap, pins and the partition table that Hedgerow gives them."""

from dataclasses import dataclass

from hedgerow_boards.partition_table import (
    HEDGEROW_LOG,
    SUBTYPE_FAT,
    SUBTYPE_NVS,
    SUBTYPE_PHY,
    SUBTYPE_ROMFS,
    TYPE_APP,
    TYPE_DATA,
    Partition,
)

#: What MicroPython's own images for the ESP32 family come with. The file system, `vfs`, is not in
#: it: the firmware adds it at boot, from the end of the last partition to the end of the flash.
STOCK_TABLE = (
    Partition("nvs", TYPE_DATA, SUBTYPE_NVS, 0x9000, 0x6000),
    Partition("phy_init", TYPE_DATA, SUBTYPE_PHY, 0xF000, 0x1000),
    Partition("factory", TYPE_APP, 0x00, 0x10000, 0x1F0000),
)


#: The firmware lies in it and is used in place; what is left of it beside the log is `vfs`.
ROM_BYTES = 0x58000


def _table(log: int, flash_bytes: int) -> tuple[Partition, ...]:
    rom = log - ROM_BYTES
    return (
        *STOCK_TABLE,
        Partition("vfs", TYPE_DATA, SUBTYPE_FAT, 0x200000, rom - 0x200000),
        Partition("romfs", TYPE_DATA, SUBTYPE_ROMFS, rom, ROM_BYTES),
        Partition("hedgerow", TYPE_DATA, HEDGEROW_LOG, log, flash_bytes - log),
    )


@dataclass(frozen=True)
class Profile:
    """One kind of board.

    `heap_kib` is what MicroPython has left for the heap with BLE up, on the 32-bit chip;
    `heap_info` the region (total, free, largest block, least free) of the IDF heap then, in bytes.
    `table` is the partition table that the firmware is flashed with.
    """

    name: str
    chip: str
    flash_bytes: int
    heap_kib: int
    frequency: int
    i2c_sda: int
    i2c_scl: int
    led: int
    table: tuple[Partition, ...]
    max_connections: int = 4
    heap_info: tuple[int, int, int, int] = (134_544, 94_256, 53_248, 90_000)


_MIB = 1024 * 1024

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("esp32", "esp32", 4 * _MIB, 72, 160_000_000, 21, 22, 2, _table(0x280000, 4 * _MIB)),
        Profile("esp32c3", "esp32c3", 4 * _MIB, 112, 160_000_000, 8, 9, 8, _table(0x280000, 4 * _MIB)),
        Profile("esp32s3", "esp32s3", 8 * _MIB, 112, 160_000_000, 8, 9, 48, _table(0x380000, 8 * _MIB)),
        # With the image for SPIRAM: of 2 MiB or more the half.
        Profile(
            "esp32s3-psram", "esp32s3", 8 * _MIB, 1024, 160_000_000, 8, 9, 48, _table(0x380000, 8 * _MIB)
        ),
    )
}
