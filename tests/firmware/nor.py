"""A NOR flash as MicroPython's Partition shows it, in memory, for tests on CPython and on MicroPython.

Programming only clears bits; a bit that would have to be set is an error, as is a program that leaves its
sector.
"""


class NorError(Exception):
    """The flash was used in a way that a chip would not forgive."""


class Nor:
    """`cells` is the content; `programmed`, `read` and `erases` count bytes and sectors.

    With `trace` a list, every operation is noted: ("program", sector, offset, bytes) or ("erase", sector).
    """

    def __init__(
        self, count: int, size: int = 4096, cells: bytearray | None = None, trace: list | None = None
    ):  # fmt: skip
        self.count = count
        self.size = size
        self.cells = cells if cells is not None else bytearray(b"\xff" * (count * size))
        self.trace = trace
        self.programmed = self.programs = self.read = self.erases = 0

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        """Fill the buffer."""
        at = block * self.size + offset
        if not 0 <= at <= at + len(buffer) <= len(self.cells):
            raise NorError("read outside")
        memoryview(buffer)[:] = memoryview(self.cells)[at : at + len(buffer)]
        self.read += len(buffer)

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        """Program."""
        if not 0 <= offset <= offset + len(data) <= self.size or not 0 <= block < self.count:
            raise NorError("program outside its sector")
        data = bytes(data)
        at = block * self.size + offset
        old = self.cells[at : at + len(data)]
        if old != b"\xff" * len(data):
            for before, after in zip(old, data):
                if after & ~before & 0xFF:
                    raise NorError("program over unerased bits in sector %d at %d" % (block, offset))
        self.cells[at : at + len(data)] = data
        self.programmed += len(data)
        self.programs += 1
        if self.trace is not None:
            self.trace.append(("program", block, offset, data))

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
            if self.trace is not None:
                self.trace.append(("erase", argument))
        return 0
