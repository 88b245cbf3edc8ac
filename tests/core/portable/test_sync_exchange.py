"""What an exchange moves, and in which direction (SPEC 7.7)."""

from sync_kit import (
    Pipe,
    board,
    check,
    check_copies,
    durable,
    gateway,
    keeper,
    operations,
    record,
    sync,
)

from hedgerow import limits
from hedgerow.clock import hlc
from hedgerow.codec.decimal import Decimal
from hedgerow.custody.receipt import Receipt
from hedgerow.log import ENTRY_SKIP, STATE_SCHEMA, MemoryLog, MemoryStore
from hedgerow.operation import CLOCK, SOURCE_BOOT, encode_body
from hedgerow.sync import hello
from hedgerow.sync.exchange import Exchange

HEAP = "2m"


def test_operations_go_up_and_receipts_come_down() -> None:
    leaf, middle, top = board(), gateway(), keeper()
    now = record(leaf, 40)
    now = sync(middle, top, now).now
    now = sync(middle, leaf, now).now
    assert operations(durable(middle), leaf.author) == operations(leaf.log, leaf.author)
    assert middle.receipted(leaf.author) == 0
    now = sync(middle, top, now).now
    assert operations(durable(top), leaf.author) == operations(leaf.log, leaf.author)
    held = leaf.log.held(leaf.author)
    assert middle.receipted(leaf.author) == top.receipted(leaf.author) == held
    heard: list = []
    leaf.on_receipt = lambda author, number: heard.append((author, number))
    sync(middle, leaf, now)
    assert heard == [(leaf.author, held)]
    assert leaf.status(now)[leaf.author] == {"held": held, "sealed": held, "open": 0, "receipted": held}
    check([leaf, middle, top])


def test_nothing_flows_away_from_the_keeper() -> None:
    near, far = board("near", distance=2), board("far", distance=3)
    record(near, 3)
    record(far, 3)
    pipe = sync(far, near, 5000)
    assert (pipe.ends[0].operations_out, pipe.ends[0].operations_in) == (far.log.held(far.author), 0)
    assert far.log.authors() == [far.author]
    check([near, far])


def test_peers_at_one_distance_flood_while_authors_are_few() -> None:
    one, two, leaf = board(), board(), board(role=hello.LEAF)
    record(one, 3)
    sync(one, two, 5000)
    assert two.log.held(one.author) == one.log.held(one.author) and one.log.held(two.author) == 1
    sync(one, leaf, 5000)
    assert leaf.log.authors() == [leaf.author]
    assert one.log.held(leaf.author) == 1


def test_flooding_ends_and_begins_again() -> None:
    many, other = gateway(), gateway()
    for at in range(limits.FLOOD_AUTHORS):
        many.ingest(b"author%02d" % at, 1, [_body()])
    many.commit()
    assert not many.floods()
    sync(many, other, 0)
    assert other.log.authors() == [other.author]
    # Its own author, and the other's, which has come meanwhile, have open operations too.
    for at in range(limits.FLOOD_AUTHORS - limits.FLOOD_AGAIN_AUTHORS + 1):
        many.ingest_receipt(Receipt(b"keeper-1", 1, b"author%02d" % at, 1))
    assert not many.floods()
    many.ingest_receipt(Receipt(b"keeper-1", 1, b"author63", 1))
    assert many.floods()
    sync(many, other, 0)
    assert len(other.log.authors()) == limits.FLOOD_AGAIN_AUTHORS


def _body() -> bytes:
    return encode_body(hlc.pack(1), [[CLOCK, 1, 0, 0, SOURCE_BOOT, None, 0]])


def test_distance_is_learnt_and_yields_to_who_is_not_farther() -> None:
    peer = board()
    assert peer.distance(0) == 255
    peer.note_distance(1, 0)
    peer.note_distance(5, 0)
    assert peer.distance(0) == 2
    peer.note_distance(2, 600000 - 1)
    assert peer.distance(0) == 2
    peer.note_distance(3, 600000)
    assert peer.distance(0) == 2, "the way back through us"
    peer.note_distance(2, 600000)
    assert peer.distance(0) == 3
    other = board()
    for remote in (255, 15, 99, 115):
        other.note_distance(remote, 0)
        assert other.distance(0) == 255
    assert gateway().distance(0) == 100 and keeper().distance(0) == 0
    other.note_distance(100, 0)
    assert other.distance(0) == 101


