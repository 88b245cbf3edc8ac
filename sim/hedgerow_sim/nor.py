"""A NOR flash as MicroPython's Partition shows it, in memory, for tests on CPython and on MicroPython.

Programming only clears bits, and only of erased bytes; a program that leaves its sector is an error too. What
a chip forgives is allowed and counted: the same bytes once more, in the same place.
"""


class NorError(Exception):
    """The flash was used in a way that a chip would not forgive."""


class Nor:
    """`cells` is the content; `programmed`, `read` and `erases` count bytes and sectors, `again` programs of
    what stood there already.

    With `trace` a list, every operation is noted: ("program", sector, offset, bytes) or ("erase", sector).
    `unproven` are sectors whose erase was cut: they are erased once more before they are programmed, whatever
    they read. `patience` is how many bytes may be read in all: a log that reads for ever is found out.
    """

    def __init__(
        self, count: int, size: int = 4096, cells: bytearray | None = None, trace: list | None = None
    ):  # fmt: skip
        self.count = count
        self.size = size
        self.cells = cells if cells is not None else bytearray(b"\xff" * (count * size))
        self.trace = trace
        self.unproven: set = set()
        self.patience = 1 << 40
        self.programmed = self.programs = self.read = self.erases = self.again = 0

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fill the buffer."""
        at = block * self.size + offset
        if not 0 <= at <= at + len(buffer) <= len(self.cells):
            raise NorError("read outside")
        memoryview(buffer)[:] = memoryview(self.cells)[at : at + len(buffer)]
        self.read += len(buffer)
        if self.read > self.patience:
            raise NorError("reads without an end")

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        """Program."""
        if not 0 <= offset <= offset + len(data) <= self.size or not 0 <= block < self.count:
            raise NorError("program outside its sector")
        if block in self.unproven:
            raise NorError("program in sector %d, whose erase was cut" % block)
        data = bytes(data)
        at = block * self.size + offset
        old = self.cells[at : at + len(data)]
        if old == data:
            self.again += 1
        elif old != b"\xff" * len(data):
            raise NorError("program over what is not erased in sector %d at %d" % (block, offset))
        self.cells[at : at + len(data)] = data
        self.programmed += len(data)
        self.programs += 1
        if self.trace is not None:
            self.trace.append(("program", block, offset, data))

    def write_over(self, block: int, data: bytes, offset: int) -> None:
        """Program as a chip does in a sector that was not erased: bits that are 0 stay 0."""
        at = block * self.size + offset
        old = self.cells[at : at + len(data)]
        self.cells[at : at + len(data)] = bytes(bits & new for bits, new in zip(old, data))
        self.programmed += len(data)
        self.programs += 1

    def ioctl(self, command: int, argument: int) -> int:
        """4 counts the sectors, 5 gives their size, 6 erases one."""
        if command == 4:
            return self.count
        if command == 5:
            return self.size
        if command == 6:
            at = argument * self.size
            self.cells[at : at + self.size] = b"\xff" * self.size
            self.erases += 1
            self.unproven.discard(argument)
            if self.trace is not None:
                self.trace.append(("erase", argument))
        return 0
