"""The flash log survives power cuts at every operation, torn in every way; and the tests can fail."""

import random
from collections.abc import Callable

import pytest
from flash_cuts import (
    ERASE_TEARS,
    KEEPER,
    OTHERS,
    PROGRAM_TEARS,
    Oracle,
    Recording,
    Workload,
    survive,
    tear,
)
from nor import Nor, NorError

from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, STATE_CONFIG, STATE_RECEIPT
from hedgerow_device import flashcollect, flashframes
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import Ring


def cut_everywhere(recording: Recording, every: int, models: tuple[str, ...] = ()) -> int:
    """Cut at every `every`-th operation in all ways; return how many cuts were survived."""
    cuts = 0
    for index, operation, cells in recording.states():
        if index % every:
            continue
        for model in ERASE_TEARS if operation[0] == "erase" else PROGRAM_TEARS:
            if models and model not in models:
                continue
            seed = index * 100 + len(model)
            torn = tear(cells, operation, recording.size, model, random.Random(seed))
            try:
                survive(recording, index, torn, seed)
            except (AssertionError, HedgerowError, NorError) as error:
                raise AssertionError(f"operation {index} {operation[:3]}, {model}: {error!r}") from error
            cuts += 1
    return cuts


@pytest.mark.parametrize("seed", range(4))
def test_cuts_at_sampled_operations(seed: int) -> None:
    recording = Recording(seed)
    assert cut_everywhere(recording, 7) > 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 8))
def test_cuts_at_every_operation(seed: int) -> None:
    recording = Recording(seed, laps=3)
    assert cut_everywhere(recording, 1) > 2500


def first_byte_erased(ring: Ring, seq: int, at: int) -> bool:
    return at >= ring.size or ring.read(seq, at, 1) == b"\xff"


@pytest.mark.parametrize(
    ("place", "name", "mutant"),
    [
        (flashframes, "crc32", lambda data, value=0: 0),
        (Ring, "erased", first_byte_erased),
        (Ring, "erased", lambda ring, seq, at: True),
    ],
    ids=["no CRC", "erased by the first byte", "append behind a torn tail"],
)
def test_cuts_kill_mutants(
    place: object, name: str, mutant: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, mutant)
    recording = Recording(0)
    with pytest.raises(AssertionError, match="operation"):
        cut_everywhere(recording, 1)


def quiet_author(nor: Nor) -> FlashLog:
    """A log whose own author fell silent while another's operations went round the ring twice."""
    log = FlashLog(nor)
    for number in (1, 2):
        log.append(ENTRY_OP, log.author, number, number, b"own %d" % number)
    log.append(ENTRY_SEAL, log.author, 1, 2, b"own seal")
    log.put(STATE_RECEIPT, log.author + KEEPER, Receipt(KEEPER, 1, log.author, 2).encode())
    log.put(STATE_CONFIG, b"epoch", b"7")
    for number in range(1, 400):
        log.append(ENTRY_OP, OTHERS[0], number, number, bytes(30))
        if number % 10 == 0:
            log.put(STATE_RECEIPT, OTHERS[0] + KEEPER, Receipt(KEEPER, 1, OTHERS[0], number).encode())
    assert nor.erases > 2 * nor.count
    return FlashLog(nor)


def check_quiet_author(log: FlashLog) -> None:
    assert log.get(STATE_CONFIG, b"epoch") == b"7"
    assert log.read(log.author, 1, 2, 100) == [(ENTRY_OP, 2, 2, b"own 2")]
    assert log.read(log.author, 2, 1, 100) == [(ENTRY_SEAL, 1, 2, b"own seal")]
    assert (log.held(log.author), log.sealed(log.author)) == (2, 2)


def test_what_the_next_boot_needs_outlives_reclaiming() -> None:
    check_quiet_author(quiet_author(Nor(12, 512)))


@pytest.mark.parametrize(
    ("place", "name"),
    [(flashcollect, "alive"), (flashcollect.Collector, "_newest_own")],
    ids=["values", "own"],
)
def test_reclaiming_without_copies_is_noticed(
    place: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, lambda log, reader: False)
    with pytest.raises((AssertionError, HedgerowError)):
        check_quiet_author(quiet_author(Nor(12, 512)))


class PowerCut(Exception):
    """Raised in the middle of an operation."""


class CutNor(Nor):
    """A flash whose power goes in the `left`-th operation from now."""

    def __init__(self, count: int, size: int, rng: random.Random):
        super().__init__(count, size)
        self.rng = rng
        self.left = 0

    def _cut(self, operation: tuple[str, int, int, bytes]) -> None:
        self.left -= 1
        if self.left == 0:
            model = self.rng.choice(list(ERASE_TEARS if operation[0] == "erase" else PROGRAM_TEARS))
            self.cells[:] = tear(self.cells, operation, self.size, model, self.rng)
            raise PowerCut(model)

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        self._cut(("program", block, offset, bytes(data)))
        super().writeblocks(block, data, offset)

    def ioctl(self, command: int, argument: int) -> int:
        if command == 6:
            self._cut(("erase", argument, 0, b""))
        return super().ioctl(command, argument)


@pytest.mark.parametrize("seed", range(3))
def test_hundreds_of_cuts_in_a_row_lose_nothing_and_leak_no_space(seed: int) -> None:
    rng = random.Random(seed)
    nor = CutNor(12, 512, rng)
    oracle = Oracle()
    workload = Workload(seed, oracle)
    cuts = 0
    while cuts < 300:
        try:
            nor.left = 0
            log = oracle.open(nor)
            oracle.check(log)
            nor.left = rng.choice((1, 2, 3, 5, 40))
            for _ in range(60):
                workload.act(log)
        except PowerCut:
            cuts += 1
    nor.left = 0
    log = oracle.open(nor)
    oracle.check(log)
    for _ in range(300):
        workload.act(log)
    oracle.check(oracle.open(nor))
