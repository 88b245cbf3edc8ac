"""A full log takes the receipts that free it, however little each of them frees (SPEC 9.9)."""

import random

import pytest

from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import DROPPED, LOST, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, STATE_PEER, STATE_RECEIPT
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor


def filled(authors: int, count: int) -> tuple[Nor, FlashLog, list[bytes]]:
    """A log in which nothing is receipted, full of operations of so many authors."""
    rng = random.Random(1)
    nor = Nor(count)
    log = FlashLog(nor)
    names = [log.author] + [b"auth%04d" % number for number in range(authors - 1)]
    refused = 0
    while refused < 20:
        author = rng.choice(names)
        number = log.held(author) + 1
        try:
            log.append(ENTRY_OP, author, number, number, rng.randbytes(rng.randint(1, 30)))
        except HedgerowError:
            refused += 1
    return nor, log, names


def receipt(log: FlashLog, author: bytes, keeper: int, number: int) -> None:
    name = b"keeper-%d" % keeper
    log.put(STATE_RECEIPT, author + name, Receipt(name, 1, author, number).encode())


def check_comes_free(nor: Nor, names: list[bytes]) -> None:
    """Once all is receipted, each once or a few times, everything goes again."""
    log = FlashLog(nor)
    for _ in range(3):
        for author in names:
            if log.held(author) > log.receipted(author):
                try:
                    receipt(log, author, 0, log.held(author))
                except HedgerowError as error:
                    assert error.code == "LOG_FULL"
    assert [author for author in names if log.held(author) > log.receipted(author)] == []
    log.drop(names[1], 1, log.held(names[1]))
    held = log.held(names[0])
    log.replace(names[0], 1, held - 1, Skip(1, held - 1, LOST, [DROPPED, bytes(6)]).encode())
    log.append(ENTRY_OP, names[0], held + 1, held + 1, b"goes on")
    assert FlashLog(nor).held(names[0]) == held + 1


@pytest.mark.parametrize(
    ("authors", "count", "step", "keepers"),
    [(64, 16, 5, 3), (64, 32, 8, 4), (12, 16, 1, 1), (20, 16, 4, 3)],
)
def test_receipts_that_free_little(authors: int, count: int, step: int, keepers: int) -> None:
    nor, log, names = filled(authors, count)
    for turn in range(500):
        lap, place = divmod(turn, authors * keepers)
        author = names[place % authors]
        try:
            receipt(log, author, place // authors, min(log.held(author), step * (lap + 1)))
        except HedgerowError as error:
            assert error.code == "LOG_FULL"
    check_comes_free(nor, names)


def test_values_that_free_nothing_leave_room_for_receipts() -> None:
    nor, log, names = filled(64, 16)
    for turn in range(600):
        try:
            log.put(STATE_PEER, b"keeper-%d" % (turn % 3), turn.to_bytes(24, "big"))
        except HedgerowError as error:
            assert error.code == "LOG_FULL"
    check_comes_free(nor, names)
