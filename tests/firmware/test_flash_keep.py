"""What outlives reclaiming: live documents of keep collections, and what is ours alone goes oldest first."""

import pytest
from flash_cuts import KEEPER

from hedgerow.codec.schema import KEEP, STREAM, Schema
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, STATE_RECEIPT, STATE_SCHEMA, local_author
from hedgerow.operation import INSERT, encode_body
from hedgerow_device.flashlog import FlashLog
from hedgerow_sim.nor import Nor

FIELDS = (("a", None),)
SETTINGS = Schema("settings", KEEP, FIELDS)
READINGS = Schema("readings", STREAM, FIELDS)
OTHER = b"author-x"


def open_log(nor: Nor) -> FlashLog:
    log = FlashLog(nor)
    for schema in (SETTINGS, READINGS):
        log.put(STATE_SCHEMA, schema.name, schema.encoded)
    return log


def write(log: FlashLog, author: bytes, schema: Schema, size: int = 20) -> int:
    number = log.held(author) + 1
    stamp = number.to_bytes(6, "big") + bytes(2)
    body = encode_body(stamp, [[INSERT, schema.name, None, [bytes(size)]]])
    log.append(ENTRY_OP, author, number, number, body)
    return number


def receipt(log: FlashLog, author: bytes) -> None:
    log.put(STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, log.held(author)).encode())


def laps(log: FlashLog, nor: Nor, author: bytes, count: int = 3) -> None:
    """Write receipted readings until the ring has gone round."""
    goal = nor.erases + count * nor.count
    while nor.erases < goal:
        write(log, author, READINGS)
        if log.held(author) % 16 == 0:
            receipt(log, author)


def test_keep_is_carried_along_and_stream_goes() -> None:
    nor = Nor(16, 1024)
    log = open_log(nor)
    kept = []
    for _ in range(8):
        kept.append(write(log, log.author, SETTINGS))
        write(log, log.author, READINGS)
    bodies = [log.fetch(log.author, number) for number in kept]
    receipt(log, log.author)
    laps(log, nor, log.author)
    for opened in (log, FlashLog(nor)):
        assert [opened.fetch(log.author, number) for number in kept] == bodies
        assert opened.fetch(log.author, kept[0] + 1) is None
        last = opened.missing(log.author)[0]
        assert kept[-1] < last[1] or last[0] == kept[0] + 1


def test_others_keep_goes_unless_somebody_keeps_it() -> None:
    for keeps in (None, lambda author, number, body: author == OTHER and number == 1):
        nor = Nor(16, 1024)
        log = open_log(nor)
        log.keeps = keeps
        write(log, OTHER, SETTINGS)
        log.fill(OTHER, 5, b"filled")
        receipt(log, OTHER)
        laps(log, nor, log.author)
        assert (log.fetch(OTHER, 1) is not None) == (keeps is not None)
        assert log.fetch(OTHER, 5) is None


@pytest.mark.parametrize("size", [20, 700])
def test_too_much_to_keep_is_refused_and_nothing_is_lost(size: int) -> None:
    nor = Nor(16, 1024)
    log = open_log(nor)
    for _ in range(20):
        write(log, OTHER, READINGS)
    receipt(log, OTHER)
    with pytest.raises(HedgerowError) as refused:
        for _ in range(2000):
            write(log, log.author, SETTINGS, size)
            receipt(log, log.author)
    assert refused.value.code == "LOG_FULL" and "kept" in refused.value.detail
    for opened in (log, FlashLog(nor)):
        assert None not in [opened.fetch(log.author, n) for n in range(1, log.held(log.author) + 1)]


def test_local_operations_need_no_receipt() -> None:
    nor = Nor(16, 1024)
    log = open_log(nor)
    local = local_author(log.author)
    kept = write(log, local, SETTINGS)
    first = write(log, local, READINGS)
    goal = 3 * nor.count
    while nor.erases < goal:
        write(log, local, READINGS)
    for opened in (log, FlashLog(nor)):
        assert opened.fetch(local, kept) is not None and opened.fetch(local, first) is None
        assert opened.fetch(local, log.held(local)) is not None


def test_many_cuts_of_one_author_stay_bounded_and_right() -> None:
    nor = Nor(32, 1024)
    log = open_log(nor)
    for step in range(30):
        for _ in range(5):
            write(log, OTHER, READINGS)
        log.cut(OTHER, log.held(OTHER) - 1)
        assert len(log.beside().cuts[OTHER]) <= 9, step
    held = log.held(OTHER)
    again = FlashLog(nor)
    assert again.held(OTHER) == held
    numbers = [entry[1] for entry in again.read(OTHER, 0, 0, 1 << 20)]
    assert numbers == list(range(1, held + 1))


def test_fills_and_drops_are_bounded() -> None:
    log = open_log(Nor(64))
    for _ in range(600):
        write(log, OTHER, READINGS)
    with pytest.raises(HedgerowError, match="ranges"):
        for number in range(1, 600, 2):
            log.drop(OTHER, number, number)
    assert len(log.beside().ranges[OTHER]) == 4 * 256
    with pytest.raises(HedgerowError, match="filled in"):
        for number in range(1000, 3000):
            log.fill(OTHER, number, bytes(100))
    assert log.totals[3] > 64 * 4096 // 4 - 100


def test_a_reclaim_does_not_take_long_at_once() -> None:
    nor = Nor(128, 1024)
    log = open_log(nor)
    worst = 0
    for _ in range(450):
        write(log, log.author, SETTINGS, 60)
    receipt(log, log.author)
    for _ in range(12000):
        before = nor.erases
        write(log, log.author, READINGS)
        if log.held(log.author) % 16 == 0:
            receipt(log, log.author)
        worst = max(worst, nor.erases - before)
    # Once: the stretch of which all is alive has gone round then.
    assert worst <= 16
