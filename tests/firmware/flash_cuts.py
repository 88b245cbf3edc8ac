"""Power cuts for the flash log by trace replay: a recorded run, and what holds after a cut anywhere in it.

`Recording` runs a seeded workload once and notes every operation of the flash. `cut` tears one of them in the
image before it; `go_on` mounts that, checks, goes on, mounts again and checks again. What it went on with is
a trace too: it can be cut again, and so on.
"""

import os
import random
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

from flash_invariants import View, between, check, i5_same, i5_what_ran, i6_untouched, i7_bounded, i8_space
from flash_oracle import DOCUMENTS, KEEPER, OTHERS, PINNED, Oracle
from flash_tears import ERASE_TEARS, MODELS, PROGRAM_TEARS, Cells, Operation, cuts_in, span, tear, unproven
from flash_workload import Step, Workload

from hedgerow_sim.nor import Nor

__all__ = [
    "DOCUMENTS", "ERASE_TEARS", "KEEPER", "MODELS", "OTHERS", "PINNED", "PROGRAM_TEARS", "Cells",
    "Leg", "Operation", "Oracle", "Recording", "Step", "View", "Workload", "check", "cut", "cuts_in", "go_on",
    "seeded", "span", "survive", "tear", "unproven",
]  # fmt: skip
COUNT = 10
SIZE = 1024
LAPS = 2.2
#: What follows on a cut: an operation of each own author, and so many actions.
GO_ON = 2
#: One cut in so many is looked at from all sides.
DEEP = 8


@contextmanager
def seeded(seed: object) -> Iterator[None]:
    """Make the names of new authors a matter of the seed."""
    urandom = os.urandom
    os.urandom = random.Random(str(seed)).randbytes
    try:
        yield
    finally:
        os.urandom = urandom


class Leg:
    """A way on a flash: the image at its `start`, the operations since, and which action took which.

    `views` are what the log showed before each step and after the last; a leg after a cut has none.
    """

    def __init__(self, start: Cells, size: int):
        self.start = start
        self.size = size
        self.count = len(start) // size
        self.trace: list[Operation] = []
        self.steps: list[Step] = []
        self.views: list[View] = []
        self.seed = 0

    def states(self) -> Iterator[tuple[int, Operation, Cells]]:
        """Yield (index, operation, cells before it) over the whole way."""
        cells = bytearray(self.start)
        for index, operation in enumerate(self.trace):
            yield index, operation, cells
            self.apply(cells, index)

    def apply(self, cells: Cells, index: int) -> None:
        """Do an operation on the cells before it."""
        at, after = span(self.trace[index], self.size)
        cells[at : at + len(after)] = after

    def cells_at(self, index: int) -> Cells:
        """Return the cells before the operation with this index."""
        cells = bytearray(self.start)
        for before in range(index):
            self.apply(cells, before)
        return cells

    def step_at(self, index: int) -> int:
        """Return which step an operation belongs to, -1 if it is formatting."""
        # Steps that took no operation share their start with the one after them, which is the last of these.
        return bisect_right([step.start for step in self.steps], index) - 1

    def oracle_at(self, index: int) -> Oracle:
        """Return what had been acknowledged, and what was under way, at the operation with this index."""
        number = self.step_at(index)
        if number < 0:
            return Oracle()
        oracle = self.steps[number].oracle.copy()
        oracle.pending = self.steps[number].action
        return oracle


class Recording(Leg):
    """A run of the workload over `laps` laps of a ring, the log full once on the way.

    `counts` says how often what was done, `refused` how often the log was full; `actions` are (first
    operation, the one after the last, action).
    """

    def __init__(self, seed: int, *, count: int = COUNT, size: int = SIZE, laps: float = LAPS):
        super().__init__(bytearray(b"\xff" * (count * size)), size)
        with seeded(seed):
            self._run(seed, laps)

    def _run(self, seed: int, laps: float) -> None:
        self.seed = seed
        nor = Nor(self.count, self.size, trace=self.trace)
        oracle = Oracle()
        workload = Workload(seed, oracle, nor)
        log = oracle.open(nor)
        self.author = log.author
        self.formatted = len(self.trace)
        self.steps = workload.steps
        self.views.append(View(log))
        workload.on_step = lambda log: self.views.append(View(log))
        # The second half of the first lap has no receipts: then the log is full.
        was_quiet = False
        while nor.erases < laps * self.count or not workload.refused:
            if nor.erases > self.count // 2 and not was_quiet:
                was_quiet = workload.quiet = True
            log = workload.act(log)
        log = workload.boot(log, clean=True)
        self.counts = workload.counts
        self.refused = workload.refused
        self.actions = [(step.start, step.end, step.action) for step in self.steps]
        i5_same(check(log, oracle), nor, oracle)
        assert nor.again <= 1 + self.counts["boot"], "I6: programs again what stands there"


def survive(recording: Leg, index: int, cells: Cells, seed: int | str) -> None:
    """Mount torn cells, check, go on, mount again, check again."""
    go_on(recording, index, cells, set(), seed, deep=True)


def cut(leg: Leg, index: int, cells: Cells, model: str, byte: int, seed: str) -> tuple[Cells, set[int]]:
    """Return the image after a cut, and the sectors that it left unproven; `cells` are those before it."""
    operation = leg.trace[index]
    torn = tear(cells, operation, leg.size, model, random.Random(seed), byte)
    return torn, unproven(operation, model)


def go_on(leg: Leg, index: int, cells: Cells, doubtful: set[int], seed: int | str, deep: bool = False) -> Leg:
    """Mount what a cut left, check, go on, mount again, check again; return the way from there."""
    oracle = leg.oracle_at(index)
    number = leg.step_at(index)
    before = leg.views[number] if leg.views and number >= 0 else None
    after = leg.views[number + 1] if before else None
    way = Leg(cells, leg.size)
    nor = Nor(leg.count, leg.size, bytearray(cells), way.trace)
    nor.unproven = set(doubtful)
    nor.patience = 200 * len(cells)
    with seeded(seed):
        formatted = oracle.author is not None
        log = oracle.open(nor)
        if formatted:
            i6_untouched(nor)
            i7_bounded(nor)
        view = check(log, oracle, deep, before, after)
        if before:
            i8_space(view, before, after)
            if index == leg.steps[number].start and cells == leg.cells_at(index):
                between(view, before, before, oracle)
        if deep:
            i5_same(view, nor, oracle)
        workload = Workload(seed, oracle, nor)
        way.steps = workload.steps
        # What the log itself writes next is where a wrong frontier shows.
        for author in (log.author, oracle.local):
            workload.write(log, author)
        for _ in range(GO_ON):
            log = workload.act(log)
        assert nor.again <= 1 + workload.counts.get("boot", 0), "I6: programs again what stands there"
        ran = View(log, runs=deep)
        nor.read = 0
        again = oracle.open(nor)
        i7_bounded(nor)
        mounted = check(again, oracle, deep)
        i5_what_ran(ran, mounted, oracle)
    return way
