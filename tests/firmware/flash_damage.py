"""Flash that does worse than lose power: bits that flip, cells that read now so, now so, worn sectors.

What is lost then is lost. What must hold: no error that nobody expects, no loop, and never content that
nobody wrote in that place.
"""

import random
from collections.abc import Iterator

from flash_cuts import Cells, Leg, Oracle, View, span, tear
from flash_oracle import Entry
from flash_tears import BYTE_TEARS

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

#: What a log may say of a flash with damage.
EXPECTED = ("LOG_DAMAGED", "LOG_FULL", "LOG_WORN")


class Written:
    """All that was ever written on a leg: bodies by author and number, entries, values."""

    def __init__(self, leg: Leg):
        self.bodies: set[tuple[bytes, int, bytes]] = set()
        self.entries: set[tuple[bytes, Entry]] = set()
        self.values: set[tuple[tuple[int, bytes], bytes]] = set()
        for step in leg.steps:
            name, args = step.action
            if name == "append":
                kind, author, first, last, body = args
                self.entries.add((author, (kind, first, last, body)))  # type: ignore[arg-type]
                if kind == ENTRY_OP:
                    self.bodies.add((author, first, body))  # type: ignore[arg-type]
            elif name == "replace":
                author, first, last, body = args
                self.entries.add((author, (2, first, last, body)))  # type: ignore[arg-type]
            elif name == "fill":
                self.bodies.add(args)  # type: ignore[arg-type]
            elif name == "put":
                self.values.add(((args[0], args[1]), args[2]))  # type: ignore[arg-type]

    def check(self, view: View) -> None:
        """Nothing in a view was not written (I3)."""
        for (author, number), body in view.present.items():
            assert (author, number, body) in self.bodies, f"I3: invented operation {author!r} {number}"
        for author, run in view.runs.items():
            for entry in run:
                assert (author, entry) in self.entries, f"I3: invented {author!r} {entry}"
        for pair in view.values.items():
            assert pair in self.values, f"I3: invented value {pair}"


def look(nor: Nor, oracle: Oracle) -> tuple[FlashLog, View] | None:
    """Mount a damaged flash and read everything; None if the log says what is wrong with it."""
    nor.patience = nor.read + 60 * len(nor.cells)
    try:
        log = oracle.open(nor)
        return log, View(log)
    except HedgerowError as error:
        assert error.code in EXPECTED, error
        return None


def lost(whole: View, view: View) -> set[tuple[bytes, int]]:
    """Return the operations that are not there any more."""
    return {dot for dot, body in whole.present.items() if view.present.get(dot) != body}


def flips(cells: Cells, bits: range) -> Iterator[tuple[int, Cells]]:
    """Yield (byte, cells with one bit of it flipped) for every byte and each of these bits."""
    for at in range(len(cells)):
        for bit in bits:
            damaged = bytearray(cells)
            damaged[at] ^= 1 << bit
            yield at, damaged


def sector_of(view: View, size: int) -> dict[tuple[bytes, int], int]:
    """Return in which sector, by sequence, each operation stands."""
    return {(author, number): (position - 1) // size for position, author, number, _ in view.arrivals}


class WeakNor(Nor):
    """A flash with a torn program whose cells read as one image, then as the other, in turn.

    Programming the cells again or erasing them makes them firm.
    """

    def __init__(self, count: int, size: int, one: Cells, other: Cells, weak: range):
        super().__init__(count, size, bytearray(one))
        self.images = (bytes(one[weak.start : weak.stop]), bytes(other[weak.start : weak.stop]))
        self.weak: range | None = weak
        self.turn = 0

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        weak = self.weak
        at = block * self.size + offset
        if weak and at < weak.stop and at + len(buffer) > weak.start:
            self.turn ^= 1
            self.cells[weak.start : weak.stop] = self.images[self.turn]
        super().readblocks(block, buffer, offset)

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        weak = self.weak
        at = block * self.size + offset
        if weak and at < weak.stop and at + len(data) > weak.start:
            assert data == self.images[0] or data == self.images[1], "I6: a program into cells that are weak"
            self.cells[weak.start : weak.stop] = data
            self.weak = None
        super().writeblocks(block, data, offset)

    def ioctl(self, command: int, argument: int) -> int:
        weak = self.weak
        if command == 6 and weak and weak.start // self.size == argument:
            self.weak = None
        return super().ioctl(command, argument)


def weak_images(leg: Leg, index: int, cells: Cells, rng: random.Random) -> WeakNor | None:
    """Return a flash in which a cut program reads as whole and as torn, or as torn in two ways.

    Cells that read as erased are not among them: nobody could tell those from erased ones. None for what is
    no program of erased cells.
    """
    operation = leg.trace[index]
    at, after = span(operation, leg.size)
    if operation[0] == "erase" or cells[at : at + len(after)] == after:
        return None
    models = rng.sample([*BYTE_TEARS, "all"], 2)
    first = second = cells
    while cells in (first, second):
        first, second = (tear(cells, operation, leg.size, model, rng) for model in models)
    return WeakNor(leg.count, leg.size, first, second, range(at, at + len(after)))


class WornNor(Nor):
    """A flash with sectors in which programs ("program") or erases ("erase") do nothing, or erases fail
    ("error")."""

    def __init__(self, count: int, size: int, worn: dict[int, str]):
        super().__init__(count, size)
        self.worn = worn

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        fault = self.worn.get(block)
        if fault:
            if fault != "program":
                self.write_over(block, data, offset)
            return
        super().writeblocks(block, data, offset)

    def ioctl(self, command: int, argument: int) -> int:
        if command == 6 and self.worn.get(argument) == "error":
            raise OSError(5)
        if command == 6 and self.worn.get(argument) == "erase":
            self.erases += 1
            return 0
        return super().ioctl(command, argument)


def disturbed(leg: Leg, index: int, cells: Cells, seed: object) -> tuple[Cells, int] | None:
    """Return the cells after a torn program that flipped a bit of a frame before it in its sector, and where.

    None if nothing stands before it.
    """
    rng = random.Random(str(seed))
    operation = leg.trace[index]
    if operation[0] != "program" or operation[2] <= 36:
        return None
    torn = tear(cells, operation, leg.size, "bits", rng)
    at = operation[1] * leg.size + rng.randrange(36, operation[2])
    torn[at] ^= 1 << rng.randrange(8)
    return torn, at
