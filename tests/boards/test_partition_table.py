"""Partition tables in ESP-IDF's binary format."""

import dataclasses

import pytest

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import TABLE_BYTES, Partition, check, pack, parse
from hedgerow_boards.profiles import PROFILES, STOCK_TABLE

FLASH = 4 * 1024 * 1024
# First two entries of what ESP-IDF's gen_esp32part.py makes of the stock table.
NVS_AND_PHY = bytes.fromhex(
    "aa50010200900000006000006e76730000000000000000000000000000000000"
    "aa50010100f00000001000007068795f696e6974000000000000000000000000"
)


def test_bytes_are_those_of_esp_idf() -> None:
    packed = pack(STOCK_TABLE, FLASH)
    assert len(packed) == TABLE_BYTES
    assert packed[:64] == NVS_AND_PHY
    assert packed[96:112] == b"\xeb\xeb" + b"\xff" * 14
    assert packed[128:] == b"\xff" * (TABLE_BYTES - 128)


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_tables_survive_the_round_trip(name: str) -> None:
    profile = PROFILES[name]
    table = parse(pack(profile.table, profile.flash_bytes))
    assert table == profile.table
    labels = {entry.label: entry for entry in table}
    assert (labels["hedgerow"].type, labels["hedgerow"].subtype) == (0x01, 0x40)
    assert labels["hedgerow"].end == profile.flash_bytes
    assert labels["vfs"].offset == max(entry.end for entry in STOCK_TABLE)


def test_a_flipped_bit_is_found() -> None:
    packed = bytearray(pack(STOCK_TABLE, FLASH))
    packed[5] ^= 1
    with pytest.raises(HedgerowError, match="MD5"):
        parse(packed)


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * TABLE_BYTES, b"\x00" * TABLE_BYTES, b"\xaa\x50" + b"\xff" * 30]
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(HedgerowError) as caught:
        parse(data)
    assert caught.value.code == "PARTITION_TABLE_INVALID"


@pytest.mark.parametrize(
    "change",
    [
        {"label": "nvs"},
        {"label": "sixteen-bytes-ab"},
        {"label": ""},
        {"offset": 0x9000},
        {"offset": 0x200800},
        {"size": 0x300000},
        {"size": 0},
        {"type": 0xFF},
    ],
)
def test_what_a_boot_loader_would_refuse(change: dict[str, int | str]) -> None:
    good = Partition("log", 1, 0x40, 0x200000, 0x100000)
    check([*STOCK_TABLE, good], FLASH)
    with pytest.raises(HedgerowError) as caught:
        check([*STOCK_TABLE, dataclasses.replace(good, **change)], FLASH)  # type: ignore[arg-type]
    assert caught.value.code == "PARTITION_TABLE_INVALID"
