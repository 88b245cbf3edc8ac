"""What the document index takes of the heap, between top-level calls in a VM: start(), open(), use().

The ring lies in a file, /lib/ring.bin or what start() is given; the host has written it.
"""

SECTOR = 4096

log = None
index = None


class Flash:
    """A block device with MicroPython's extended interface on a file."""

    def __init__(self, path: str):
        self._file = open(path, "r+b")  # noqa: PTH123, SIM115
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
    import hedgerow.codec.cbor
    import hedgerow.documents
    import hedgerow.index  # noqa: F401
    import hedgerow_device.flashkeys
    import hedgerow_device.flashkeysload  # noqa: F401
    from hedgerow_device.flashlog import FlashLog

    log = FlashLog(Flash(path))
    log.beside()
    # Tables of names grow once, whoever is the first to need a place in them.
    log.index.get(0)
    log.drop_index()


def open_index() -> None:
    """Open it."""
    global index
    index = log.index


def use(count: int, step: int) -> None:
    """Look `count` documents up, one in `step`, and write until the buffer is as full as it gets."""
    from hedgerow.documents import index_key

    found = 0
    for number in range(0, count, step):
        dots = index.get(index_key("plants", "plant %d" % number))
        if len(dots) == 1 and log.hinted(*dots[0]):
            found += 1
    if found != len(range(0, count, step)):
        raise ValueError("%d found" % found)
    for number in range(17):
        index.add(number, log.author, 1 + number)


def ram(count: int) -> None:
    """Fill an index in RAM instead with what an index of `count` documents holds."""
    global index
    from hedgerow.documents import index_key
    from hedgerow.index import RamIndex

    index = RamIndex()
    for number in range(count):
        index.add(index_key("plants", "plant %d" % number), log.author, number + 1)
