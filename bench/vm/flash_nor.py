"""A NOR flash in memory that counts, for our log and for littlefs alike, and which frames it saw."""

from array import array

SECTOR = 4096
ERASED = b"\xff" * SECTOR
# What one program call holds: the types of frames by SPEC 9.3, controls behind them, then what is no frame.
KINDS = (
    "op", "seal", "skip", "author", "value", "reclaimed", "beside", "dropped", "cut", "note", "summary",
    "keys", "clean",
)  # fmt: skip
OP, VALUE, BESIDE = 0, 4, 6
_CONTROLS = 3
_OTHER = ("header", "again", "unknown")
NAMES = KINDS + _OTHER
_HEADER, _AGAIN, _UNKNOWN = range(len(KINDS), len(NAMES))


class PowerCut(Exception):
    """The power went within a program; `done` bytes of it are on the flash."""


class Nor:
    """`count` sectors; `programmed` and `read` are bytes, `erases` sectors, `wear` erases of each sector."""

    def __init__(self, count: int):
        self.count = count
        self.cells = bytearray(ERASED * count)
        self.wear = array("I", [0] * count)
        self.programmed = self.programs = self.read = self.erases = 0

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fill the buffer."""
        at = block * SECTOR + offset
        size = len(buffer)
        buffer[:] = memoryview(self.cells)[at : at + size]
        self.read += size

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Program; ValueError where a bit would have to be set."""
        at = block * SECTOR + offset
        size = len(data)
        cells = memoryview(self.cells)[at : at + size]
        if cells != memoryview(ERASED)[:size]:
            for i in range(size):
                if data[i] & ~cells[i]:
                    raise ValueError("program over unerased bits in sector %d at %d" % (block, offset))
        cells[:] = data
        self.programmed += size
        self.programs += 1

    def ioctl(self, command: int, argument: int) -> int:
        """4 counts the sectors, 5 gives their size, 6 erases one."""
        if command == 4:
            return self.count
        if command == 5:
            return SECTOR
        if command == 6:
            at = argument * SECTOR
            self.cells[at : at + SECTOR] = ERASED
            self.erases += 1
            self.wear[argument] += 1
        return 0

    def counters(self) -> dict:
        """Return what was counted, for the host."""
        return {
            "programmed": self.programmed, "programs": self.programs, "read": self.read,
            "erases": self.erases, "wear_min": min(self.wear), "wear_max": max(self.wear),
        }  # fmt: skip


class LogNor(Nor):
    """Besides, `kinds` counts the bytes and `frames` the frames of each kind, `call` has (kind, bytes) of
    what was programmed since it was emptied; `trace`, if it is a list, has every step: (block, offset, data).
    """

    def __init__(self, count: int):
        super().__init__(count)
        self.kinds = array("I", [0] * len(NAMES))
        self.frames = array("I", [0] * len(NAMES))
        self.call: list = []
        self.trace: object = None

    def writeblocks(self, block: int, data: bytes, offset: int = 0) -> None:
        """Program, and note what it is."""
        at = block * SECTOR + offset
        kind = _kind(data, offset)
        if self.cells[at] != 0xFF:
            kind = _AGAIN
        super().writeblocks(block, data, offset)
        size = len(data)
        self.kinds[kind] += size
        self.frames[kind] += 1
        self.call.append((kind, size))
        if self.trace is not None:
            self.trace.append((block, offset, bytes(data)))

    def ioctl(self, command: int, argument: int) -> int:
        """Besides, a trace has an erase as the sector alone."""
        if command == 6 and self.trace is not None:
            self.trace.append((argument, 0, None))
        return super().ioctl(command, argument)

    def counters(self) -> dict:
        """Return what was counted, for the host."""
        found = super().counters()
        found["bytes"] = {name: self.kinds[i] for i, name in enumerate(NAMES)}
        found["frames"] = {name: self.frames[i] for i, name in enumerate(NAMES)}
        return found


def _kind(data: bytes, offset: int) -> int:
    if offset == 0:
        return _HEADER
    head = data[2] if data[0] & 0x80 else data[1]
    kind = head >> 6
    if kind == _CONTROLS:
        kind += head & 0x3F
    return kind if kind < _HEADER else _UNKNOWN


def beyond(call: list) -> int:
    """Return the bytes that an append programmed beyond its own frame, its last, and one live frame moved."""
    own = moved = total = 0
    for kind, size in call:
        total += size
        if kind == OP:
            moved = max(moved, own)
            own = size
        elif kind in (VALUE, BESIDE):
            moved = max(moved, size)
    return total - own - moved


def apply(cells: bytearray, step: tuple, done: int) -> None:
    """Do `done` bytes of a traced step to other cells; an erase is done whole."""
    block, offset, data = step
    at = block * SECTOR + offset
    if data is None:
        cells[at : at + SECTOR] = ERASED
        return
    for i in range(done):
        cells[at + i] &= data[i]
