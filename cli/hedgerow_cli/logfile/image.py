"""The image of a log partition: what lies in it, opened with the log that runs on boards."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, STATE_RECEIPT
from hedgerow.operation import CLOCK, decode_body
from hedgerow_boards.limits import FLASH_BYTES
from hedgerow_boards.partition_table import SECTOR
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import HEADER, Header
from hedgerow_device.tail import FEWEST

#: A sector of a log, of whatever version, begins so; then come its version and its flags.
MAGIC = b"Hg"
#: So much of a sector is looked at to tell whether it is one of a log.
HEAD_BYTES = 64
#: What versions there may ever be: garbage is seldom taken for a log.
VERSIONS = range(1, 16)
_READ_BYTES = 1 << 20
_ALL_SEALED = 0xFFFFFFFF  # as a number up to which seals are held: no seal is asked for


@dataclass(frozen=True)
class Sector:
    """A sector that begins as those of a log do: its index, what it says of itself, its first bytes."""

    index: int
    version: int
    seq: int
    head: bytes

    @classmethod
    def of(cls, index: int, head: bytes) -> "Sector | None":
        """None for what is none."""
        if not head.startswith(MAGIC) or head[2] not in VERSIONS:
            return None
        return cls(index, head[2], int.from_bytes(head[4:8], "big"), head)

    @property
    def ours(self) -> bool | None:
        """Whether its header is whole and of this version; None if it is none that we can check."""
        try:
            return True if Header.decode(self.head[:HEADER]) else None
        except HedgerowError:
            return False


def foreign(found: Sequence[Sector]) -> list[Sector]:
    """Those of the sectors of one log that are of another version of the software.

    One whose header we cannot check counts only where there is none of ours: it may be torn.
    """
    any_ours = any(sector.ours for sector in found)
    return [
        sector
        for sector in found
        if sector.ours is False or (sector.ours is None and not any_ours and sector.version != _version())
    ]


@functools.cache
def _version() -> int:
    device = ImageDevice(b"\xff" * FEWEST * SECTOR)
    FlashLog(device)
    return sectors(bytes(device.cells))[0].version


def sectors(data: bytes) -> list[Sector]:
    """The sectors of a log in `data`, which begins at the start of a sector."""
    heads = ((at // SECTOR, data[at : at + HEAD_BYTES]) for at in range(0, len(data), SECTOR))
    return [found for index, head in heads if (found := Sector.of(index, head))]


class ImageDevice:
    """A flash in memory as MicroPython's block devices are; programming clears bits."""

    def __init__(self, data: bytes, *, encrypted: bool = False) -> None:
        self.cells = bytearray(data)
        self._encrypted = encrypted

    def info(self) -> tuple[int, int, int, int, str, bool]:
        return 1, 0x40, 0, len(self.cells), "hedgerow", self._encrypted

    def readblocks(self, block: int, buf: bytearray | memoryview, offset: int = 0) -> None:
        at = block * SECTOR + offset
        buf[:] = self.cells[at : at + len(buf)]

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        at = block * SECTOR + offset
        for i, value in enumerate(data):
            self.cells[at + i] &= value

    def ioctl(self, command: int, argument: int) -> int:
        if command == 4:
            return len(self.cells) // SECTOR
        if command == 5:
            return SECTOR
        if command == 6:
            self.cells[argument * SECTOR : (argument + 1) * SECTOR] = b"\xff" * SECTOR
        return 0


def open_image(data: bytes, *, encrypted: bool = False) -> Any:
    """Open the log in an image as a FlashLog on a copy of it.

    Raises LOG_IMAGE if there is none, LOG_VERSION if it is of another version of the software.
    """
    found = [] if len(data) % SECTOR else sectors(data)
    if others := foreign(found):
        raise HedgerowError("LOG_VERSION", str(others[0].version))
    if not any(sector.ours for sector in found):
        raise HedgerowError("LOG_IMAGE", f"{len(data)} bytes, and no sector of a log in them")
    return FlashLog(ImageDevice(data, encrypted=encrypted))


def read_image(path: Path) -> bytes:
    """The bytes of a file; LOG_IMAGE if it cannot be read or is larger than any flash."""
    try:
        with path.open("rb") as file:
            data = file.read(FLASH_BYTES + 1)
    except OSError as error:
        raise HedgerowError("LOG_IMAGE", str(error)) from None
    if len(data) > FLASH_BYTES:
        raise HedgerowError("LOG_IMAGE", f"{path}: over {FLASH_BYTES} bytes")
    return data


@dataclass(frozen=True)
class Author:
    """What a log holds of an author: numbers up to which it is held, sealed, receipted; how many `readings`
    it has above the receipts (operations that are no clock records), and the number of the `newest`."""

    name: str
    held: int
    sealed: int
    receipted: int
    readings: int
    newest: int


@dataclass(frozen=True)
class Custody:
    """Whose log it is (hex), and what it holds of whom, in the order in which they came."""

    author: str
    authors: tuple[Author, ...]

    @property
    def readings(self) -> int:
        """Operations, clock records apart, that no keeper has receipted."""
        return sum(author.readings for author in self.authors)

    def covers(self, other: "Custody") -> bool:
        """Whether a log in this state lacks no reading that is open in one in the other state."""
        held = {author.name: author.held for author in self.authors}
        return self.author == other.author and all(
            held.get(author.name, 0) >= author.newest for author in other.authors
        )


def custody(log: Any) -> Custody:
    """What an open log holds."""
    receipted: dict[bytes, int] = {}
    for _, value in log.items(STATE_RECEIPT):
        receipt = Receipt.decode(value)
        receipted[receipt.author] = max(receipt.number, receipted.get(receipt.author, 0))
    found = []
    for author in log.authors():
        number = start = receipted.get(author, 0)
        readings = newest = 0
        # What was dropped at the end of a run is read by nobody.
        while entries := log.read(author, number, _ALL_SEALED, _READ_BYTES):
            for kind, _, last, body in entries:
                number = max(number, last)
                if kind == ENTRY_OP and decode_body(body)[1][0][0] != CLOCK:
                    readings, newest = readings + 1, last
        found.append(Author(author.hex(), log.held(author), log.sealed(author), start, readings, newest))
    return Custody(log.author.hex(), tuple(found))
