"""A MicroPython image cut so that writing it leaves everything on the chip that is not MicroPython."""

from pathlib import Path

from hedgerow.errors import HedgerowError
from hedgerow_boards.partition_table import TABLE_OFFSET
from hedgerow_boards.profiles import Profile
from hedgerow_cli.flashing import tables
from hedgerow_cli.flashing.guard import Consent, check_chip
from hedgerow_cli.flashing.programmer import Piece, Programmer
from hedgerow_cli.limits import IMAGE_BYTES

#: Where the boot loader lies, and so where an image begins (ESP-IDF, "Bootloader").
_START = {"esp32": 0x1000, "esp32c3": 0x0, "esp32s3": 0x0}
_IMAGE_MAGIC = 0xE9


def image_pieces(image: bytes, profile: Profile) -> list[Piece]:
    """Boot loader and program of an image for micropython.org/download; the rest of it is filling.

    An image written whole would blank what lies between: the partition with the board's keys. Raises
    `IMAGE_INVALID` for what is no image of this chip.
    """
    start = _START[profile.chip]
    program = next(entry for entry in profile.table if entry.label == "factory")
    loader, code = image[: TABLE_OFFSET - start], image[program.offset - start :]
    if loader[:1] != bytes([_IMAGE_MAGIC]) or code[:1] != bytes([_IMAGE_MAGIC]):
        raise HedgerowError(
            "IMAGE_INVALID", f"no boot loader at 0x{start:x} or no program at 0x{program.offset:x}"
        )
    if len(code) > program.size:
        raise HedgerowError("IMAGE_INVALID", f"the program has {len(code)} bytes, {program.size} fit")
    return [(start, loader.rstrip(b"\xff")), (program.offset, code)]


def write_micropython(path: Path, profile: Profile, tool: Programmer, consent: Consent) -> None:
    """Write an image and our partition table, and nothing else.

    Raises `LOG_UNRECEIPTED` where that would cost readings (see guard.check_chip).
    """
    try:
        with path.open("rb") as file:
            data = file.read(IMAGE_BYTES + 1)
    except OSError as error:
        raise HedgerowError("IMAGE_INVALID", str(error)) from None
    if len(data) > IMAGE_BYTES:
        raise HedgerowError("IMAGE_INVALID", f"{path}: over {IMAGE_BYTES} bytes")
    wanted = image_pieces(data, profile)
    contents = check_chip(tool, profile, consent)
    if tables.differs(tables.table_in_flash(tool), profile):
        wanted += tables.pieces(contents, profile)
    tool.write(wanted)
