"""The places of a log on flash go from author to author (SPEC 5.19), through cuts and damage."""

import random
from collections.abc import Callable, Iterator

import pytest
from flash_authors import AUTHORS, PLACES, WANTED, Coming, agree
from flash_cuts import seeded
from flash_damage import EXPECTED
from flash_oracle import KEEPER, PLANTS
from flash_rows import CutNor, PowerCut

from hedgerow import limits
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import RECEIPTED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.log import (
    CLOSED,
    ENTRY_OP,
    ENTRY_SKIP,
    REQUIRED,
    STATE_CONFIG,
    STATE_PEER,
    STATE_RECEIPT,
    STATE_SCHEMA,
    local_author,
)
from hedgerow.operation import UPDATE, encode_body
from hedgerow_device import flashplaces
from hedgerow_device.flashframes import AUTHOR, Reader
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import HEADER
from hedgerow_sim.nor import Nor, NorError

COUNT = 16
SIZE = 1024
FOUND = (AssertionError, HedgerowError, KeyError, NorError)


@pytest.fixture(autouse=True)
def few_places(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(limits, "MAX_AUTHORS", PLACES)
    with seeded("places"):
        yield


def come_and_go(seed: int, steps: int = 3000) -> Coming:
    nor = Nor(COUNT, SIZE)
    coming = Coming(seed)
    log = coming.open(nor)
    for step in range(steps):
        coming.act(log)
        if step % 97 == 0:
            coming.check(log)
            coming.check_index(log)
            agree(nor)
        if step % 301 == 0:
            if step % 602:
                log.close()
            log = coming.open(nor)
            coming.check(log)
    return coming


def cut_anywhere(seed: int, cuts: int = 200) -> Coming:
    rng = random.Random(f"cuts {seed}")
    nor = CutNor(COUNT, SIZE, rng)
    coming = Coming(f"cuts {seed}")
    log = coming.open(nor)
    while nor.cuts < cuts:
        nor.left = rng.randrange(1, 60)
        try:
            while True:
                coming.act(log)
        except PowerCut:
            pass
        nor.left = 0
        agree(nor)
        log = coming.open(nor)
        coming.check(log)
        if nor.cuts % 8 == 0:
            coming.check_index(log)
        coming.adopt(log)
    return coming


@pytest.mark.parametrize("seed", range(6))
def test_authors_come_and_go_and_come_back(seed: int) -> None:
    coming = come_and_go(seed)
    assert coming.gone > 100 and coming.back > 50, (coming.gone, coming.back, coming.refused)


@pytest.mark.parametrize("seed", range(4))
def test_cuts_anywhere_while_they_do(seed: int) -> None:
    assert cut_anywhere(seed).gone > 50


@pytest.mark.parametrize("seed", range(3))
def test_damage_gives_nobody_the_operations_of_another(seed: int) -> None:
    """A bit flips, or an author's name is lost with its frame: what is read is what that author wrote."""
    rng = random.Random(f"damage {seed}")
    nor = Nor(COUNT, SIZE)
    coming = Coming(f"damage {seed}")
    log = coming.open(nor)
    looked = 0
    for step in range(1500):
        coming.act(log)
        if step < 400 or step % 23:
            continue
        cells = bytearray(nor.cells)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(cells))
            size = min(rng.choice((1, 1, 30)), len(cells) - at)
            cells[at : at + size] = bytes(byte & rng.getrandbits(8) for byte in cells[at : at + size])
        damaged = Nor(COUNT, SIZE, cells)
        try:
            other = coming.open(damaged)
            found = other.since(0, 1 << 20)
            placed = other.placed()
            other.damage()
            for author in placed:
                found += [(0, author, e[1], e[3]) for e in other.read(author, 0, 0, 1 << 20) if not e[0]]
        except HedgerowError as error:
            assert error.code in EXPECTED, error
            continue
        looked += 1
        for _, author, number, body in found:
            assert body == coming.truth.get((author, number)), f"{author!r} {number} is another's"
    assert looked > 20 and coming.gone > 30


def full(log: FlashLog, receipted: bool = True) -> list[bytes]:
    """Take all places, each with one operation, a sector each; return whose they are."""
    there = [author for author in log.slots if author]
    for author in AUTHORS[: PLACES - len(there)]:
        write(log, author)
        if receipted:
            receipt(log, author)
        log.open_sector(0)
        there.append(author)
    return there


def write(log: FlashLog, author: bytes, body: bytes = b"") -> None:
    number = log.held(author) + 1
    log.append(ENTRY_OP, author, number, number, body or author + b" %d" % number)


def receipt(log: FlashLog, author: bytes) -> None:
    log.put(STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, log.held(author)).encode())


def test_the_longest_silent_goes_and_its_receipt_stays() -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    first, second, *_ = full(log)
    write(log, first)
    receipt(log, first)
    log.open_sector(0)
    write(log, AUTHORS[-1])
    assert second not in log.placed() and log.held(second) == 0
    assert log.receipted(second) == 1
    assert log.held(first) == 2


