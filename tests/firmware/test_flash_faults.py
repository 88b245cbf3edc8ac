"""Flash that wears out, cells between one and nought, clean ends, and partitions that are encrypted."""

import random
from collections.abc import Callable

import pytest
from flash_cuts import ERASE_TEARS, PROGRAM_TEARS, tear
from flash_tables import differences, open_whole, tables

from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, STATE_CONFIG, STATE_RECEIPT
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import PASSED, Ring
from hedgerow_sim.nor import Nor, NorError

AUTHOR = b"author-x"


def body(number: int) -> bytes:
    return b"operation %d" % number


def append(log: FlashLog, count: int = 1) -> None:
    for _ in range(count):
        number = log.held(AUTHOR) + 1
        log.append(ENTRY_OP, AUTHOR, number, number, body(number))


def check(log: FlashLog, held: int) -> None:
    assert log.held(AUTHOR) == held
    assert [entry[3] for entry in log.read(AUTHOR, 0, 0, 1 << 20)] == [body(n) for n in range(1, held + 1)]


class WornNor(Nor):
    """Sectors in `worn` do not take what `fault` says: an erase, a header, or frames."""

    worn: set[int] = set()
    fault = ""

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        if block in self.worn and (self.fault == "header" or (self.fault == "frame" and offset > 100)):
            data = bytes(data[:-1]) + bytes((self.cells[block * self.size + offset + len(data) - 1],))
        if block in self.worn and self.fault == "error":
            raise OSError(5)
        if block in self.worn and self.fault == "erase":
            self.write_over(block, data, offset)
            return
        super().writeblocks(block, data, offset)

    def ioctl(self, command: int, argument: int) -> int:
        if command == 6 and argument in self.worn and self.fault in ("erase", "error"):
            if self.fault == "error":
                raise OSError(5)
            return 0
        return super().ioctl(command, argument)


@pytest.mark.parametrize("fault", ["header", "frame", "erase", "error"])
def test_worn_sectors_are_passed_over(fault: str) -> None:
    nor = WornNor(24, 512)
    nor.cells[5 * 512 : 7 * 512] = random.Random(1).randbytes(1024)
    nor.worn = {5, 6, 9}
    nor.fault = fault
    log = FlashLog(nor)
    while log.ring.seq < 14:
        append(log)
        log.put(STATE_CONFIG, b"n", b"%d" % log.held(AUTHOR))
        if log.held(AUTHOR) % 7 == 0:
            log.prepare()
        if log.held(AUTHOR) % 5 == 0:
            log = FlashLog(nor)
            assert log.damaged == 0
            check(log, log.held(AUTHOR))
            assert log.get(STATE_CONFIG, b"n") == b"%d" % log.held(AUTHOR)
    flags = [header.flags & PASSED for seq in range(1, 14) if (header := log.ring.header(seq))]
    passed = {"frame": 0, "erase": 1}.get(fault, 2)
    assert sum(map(bool, flags)) == passed
    log = FlashLog(nor)
    assert differences(tables(log), tables(open_whole(nor))) == {}


def test_a_sector_that_keeps_its_old_header_does_not_hide_the_newest() -> None:
    nor = WornNor(16, 512)
    log = FlashLog(nor)
    while log.ring.seq < 40:
        append(log)
        if log.held(AUTHOR) % 6 == 0:
            receipt = Receipt(b"keeper-1", 1, AUTHOR, log.held(AUTHOR))
            log.put(STATE_RECEIPT, AUTHOR + b"keeper-1", receipt.encode())
        if log.ring.seq == 20:
            nor.worn = {0, 1, 7}
            nor.fault = "error"
        assert FlashLog(Nor(16, 512, nor.cells)).ring.seq == log.ring.seq


def test_a_worn_out_flash_refuses_and_keeps_what_it_has() -> None:
    nor = WornNor(24, 512)
    log = FlashLog(nor)
    append(log, 20)
    nor.worn = set(range(24))
    nor.fault = "error"
    for _ in range(3):
        with pytest.raises(HedgerowError) as refused:
            append(log)
        assert refused.value.code == "LOG_WORN"
        check(log, 20)
    check(FlashLog(nor), 20)
    nor.worn = set()
    log = FlashLog(nor)
    append(log, 20)
    check(log, 40)


