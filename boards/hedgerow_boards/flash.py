"""The flash image of an emulated board, seen from the host: made, written by a programmer, torn.

The image is the whole chip. While the board runs, its VM has the same file mapped and programs and
erases it under NOR rules; these functions are for a board that is off.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow_boards.limits import FLASH_BYTES
from hedgerow_boards.partition_table import SECTOR, TABLE_BYTES, TABLE_OFFSET, Partition, pack, parse
from hedgerow_boards.vm import control_layout as layout

#: How a program that loses power leaves the flash: the first bytes only; these and random bits of the
#: rest; these and random bits of the next byte; the last bytes instead of the first.
PROGRAM_MODELS = ("prefix", "bits", "byte", "suffix")
#: How an erase does: not begun; half of the sector; random bits set; done, but never reported.
ERASE_MODELS = ("none", "half", "bits", "blank")
#: How a worn sector behaves.
WORN = {
    "erase-noop": layout.ERASE_NOOP,
    "erase-error": layout.ERASE_ERROR,
    "program-noop": layout.PROGRAM_NOOP,
    "program-error": layout.PROGRAM_ERROR,
}


def create(path: Path, flash_bytes: int, table: Sequence[Partition]) -> None:
    """A factory-new chip: erased, with a partition table."""
    if not 0 < flash_bytes <= FLASH_BYTES or flash_bytes % SECTOR:
        raise HedgerowError("FLASH_SIZE", f"{flash_bytes} bytes")
    image = bytearray(b"\xff") * flash_bytes
    image[TABLE_OFFSET : TABLE_OFFSET + TABLE_BYTES] = pack(table, flash_bytes)
    path.write_bytes(image)


def read(path: Path, offset: int, length: int) -> bytes:
    """Bytes of the image; raises `FLASH_RANGE` outside it."""
    _check_range(path, offset, length)
    with path.open("rb") as image:
        image.seek(offset)
        return image.read(length)


def partitions(path: Path) -> tuple[Partition, ...]:
    """The partition table that the image holds."""
    return parse(read(path, TABLE_OFFSET, TABLE_BYTES))


def write(path: Path, offset: int, data: bytes) -> None:
    """Erase the sectors that `data` touches and program it, as esptool does."""
    if offset % SECTOR:
        raise HedgerowError("FLASH_RANGE", f"0x{offset:x} is not the start of a sector")
    padded = data + b"\xff" * (-len(data) % SECTOR)
    _check_range(path, offset, len(padded))
    _put(path, offset, padded)


def tear_program(path: Path, at: int, data: bytes, done: int, model: str, rng: random.Random) -> None:
    """Leave a program of `data` at `at` as a power cut after `done` bytes does."""
    cells = bytearray(read(path, at, len(data)))
    if model == "suffix":
        first = len(data) - done
        masks = b"\xff" * first + data[first:]
    elif model == "bits":
        masks = data[:done] + bytes(byte | rng.getrandbits(8) for byte in data[done:])
    elif model == "byte":
        torn = bytes(byte | rng.getrandbits(8) for byte in data[done : done + 1])
        masks = data[:done] + torn + b"\xff" * (len(data) - done - len(torn))
    else:
        masks = data[:done] + b"\xff" * (len(data) - done)
    _put(path, at, bytes(cell & mask for cell, mask in zip(cells, masks, strict=True)))


def tear_erase(path: Path, at: int, model: str, rng: random.Random) -> None:
    """Leave the erase of the sector at `at` as a power cut does."""
    cells = read(path, at, SECTOR)
    if model == "half":
        _put(path, at, b"\xff" * (SECTOR // 2))
    elif model == "bits":
        _put(path, at, bytes(cell | rng.getrandbits(8) for cell in cells))
    elif model == "blank":
        _put(path, at, b"\xff" * SECTOR)


def _check_range(path: Path, offset: int, length: int) -> None:
    size = path.stat().st_size
    if offset < 0 or length < 0 or offset + length > size:
        raise HedgerowError("FLASH_RANGE", f"0x{offset:x}+0x{length:x} of 0x{size:x}")


def _put(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as image:
        image.seek(offset)
        image.write(data)
