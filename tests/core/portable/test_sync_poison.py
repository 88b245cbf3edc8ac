"""What one author got wrong stops that author, and no other one of the same link (SPEC 7.7.8)."""

from sync_kit import KINDS, Pipe, board, check_copies, durable, gateway, keeper, operations, record, sync

from hedgerow.clock import hlc
from hedgerow.codec.schema import KEEP, SCOPE_BIG_PEER, Schema, schema_for
from hedgerow.codec.segment import encode_segment
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_AUTHORS, MAX_CLOSED_GAP, MAX_LEARNT_SCHEMAS
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.operation import INSERT, encode_body
from hedgerow.peer import Peer
from hedgerow.sync import frames, hello
from hedgerow.sync.exchange import Exchange
from hedgerow.trust.seal import NO_SEAL, make_seal

HEAP = "1m"
BAD = b"bad-auth"
# A number of our own that nobody believes.
TOO_FAR = MAX_CLOSED_GAP + 9


def _held(peer: Peer, other: Peer) -> bool:
    return operations(durable(peer), other.author) == operations(other.log, other.author)


def _carrier(*others: Peer) -> Peer:
    """Return a relay that holds what these boards wrote; their order is that of its log."""
    relay = board("relay", distance=200)
    now = 1000
    for other in others:
        now = sync(relay, other, now).now
    return relay


def _boards(count: int) -> list:
    boards = [board("b%d" % n) for n in range(count)]
    for peer in boards:
        record(peer, 3)
    return boards


def _raw(relay: Peer, author: bytes, first: int) -> bytes:
    """Return a segment of that author which claims to begin at `first`."""
    body = operations(relay.log, relay.author)[0][1]
    return encode_segment(author, first, [body], relay.schemas)


def _meet(middle: Peer, relay: Peer, poison: list) -> Pipe:
    """Let a gateway visit a relay that says these frames before anything else."""
    one, two = Exchange(middle, 9000, central=True), Exchange(relay, 9000)
    for frame in poison:
        two.session.queue(*frame)
    return Pipe(one, two, 9000).run()


def test_a_gap_stops_its_author_alone() -> None:
    good = _boards(2)
    relay, middle = _carrier(*good), gateway()
    poison = [(frames.SEGMENT, _raw(relay, BAD, 7)), (frames.SEGMENT, _raw(relay, BAD, 1))]
    pipe = _meet(middle, relay, poison)
    assert [end.error for end in pipe.ends] == [None, None]
    assert pipe.ends[0].refused == {BAD: "SYNC_GAP"}
    assert middle.log.held(BAD) == 0, "nothing more of it in this session"
    assert all(_held(middle, peer) for peer in good)
    again = _meet(middle, relay, [poison[1]])
    assert again.ends[0].refused == {} and middle.log.held(BAD) == 1, "another session, another chance"


def test_a_seal_and_a_skip_out_of_place_stop_their_author_alone() -> None:
    leaf = _boards(1)[0]
    leaf.seal(5000)
    seal = leaf.log.read(leaf.author, 1 << 30, 0, 1)[0][3]
    for kind, body in ((frames.SEAL, seal), (frames.SKIP, b"\x85\x01\x05\x06\x01\x82\x01\x46123456")):
        relay, middle = _carrier(leaf), gateway()
        pipe = _meet(middle, relay, [(kind, BAD + body)])
        assert pipe.ends[0].error is None and pipe.ends[0].refused == {BAD: "SYNC_GAP"}
        assert _held(middle, leaf)


def _lost_with_more(peer: Peer, now: int) -> Peer:
    """Let a board record more, and forget the way to the gateway."""
    record(peer, 3, now)
    peer._near = (255, now)
    return peer


def test_a_full_table_of_authors_stops_the_new_ones_alone() -> None:
    old, new = _boards(2)
    middle = Peer(MemoryLog(MemoryStore(), 2), 0, role=hello.GATEWAY, kinds=KINDS)
    now = sync(middle, old, 1000).now
    relay = _carrier(new, _lost_with_more(old, now))
    pipe = _meet(middle, relay, [])
    assert pipe.ends[0].error is None
    assert pipe.ends[0].refused == {new.author: "AUTHORS_FULL", relay.author: "AUTHORS_FULL"}
    assert _held(middle, old) and middle.log.held(new.author) == 0


class _FullLog(MemoryLog):
    full = False

    def append(self, kind: int, author: bytes, first: int, last: int, body: bytes) -> None:
        if self.full and author != self.author:
            raise HedgerowError("LOG_FULL", "no room")
        super().append(kind, author, first, last, body)


def test_a_full_log_still_learns_receipts() -> None:
    leaf, top = _boards(1)[0], keeper()
    log = _FullLog(MemoryStore())
    middle = Peer(log, 0, role=hello.GATEWAY, kinds=KINDS)
    now = sync(middle, leaf, 2000).now
    sync(leaf, top, now)
    relay = _carrier(_boards(1)[0])
    relay.ingest_receipt(top.receipt(leaf.author))
    log.full = True
    pipe = _meet(middle, relay, [])
    assert pipe.ends[0].error is None and set(pipe.ends[0].refused.values()) == {"LOG_FULL"}
    assert middle.receipted(leaf.author) == leaf.log.held(leaf.author)


def test_a_schema_that_cannot_be_learnt_stops_who_uses_it() -> None:
    plain, rich = _boards(2)
    rich.insert("others", {"x": 1}, 3000)
    middle = gateway()
    for number in range(MAX_LEARNT_SCHEMAS - 1):
        schema = Schema("c%d" % number, KEEP, ())
        middle.ingest_schema(schema.encoded)
        middle.ingest(BAD, 1 + number, [encode_body(hlc.pack(1), [[INSERT, schema.name, None, []]])])
    relay = _carrier(rich, plain)
    pipe = _meet(middle, relay, [])
    assert pipe.ends[0].error is None
    assert sorted(pipe.ends[0].refused.values()) == ["SCHEMAS_FULL", "SCHEMA_UNKNOWN"]
    assert _held(middle, plain) and not _held(middle, rich)
    assert len(middle.schemas) == MAX_LEARNT_SCHEMAS


