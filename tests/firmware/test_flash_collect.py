"""Incremental collection: its cost beside theory, wear, single appends, idle time, silent authors."""

import math
import random

import pytest
from flash_cuts import KEEPER

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_RECEIPT
from hedgerow_device import flashframes as frames
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import HEADER
from hedgerow_sim.nor import Nor

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
        """Every document's newest operation is there; looked at are some."""
        for document, number in list(self.newest.items())[:: max(1, len(self.newest) // 50)]:
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
    """Return the bytes of all operations' frames between the cursor and the end, dead and alive."""
    ring = log.ring
    total = 0
    for seq in range(ring.tail, ring.seq + 1):
        reader = frames.Reader(ring, seq, HEADER)
        while reader.next():
            if reader.type in (ENTRY_OP, frames.FILLED) and (seq > ring.tail or reader.start >= log.cursor):
                total += reader.end - reader.start
    return total


def live_bytes(documents: Documents, run: int, moved: int) -> int:
    """Return the bytes of the frames that are alive: those of `run` in the run, of `moved` beside it."""
    index = documents.log.indexes[documents.author]
    total = 0
    for number in documents.newest.values():
        total += run if number > index.floors[0] else moved
    return total


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_collection_costs_what_theory_says(share: float) -> None:
    size = 4096
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
        if log.held(log.author) % 997 == 0:
            used += live_bytes(documents, run, moved) / in_use(log)
            samples += 1
    new = log.held(log.author) - begun
    live = used / samples
    factor = (new + moves) / new
    print(
        "live %.3f factor %.3f theory %.3f bytes %.3f worst %d"
        % (live, factor, theory(live), (nor.programmed - start) / (new * run), documents.worst)
    )
    assert abs(live - share) < 0.06
    assert factor <= 1.05 * theory(live)
    assert documents.worst <= 1024 + moved
    assert nor.erases <= 1.1 * nor.programmed / size + 1
    documents.check(log)
    documents.check(FlashLog(nor))


def test_wear_is_level_over_ten_laps_and_idle_time_erases() -> None:
    nor = Wearing(64, 1024)
    documents = Documents(nor)
    log = documents.log
    while log.prepare():
        pass
    in_append = 0
    while nor.erases < 10 * nor.count:
        before = nor.erases
        documents.update(documents.rng.randrange(400))
        in_append += nor.erases - before
        for _ in range(4):
            log.prepare()
    assert in_append == 0
    assert max(nor.wear) - min(nor.wear) <= 2 and min(nor.wear) >= 9
    assert nor.erases <= 1.1 * nor.programmed / nor.size + 1
    documents.check(FlashLog(nor))


def append(log: FlashLog, author: bytes, size: int = 30) -> int:
    number = log.held(author) + 1
    log.append(ENTRY_OP, author, number, number, number.to_bytes(4, "big") + bytes(size - 4))
    return number


def receipt(log: FlashLog, author: bytes) -> None:
    log.put(STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, log.held(author)).encode())


def test_a_silent_author_at_the_tail_blocks_nothing_and_loses_nothing() -> None:
    nor = Wearing(32, 1024)
    log = FlashLog(nor)
    for _ in range(40):
        append(log, OTHER)
    log.append(ENTRY_SEAL, OTHER, 1, 20, b"seal of 20")
    skip = Skip(41, 60, LOST, [0, bytes(8)]).encode()
    log.append(ENTRY_SKIP, OTHER, 41, 60, skip)
    for _ in range(20):
        append(log, OTHER)
    expected = log.read(OTHER, 0, 0, 1 << 20)
    assert len(expected) == 62
    order = sorted(expected, key=lambda entry: (entry[2], entry[0] == ENTRY_SEAL))
    while nor.erases < 10 * nor.count:
        if append(log, log.author) % 16 == 0:
            receipt(log, log.author)
        if log.held(log.author) % 1500 == 0:
            log = FlashLog(nor)
    for opened in (log, FlashLog(nor)):
        assert opened.read(OTHER, 0, 0, 1 << 20) == order
        assert (opened.held(OTHER), opened.sealed(OTHER)) == (80, 20)
        assert opened.missing(OTHER) == [(41, 60, LOST)]
        held, found = 0, []
        while held < 80:
            some = opened.read(OTHER, held, 20, 100)
            assert some and (len(some) == 1 or sum(len(entry[3]) for entry in some) <= 100)
            held = some[-1][2]
            found += some
        assert found == [entry for entry in order if entry[0] != ENTRY_SEAL]
        arrived = [entry[2] for entry in opened.since(0, 1 << 20) if entry[1] == OTHER]
        assert sorted(arrived) == [*range(1, 41), *range(61, 81)]
    assert max(nor.wear) - min(nor.wear) <= 2
    # A receipt lets it go.
    receipt(log, OTHER)
    goal = nor.erases + 2 * nor.count
    while nor.erases < goal:
        if append(log, log.author) % 16 == 0:
            receipt(log, log.author)
    assert log.read(OTHER, 0, 0, 1 << 20) == [] and FlashLog(nor).held(OTHER) == 80


def test_the_newest_own_operation_is_recoverable_when_it_was_dropped() -> None:
    nor = Wearing(16, 1024)
    log = FlashLog(nor)
    number = append(log, log.author)
    body = log.fetch(log.author, number)
    receipt(log, log.author)
    log.drop(log.author, number, number)
    while nor.erases < 4 * nor.count:
        if append(log, OTHER) % 16 == 0:
            receipt(log, OTHER)
    for opened in (log, FlashLog(nor)):
        assert opened.newest(log.author) == body
        assert opened.fetch(log.author, number) is None and opened.read(log.author, 0, 0, 100) == []
        assert log.author not in [entry[1] for entry in opened.since(0, 1 << 20)]


def test_a_full_log_takes_what_makes_room() -> None:
    nor = Wearing(16, 1024)
    log = FlashLog(nor)
    with pytest.raises(HedgerowError, match="open") as refused:
        while True:
            append(log, log.author)
    assert refused.value.code == "LOG_FULL"
    held = log.held(log.author)
    full = log.storage()
    assert full["free"] < 1024 and full["open"] > 0.8 * full["used"] and full["sectors"] == 16
    last = held // 2
    log.replace(log.author, 1, last, Skip(1, last, LOST, [0, bytes(8)]).encode())
    assert log.storage()["open"] < 0.6 * full["open"]
    for _ in range(100):
        append(log, log.author)
    for opened in (log, FlashLog(nor)):
        entries = opened.read(log.author, 0, 0, 1 << 20)
        assert entries[0][:3] == (ENTRY_SKIP, 1, last)
        assert [entry[1] for entry in entries[1:]] == list(range(last + 1, held + 101))
        assert opened.missing(log.author) == [(1, last, LOST)]


def test_drops_stand_for_what_was_before_them_and_are_joined() -> None:
    nor = Wearing(16, 1024)
    log = FlashLog(nor)
    for _ in range(30):
        append(log, OTHER)
    for number in range(5, 25):
        log.drop(OTHER, number, number)
    assert len(log.beside().ranges[OTHER]) == 4
    log.fill(OTHER, 10, b"back again")
    log.drop(OTHER, 25, 25)
    for opened in (log, FlashLog(nor)):
        assert opened.fetch(OTHER, 10) == b"back again"
        assert [n for n in range(1, 31) if opened.fetch(OTHER, n)] == [1, 2, 3, 4, 10, *range(26, 31)]