def test_time_comes_with_a_bound_that_holds() -> None:
    leaf, middle, top = board(), gateway(), keeper()
    for delay in (1, 7, 400, 3000):
        leaf, middle = board(), gateway()
        now = sync(middle, top, 50000, delay=delay).now
        now = sync(leaf, middle, now, delay=delay).now
        truth = top.utc(now)[0]
        for peer, hops in ((middle, 1), (leaf, 2)):
            utc_ms, error_ms = peer.utc(now)
            assert abs(utc_ms - truth) <= error_ms <= hops * (delay + 20) + 20, (
                delay,
                utc_ms - truth,
                error_ms,
            )


def test_time_is_taken_only_if_it_is_much_better() -> None:
    peer = board()
    assert peer.set_time(10**12, 900, 3, 1000) and not peer.wants_time(1000)
    held = peer.log.held(peer.author)
    for error in (900, 801, 460, 5000):
        assert not peer.set_time(10**12, error, 3, 1000)
    assert peer.log.held(peer.author) == held
    assert peer.set_time(10**12 + 3, 400, 3, 1000)
    # 100 ppm of drift in 7,000 s add 700 ms
    assert peer.utc(7001000)[1] == 1100 and peer.wants_time(7001000)
    assert peer.set_time(10**12 + 7000000, 400, 3, 7001000)


def test_a_poor_time_is_asked_for_again() -> None:
    leaf, top = board(), keeper()
    sync(leaf, top, 1000, delay=3000)
    assert leaf.wants_time(20000)
    sync(leaf, top, 30000, delay=5)
    assert not leaf.wants_time(40000)


def test_schemas_travel_once() -> None:
    leaf, top = board(), keeper()
    now = record(leaf, 2)
    first = sync(leaf, top, now)
    now = record(leaf, 2, first.now)
    second = sync(leaf, top, now)
    schema = list(leaf.schemas.values())[0].encoded
    assert schema in b"".join(first.records[0]) and schema not in b"".join(second.records[0])
    assert durable(top).get(STATE_SCHEMA, schema and list(leaf.schemas)[0]) == schema


def test_a_schema_that_was_lost_is_asked_for() -> None:
    leaf, top = board(), keeper()
    now = sync(leaf, top, 100).now
    now = record(leaf, 150, now, 10)
    left, right = Exchange(leaf, now, central=True), Exchange(top, now)
    # The hello says that the schema is known, the log does not have it: as after flash was lost.
    right.session._queue[0] = (1, _with_schemas(top.hello(now), list(leaf.schemas)).encode())
    pipe = Pipe(left, right, now).run()
    assert (left.error, right.error) == (None, None)
    assert operations(durable(top), leaf.author) == operations(leaf.log, leaf.author)
    check([leaf, top])
    assert pipe.ends[1].operations_in == 150 < pipe.ends[0].operations_out


def _with_schemas(greeting: hello.Hello, names: list) -> hello.Hello:
    greeting.schemas = names
    return greeting


def test_operations_of_the_greatest_size_travel_in_pieces() -> None:
    leaf, top = board(credit=2048), keeper()
    top._credit = 2048
    for size in (3000, 3400, 5):
        leaf.insert("readings", {"text": "x" * size}, 1000)
    for chunk in (7, 244, 5000):
        fresh = keeper()
        fresh._credit = 1024
        sync(leaf, fresh, 2000, chunk=chunk)
        assert operations(durable(fresh), leaf.author) == operations(leaf.log, leaf.author)
        check_copies([leaf, fresh])


def test_a_relay_that_knows_a_receipt_takes_what_follows_it() -> None:
    leaf, relay, top = board(), board("relay", distance=0), keeper()
    now = record(leaf, 5)
    now = sync(leaf, top, now).now
    open_from = leaf.receipted(leaf.author)
    now = record(leaf, 3, now)
    now = sync(leaf, relay, now).now
    entries = relay.log.read(leaf.author, 0, 0, 4096)
    assert entries[0][:3] == (ENTRY_SKIP, 1, open_from)
    assert relay.receipted(leaf.author) == open_from
    assert relay.log.held(leaf.author) == leaf.log.held(leaf.author)
    now = sync(relay, top, now).now
    assert top.log.held(leaf.author) == leaf.log.held(leaf.author)
    assert relay.receipted(leaf.author) == leaf.log.held(leaf.author)
    check([leaf, relay, top])


def test_what_lies_with_a_keeper_is_not_invented_for_another() -> None:
    leaf, relay, top, other = board(), board("relay", distance=0), keeper(), keeper()
    now = sync(leaf, top, record(leaf, 5)).now
    now = sync(leaf, relay, record(leaf, 3, now)).now
    pipe = sync(relay, other, now)
    assert other.log.held(leaf.author) == 0 and pipe.ends[0].error is None
    now = sync(leaf, other, pipe.now).now
    assert other.log.held(leaf.author) == leaf.log.held(leaf.author)
    check([leaf, relay, top, other])


