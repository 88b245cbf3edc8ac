"""Places of authors in a log go to the next once all is receipted (SPEC 5.19). Runs on both VMs."""

from sync_kit import KINDS, board, keeper, operations, record, sync

from hedgerow.codec.decimal import Decimal
from hedgerow.custody.receipt import Receipt
from hedgerow.errors import HedgerowError
from hedgerow.log import CLOSED, ENTRY_OP, STATE_CONFIG, STATE_RECEIPT, MemoryLog, MemoryStore, local_author
from hedgerow.peer import Peer

HEAP = "4m"
MOST = 5
KEEPER = b"keeper-1"
NAMES = [b"author-%d" % number for number in range(9)]


def small(store: MemoryStore | None = None) -> MemoryLog:
    return MemoryLog(store or MemoryStore(), MOST)


def write(log: MemoryLog, author: bytes, receipted: bool = True) -> None:
    number = log.held(author) + 1
    log.append(ENTRY_OP, author, number, number, b"%d" % number)
    if receipted:
        log.put(STATE_RECEIPT, author + KEEPER, Receipt(KEEPER, 1, author, number).encode())
    log.commit()


def is_full(log: MemoryLog, author: bytes) -> bool:
    try:
        write(log, author)
    except HedgerowError as error:
        assert error.code == "AUTHORS_FULL"
        return True
    return False


def test_a_place_goes_on_and_outlives_a_cut() -> None:
    store = MemoryStore()
    log = small(store)
    for name in NAMES:
        write(log, name)
    for found in (log, small(store)):
        assert found.placed() == NAMES[-MOST:]
        assert found.held(NAMES[0]) == 0 and found.fetch(NAMES[0], 1) is None
        assert found.get(STATE_RECEIPT, NAMES[0] + KEEPER)
        assert [entry[1] for entry in found.since(0, 1000)] == NAMES[-MOST:]


def test_who_comes_back_begins_behind_its_receipt() -> None:
    log = small()
    for name in NAMES:
        write(log, name)
    peer = Peer(log, 0, name="relay", kinds=KINDS)
    assert peer.receipted(NAMES[0]) == 1


def test_what_is_open_keeps_its_place() -> None:
    log = small()
    for name in NAMES[:MOST]:
        write(log, name, False)
    assert is_full(log, NAMES[MOST]) and log.placed() == NAMES[:MOST]


def test_what_was_filled_in_keeps_its_place() -> None:
    log = small()
    for name in NAMES[:MOST]:
        write(log, name)
        log.fill(name, 3, b"asked for")
    assert is_full(log, NAMES[MOST])


def test_documents_keep_their_place() -> None:
    log = small()
    relay = Peer(log, 0, name="relay", kinds=KINDS)
    # One place is the relay's own.
    writers = [board("w%d" % number) for number in range(MOST - 1)]
    at = 1000
    for writer in writers:
        writer.insert("plants", {"height": Decimal(5, -1)}, at)
        writer.seal(at)
        for schema in writer.schemas.values():
            relay.ingest_schema(schema.encoded)
        for kind, first, _, body in writer.log.read(writer.author, 0, 0, 1 << 20):
            if kind == ENTRY_OP:
                relay.ingest(writer.author, first, [body])
                log.put(
                    STATE_RECEIPT, writer.author + KEEPER, Receipt(KEEPER, 1, writer.author, first).encode()
                )
        relay.commit()
    assert len(log.placed()) == MOST and is_full(log, NAMES[0])


def test_own_authors_keep_theirs() -> None:
    store = MemoryStore()
    log = small(store)
    former = log.author
    for author in (former, local_author(former)):
        write(log, author)
    log.put(STATE_CONFIG, CLOSED + former, bytes(10))
    log.renew()
    write(log, log.author)
    for name in NAMES:
        write(log, name)
    assert {former, local_author(former), log.author} <= set(log.placed())


def test_more_boards_than_places_bring_all_through_a_relay() -> None:
    relay = Peer(small(), 0, name="relay", kinds=KINDS)
    big = keeper()
    boards = [board("b%d" % number) for number in range(2 * MOST)]
    at = 1000
    for _ in range(2):
        for writer in boards:
            at = record(writer, 3, at)
            writer.seal(at)
            number = writer.log.sealed(writer.author)
            brought = sync(writer, relay, at).ends[1].operations_in
            # Nothing comes twice for having had no place.
            assert brought <= 5
            sync(relay, big, at)
            sync(writer, relay, at)
            assert writer.receipted(writer.author) >= number > 0
        assert len(relay.log.placed()) <= MOST
    for writer in boards:
        assert operations(big.log, writer.author) == operations(writer.log, writer.author)


def test_without_receipts_the_relay_takes_no_more_and_loses_nothing() -> None:
    relay = Peer(small(), 0, name="relay", kinds=KINDS)
    boards = [board("b%d" % number) for number in range(2 * MOST)]
    at = 1000
    refused = 0
    for writer in boards:
        at = record(writer, 3, at)
        writer.seal(at)
        end = sync(writer, relay, at).ends[1]
        refused += "AUTHORS_FULL" in end.refused.values()
    assert refused > 0
    held = [relay.log.held(writer.author) for writer in boards]
    assert len([number for number in held if number]) <= MOST
    for writer in boards:
        kept = operations(relay.log, writer.author)
        assert kept == operations(writer.log, writer.author)[: len(kept)]
