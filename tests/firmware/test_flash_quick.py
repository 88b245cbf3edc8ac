"""The quick way of an append: the same flash as by the long way, and the same care."""

import random

import pytest

from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, STATE_CONFIG, STATE_RECEIPT
from hedgerow_device import flashlog
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import Ring
from hedgerow_sim.nor import Nor

AUTHOR = b"author-a"
KEEPER = b"keeper-1"


class LongRing(Ring):
    """Nothing goes the quick way."""

    @property
    def quick(self) -> int:  # type: ignore[override]
        return 0

    @quick.setter
    def quick(self, limit: int) -> None:
        pass


def work(nor: Nor, sectors: int) -> FlashLog:
    """Write runs of operations of every size, and all else between them, until so many were opened."""
    rng = random.Random(3)
    log = FlashLog(nor)
    while log.ring.seq < sectors:
        author = rng.choice((log.author, AUTHOR))
        for _ in range(rng.randrange(1, 40)):
            number = log.held(author) + 1
            size = rng.choice((0, 1, 12, 32, 32, 60, 121, 122, 123, 124, 200))
            log.append(ENTRY_OP, author, number, number, rng.randbytes(size))
        what = rng.randrange(4)
        if what == 0:
            log.put(STATE_CONFIG, b"n", rng.randbytes(rng.randrange(20)))
        elif what == 1:
            log.append(ENTRY_SEAL, author, log.sealed(author) + 1, log.held(author), b"seal")
        elif what == 2:
            log = FlashLog(nor)
        for name in log.authors():
            log.put(STATE_RECEIPT, name + KEEPER, Receipt(KEEPER, 1, name, log.held(name)).encode())
        while rng.randrange(8) and log.prepare():
            pass
    return log


def test_the_quick_way_leaves_the_same_flash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flashlog, "new_author", lambda: b"our own!")
    added = []
    add = Ring.add

    def counted(ring: Ring, head: bytes, body: bytes, held: int) -> int:
        added.append(len(body))
        return add(ring, head, body, held)

    monkeypatch.setattr(Ring, "add", counted)
    quick, long = Nor(24, 1024), Nor(24, 1024)
    one = work(quick, 100)
    assert len(added) > 200 and max(added) == 122
    monkeypatch.setattr(flashlog, "Ring", LongRing)
    count = len(added)
    other = work(long, 100)
    assert len(added) == count
    assert quick.cells == long.cells and (quick.erases, quick.programs) == (long.erases, long.programs)
    tables = [
        (log.arrived, log.arrivals, log.ring.programmed, log._hints, log._hinted)
        + tuple(index.used for index in log.indexes.values())
        for log in (one, other)
    ]
    assert tables[0] == tables[1]
    assert abs(one.mean - other.mean) < 40


class FailingNor(Nor):
    """The program that is the `fail`-th does not take: one bit is wrong, and it says so or not."""

    fail = -1
    loud = False

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        if self.programs == self.fail:
            data = bytes(data[:-1]) + bytes((data[-1] ^ 1,))
        super().writeblocks(block, data, offset)
        if self.programs == self.fail + 1 and self.loud:
            raise OSError(5)


@pytest.mark.parametrize("loud", [False, True])
def test_an_operation_that_does_not_take_is_written_in_the_next_sector(loud: bool) -> None:
    for fail in range(4, 12):
        nor = FailingNor(16, 1024)
        nor.loud = loud
        nor.fail = fail
        log = FlashLog(nor)
        for number in range(1, 21):
            log.append(ENTRY_OP, AUTHOR, number, number, b"operation %2d" % number)
        assert log.ring.seq == 2 and log.held(AUTHOR) == 20
        for opened in (log, FlashLog(nor)):
            read = opened.read(AUTHOR, 0, 0, 1 << 20)
            assert [entry[3] for entry in read] == [b"operation %2d" % number for number in range(1, 21)]
            assert opened.damaged == 0


def test_nothing_goes_behind_a_program_that_was_broken_off() -> None:
    nor = Nor(16, 1024)
    log = FlashLog(nor)
    for number in range(1, 4):
        log.append(ENTRY_OP, AUTHOR, number, number, b"operation")
    broken = Nor.writeblocks

    class Break(BaseException):
        pass

    def break_off(block: int, data: bytes, offset: int) -> None:
        broken(nor, block, data[:4], offset)
        raise Break

    nor.writeblocks = break_off  # type: ignore[method-assign]
    with pytest.raises(Break):
        log.append(ENTRY_OP, AUTHOR, 4, 4, b"operation")
    del nor.writeblocks
    log.append(ENTRY_OP, AUTHOR, 4, 4, b"operation")
    assert log.ring.seq == 2 and FlashLog(nor).held(AUTHOR) == 4
