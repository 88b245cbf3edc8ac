"""Mounting by summaries and slices finds what all frames say, and reads little."""

import random
from collections.abc import Callable

import pytest
from flash_cuts import ERASE_TEARS, KEEPER, PROGRAM_TEARS, span, tear
from flash_tables import differences, open_whole, tables

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG, STATE_RECEIPT
from hedgerow_device.flashfind import search
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

Work = Callable[[FlashLog, random.Random], None]
AUTHORS = [b"author%02d" % number for number in range(64)]


def operation(log: FlashLog, author: bytes, size: int = 32) -> None:
    number = log.held(author) + 1
    log.append(ENTRY_OP, author, number, number, number.to_bytes(4, "big") + bytes(size - 4))


def receipt(log: FlashLog, author: bytes) -> None:
    log.put(STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, log.held(author)).encode())


def one_author(log: FlashLog, rng: random.Random) -> None:
    operation(log, log.author, rng.randint(8, 60))
    if log.held(log.author) % 20 == 0:
        receipt(log, log.author)


def many_authors(log: FlashLog, rng: random.Random) -> None:
    author = AUTHORS[rng.randrange(len(AUTHORS))]
    operation(log, author)
    if log.held(author) % 8 == 0:
        receipt(log, author)


def everything(log: FlashLog, rng: random.Random) -> None:
    """Operations, seals, skips and values of a dozen authors, some of whom come late and some fall silent."""
    author = AUTHORS[int(12 * rng.random() ** 3)]
    held = log.held(author)
    die = rng.random()
    if die < 0.1 and held > log.sealed(author):
        log.append(ENTRY_SEAL, author, log.sealed(author) + 1, held, bytes(rng.randint(1, 80)))
    elif die < 0.15:
        skip = Skip(held + 1, held + rng.randint(1, 300), RECEIPTED)
        log.append(ENTRY_SKIP, author, skip.first, skip.last, skip.encode())
    elif die < 0.25:
        log.put(STATE_CONFIG, b"k%d" % rng.randrange(20), rng.randbytes(rng.randint(1, 40)))
    elif die < 0.4:
        receipt(log, author)
    else:
        operation(log, author, rng.randint(8, 90))


def beside(log: FlashLog, rng: random.Random) -> None:
    """As everything(), and operations filled in, dropped, given up and replaced."""
    author = AUTHORS[int(6 * rng.random() ** 2)]
    held = log.held(author)
    die = rng.random()
    if die < 0.05 and held:
        log.fill(author, rng.randint(max(1, held - 30), held + 20), bytes(20))
    elif die < 0.08 and held:
        first = rng.randint(max(1, held - 20), held)
        log.drop(author, first, first + rng.randint(0, 3))
    elif die < 0.09 and held:
        log.cut(author, held - rng.randint(0, 6))
    elif die < 0.11 and log.held(log.author) > 4:
        last = log.held(log.author) // 4 * 4
        log.replace(log.author, last - 3, last, Skip(last - 3, last, RECEIPTED).encode())
    elif die < 0.3:
        operation(log, log.author, 24)
    else:
        everything(log, rng)


WORK: dict[str, Work] = {"one": one_author, "many": many_authors, "everything": everything, "beside": beside}


def run(nor: Nor, work: Work, seed: int, laps: float) -> FlashLog:
    rng = random.Random(seed)
    log = FlashLog(nor)
    while nor.erases < laps * nor.count:
        step(log, work, rng)
    return log


def step(log: FlashLog, work: Work, rng: random.Random) -> None:
    """Do one thing; receipt everything first when room is short."""
    for author in log.authors():
        if log.ring.free() < 8:
            receipt(log, author)
    work(log, rng)