def test_without_reading_back_wear_loses_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ring, "_same", lambda *args: True)
    with pytest.raises((AssertionError, HedgerowError)):
        test_worn_sectors_are_passed_over("frame")


# ---- clean ends and weak cells


def test_a_clean_end_is_written_once_and_mended_too() -> None:
    nor = Nor(8, 512, trace=[])
    log = FlashLog(nor)
    append(log, 3)
    log.close()
    clean = nor.trace[-1]  # type: ignore[index]
    programs = nor.programs
    log.close()
    FlashLog(nor).close()
    assert nor.programs == programs
    # A cut may have left the clean frame itself between one and nought.
    log = FlashLog(nor)
    append(log)
    assert nor.programs == programs + 2 and nor.trace[-2] == clean  # type: ignore[index]
    check(FlashLog(nor), 4)


def test_the_last_frame_is_programmed_again_after_a_boot() -> None:
    nor = Nor(8, 512, trace=[])
    append(FlashLog(nor), 3)
    last = nor.trace[-1]  # type: ignore[index]
    nor.trace = []
    log = FlashLog(nor)
    assert nor.trace == []
    append(log)
    assert nor.trace[0] == last
    check(FlashLog(nor), 4)
    nor = Nor(8, 512, trace=[])
    FlashLog(nor)
    header = nor.trace[-1]  # type: ignore[index]
    append(FlashLog(nor))
    assert nor.trace[2:3] == [header]  # type: ignore[index]


def test_a_torn_header_that_may_read_as_one_later_is_erased_first() -> None:
    nor = Nor(8, 512, trace=[])
    log = FlashLog(nor)
    append(log, 12)
    before = bytearray(nor.cells)
    while log.ring.seq == 1:
        append(log)
        if log.ring.seq == 1:
            before = bytearray(nor.cells)
    header = next(done for done in nor.trace if done[:3] == ("program", 2, 0))  # type: ignore[union-attr]
    torn = Nor(8, 512, before)
    torn.cells[1024 : 1024 + 20] = header[3][:20]
    log = FlashLog(torn)
    held = log.held(AUTHOR)
    log.put(STATE_CONFIG, b"k", b"v")
    assert log.ring.seq > 1 or bytes(torn.cells[1024:1536]) == b"\xff" * 512
    check(FlashLog(torn), held)


# ---- encrypted partitions


class EncryptedNor(Nor):
    """A partition that programs 16 bytes at a time and reads erased cells as noise."""

    def info(self) -> tuple[int, int, int, int, str, bool]:
        return (1, 0x40, 0x110000, self.count * self.size, "hedgerow", True)

    def readblocks(self, block: int, buffer: bytearray, offset: int = 0) -> None:
        super().readblocks(block, buffer, offset)
        first = block * self.size + offset
        for at in range(first - first % 16, first + len(buffer), 16):
            if self.cells[at : at + 16] == b"\xff" * 16:
                noise = random.Random(at).randbytes(16)
                for i in range(max(at, first), min(at + 16, first + len(buffer))):
                    memoryview(buffer)[i - first] = noise[i - at]

    def writeblocks(self, block: int, data: bytes, offset: int) -> None:
        if offset % 16 or len(data) % 16:
            raise NorError("not in blocks of 16 bytes")
        at = block * self.size + offset
        for i in range(0, len(data), 16):
            old = self.cells[at + i : at + i + 16]
            # Other content means other cipher text, which would have to set bits.
            if old not in (b"\xff" * 16, bytes(data[i : i + 16])):
                raise NorError("programmed over")
        super().writeblocks(block, data, offset)


def test_an_encrypted_partition_holds_a_log_through_laps_and_clean_boots() -> None:
    nor = EncryptedNor(20, 1024)
    log = FlashLog(nor)
    assert log.ring.align == 16
    for _ in range(40):
        append(log, 9)
        log.put(STATE_CONFIG, b"n", b"%d" % log.held(AUTHOR))
        if log.ring.free() <= log.spare:
            break
        seq = log.ring.seq
        log.close()
        log = FlashLog(nor)
        assert not log.ring.closed or log.ring.seq == seq
        check(log, log.held(AUTHOR))
        assert differences(tables(log), tables(open_whole(nor))) == {}
    assert not log.scanned and log.ring.seq > 8


