"""What the document index takes of the heap, between top-level calls in a VM that is driven from outside:
start(), open_index(), use(DOCUMENTS). The ring lies in a file that flash_keys.py wrote, not
in the heap. It is compiled as the firmware is.
"""

SECTOR = 4096
LOOKUPS = 100

log = None
index = None


class Flash:
    """A block device with MicroPython's extended interface on a file."""

    def __init__(self, path: str):
        self._file = open(path, "r+b")
        self._count = self._file.seek(0, 2) // SECTOR

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fill the buffer."""
        self._file.seek(block * SECTOR + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        """Program."""
        self._file.seek(block * SECTOR + offset)
        self._file.write(data)

    def ioctl(self, command: int, argument: int) -> int:
        """4 counts the sectors, 5 gives their size, 6 erases one."""
        if command == 6:
            self.writeblocks(argument, b"\xff" * SECTOR, 0)
        return {4: self._count, 5: SECTOR}.get(command, 0)


def start(path: str) -> None:
    """Open the log and load every module that the index needs."""
    global log
    import hedgerow_device.flashkeys
    import hedgerow_device.flashkeysload  # noqa: F401
    from hedgerow_device.flashlog import FlashLog

    log = FlashLog(Flash(path))
    log.beside()


def open_index() -> None:
    """Open it."""
    global index
    index = log.index


def use(documents: int) -> None:
    """Look some documents up, and write until what is not on flash yet is as much as it gets."""
    from hedgerow.documents import index_key

    for at in range(LOOKUPS):
        dots = index.get(index_key("plants", "plant %d" % (at * documents // LOOKUPS)))
        if len(dots) != 1:
            raise ValueError("%d operations of a document" % len(dots))
    for number in range(17):
        index.add(number, log.author, 1 + number)
