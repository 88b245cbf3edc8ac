"""Places of schemas on flash: used again and again, with the power going at any operation (SPEC 5.17)."""

import random

from flash_cuts import KEEPER, seeded
from flash_rows import CutNor, PowerCut

from hedgerow.clock import hlc
from hedgerow.codec.schema import STREAM, Schema
from hedgerow.custody.receipt import Receipt
from hedgerow.limits import MAX_LEARNT_SCHEMAS, MAX_SCHEMAS
from hedgerow.log import STATE_SCHEMA, stored_schema
from hedgerow.operation import CLOCK, INSERT, decode_body, encode_body
from hedgerow.peer import Peer
from hedgerow.places import look
from hedgerow_device.flashlog import FlashLog
from hedgerow_device.flashring import HEADER

WRITER = b"a writer"


def schema(at: int) -> Schema:
    return Schema(f"c{at}", STREAM, (("x", None),))


def boot(nor: CutNor) -> Peer:
    """Open what the flash holds: each operation can be read, and places are bounded."""
    log = FlashLog(nor)
    peer = Peer(log, 0, kinds={"own": STREAM})
    known = log.items(STATE_SCHEMA)
    assert len(known) <= MAX_SCHEMAS
    assert {stored_schema(log, name) for name in peer.schemas} == {value for _, value in known if value}
    at = 0
    while entries := log.since(at, 4096):
        at = entries[-1][0]
        for _, _, _, body in entries:
            for change in decode_body(body)[1]:
                assert change[0] == CLOCK or change[1] in peer.schemas
    return peer


def step(peer: Peer, at: int) -> None:
    """Take the next operation, under a schema that is news, and a receipt for all but the last few."""
    number = peer.log.held(WRITER) + 1
    one = schema(at)
    peer.ingest_schema(one.encoded)
    peer.ingest(WRITER, number, [encode_body(hlc.pack(number), [[INSERT, one.name, None, [bytes(100)]]])])
    if number % 4 == 0:
        peer.ingest_receipt(Receipt(KEEPER, 1, WRITER, number - 3), True)
    if number % 9 == 0:
        peer.insert("own", {"x": number}, number)
        peer.ingest_receipt(Receipt(KEEPER, 1, peer.author, peer.log.held(peer.author)), True)
    peer.commit()


def test_places_come_free_as_the_ring_goes_round_and_outlive_cuts() -> None:
    rng = random.Random(5)
    with seeded(5):
        nor = CutNor(10, 1024, rng)
        peer = boot(nor)
        made = at = 0
        while made < 2 * MAX_SCHEMAS or nor.cuts < 40:
            nor.left = rng.choice((0, 1, 2, 3, 5, 9))
            try:
                for _ in range(3):
                    at += 1
                    held = peer.log.held(WRITER)
                    step(peer, at)
                    assert peer.log.held(WRITER) == held + 1
                    made += 1
            except PowerCut:
                pass
            nor.left = 0
            peer = boot(nor)
    keys = [key for key, value in peer.log.items(STATE_SCHEMA) if value and Schema.decode(value).name != key]
    assert made > MAX_LEARNT_SCHEMAS and keys, "some stand where others stood"


def test_what_a_boot_brings_back_can_be_read() -> None:
    with seeded(6):
        nor = CutNor(10, 1024, random.Random(6))
        peer = boot(nor)
        at = tails = 0
        while tails < 5:
            at += 1
            step(peer, at)
            log = peer.log
            while log.prepare():
                pass
            if log.cursor > HEADER and log.ring.tail > tails:
                tails = log.ring.tail
                while peer.search or look(peer):
                    look(peer)
                peer = boot(nor)
