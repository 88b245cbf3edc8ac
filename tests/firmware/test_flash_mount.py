"""Mounting by summaries and slices finds what all frames say, and reads little."""

import random
from collections.abc import Callable

import pytest
from flash_cuts import KEEPER
from flash_tables import differences, open_whole, tables
from nor import Nor

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG, STATE_RECEIPT
from hedgerow_device.flashlog import FlashLog

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


WORK: dict[str, Work] = {"one": one_author, "many": many_authors, "everything": everything}


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
    for _ in range(60):
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
            "totals",
            "written",
            "cycle",
        ):
            assert live[name] == mounted[name], name
        for _ in range(7):
            step(log, WORK[work], rng)
    assert scanned == 0
