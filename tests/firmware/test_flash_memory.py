"""A log on flash for whose tables memory runs out goes on as if nothing had been, once there is some."""

from array import array
from typing import Any

import pytest

from hedgerow.log import ENTRY_OP
from hedgerow_device import flashindex, flashsummary, flashthin
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

AUTHORS = [b"author-%d" % at for at in range(4)]


class Memory:
    """Runs out at the `at`-th step that takes some for a table."""

    def __init__(self, at: int) -> None:
        self.left = at

    def take(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise MemoryError


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    found = Memory(0)

    class Row(array):  # type: ignore[type-arg]
        def __new__(cls, *args: Any) -> "Row":
            found.take()
            return super().__new__(cls, *args)

        def append(self, value: int) -> None:
            found.take()
            super().append(value)

        def __add__(self, more: Any) -> Any:
            found.take()
            return Row("I", list(self) + list(more))

    class Bytes(bytearray):
        def append(self, value: int) -> None:
            found.take()
            super().append(value)

    monkeypatch.setattr(flashindex, "array", Row)
    monkeypatch.setattr(flashthin, "array", Row)
    monkeypatch.setattr(flashindex, "bytearray", Bytes, raising=False)
    for name in ("_slice", "_positions", "control_frame"):
        real = getattr(flashsummary, name)

        def short(*args: Any, real: Any = real) -> Any:
            found.take()
            done = real(*args)
            found.take()
            return done

        monkeypatch.setattr(flashsummary, name, short)
    return found


class Slots(list[bytes]):
    memory: Memory

    def append(self, value: bytes) -> None:
        self.memory.take()
        super().append(value)


def write(log: FlashLog, author: bytes, number: int) -> None:
    """Append an entry, again where memory ran out before it was held."""
    body = b"%d of " % number + author * 6
    for _ in range(2):
        try:
            log.append(ENTRY_OP, author, number, number, body)
            return
        except MemoryError:
            if log.held(author) >= number:
                return
    raise AssertionError("once memory was there it failed again")


def test_wherever_memory_runs_out_once_the_log_goes_on_and_mounts_whole(memory: Memory) -> None:
    at, short = 1, True
    while short:
        nor = Nor(24)
        log = FlashLog(nor)
        Slots.memory = memory
        log.slots = Slots(log.slots)
        memory.left = at
        for number in range(1, 220):
            # The others come one after the other, in the middle of sectors.
            for author in AUTHORS[: 1 + (number - 1) // 40]:
                write(log, author, number - 40 * AUTHORS.index(author))
        short = memory.left <= 0
        memory.left = 0
        for index in log.indexes.values():
            assert len(index.seqs) == len(index.floors)
        assert len({index.slot for index in log.indexes.values()}) == len(log.indexes)
        for again in (log, FlashLog(nor)):
            for author in AUTHORS:
                last = 219 - 40 * AUTHORS.index(author)
                assert again.held(author) == last, at
                for number in (1, last // 2, last):
                    assert again.fetch(author, number) is not None, (at, number)
        at += 1
    assert at > 40


def test_an_author_for_whom_memory_ran_out_does_not_keep_the_sector_from_being_ended(memory: Memory) -> None:
    nor = Nor(24)
    log = FlashLog(nor)
    one, two, _, _ = AUTHORS
    write(log, one, 1)
    Slots.memory = memory
    log.slots = Slots(log.slots)
    # The author's mark in the summary, its lists, then its slot.
    memory.left = 4
    with pytest.raises(MemoryError):
        log.append(ENTRY_OP, two, 1, 1, b"once")
    assert two not in log.indexes and log.marks.new
    for number in range(2, 100):
        write(log, one, number)
    assert log.ring.seq > 1 and FlashLog(nor).held(one) == 99
    write(log, two, 1)
    assert log.held(two) == FlashLog(nor).held(two) == 1


def test_an_index_that_cannot_be_thinned_stays_as_it_is(memory: Memory) -> None:
    for work in (
        lambda index: flashthin.keep(index, [0, 2]),
        lambda index: flashthin.tidy(index, 2),
    ):
        index = flashindex.AuthorIndex(0)
        for seq in range(1, 5):
            index.introduced(seq, 10 * seq)
        index.held = 50
        for left in (1, 2):
            memory.left = left
            with pytest.raises(MemoryError):
                work(index)
            assert list(index.seqs) == [1, 2, 3, 4] and list(index.floors) == [10, 20, 30, 40]
        work(index)
        assert len(index.seqs) == len(index.floors) < 4
