"""The flash log survives power cuts at every operation, torn in every way; and the tests can fail."""

import random
from collections.abc import Callable

import pytest
from flash_cuts import (
    KEEPER,
    OTHERS,
    Leg,
    Oracle,
    Recording,
    View,
    Workload,
    cut,
    cuts_in,
    go_on,
    survive,
    tear,
)
from flash_rows import CutNor, PowerCut, row

from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, STATE_CONFIG, STATE_RECEIPT
from hedgerow_device import flashfind, flashframes, flashmount
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import Ring
from hedgerow_sim.nor import Nor, NorError


def cut_everywhere(leg: Leg, every: int) -> int:
    """Make every `every`-th of all cuts; return how many were survived."""
    cuts = 0
    for index, operation, cells in leg.states():
        for model, byte in cuts_in(operation):
            cuts += 1
            if cuts % every:
                continue
            seed = f"{index}:{model}:{byte}"
            try:
                go_on(
                    leg, index, *cut(leg, index, cells, model, byte, seed), seed, deep=cuts // every % 4 == 0
                )
            except (AssertionError, HedgerowError, NorError) as error:
                raise AssertionError(
                    f"operation {index} {operation[:3]}, {model} {byte}: {error!r}"
                ) from error
    return cuts // every


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording(0)


def test_the_workload_sees_everything(recording: Recording) -> None:
    erased = sum(operation[0] == "erase" for operation in recording.trace)
    assert erased >= 2 * recording.count
    assert recording.refused > 0, "the log was never full"
    wanted = {"append", "put", "fill", "drop", "cut", "boot", "close", "prepare", "many", "tombstone"}
    if hasattr(FlashLog, "replace"):
        wanted.add("replace")
    assert wanted <= set(recording.counts)
    assert max(len(operation[3]) for operation in recording.trace if operation[0] == "program") > 300
    kinds = {step.action[1][0] for step in recording.steps if step.action[0] == "append"}
    assert kinds == {0, 1, 2}


def test_a_recording_repeats_itself(recording: Recording) -> None:
    assert Recording(0).trace == recording.trace


@pytest.mark.parametrize("seed", range(2))
def test_cuts_at_sampled_bytes(seed: int) -> None:
    assert cut_everywhere(Recording(seed), 151) > 500


def test_every_operation_can_be_torn_by_every_model(recording: Recording) -> None:
    for index, operation, cells in recording.states():
        for model in ("nothing", "all") if operation[0] == "program" else ("unstarted", "done"):
            seed = f"{index}:{model}"
            go_on(recording, index, *cut(recording, index, cells, model, 0, seed), seed)
        if index > 120:
            break


def first_byte_erased(ring: Ring, seq: int, at: int) -> bool:
    return at >= ring.size or ring.read(seq, at, 1) == b"\xff"


@pytest.mark.parametrize(
    ("place", "name", "mutant"),
    [
        (flashframes, "crc32", lambda data, value=0: 0),
        (flashfind, "erased", first_byte_erased),
        (flashfind, "erased", lambda ring, seq, at: True),
    ],
    ids=["no CRC", "erased by the first byte", "append behind a torn tail"],
)
def test_cuts_kill_mutants(
    place: object, name: str, mutant: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, mutant)
    if name == "erased":
        monkeypatch.setattr(flashmount, name, mutant)
    if name == "crc32":
        # The quick way of an append makes its own.
        monkeypatch.setattr(Ring, "quick", property(lambda ring: 0, lambda ring, limit: None), raising=False)
    recording = Recording(0)
    with pytest.raises(AssertionError, match="operation"):
        cut_everywhere(recording, 17)