def test_a_boot_of_an_encrypted_partition_that_is_not_clean_closes_the_sector() -> None:
    nor = EncryptedNor(16, 1024)
    log = FlashLog(nor)
    for held in range(1, 9):
        append(log)
        log = FlashLog(nor)
        assert log.ring.closed
        check(log, held)
    assert log.ring.seq == 8
    append(log)
    log.close()
    log = FlashLog(nor)
    assert not log.ring.closed
    append(log)
    assert log.ring.seq == 9


def test_damage_in_an_encrypted_partition_costs_what_is_in_its_block() -> None:
    nor = EncryptedNor(16, 1024, trace=[])
    log = FlashLog(nor)
    author = log.author
    bodies = [b"operation %d" % number for number in range(1, 61)]
    for number, text in enumerate(bodies, 1):
        log.append(ENTRY_OP, author, number, number, text)
    assert log.ring.seq == 3
    rng = random.Random(4)
    programs = [done for done in nor.trace if done[0] == "program" and done[2]]  # type: ignore[union-attr]
    named = 0
    for _, slot, offset, data in programs[:-1]:
        cells = bytearray(nor.cells)
        at = slot * 1024 + offset + 16 * rng.randrange(len(data) // 16)
        cells[at : at + 16] = rng.randbytes(16)
        again = FlashLog(EncryptedNor(16, 1024, cells))
        found = [entry[3] for entry in again.read(author, 0, 0, 1 << 20)]
        gone = [number for number, text in enumerate(bodies, 1) if text not in found]
        # The last one may be given up with the one before it: what follows is noise.
        assert found == [text for text in bodies if text in found] and len(gone) <= 1 + (gone[-1:] == [60])
        assert again.damaged == 1 or gone == [59, 60]
        named += len(gone)
        lost = {n for who, first, last in again.damage() if who == author for n in range(first, last + 1)}
        assert set(gone) <= lost or gone == [59, 60]
        append(again, 2)
        assert FlashLog(again.ring.device).held(AUTHOR) == 2
    assert named > 50


def test_a_lost_header_in_an_encrypted_partition_is_told_by_the_frames() -> None:
    nor = EncryptedNor(16, 1024)
    log = FlashLog(nor)
    append(log, 60)
    assert log.ring.seq == 3
    for slot in (2, 3):
        cells = bytearray(nor.cells)
        cells[slot * 1024 : slot * 1024 + 36] = random.Random(slot).randbytes(36)
        check(FlashLog(EncryptedNor(16, 1024, cells)), 60)


@pytest.mark.parametrize("make", [Nor, EncryptedNor])
def test_cuts_in_every_way_lose_nothing(make: Callable[..., Nor]) -> None:
    nor = make(10, 512, trace=[])
    log = FlashLog(nor)
    done: list[tuple[int, int]] = []
    while log.ring.seq < 4:
        append(log)
        done.append((len(nor.trace or ()), log.held(AUTHOR)))
    cells = bytearray(b"\xff" * len(nor.cells))
    rng = random.Random(8)
    for index, operation in enumerate(nor.trace):  # type: ignore[arg-type, var-annotated]
        held = max([number for end, number in done if end <= index], default=0)
        for model in ERASE_TEARS if operation[0] == "erase" else PROGRAM_TEARS:
            if index < 2 or (make is EncryptedNor and model != "prefix" and operation[0] != "erase"):
                continue
            torn = make(10, 512, tear(cells, operation, 512, model, rng))
            log = FlashLog(torn)
            assert held <= log.held(AUTHOR) <= held + 1
            held_now = log.held(AUTHOR)
            append(log, 2)
            check(FlashLog(torn), held_now + 2)
        at = operation[1] * 512 + (operation[2] if operation[0] == "program" else 0)
        after = operation[3] if operation[0] == "program" else b"\xff" * 512
        cells[at : at + len(after)] = after
