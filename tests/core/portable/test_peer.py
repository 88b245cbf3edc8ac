"""What a peer takes in from others, and what it refuses."""

from kit import raises
from sync_kit import board, check, durable, gateway, keeper, operations, record, sync

from hedgerow.clock import hlc
from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import KEEP, STREAM, Schema
from hedgerow.custody.receipt import Receipt
from hedgerow.custody.skip import LOST, SUPERSEDED, Skip
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_AUTHORS, MAX_CLOSED_GAP, MAX_LEARNT_SCHEMAS, MAX_SCHEMAS
from hedgerow.log import ENTRY_OP, ENTRY_SEAL, ENTRY_SKIP, MemoryLog, MemoryStore
from hedgerow.operation import CLOCK, INSERT, SOURCE_GATEWAY, SOURCE_KEEPER, decode_body, encode_body
from hedgerow.peer import Peer
from hedgerow.sync.hello import HAS_TIME
from hedgerow.trust.seal import make_seal


def _own(peer: Peer) -> list:
    return [body for _, body in operations(peer.log, peer.author)]


def _clock_bodies(count: int) -> list:
    return [_own(board())[0]] * count


def _state(peer: Peer) -> tuple:
    log = peer.log
    return (
        [
            (author, log.held(author), log.sealed(author), log.read(author, 0, 0, 1 << 30))
            for author in log.authors()
        ],
        sorted(peer.schemas),
        [log.items(kind) for kind in (1, 2, 3, 4)],
        peer.status(0),
    )


def _refused(peer: Peer, code: str, function: object, *args: object) -> None:
    before = _state(peer)
    raises(code, function, *args)
    assert _state(peer) == before


def test_an_insert_is_durable_and_exact() -> None:
    peer = board()
    number = peer.insert("readings", {"t": Decimal.parse("39.4"), "on": True}, 77)
    body = durable(peer).read(peer.author, number - 1, 0, 1)[0][3]
    _, changes = decode_body(body)
    schema = peer.schemas[changes[0][1]]
    assert (changes[0][0], changes[0][2], schema.kind) == (INSERT, None, STREAM)
    assert str(schema.unpack(changes[0][3])["t"]) == "39.4"
    other = peer.insert("settings", {"t": 1}, 78)
    assert other == number + 1
    kinds = sorted([schema.kind for schema in peer.schemas.values()])
    assert kinds == [KEEP, STREAM]


def test_a_refused_insert_leaves_nothing_behind() -> None:
    peer = board()
    peer.insert("readings", {"a": 1}, 1)
    _refused(peer, "OPERATION_TOO_LARGE", peer.insert, "readings", {"b": b"x" * 3600}, 1)
    assert peer.insert("readings", {"a": 2}, 2) == 3


def test_seals_come_every_32_operations() -> None:
    peer = board()
    record(peer, 70)
    entries = [entry[:3] for entry in peer.log.read(peer.author, 0, 0, 1 << 30) if entry[0] == ENTRY_SEAL]
    assert entries == [(ENTRY_SEAL, 1, 32), (ENTRY_SEAL, 33, 64)]
    assert peer.seal(20000) and not peer.seal(20000)
    assert peer.log.sealed(peer.author) == 71 and peer.seal_due() is None
    peer.insert("readings", {"a": 1}, 20500)
    assert peer.seal_due() == 21000


class _Short(list):
    """Marks of operations, for one more of which there is no room."""

    def append(self, mark: bytes) -> None:
        raise MemoryError


def _runs_out(peer: Peer) -> None:
    try:
        record(peer, 1)
    except MemoryError:
        return
    raise AssertionError("there was room")


def test_a_seal_covers_what_is_in_the_log_wherever_memory_ran_out() -> None:
    peer, top = board(), keeper()
    record(peer, 3)
    marks, held = peer._h16s, peer.log.held(peer.author)
    peer._h16s = _Short(marks)
    _runs_out(peer)
    assert peer.log.held(peer.author) == held and len(peer._h16s) == len(marks)
    peer._h16s = marks
    append = peer.log.append
    for written in (False, True):

        def short(*entry: object, written: bool = written) -> None:
            if written:
                append(*entry)
            raise MemoryError

        peer.log.append = short
        _runs_out(peer)
        peer.log.append = append
        held += written
        assert peer.log.held(peer.author) == held and len(peer._h16s) == held
    record(peer, 2)
    peer.seal(20000)
    sync(peer, top, 20000)
    # A keeper compares each operation with its mark.
    assert top.log.sealed(peer.author) == peer.log.sealed(peer.author) >= held + 2


