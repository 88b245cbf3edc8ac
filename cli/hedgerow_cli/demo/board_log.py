"""The log of a board, read from a copy of its flash by the firmware's own code."""

from hedgerow.log import ENTRY_OP
from hedgerow_boards.board import Board
from hedgerow_boards.partition_table import SECTOR
from hedgerow_cli.demo.cuts import LOG
from hedgerow_device.flashlog import FlashLog

_READ_BYTES = 65536
_COUNT, _SIZE, _ERASE = 4, 5, 6


class _Copy:
    """The partition as a block device in memory; what is written stays here."""

    def __init__(self, cells: bytes) -> None:
        self.cells = bytearray(cells)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        at = block * SECTOR + offset
        memoryview(buffer)[:] = memoryview(self.cells)[at : at + len(buffer)]

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        for at, byte in enumerate(bytes(data), block * SECTOR + offset):
            self.cells[at] &= byte

    def ioctl(self, command: int, argument: int) -> int:
        if command == _ERASE:
            self.cells[argument * SECTOR : (argument + 1) * SECTOR] = b"\xff" * SECTOR
        return {_COUNT: len(self.cells) // SECTOR, _SIZE: SECTOR}.get(command, 0)


def log_of(board: Board) -> FlashLog:
    """Return the log as it lies in the flash now; of a board that is on, as a power cut would leave it."""
    entry = board.partition(LOG)
    return FlashLog(_Copy(board.read_flash(entry.offset, entry.end - entry.offset)))


def own_operations(board: Board) -> tuple[str, set[int]]:
    """Return (author in hex, numbers of its own operations that the log gives); the board must be off."""
    log = log_of(board)
    found: set[int] = set()
    held, sealed = 0, log.sealed(log.author)
    while entries := log.read(log.author, held, sealed, _READ_BYTES):
        found.update(first for kind, first, _, _ in entries if kind == ENTRY_OP)
        held = entries[-1][2]
    return bytes(log.author).hex(), found