def test_nobody_goes_of_whom_something_is_open() -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    full(log, receipted=False)
    before = log.placed(), log.ring.programmed
    with pytest.raises(HedgerowError, match="AUTHORS_FULL"):
        write(log, AUTHORS[-1])
    assert (log.placed(), log.ring.programmed) == before


def test_own_former_and_local_authors_stay() -> None:
    nor = Nor(COUNT, SIZE)
    log = FlashLog(nor)
    former = log.author
    for author in (former, local_author(former)):
        write(log, author)
    receipt(log, former)
    log.put(STATE_CONFIG, CLOSED + former, bytes(10))
    log.renew()
    write(log, log.author)
    receipt(log, log.author)
    log = FlashLog(nor)
    own = {former, local_author(former), log.author}
    full(log)
    for number in range(3 * PLACES):
        author = b"other%03d" % number
        write(log, author)
        receipt(log, author)
        log.open_sector(0)
        log = FlashLog(nor)
        assert own <= set(log.placed())


def test_documents_that_are_asked_for_keep_a_place() -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    log.put(STATE_SCHEMA, PLANTS.name, PLANTS.encoded)
    log.keeps = lambda author, number, body, tight=False: author == WANTED
    body = encode_body(bytes(8), [[UPDATE, PLANTS.name, 1, [b"high"]]])
    write(log, WANTED, body)
    receipt(log, WANTED)
    log.open_sector(0)
    for author in AUTHORS[1:]:
        write(log, author)
        receipt(log, author)
        log.open_sector(0)
    assert WANTED in log.placed() and log.fetch(WANTED, 1) == body
    # What nobody asks for any more keeps none.
    log.keeps = lambda *_: False
    for number in range(PLACES):
        for index in log.indexes.values():
            index.stays = 0
        write(log, b"next%04d" % number)
        receipt(log, b"next%04d" % number)
        log.open_sector(0)
    assert WANTED not in log.placed()


def test_what_was_filled_in_keeps_a_place() -> None:
    log = FlashLog(Nor(4 * COUNT, SIZE))
    full(log)
    author = log.placed()[0]
    log.fill(author, 5, b"asked for")
    log.open_sector(0)
    for number in range(2 * PLACES):
        write(log, b"other%03d" % number)
        receipt(log, b"other%03d" % number)
        log.open_sector(0)
    assert log.fetch(author, 5) == b"asked for"


def test_a_sector_ends_for_a_place_if_it_is_used_enough() -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    full(log)
    for author in log.placed():
        write(log, author)
        receipt(log, author)
    here = log.ring.seq
    assert {index.seqs[-1] for index in log.indexes.values()} == {here}
    write(log, AUTHORS[-1])
    assert log.ring.seq == here + 1 and AUTHORS[-1] in log.placed()


@pytest.mark.parametrize("how", ["drop", "cut"])
def test_none_goes_of_whom_something_is_void_in_the_ring(how: str) -> None:
    """It would be back with the author."""
    nor = Nor(COUNT, SIZE)
    log = FlashLog(nor)
    first, second, *_ = full(log)
    if how == "drop":
        log.drop(first, 1, 1)
    else:
        write(log, first)
        log.cut(first, 1)
    log.open_sector(0)
    write(log, AUTHORS[-1])
    assert first in log.placed() and second not in log.placed()


def test_a_receipt_of_a_past_incarnation_frees_no_place() -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    authors = full(log)
    log.put(STATE_PEER, KEEPER, (2).to_bytes(4, "big"))
    with pytest.raises(HedgerowError, match="AUTHORS_FULL"):
        write(log, AUTHORS[-1])
    log.put(STATE_RECEIPT, authors[2] + KEEPER, Receipt(KEEPER, 2, authors[2], 1).encode())
    write(log, AUTHORS[-1])
    assert authors[2] not in log.placed()


def test_who_requires_two_keepers_needs_the_receipts_of_both() -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    authors = full(log)
    other = b"keeper-2"
    for author in authors:
        log.put(STATE_CONFIG, REQUIRED + author, KEEPER + other)
    with pytest.raises(HedgerowError, match="AUTHORS_FULL"):
        write(log, AUTHORS[-1])
    log.put(STATE_RECEIPT, authors[1] + other, Receipt(other, 1, authors[1], 1).encode())
    write(log, AUTHORS[-1])
    assert authors[1] not in log.placed()


def test_a_refusal_is_remembered_until_a_receipt_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    authors = full(log, receipted=False)
    looks: list[object] = []
    candidates = flashplaces._candidates
    monkeypatch.setattr(flashplaces, "_candidates", lambda log: looks.append(log) or candidates(log))
    for _ in range(5):
        with pytest.raises(HedgerowError, match="AUTHORS_FULL"):
            write(log, AUTHORS[-1])
    assert len(looks) == 1
    receipt(log, authors[3])
    write(log, AUTHORS[-1])
    assert authors[3] not in log.placed()