class LateNor(Nor):
    """A flash that says it is done when it has not begun: the last program comes with the next call."""

    def __init__(self, *args: object, **options: object):
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.late: tuple[int, bytes, int] | None = None

    def settle(self) -> None:
        late, self.late = self.late, None
        if late:
            super().writeblocks(*late)

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        self.settle()
        self.late = (block, bytes(data), offset)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        trace, self.trace = self.trace, None
        cells = bytearray(self.cells)
        if self.late:
            at = self.late[0] * self.size + self.late[2]
            self.cells[at : at + len(self.late[1])] = self.late[1]
        super().readblocks(block, buffer, offset)
        self.cells[:] = cells
        self.trace = trace

    def ioctl(self, command: int, argument: int) -> int:
        if command == 6:
            self.settle()
        return super().ioctl(command, argument)


def test_cuts_kill_ack_before_program(monkeypatch: pytest.MonkeyPatch) -> None:
    import flash_cuts

    monkeypatch.setattr(flash_cuts, "Nor", LateNor)
    recording = Recording(0)
    with pytest.raises(AssertionError, match="operation"):
        cut_everywhere(recording, 151)


def test_cuts_kill_erase_before_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collection that erases the oldest sector before its copies are committed."""

    def open_early(ring: Ring, flags: int) -> None:
        OPEN(ring, flags)
        if ring.seq - ring.tail > ring.count // 3:
            ring.device.ioctl(6, ring.tail % ring.count)

    monkeypatch.setattr(Ring, "open", open_early)
    with pytest.raises((AssertionError, HedgerowError)):
        cut_everywhere(Recording(0), 151)


OPEN = Ring.open


def test_no_reserve_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without free sectors kept for them, receipts cannot free a full log."""
    monkeypatch.setattr(FlashLog, "room", no_reserve)
    with pytest.raises((AssertionError, HedgerowError, NorError)):
        Recording(0)


def no_reserve(log: FlashLog, size: int, author: bytes | None, spare: int, *rest: object) -> bool:
    log.spare = 0
    return ROOM(log, size, author, 0, *rest)


ROOM = FlashLog.room


# ---- the next boot


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


try:
    from hedgerow_device import flashcollect

    COPIES = [(flashcollect, "alive"), (flashcollect.Collector, "_newest_own")]
except ImportError:
    from hedgerow_device import flashreclaim

    COPIES = [(flashreclaim, "_alive"), (flashreclaim.Reclaim, "_newest_own")]


@pytest.mark.parametrize(("place", "name"), COPIES, ids=["values", "own"])
def test_reclaiming_without_copies_is_noticed(
    place: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, lambda log, reader: False)
    with pytest.raises((AssertionError, HedgerowError)):
        check_quiet_author(quiet_author(Nor(12, 512)))


# ---- cuts in a row


@pytest.mark.parametrize("number", range(8))
def test_hundreds_of_cuts_at_the_same_point_lose_nothing_and_leak_no_space(
    number: int, recording: Recording
) -> None:
    assert len(row(recording, number)) == 300


@pytest.mark.parametrize("number", range(3))
def test_hundreds_of_cuts_anywhere_lose_nothing_and_leak_no_space(number: int, recording: Recording) -> None:
    assert len(row(recording, number, same=False)) == 300


def test_a_hundred_plain_power_cuts_mint_no_author() -> None:
    nor = CutNor(10, 1024, random.Random(1))
    oracle = Oracle()
    authors = {oracle.open(nor).author}
    while nor.cuts < 100:
        nor.left = 0
        log = oracle.open(nor)
        oracle.check(log, deep=False)
        authors.add(log.author)
        nor.left = 1 + nor.cuts % 23
        workload = Workload(nor.cuts, oracle)
        try:
            while True:
                workload.act(log)
        except PowerCut:
            pass
    assert len(authors) == 1


def test_survive_takes_any_torn_image(recording: Recording) -> None:
    operation = recording.trace[100]
    torn = tear(recording.cells_at(100), operation, recording.size, "prefix", random.Random(3))
    survive(recording, 100, torn, 3)
    whole = View(Oracle().open(Nor(recording.count, recording.size, recording.cells_at(101))))
    assert whole.author == recording.author