def same(nor: Nor) -> FlashLog:
    """Mount both ways, compare, return the log."""
    log = FlashLog(nor)
    assert differences(tables(log), tables(open_whole(nor))) == {}
    return log


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize(("count", "size"), [(40, 2048), (64, 1024), (24, 4096)])
@pytest.mark.parametrize("laps", [0.8, 2.3])
def test_both_ways_are_the_same_and_what_runs_too(work: str, count: int, size: int, laps: float) -> None:
    nor = Nor(count, size)
    log = run(nor, WORK[work], 1, laps)
    scanned = 0
    rng = random.Random(2)
    for _ in range(12):
        again = same(nor)
        scanned += again.scanned
        live = tables(log)
        mounted = tables(again)
        for name in (
            "slots",
            "authors",
            "zones",
            "values",
            "receipts",
            "newest",
            "written",
            "cycle",
        ):
            assert live[name] == mounted[name], name
        for _ in range(23):
            step(log, WORK[work], rng)
    assert scanned == 0


@pytest.mark.parametrize("work", WORK)
def test_both_ways_are_the_same_at_cuts(work: str) -> None:
    nor = Nor(24, 1024, trace=[])
    run(nor, WORK[work], 3, 2.2)
    cells = bytearray(b"\xff" * len(nor.cells))
    rng = random.Random(4)
    scanned = cuts = 0
    for index, done in enumerate(nor.trace):  # type: ignore[arg-type, var-annotated]
        if index > 300 and rng.random() < 0.06:
            model = rng.choice(list(ERASE_TEARS if done[0] == "erase" else PROGRAM_TEARS))
            torn = Nor(24, 1024, tear(cells, done, 1024, model, rng))
            scanned += same(torn).scanned
            # A sector that was torn has no summary: its frames stand in for it.
            log = FlashLog(torn)
            for _ in range(rng.choice((0, 30, 90))):
                step(log, WORK[work], rng)
            scanned += same(torn).scanned
            cuts += 1
        at, after = span(done, 1024)
        cells[at : at + len(after)] = after
    assert cuts > 20 and scanned <= cuts // 2


def test_what_does_not_fit_leads_to_all_frames() -> None:
    nor = Nor(24, 1024)
    run(nor, everything, 5, 1.4)
    log = same(nor)
    assert not log.scanned
    ring = log.ring
    for seq in range(ring.seq - ring.checkpoint, ring.seq):
        header = ring.header(seq + 1)
        assert header
        for at in (1, (header.previous_end - header.previous_summary) // 2):
            damaged = Nor(24, 1024, bytearray(nor.cells))
            damaged.cells[seq % 24 * 1024 + header.previous_summary + at] ^= 4
            again = FlashLog(damaged)
            assert again.scanned
            assert differences(tables(again), tables(log)).keys() <= {"cycle", "cursor", "zones"}


@pytest.mark.parametrize(("work", "average", "worst"), [("one", 12288, 24576), ("many", 24576, 49152)])
def test_bytes_read_to_mount_a_full_mebibyte(work: str, average: int, worst: int) -> None:
    nor = Nor(256)
    log = run(nor, one_size if work == "one" else many_authors, 5, 1.05)
    rng = random.Random(6)
    reads = []
    largest = 0
    for _ in range(60):
        for _ in range(rng.randint(1, 30)):
            before = nor.programmed
            step(log, WORK[work], rng)
            largest = max(largest, nor.programmed - before)
        before = nor.read
        assert not FlashLog(nor).scanned
        reads.append(nor.read - before)
    assert sum(reads) / len(reads) <= average and max(reads) <= worst
    # An operation's own frame, its receipt, and what ends a sector and begins the next.
    assert largest <= 1024


def one_size(log: FlashLog, rng: random.Random) -> None:
    operation(log, log.author)
    if log.held(log.author) % 64 == 0:
        receipt(log, log.author)


def test_the_newest_sector_is_found_by_halves() -> None:
    nor = Nor(64, 512)
    log = FlashLog(nor)
    while nor.erases < 3 * 64:
        step(log, one_author, random.Random(nor.erases))
        if nor.erases % 5 == 0:
            log.prepare()
        ring = FlashLog(Nor(64, 512, bytearray(nor.cells))).ring
        assert (ring.seq, ring.end) == (log.ring.seq, log.ring.end)
        before = nor.read
        ring.device = nor
        found = search(ring)
        assert found and found.seq == log.ring.seq
        assert nor.read - before <= 40 * 36