def test_what_another_brought_a_keeper_holds_up_nothing_on_a_link_that_stays() -> None:
    for comes_alone in (False, True):
        _check_passing(comes_alone)


def _check_passing(comes_alone: bool) -> None:
    leaf, one, two, top = board(), gateway(), gateway(), keeper()
    now = sync(one, leaf, record(leaf, 20)).now
    up = Exchange(one, now, central=True, linger_ms=None)
    pipe = Pipe(up, Exchange(top, now, linger_ms=None), now)

    def settle(now: int) -> int:
        pipe.now = now
        for _ in range(50):
            pipe.step()
        return pipe.now

    now = settle(now)
    assert one.receipted(leaf.author) == leaf.log.held(leaf.author)
    # The next twenty go by the other gateway, and the first one learns from the board that they lie above.
    now = record(leaf, 20, now)
    for central, remote in ((two, leaf), (two, top), (two, leaf)):
        now = sync(central, remote, now).now
    if comes_alone:
        now = settle(sync(one, leaf, now).now)
    now = record(leaf, 20, now)
    settle(sync(one, leaf, now).now)
    assert operations(durable(top), leaf.author) == operations(leaf.log, leaf.author)
    check([leaf, one, two, top])


def test_a_receipt_lets_a_link_to_a_relay_go_on_behind_what_was_dropped() -> None:
    leaf, far, near = board(), board("far", distance=2), board("near", distance=1)
    now = sync(far, leaf, record(leaf, 10)).now
    # A full log gave up what others have.
    far.log.drop(leaf.author, 4, 7)
    pipe = Pipe(Exchange(far, now, central=True, linger_ms=None), Exchange(near, now, linger_ms=None), now)
    for number, held in ((0, 3), (5, 3), (7, leaf.log.held(leaf.author))):
        # By another way; the first one reaches into what was dropped, the second behind it.
        if number:
            far.ingest_receipt(Receipt(b"keeper-1", 1, leaf.author, number))
            far.commit()
        for _ in range(20):
            pipe.step()
        assert near.log.held(leaf.author) == held
        assert near.receipted(leaf.author) == number
    assert not pipe.ends[0].finished


def test_past_incarnations_of_a_keeper_are_ignored() -> None:
    relay = board()
    author = b"author-a"
    assert relay.ingest_receipt(Receipt(b"keeper-1", 1, author, 10))
    assert not relay.ingest_receipt(Receipt(b"keeper-1", 1, author, 9))
    assert relay.ingest_receipt(Receipt(b"keeper-2", 1, author, 11))
    relay.note_keeper(b"keeper-2", 2)
    assert relay.receipted(author) == 10
    assert not relay.ingest_receipt(Receipt(b"keeper-2", 1, author, 20))
    relay.commit()
    again = board(store=relay.log.store)
    assert again.receipted(author) == 10 and again.ledger.note_keeper(b"keeper-2", 1) == 2
    assert again.ingest_receipt(Receipt(b"keeper-2", 2, author, 12))
    assert again.receipt(author).keeper == b"keeper-2"
    assert again.receipt(author).number == 12


def test_more_authors_than_a_vector_lists() -> None:
    middle, top = gateway(), keeper()
    boards = [board("b%d" % n) for n in range(90)]
    now = 1000
    for peer in boards:
        record(peer, 1, now)
        peer.seal(now)
        _copy(peer, top)
    late = [board("late%d" % n) for n in range(3)]
    for peer in late + boards[:2]:
        record(peer, 1, now)
        now = sync(middle, peer, now).now
    assert len(top.log.authors()) > 64 and top.hello(now).flags & hello.PARTIAL
    pipe = sync(middle, top, now)
    for peer in late + boards[:2]:
        assert top.log.held(peer.author) == peer.log.held(peer.author)
    assert pipe.ends[0].operations_out == top.log.held(middle.author) + sum(
        [peer.log.held(peer.author) for peer in late]
    ) + sum([peer.log.held(peer.author) - 2 for peer in boards[:2]])
    check(boards + late + [middle, top])


def test_a_board_is_not_told_of_authors_that_it_does_not_hold() -> None:
    top, middle, leaf = keeper(), gateway(), board()
    others = [board("other%d" % n) for n in range(8)]
    now = 1000
    for peer in others + [leaf]:
        record(peer, 2, now)
        now = sync(middle, peer, now).now
    now = sync(middle, top, now).now
    for about in ([], [leaf.author], None):
        record(leaf, 2, now)
        opener = Exchange(middle, now, central=True, about=about)
        pipe = Pipe(opener, Exchange(leaf, now), now).run()
        now = pipe.now
        greeting = pipe.ends[1].remote
        assert len(greeting.vector) == (10 if about is None else len(about))
        assert bool(greeting.flags & hello.PARTIAL) == (about is not None)
        assert middle.log.held(leaf.author) == leaf.log.held(leaf.author)
        assert pipe.ends[1].operations_out == 2 + (about == []), "what is new, once"
        assert leaf.receipted(leaf.author) == middle.receipted(leaf.author) > 0
    check(others + [leaf, middle, top])