def test_the_boot_record_says_where_the_clock_stands() -> None:
    store = MemoryStore()
    for epoch, now in ((1, 0), (2, 5), (3, 70000)):
        peer = board(store=store, now=now)
        stamp, changes = decode_body(_own(peer)[-1])
        base = peer.clock.base_ms
        assert changes == [[CLOCK, epoch, now, base, 0, None, 0]]
        assert int.from_bytes(stamp[:6], "big") == base + now
        record(peer, 2, now + 10)
    stamps = [decode_body(body)[0] for body in _own(peer)]
    assert stamps == sorted(stamps) and len(set(stamps)) == len(stamps)


def test_operations_join_or_are_refused() -> None:
    peer = board()
    author = b"author-a"
    bodies = _clock_bodies(6)
    assert peer.ingest(author, 1, bodies[:3]) == 3
    assert peer.ingest(author, 1, bodies[:3]) == 0
    assert peer.ingest(author, 2, bodies[:4]) == 2
    assert peer.log.held(author) == 5
    _refused(peer, "SYNC_GAP", peer.ingest, author, 7, bodies[:1])
    _refused(peer, "SYNC_OWN_AUTHOR", peer.ingest, peer.author, MAX_CLOSED_GAP + 2, bodies[:1])
    assert peer.ingest(peer.author, 1, _own(peer)) == 0
    _refused(
        peer,
        "SCHEMA_UNKNOWN",
        peer.ingest,
        author,
        6,
        [cbor.encode([b"123456", [INSERT, b"schm", None, []]])],
    )


def test_authors_are_bounded() -> None:
    peer = Peer(MemoryLog(MemoryStore(), MAX_AUTHORS), 0)
    body = _clock_bodies(1)
    for number in range(MAX_AUTHORS - 1):
        peer.ingest(b"author%02d" % number, 1, body)
    _refused(peer, "AUTHORS_FULL", peer.ingest, b"author99", 1, body)
    _refused(peer, "AUTHORS_FULL", peer.ingest_skip, b"author99", Skip(1, 2, LOST, [1, b"123456"]).encode())
    assert peer.ingest(b"author00", 2, body) == 1


def test_schemas_are_bounded() -> None:
    peer = board()
    for number in range(MAX_LEARNT_SCHEMAS):
        assert peer.ingest_schema(Schema("c%d" % number, KEEP, ()).encoded)
        peer.ingest(b"author00", 1 + number, [_under(Schema("c%d" % number, KEEP, ()))])
    _refused(peer, "SCHEMAS_FULL", peer.ingest_schema, Schema("one more", KEEP, ()).encoded)
    for number in range(MAX_LEARNT_SCHEMAS, MAX_SCHEMAS):
        peer.insert("c%d" % number, {}, 5)
    _refused(peer, "SCHEMAS_FULL", peer.insert, "one more", {}, 5)
    assert not peer.ingest_schema(Schema("c0", KEEP, ()).encoded)


def _under(schema: Schema) -> bytes:
    return encode_body(hlc.pack(1), [[INSERT, schema.name, None, [None] * len(schema.fields)]])


def test_two_schemas_of_one_name_are_a_conflict() -> None:
    peer = board()
    known = Schema("a", KEEP, ())
    peer.ingest_schema(known.encoded)
    fake = Schema("b", KEEP, ())
    fake.name = known.name
    peer.ingest(b"author-a", 1, [_under(known)])
    _refused(peer, "SCHEMA_CONFLICT", peer._add_schema, fake)
    _refused(peer, "SCHEMA_INVALID", peer.ingest_schema, b"\x80")


def test_skips_stand_for_operations() -> None:
    peer = board()
    author = b"author-a"
    skip = Skip(1, 4, SUPERSEDED, [author, 9]).encode()
    peer.ingest_skip(author, skip)
    assert peer.log.held(author) == 4 and peer.log.read(author, 0, 0, 100) == [(ENTRY_SKIP, 1, 4, skip)]
    peer.ingest_skip(author, skip)
    _refused(peer, "SYNC_GAP", peer.ingest_skip, author, Skip(6, 7, LOST, [1, b"123456"]).encode())
    _refused(peer, "SYNC_OWN_AUTHOR", peer.ingest_skip, peer.author, skip)
    peer.ingest_skip(author, Skip(3, 6, LOST, [1, b"123456"]).encode())
    assert peer.log.held(author) == 6
    _refused(peer, "SKIP_INVALID", peer.ingest_skip, author, b"\x80")