def test_a_schema_under_the_name_of_another_stops_who_uses_it() -> None:
    plain, rich = _boards(2)
    rich.insert("others", {"x": 1}, 3000)
    middle = gateway()
    ours = Schema("another", KEEP, ())
    for name in rich.schemas:
        if name not in plain.schemas:
            ours.name = name
            middle.schemas[name] = ours
    relay = _carrier(rich, plain)
    one, two = Exchange(middle, 9000, central=True), Exchange(relay, 9000)
    # The relay has not been told that the name is known.
    one.session._queue[0] = (frames.HELLO, _without_schemas(middle.hello(9000)))
    Pipe(one, two, 9000).run()
    assert one.error is None and sorted(one.refused.values()) == ["SCHEMA_CONFLICT", "SCHEMA_UNKNOWN"]
    assert _held(middle, plain) and not _held(middle, rich)
    check_copies([plain, rich, middle, relay])


def _without_schemas(greeting: hello.Hello) -> bytes:
    greeting.schemas = []
    return greeting.encode()


def test_our_own_name_stays_fatal_and_so_does_a_bad_form() -> None:
    for forged in (True, False):
        relay, middle = _carrier(*_boards(1)), gateway()
        segment = _raw(relay, middle.author, TOO_FAR) if forged else b"\x20" + _raw(relay, BAD, 1)[1:]
        pipe = _meet(middle, relay, [(frames.SEGMENT, segment)])
        code = "SYNC_OWN_AUTHOR" if forged else "SEGMENT_VERSION"
        assert [end.error.code for end in pipe.ends] == [code, code]


def test_the_refused_are_bounded() -> None:
    relay, middle = _carrier(*_boards(1)), gateway()
    poison = [(frames.SEGMENT, _raw(relay, b"author%02d" % n, 7)) for n in range(MAX_AUTHORS + 1)]
    pipe = _meet(middle, relay, poison)
    assert pipe.ends[0].error.code == "AUTHORS_FULL"


def test_what_came_before_a_fault_is_durable() -> None:
    relay, middle = _carrier(*_boards(1)), gateway()
    poison = [(frames.SEGMENT, _raw(relay, BAD, 1)), (frames.SEGMENT, _raw(relay, middle.author, TOO_FAR))]
    pipe = _meet(middle, relay, poison)
    assert pipe.ends[0].error.code == "SYNC_OWN_AUTHOR"
    assert durable(middle).held(BAD) == middle.log.held(BAD) == 1, "what counts as held outlives the power"


def test_authors_spoken_of_are_bounded() -> None:
    relay, small = _carrier(*_boards(1)), board(credit=1024)
    vectors = [[(b"%08d" % n, 1, 1, 0) for n in range(at, at + 40)] for at in range(0, 400, 40)]
    one, two = Exchange(small, 9000, central=True), Exchange(relay, 9000)
    for vector in vectors:
        two.session.queue_have(vector)
    Pipe(one, two, 9000).run()
    assert one.error.code == "AUTHORS_FULL" and len(one.told()) <= 400


def test_a_time_near_the_end_of_the_stamps_is_refused() -> None:
    for utc_ms, code in (((1 << 42) - 9000, None), (1 << 42, "FRAME_INVALID")):
        leaf, relay = board(), board("relay")
        relay.set_time(utc_ms, 5, 2, 0)
        one, two = Exchange(leaf, 10, central=True), Exchange(relay, 10)
        Pipe(one, two, 10).run()
        assert (one.error and one.error.code) == code
        assert (leaf.utc(10) is None) == (code is not None)
        assert leaf.insert("readings", {"a": 1}, 1 << 41)


def test_operations_that_do_not_fit_their_schemas_stop_their_author_alone() -> None:
    """A value too many would make every look at the collection fail (SPEC 3.2, 3.7)."""
    good = _boards(1)
    relay, middle = _carrier(*good), gateway()
    plain = schema_for("cars", KEEP, {"x": 1})
    big_peers = schema_for("audit", KEEP | SCOPE_BIG_PEER << 1, {"x": 1})
    wrong = {
        "CHANGE_FIELDS": [[INSERT, plain.name, 1, [1, 2]]],
        "SCOPE_MIXED": [[INSERT, plain.name, 1, [1]], [INSERT, big_peers.name, 1, [1]]],
    }
    poison = [(frames.SCHEMA, schema.encoded) for schema in (plain, big_peers)]
    for code in wrong:
        segment = encode_segment(code[:8].encode(), 1, [encode_body(hlc.pack(5), wrong[code])], {})
        poison.append((frames.SEGMENT, segment))
    pipe = _meet(middle, relay, poison)
    assert [end.error for end in pipe.ends] == [None, None]
    assert pipe.ends[0].refused == {code[:8].encode(): code for code in wrong}
    assert all(_held(middle, peer) for peer in good)


def test_nobody_seals_for_us() -> None:
    """A keeper would refuse the seal, and us with it, for good."""
    (victim,) = _boards(1)
    seal = make_seal(victim.author, 1, 2, [bytes(16)] * 2, NO_SEAL)
    try:
        victim.ingest_seal(victim.author, seal)
    except HedgerowError as error:
        assert error.code == "SYNC_OWN_AUTHOR"
    server = keeper()
    sync(victim, server, 5000)
    assert victim.receipted(victim.author) == victim.log.held(victim.author)
