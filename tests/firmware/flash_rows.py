"""Power cuts in a row: hundreds at the same point, or at any point, one boot after the other."""

import random

from flash_cuts import GO_ON, Cells, Leg, Oracle, Workload, check, seeded, tear, unproven
from flash_invariants import i5_same
from flash_tears import ERASE_TEARS, PROGRAM_TEARS, Operation

from hedgerow_sim.nor import Nor

ROW = 300
#: A boot that was not cut for so many actions has met none.
_BOOT = 60
#: After the last cut the log is used for so long.
_AFTER = 150


class PowerCut(BaseException):
    """Raised in the middle of an operation; nothing may catch it."""


class CutNor(Nor):
    """A flash whose power goes in the `left`-th operation from now: `where` in it (0 to 1), by `model`.

    With `model` or `where` None they are drawn anew each time; 0 is no cut. `cuts` counts them.
    """

    def __init__(self, count: int, size: int, rng: random.Random, cells: Cells | None = None):
        super().__init__(count, size, cells)
        self.rng = rng
        self.left = 0
        self.model: str | None = None
        self.erase_model: str | None = None
        self.where: float | None = None
        self.cuts = 0

    def _cut(self, operation: Operation) -> None:
        self.left -= 1
        if self.left == 0:
            erase = operation[0] == "erase"
            wanted = self.erase_model if erase else self.model
            model = wanted or self.rng.choice(list(ERASE_TEARS if erase else PROGRAM_TEARS))
            byte = None if self.where is None or erase else int(self.where * len(operation[3]))
            self.cells[:] = tear(self.cells, operation, self.size, model, self.rng, byte)
            self.unproven |= unproven(operation, model)
            self.cuts += 1
            raise PowerCut(model)

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        self._cut(("program", block, offset, bytes(data)))
        super().writeblocks(block, data, offset)

    def ioctl(self, command: int, argument: int) -> int:
        if command == 6:
            self._cut(("erase", argument, 0, b""))
        return super().ioctl(command, argument)


def row(leg: Leg, number: int, cuts: int = ROW, same: bool = True) -> list[Cells]:
    """Cut `cuts` boots in a row from some step of a leg on; return the images that the cuts left.

    With `same` every boot goes the same way and is cut at the same operation and byte.
    """
    rng = random.Random(f"{leg.seed}/row/{number}/{same}")
    step = rng.choice(leg.steps[len(leg.steps) // 3 :])
    oracle = step.oracle.copy()
    nor = CutNor(leg.count, leg.size, rng, leg.cells_at(step.start))
    point = 1 + number % 8 if same else 0
    if same:
        nor.model = rng.choice(list(PROGRAM_TEARS))
        nor.erase_model = rng.choice(list(ERASE_TEARS))
        nor.where = rng.random()
    way = rng.random()
    images = []
    with seeded(f"{leg.seed}/{number}"):
        author = oracle.author
        least = None
        while nor.cuts < cuts:
            nor.left = 0
            nor.read = 0
            nor.patience = 1000 * len(nor.cells)
            log = oracle.open(nor)
            view = check(log, oracle, deep=nor.cuts % 16 == 0)
            assert view.author == author, "I4: a power cut minted an author"
            if least is not None:
                assert view.free >= least, (
                    f"I8: {view.free} sectors are free after {nor.cuts} cuts, not {least}"
                )
            nor.left = point or rng.choice((1, 2, 3, 5, 40))
            workload = Workload(way if same else rng.random(), oracle)
            try:
                for _ in range(_BOOT):
                    log = workload.act(log)
                least = None
            except PowerCut:
                # A boot that got nothing done may cost one sector.
                least = view.free - 1 if not workload.counts else None
                images.append(bytearray(nor.cells))
            if nor.left > 0 and same:
                break
        after(nor, oracle, f"{leg.seed}/{number}/after")
    return images


def after(nor: CutNor, oracle: Oracle, seed: str, actions: int = _AFTER) -> None:
    """The log works as ever, however many cuts there were."""
    nor.left = 0
    log = oracle.open(nor)
    check(log, oracle)
    workload = Workload(seed, oracle)
    for _ in range(actions):
        log = workload.act(log)
    log = oracle.open(nor)
    i5_same(check(log, oracle), nor, oracle)
    assert workload.counts.get("append", 0) > actions // GO_ON, "I8: hardly anything could be written"