def test_places_are_found_where_the_index_may_be_thinned() -> None:
    """Also after a mount, and though many sectors have to be read for it: a few at a time."""
    nor = Nor(10 * COUNT, SIZE)
    log = FlashLog(nor)
    log.put(STATE_SCHEMA, PLANTS.name, PLANTS.encoded)
    log.keeps = lambda *_: True
    full(log)
    for _ in range(8 * COUNT):
        log.open_sector(0)
    log = FlashLog(nor)
    log.keeps = lambda *_: True
    for index in log.indexes.values():
        index.thinned = True
    refused = 0
    for number in range(20):
        try:
            write(log, b"other%03d" % number)
            receipt(log, b"other%03d" % number)
        except HedgerowError as error:
            assert error.code == "AUTHORS_FULL"
            refused += 1
        log.open_sector(0)
    assert 0 < refused < 8


def newcomer(bridge: int) -> tuple[Nor, FlashLog, bytes]:
    """A log in which the one author has come in the place of the other, behind `bridge` operations."""
    nor = Nor(COUNT, SIZE)
    log = FlashLog(nor)
    first, *_ = full(log)
    if bridge:
        skip = Skip(1, bridge, RECEIPTED)
        log.append(ENTRY_SKIP, AUTHORS[-1], 1, bridge, skip.encode())
    for _ in range(3):
        write(log, AUTHORS[-1])
    assert first not in log.placed()
    return nor, log, AUTHORS[-1]


@pytest.mark.parametrize("bridge", [0, 40])
@pytest.mark.parametrize("older", [False, True])
def test_a_newcomer_whose_name_is_damaged_gives_nobody_its_operations(bridge: int, older: bool) -> None:
    nor, log, new = newcomer(bridge)
    if older:
        log.open_sector(0)
        write(log, log.placed()[1])
        log.open_sector(0)
    for seq in range(log.ring.tail, log.ring.seq + 1):
        reader = Reader(log.ring, seq, HEADER)
        while reader.next():
            if reader.type == AUTHOR and reader.author == new:
                where = seq % nor.count * nor.size + reader.start
                for at in range(where, where + reader.end - reader.start):
                    cells = bytearray(nor.cells)
                    cells[at] ^= 4
                    other = FlashLog(Nor(COUNT, SIZE, cells))
                    other.damage()
                    for author in other.placed():
                        for kind, number, _, body in other.read(author, 0, 0, 1 << 20):
                            assert kind or body == author + b" %d" % number, (author, number, body)


def test_a_relay_that_never_wrote_takes_nothing_for_its_own() -> None:
    nor = Nor(COUNT, SIZE)
    log = FlashLog(nor)
    for _ in range(5):
        write(log, AUTHORS[0])
    log.open_sector(0)
    for _ in range(4):
        write(log, AUTHORS[0])
    where = log.ring.seq % nor.count * nor.size + HEADER
    for at in range(where, where + 20):
        cells = bytearray(nor.cells)
        cells[at] ^= 16
        other = FlashLog(Nor(COUNT, SIZE, cells))
        assert other.held(other.author) == 0


def test_within_a_sector_a_slot_is_one_authors() -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    authors = full(log, receipted=False)
    write(log, authors[2])
    receipt(log, authors[2])
    assert log.ring.end < SIZE // 4
    with pytest.raises(HedgerowError, match="AUTHORS_FULL"):
        write(log, AUTHORS[-1])
    log.open_sector(0)
    write(log, AUTHORS[-1])
    assert authors[2] not in log.placed()


def test_no_sector_ends_for_a_place_that_is_not_given() -> None:
    log = FlashLog(Nor(COUNT, SIZE))
    for author in full(log):
        write(log, author)
        receipt(log, author)
    log.put(STATE_PEER, KEEPER, (2).to_bytes(4, "big"))
    here = log.ring.seq
    assert log.ring.end > SIZE // 4
    for _ in range(3):
        with pytest.raises(HedgerowError, match="AUTHORS_FULL"):
            write(log, AUTHORS[-1])
    assert log.ring.seq == here


def always(*_: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("place", "name", "mutant"),
    [
        (flashplaces, "owned", lambda log: ()),
        (flashplaces.Looks, "stays", lambda looks, author: False),
        (flashplaces, "_is_written", lambda *_: False),
        (flashplaces, "frontier", lambda *_: 1 << 30),
        (flashplaces, "is_named", always),
        (FlashLog, "forget_hints", lambda log: None),
    ],
    ids=["own go", "asked for goes", "same sector", "not receipted", "index of another", "hints"],
)
def test_mutants_are_found(
    place: object, name: str, mutant: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, mutant)
    with pytest.raises((*FOUND, pytest.fail.Exception)):
        test_own_former_and_local_authors_stay()
        test_a_receipt_of_a_past_incarnation_frees_no_place()
        test_within_a_sector_a_slot_is_one_authors()
        for seed in range(6):
            come_and_go(seed, 1500)
            cut_anywhere(seed, 60)
