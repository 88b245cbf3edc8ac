"""What the format of the flash log promises: slots, ends of sectors, frames that can be read alone."""

import random

from flash_cuts import PROGRAM_TEARS

from hedgerow.log import ENTRY_OP, ENTRY_SKIP
from hedgerow_device import flashframes as frames
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import HEADER, RECLAIMS
from hedgerow_sim.nor import Nor

OTHER = b"author-x"


def test_authors_keep_their_slots_and_order() -> None:
    nor = Nor(8, 512)
    log = FlashLog(nor)
    authors = [b"author%02d" % number for number in range(5)]
    for number in range(1, 12):
        for author in reversed(authors):
            log.append(ENTRY_OP, author, number, number, b"%d" % number)
    assert log.slots == authors[::-1]
    again = FlashLog(nor)
    assert again.slots == log.slots and again.authors() == log.authors() == authors[::-1]
    assert [again.indexes[author].slot for author in again.slots] == list(range(5))


def test_a_reader_is_no_large_piece_of_a_heap_that_is_torn() -> None:
    log = FlashLog(Nor(8, 512))
    log.append(ENTRY_OP, OTHER, 1, 1, b"operation")
    reader = frames.Reader(log.ring, log.ring.seq, HEADER)
    while reader.next():
        pass
    # With one more the table of its names grows by a third, and is there twice meanwhile.
    assert reader.type == ENTRY_OP and len(vars(reader)) <= 17


def test_an_operation_at_a_known_place_is_verified_alone() -> None:
    nor = Nor(8, 512)
    log = FlashLog(nor)
    size = log.ring.size
    places = {}
    for number in range(1, 9):
        log.append(ENTRY_OP, OTHER, number, number, b"operation %d" % number)
        places[number] = log.position() - len(b"operation 1") - 5
    log.append(ENTRY_SKIP, OTHER, 9, 20, b"skip")
    places[9] = log.ring.seq * size + log.ring.end - 4 - 6
    log.fill(OTHER, 40, b"operation 40")
    places[40] = log.position() - 12 - 7
    ring = FlashLog(nor).ring
    for number, lsn in places.items():
        reader = frames.verify_at(ring, lsn, 0, number)
        assert reader and reader.first == number
        assert reader.body() == (b"skip" if number == 9 else b"operation %d" % number)
        for wrong in ((lsn, 0, number + 1), (lsn, 1, number), (lsn + 1, 0, number), (lsn + size, 0, number)):
            assert frames.verify_at(ring, *wrong) is None, wrong
    assert frames.verify_at(ring, places[1] - size, 0, 1) is None


def test_a_torn_frame_that_later_reads_as_whole_does_not_rise() -> None:
    nor = Nor(8, 512, trace=[])
    log = FlashLog(nor)
    log.append(ENTRY_OP, OTHER, 1, 1, b"one")
    before = bytes(nor.cells)
    log.append(ENTRY_OP, OTHER, 2, 2, b"two, never acknowledged")
    whole = bytes(nor.cells)
    operation = nor.trace[-1]  # type: ignore[index]
    at = operation[1] * 512 + operation[2]
    torn = bytearray(before)
    torn[at : at + 8] = PROGRAM_TEARS["byte"](random.Random(0), before[at : at + 8], whole[at : at + 8], 7)
    weak = Nor(8, 512, torn)
    log = FlashLog(weak)
    assert log.held(OTHER) == 1
    log.append(ENTRY_OP, OTHER, 2, 2, b"two")
    # The cells of the torn frame settle on the other side.
    weak.cells[at : at + len(operation[3])] = operation[3]
    again = FlashLog(weak)
    for opened in (log, again):
        assert [entry[3] for entry in opened.read(OTHER, 0, 0, 1 << 20)] == [b"one", b"two"]


def test_a_void_sector_behind_a_void_one_does_not_come_back() -> None:
    """Two sectors opened to reclaim are both void; the second is erased before the first is used again."""
    for erase_ahead in (False, True):
        nor = Nor(10, 512)
        log = FlashLog(nor)
        for number in range(1, 9):
            log.append(ENTRY_OP, OTHER, number, number, b"operation %d" % number)
        for _ in range(2):
            log.open_sector(RECLAIMS)
            log.introduce(OTHER, 8)
        log = FlashLog(nor)
        assert log.ring.seq == 1
        if erase_ahead:
            log.prepare()
            log = FlashLog(nor)
            assert (log.ring.seq, log.damaged) == (1, 0)
        for number in range(9, 20):
            log.append(ENTRY_OP, OTHER, number, number, b"operation %d" % number)
            again = FlashLog(nor)
            assert (again.held(OTHER), again.damaged) == (number, 0)
