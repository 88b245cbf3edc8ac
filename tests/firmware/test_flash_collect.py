"""Incremental collection: its cost beside theory, wear, single appends, idle time, silent authors."""

import math
import random

import pytest
from flash_cuts import KEEPER
from nor import Nor

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT
from hedgerow_device import flashframes as frames
from hedgerow_device.flashlog import FlashLog

OTHER = b"author-x"
SIZE = 32


class Wearing(Nor):
    """A flash that counts the erases of each sector."""

    def __init__(self, count: int, size: int = 4096):
        super().__init__(count, size)
        self.wear = [0] * count

    def ioctl(self, command: int, argument: int) -> int:
        if command == 6:
            self.wear[argument] += 1
        return super().ioctl(command, argument)


class Documents:
    """Updates of documents, each one operation: the newest one of a document is alive."""

    def __init__(self, nor: Nor, seed: int = 0):
        self.nor = nor
        self.log = FlashLog(nor)
        self.log.keeps = self.keeps
        self.author = self.log.author
        self.newest: dict[int, int] = {}
        self.rng = random.Random(seed)
        self.worst = 0

    def keeps(self, author: bytes, number: int, body: bytes, tight: bool = False) -> bool:
        return self.newest.get(int.from_bytes(body[:4], "big")) == number

    def update(self, document: int) -> None:
        log = self.log
        number = log.held(self.author) + 1
        body = document.to_bytes(4, "big") + bytes(SIZE - 4)
        before = self.nor.programmed
        log.append(ENTRY_OP, self.author, number, number, body)
        self.worst = max(self.worst, self.nor.programmed - before - SIZE - 5)
        self.newest[document] = number
        if number % 64 == 0:
            value = Receipt(KEEPER, 1, self.author, number).encode()
            log.put(STATE_RECEIPT, self.author + KEEPER, value)

    def check(self, log: FlashLog) -> None:
        """Every document's newest operation is there."""
        for document, number in self.newest.items():
            body = log.fetch(self.author, number)
            assert body is not None and int.from_bytes(body[:4], "big") == document


def theory(share: float) -> float:
    """Return 1 / (1 - p) of first in, first out collection: share = (1 - p) / -ln p."""
    low, high = 1e-9, 1 - 1e-9
    while high - low > 1e-9:
        p = (low + high) / 2
        if (1 - p) / -math.log(p) < share:
            low = p
        else:
            high = p
    return 1 / (1 - low)


def in_use(log: FlashLog) -> int:
    """Return the bytes between the cursor and the end."""
    ring = log.ring
    return (ring.seq - ring.tail) * ring.size + ring.end - log.cursor


def live_bytes(documents: Documents, run: int, moved: int) -> int:
    """Return the bytes of the frames that are alive: those of `run` in the run, of `moved` beside it."""
    index = documents.log.indexes[documents.author]
    total = 0
    for number in documents.newest.values():
        total += run if number > index.floors[0] else moved
    return total


@pytest.mark.parametrize(
    ("share", "size"),
    [(0.5, 1024), (0.7, 1024), pytest.param(0.5, 4096, marks=pytest.mark.slow),
     pytest.param(0.7, 4096, marks=pytest.mark.slow)],
)  # fmt: skip
def test_collection_costs_what_theory_says(share: float, size: int) -> None:
    nor = Wearing(64, size)
    documents = Documents(nor)
    log = documents.log
    # In the run: length, head, CRC; moved: slot and number (3 bytes) besides.
    run, moved = SIZE + 5, SIZE + 9
    usable = (nor.count - log.spare - log.band() / 2 - 1) * (size - 60)
    count = int(usable * share / moved)
    for document in range(count):
        documents.update(document)
    rng = documents.rng
    goal = nor.erases + 2 * nor.count
    while nor.erases < goal:
        documents.update(rng.randrange(count))
    moves = 0
    move = log.collector().move

    def counting(reader: object) -> None:
        nonlocal moves
        moves += reader.type in (ENTRY_OP, frames.FILLED)  # type: ignore[attr-defined]
        move(reader)

    log.collector().move = counting
    start, begun, used, samples = nor.programmed, log.held(log.author), 0.0, 0
    goal = nor.erases + 2 * nor.count
    documents.worst = 0
    while nor.erases < goal:
        documents.update(rng.randrange(count))
        if log.held(log.author) % 200 == 0:
            used += live_bytes(documents, run, moved) / in_use(log)
            samples += 1
    new = log.held(log.author) - begun
    live = used / samples
    factor = (new + moves) / new
    print(
        "live %.3f factor %.3f theory %.3f bytes %.3f worst %d"
        % (live, factor, theory(live), (nor.programmed - start) / (new * run), documents.worst)
    )
    assert 0.9 * share < live < share + 0.05
    assert factor <= 1.05 * theory(live)
    assert documents.worst <= 1024 + moved
    assert nor.erases <= 1.1 * nor.programmed / size + 1
    documents.check(log)
    documents.check(FlashLog(nor))