def _copy(source: object, target: object) -> None:
    for kind, _, _, body in source.log.read(source.author, 0, 0, 1 << 30):
        if kind == 0:
            for schema in source.schemas.values():
                target.ingest_schema(schema.encoded)
            target.ingest(source.author, target.log.held(source.author) + 1, [body])
        else:
            target.ingest_seal(source.author, body)
    target.commit()


def test_a_link_that_stays_open_carries_what_is_committed() -> None:
    leaf, top = board(), keeper()
    left = Exchange(leaf, 0, central=True, linger_ms=None)
    pipe = Pipe(left, Exchange(top, 0, linger_ms=None), 0)
    for _ in range(10):
        pipe.step()
    told: list = []
    leaf.add_listener(lambda: told.append(1))
    leaf.insert("readings", {"t": Decimal(1, -1)}, pipe.now)
    assert told == [1]
    while pipe.step():
        pass
    assert top.log.held(leaf.author) == leaf.log.held(leaf.author)
    assert not left.finished
    # The tail is sealed a second later, and the receipt comes back by itself.
    pipe.now = left.next_wakeup(pipe.now)
    while pipe.step():
        pass
    assert leaf.receipted(leaf.author) == leaf.log.held(leaf.author)


def test_a_side_that_never_has_enough_does_not_hold_the_link() -> None:
    leaf, middle = board(), gateway()
    one, two = Exchange(middle, 0, central=True), Exchange(leaf, 0, linger_ms=0)
    two._settle = lambda now: None
    pipe = Pipe(one, two, 0).run()
    assert one.finished and one.error is None and 120000 <= pipe.now <= 140000


def test_an_exchange_with_nothing_new_is_short() -> None:
    leaf, top = board(), keeper()
    now = sync(leaf, top, record(leaf, 10)).now
    now = sync(leaf, top, now).now
    pipe = sync(leaf, top, now)
    hellos = len(pipe.records[0][0]) + len(pipe.records[1][0])
    total = sum([len(data) for side in pipe.records for data in side])
    assert total - hellos < 100, (total, hellos)


def test_a_log_is_reopened_with_its_numbers_its_clock_and_its_seal() -> None:
    store = MemoryStore()
    leaf = board(store=store)
    record(leaf, 40)
    assert leaf.log.sealed(leaf.author) == 32
    leaf.set_time(10**12, 50, 2, 20000)
    last = leaf.clock.last
    again = board(store=store, now=7)
    assert again.author == leaf.author and again.epoch == leaf.epoch + 1
    assert again.clock.last > last and again.utc(100) is None
    assert again.log.held(leaf.author) == 43
    top = keeper()
    sync(again, top, 100)
    assert top.receipted(again.author) == again.log.held(again.author) == again.receipted(again.author)
    third = board(store=store)
    assert third.log.sealed(third.author) == third.log.held(third.author) - 1
    assert MemoryLog(store).held(third.author) == third.log.held(third.author)


def test_a_link_that_stays_open_looks_at_what_has_changed() -> None:
    """With a thousand authors a look at all of them for each operation would be most of the work."""
    one, other = gateway(), keeper()
    sources = [board() for _ in range(40)]
    for source in sources:
        sync(source, one, 0)
    ends = Exchange(one, 0, central=True, linger_ms=None), Exchange(other, 0, linger_ms=None)
    pipe = Pipe(ends[0], ends[1], 0)

    def carry() -> None:
        for _ in range(200):
            if not pipe.step():
                break

    carry()
    courier = ends[0].courier
    looks: list = []
    lacks = courier._lacks

    def counted(author: bytes) -> bool:
        looks.append(author)
        return lacks(author)

    courier._lacks = counted
    sums: list = []
    real = one.summary
    one.summary = lambda: sums.append(1) or real()
    for at in range(10):
        record(sources[at], 1)
        body = operations(sources[at].log, sources[at].author)[-1]
        for schema in sources[at].schemas.values():
            one.ingest_schema(schema.encoded)
        one.ingest(sources[at].author, body[0], [body[1]])
        one.commit()
        carry()
        assert other.log.held(sources[at].author) == body[0]
    assert len(looks) < 300, len(looks)
    assert not sums