def test_a_keeper_checks_seals_a_relay_their_place() -> None:
    leaf = board()
    record(leaf, 40)
    leaf.seal(20000)
    seals = [body for kind, _, _, body in leaf.log.read(leaf.author, 0, 0, 1 << 30) if kind == ENTRY_SEAL]
    top, relay = keeper(), gateway()
    for peer in (top, relay):
        for schema in leaf.schemas.values():
            peer.ingest_schema(schema.encoded)
        _refused(peer, "SYNC_GAP", peer.ingest_seal, leaf.author, seals[0])
        peer.ingest(leaf.author, 1, _own(leaf))
        _refused(peer, "SYNC_GAP", peer.ingest_seal, leaf.author, seals[1])
    wrong = make_seal(leaf.author, 1, 32, [bytes(16)] * 32, bytes(16))
    _refused(top, "SEAL_INVALID", top.ingest_seal, leaf.author, wrong)
    assert top.receipted(leaf.author) == 0 and top.receipt(leaf.author) is None
    top.ingest_seal(leaf.author, seals[0])
    assert top.receipted(leaf.author) == 32
    marks = leaf._h16s
    assert marks == []
    stray = make_seal(leaf.author, 33, 41, [bytes(16)] * 9, bytes(16))
    _refused(top, "SEAL_INVALID", top.ingest_seal, leaf.author, stray)
    top.ingest_seal(leaf.author, seals[1])
    top.ingest_seal(leaf.author, seals[1])
    top.commit()
    assert top.receipt(leaf.author).number == 41
    assert top.receipt(leaf.author).incarnation == top.log.incarnation
    check([leaf, top])


def test_receipts_move_a_frontier_once() -> None:
    told: list = []
    peer = board(on_receipt=lambda author, number: told.append(number))
    record(peer, 8)
    for number, moved in ((5, True), (5, False), (4, False), (9, True)):
        assert peer.ingest_receipt(Receipt(b"keeper-1", 1, peer.author, number)) == moved
    assert told == [5, 9]
    assert peer.summary()[0] == 0


def test_summary_follows_the_log() -> None:
    peer = board()
    assert peer.summary()[0] == 1
    one = peer.summary()
    record(peer, 2)
    two = peer.summary()
    assert two[0] == 3 and two != one
    peer.ingest(b"author-a", 1, _clock_bodies(2))
    peer.commit()
    assert peer.summary()[0] == 5
    peer.ingest_receipt(Receipt(b"keeper-1", 1, peer.author, 3))
    assert peer.summary()[0] == 2
    assert keeper().summary() == [0] + [bytes(6)] * 4


def test_listeners_hear_every_commit() -> None:
    peer = board()
    calls: list = []
    peer.add_listener(lambda: calls.append(durable(peer).held(peer.author)))
    peer.insert("readings", {"a": 1}, 1)
    peer.seal(2)
    assert calls == [2, 2]


def test_a_peer_opens_on_a_log_that_a_cut_left_between_commits() -> None:
    store = MemoryStore()
    peer = board(store=store)
    record(peer, 31)
    # The seal of 32 operations was not committed with the last of them.
    store.entries = [entry for entry in store.entries if entry[0] == ENTRY_OP]
    again = Peer(MemoryLog(store), 0)
    assert again.log.sealed(again.author) == 33 and again.log.held(again.author) == 33
    top = keeper()
    for schema in again.schemas.values():
        top.ingest_schema(schema.encoded)
    top.ingest(again.author, 1, _own(again))
    top.ingest_seal(again.author, again.log.read(again.author, 33, 0, 1)[0][3])
    assert top.receipted(again.author) == 33


def test_a_receipt_over_more_than_we_wrote_closes_the_author() -> None:
    peer = board()
    record(peer, 3)
    author = peer.author
    assert peer.ingest_receipt(Receipt(b"keeper-1", 1, author, 4)) and peer.author == author
    assert peer.ingest_receipt(Receipt(b"keeper-1", 1, author, 5))
    assert peer.author != author and peer.former == {author: 5} and peer.receipted(author) == 5
    assert peer.ingest_receipt(Receipt(b"keeper-1", 1, b"author-a", 99))


class _FullLog(MemoryLog):
    full = False

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        if self.full:
            raise HedgerowError("LOG_FULL", "no room")
        super().append(kind, author, first, last, body)


def test_a_time_that_cannot_be_recorded_is_not_taken() -> None:
    log = _FullLog(MemoryStore())
    peer = Peer(log, 0)
    log.full = True
    before = peer.clock.base_ms, peer.clock.last
    _refused(peer, "LOG_FULL", peer.set_time, 900000000000, 5, 1, 1000)
    assert (peer.clock.base_ms, peer.clock.last) == before and peer.utc(1000) is None
    log.full = False
    assert peer.set_time(900000000000, 5, 1, 2000)


def test_a_source_takes_back_its_own_time_alone() -> None:
    peer = board()
    assert peer.set_time(900000000000, 50, SOURCE_GATEWAY, 1000)
    peer.withdraw_time(SOURCE_KEEPER)
    assert peer.utc(1000) == (900000000000, 50)
    peer.withdraw_time(SOURCE_GATEWAY)
    assert peer.utc(1000) is None and peer.wants_time(1000)
    assert not peer.time_flags(1000) & HAS_TIME
    assert peer.set_time(900000005000, 50, SOURCE_GATEWAY, 1000), "as if there had been none"
