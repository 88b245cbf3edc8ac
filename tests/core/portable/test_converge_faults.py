"""What the many cases of tests/core/test_convergence.py found, each fault as its shortest scenario."""

from sync_kit import board, converse, gateway, keeper, record, sync
from test_sync_down import delete, names, put, show, want

from hedgerow.application import ReadyPeer
from hedgerow.codec.schema import STREAM, Schema
from hedgerow.custody.skip import LOST
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.operation import DELETE, UPDATE
from hedgerow.peer import Peer
from hedgerow.sync.interest import Interest

HEAP = "2m"


def lose(peer: Peer, number: int) -> None:
    """Take an own operation away, as damaged storage does."""
    peer.down.documents.forget(peer.author, number, peer.log.fetch(peer.author, number))
    peer.commit()


def test_the_newest_own_operations_are_said_to_be_lost() -> None:
    leaf, server = board(), keeper()
    now = record(leaf, 4)
    leaf.seal(now)
    for number in (4, 5):
        lose(leaf, number)
    pipe = sync(leaf, server, now)
    assert pipe.ends[1].refused == {}
    assert server.log.missing(leaf.author) == [(4, 5, LOST)]
    record(leaf, 1, now)
    sync(leaf, server, now)
    assert server.receipted(leaf.author) == leaf.log.held(leaf.author) == 7


def test_what_follows_a_gap_keeps_its_number() -> None:
    leaf, server = board(), keeper()
    now = record(leaf, 4)
    leaf.seal(now)
    lose(leaf, 3)
    sync(leaf, server, now)
    for number in (1, 2, 4, 5):
        assert server.log.fetch(leaf.author, number) == leaf.log.fetch(leaf.author, number)
    assert server.log.missing(leaf.author) == [(3, 3, LOST)]


def test_a_seal_over_what_a_relay_has_dropped_is_not_sent_alone() -> None:
    leaf, relay, server, other = board(), gateway(), keeper(), keeper()
    now = record(leaf, 3)
    sync(leaf, relay, now)
    sync(relay, server, now)
    relay.log.drop(leaf.author, 2, 4)
    relay.commit()
    pipe = sync(relay, other, now)
    assert pipe.ends[1].refused == {} and other.log.held(leaf.author) == 1


def test_a_note_of_one_log_is_no_answer() -> None:
    leaf, relay, server, other = board(), gateway(distance=0), keeper(), gateway()
    now = record(leaf, 3)
    sync(leaf, server, now)
    # The relay carries the board only from what a receipt stands for.
    record(leaf, 1, now)
    sync(leaf, relay, now)
    newest = leaf.log.held(leaf.author)
    assert relay.log.held(leaf.author) == newest and relay.log.fetch(leaf.author, 2) is None
    other.down.want(leaf.author, 2, 3)
    sync(other, relay, now)
    other.down.want(leaf.author, newest, newest)
    sync(other, relay, now)
    assert other.log.fetch(leaf.author, newest) is not None


def test_an_author_gets_back_its_own() -> None:
    leaf, server = board(), keeper()
    number = put(leaf, "settings", 1, {"every": 1})
    sync(leaf, server, 0)
    lose(leaf, number)
    leaf.down.want(leaf.author, number, number)
    sync(leaf, server, 0)
    assert names(leaf, "settings") == [1]


def restored(server: Peer, entries: list, state: dict) -> Peer:
    """Put an earlier image of a keeper's store back."""
    store = MemoryStore(b"restored", server.log.incarnation + 1)
    store.entries, store.state = list(entries), dict(state)
    return keeper(store)


def test_a_restored_keeper_is_the_same_keeper_with_a_new_author() -> None:
    server, one, leaf = keeper(), gateway(), board()
    want(one, "settings")
    put(server, "settings", 1, {"every": 1})
    sync(one, server, 0)
    image = (list(server.log.store.entries), dict(server.log.store.state))
    now = record(leaf, 3)
    sync(leaf, server, now)
    held = leaf.log.held(leaf.author)
    assert leaf.receipted(leaf.author) == held
    again = restored(server, *image)
    assert again.identity == server.identity and again.author != server.author
    put(again, "settings", 2, {"every": 2})
    sync(one, again, now)
    # Its positions of before mean nothing, and its receipts neither: the board gives it everything anew.
    assert names(one, "settings") == [1, 2]
    assert again.log.held(leaf.author) == 0
    sync(leaf, again, now)
    assert again.receipted(leaf.author) == leaf.receipted(leaf.author) == held


def advance(server: Peer) -> None:
    """Move the frontier over all that takers have been told."""
    server.seal(0)
    assert server.down.advance(1 << 40, 0)
    server.commit()


def test_a_delete_stays_while_what_it_deletes_stays() -> None:
    server = ReadyPeer(MemoryLog(MemoryStore()), lambda: 5, keeper=True)
    server.set_time(900000000000, 5, 4, 5)
    with server.transaction() as work:
        work.execute("INSERT INTO cars DOCUMENTS ({'_id': 1})")
        work.execute("INSERT INTO jobs DOCUMENTS ({'_id': 1})")
    server.execute("DELETE FROM cars")
    advance(server)
    assert server.down.collect() == 0
    assert len(server.execute("SELECT * FROM cars")) == 0 and len(server.execute("SELECT * FROM jobs")) == 1
    server.execute("DELETE FROM jobs")
    advance(server)
    assert server.down.collect() == 3
    assert len(server.execute("SELECT * FROM cars")) == len(server.execute("SELECT * FROM jobs")) == 0


def want_some(peer: Peer) -> None:
    peer.down.subscriptions.subscribe(Interest("cars", "n > 5", hops=0))


def test_a_busy_document_that_fulfils_a_condition_no_more_is_told() -> None:
    server, one = keeper(), gateway()
    want_some(one)
    put(server, "cars", 1, {"k": 9})
    put(server, "cars", 1, {"n": 9}, change=UPDATE)
    sync(one, server, 0)
    for _ in range(20):
        put(server, "cars", 1, {"n": 1}, change=UPDATE)
    sync(one, server, 0)
    assert show(one, "cars") == show(server, "cars")


def test_a_collected_history_does_not_keep_what_fulfils_a_condition_no_more() -> None:
    server, relay, one = keeper(), gateway(), gateway(distance=200)
    want(relay, "cars", hops=0)
    want_some(one)
    put(server, "cars", 1, {"k": 9})
    put(server, "cars", 1, {"n": 9}, change=UPDATE)
    server.seal(0)
    sync(relay, server, 0)
    sync(one, relay, 0)
    put(server, "cars", 1, {"n": 1}, change=UPDATE)
    sync(relay, server, 0)
    assert relay.down.collect() == 1
    again = gateway(relay.log.store)
    sync(one, again, 0)
    assert show(one, "cars") == show(again, "cars")


def test_who_makes_a_document_fulfil_a_condition_gets_the_rest_of_it() -> None:
    server, one = keeper(), gateway()
    want_some(one)
    put(server, "cars", 1, {"k": 9})
    sync(one, server, 0)
    put(one, "cars", 1, {"n": 9}, now=1 << 40)
    for _ in range(2):
        sync(one, server, 0)
    assert show(one, "cars") == show(server, "cars") == {"1": {"_id": 1, "k": 9, "n": 9}}


def test_who_was_not_told_of_deletes_is_not_believed_below_the_frontier() -> None:
    leaf, relay, server, one = board(), gateway(distance=1), keeper(), gateway()
    want(relay, "alarms")
    want(one, "settings")
    put(leaf, "settings", 1, {"every": 1})
    sync(leaf, relay, 0)
    sync(relay, server, 0)
    sync(one, server, 0)
    delete(server, "settings", 1)
    for peer in (one, relay, one, relay):
        sync(peer, server, 0)
    advance(server)
    assert server.down.collect() == 2
    for peer in (one, relay):
        sync(peer, server, 0)
    assert one.down.collect() == 2 and names(relay, "settings") == [1]
    sync(one, relay, 0)
    assert names(one, "settings") == []
    # Once it asks for them itself it learns that they are gone.
    want(relay, "settings")
    sync(relay, server, 0)
    assert names(relay, "settings") == []


def test_a_first_subscription_drops_nothing_of_other_collections() -> None:
    leaf, server, one = board(), keeper(), gateway()
    for collection in ("settings", "other"):
        put(leaf, collection, 1, {"every": 1})
    sync(leaf, server, 0)
    want(one, "settings")
    put(server, "settings", 2, {"every": 1})
    delete(server, "settings", 2)
    for _ in range(2):
        sync(one, server, 0)
    advance(server)
    assert server.down.collect() == 2
    want(leaf, "settings")
    sync(leaf, server, 0)
    assert names(leaf, "other") == names(leaf, "settings") == [1]
    # What is deleted while it does not ask for it goes when it does, though it passed that frontier before.
    delete(server, "other", 1)
    for _ in range(2):
        sync(leaf, server, 0)
        sync(one, server, 0)
    advance(server)
    server.down.collect()
    sync(leaf, server, 0)
    want(leaf, "other")
    sync(leaf, server, 0)
    assert names(leaf, "other") == names(server, "other") == []


def test_a_document_that_comes_late_brings_its_delete() -> None:
    server, relay, one = keeper(), gateway(), gateway()
    want(relay, "settings")
    want(one, "settings")
    number = put(server, "settings", 1, {"every": 1})
    for peer in (relay, one):
        sync(peer, server, 0)
    delete(server, "settings", 1)
    for peer in (relay, one, relay, one):
        sync(peer, server, 0)
    sync(one, relay, 0)
    advance(server)
    for peer in (relay, one):
        sync(peer, server, 0)
    assert one.down.collect() == 2
    # The relay had lost what was deleted, and gets it back: a new arrival there.
    body = relay.log.fetch(server.author, number)
    relay.down.documents.forget(server.author, number, body)
    relay.down.fill(server.author, number, [body], True)
    relay.commit()
    sync(one, relay, 0)
    assert names(one, "settings") == []


def test_beginning_anew_is_by_collection() -> None:
    server, one, other = keeper(), gateway(), gateway()
    want(one, "cars")
    want(other, "cars")
    put(server, "cars", 1, {"n": 1})
    put(server, "cars", 2, {"n": 9})
    for peer in (one, other):
        sync(peer, server, 0)
    delete(server, "cars", 2)
    for peer in (one, other, one, other):
        sync(peer, server, 0)
    advance(server)
    assert server.down.collect() == 2
    sync(one, server, 0)
    # A second interest in the collection begins at the start, where everything may be gone.
    want_some(one)
    sync(one, server, 0)
    assert names(one, "cars") == [1]


def test_a_deleted_reading_goes_too() -> None:
    leaf, server = board(), keeper()
    record(leaf, 2)
    sync(leaf, server, 0)
    assert server.down.frontier is None
    number = [entry[1:3] for entry in server.log.since(0, 1 << 20) if entry[1] == leaf.author][1][1]
    schema = Schema("readings", STREAM, ())
    server.write([[DELETE, schema.name, [leaf.author, number]]], [schema], 0)
    advance(server)
    assert server.down.collect() == 2
    want(leaf, "readings")
    for _ in range(2):
        sync(leaf, server, 0)
    assert len(show(leaf, "readings")) == len(show(server, "readings")) == 1


class Cutting(MemoryLog):
    """A log whose power fails after some drops, each of which is durable."""

    left = 1 << 30

    def drop(self, author: bytes, first: int, last: int) -> None:
        if self.left:
            self.left -= 1
            super().drop(author, first, last)
            self.commit()


def test_a_power_cut_while_collecting_brings_nothing_back() -> None:
    for left in range(3):
        log = Cutting(MemoryStore())
        server = Peer(log, 0, keeper=True)
        server.set_time(900000000000, 5, 4, 0)
        one = gateway()
        # The delete arrives before what it deletes: the one who wrote the document is far behind.
        put(one, "settings", 1, {"every": 1})
        put(server, "settings", 1, {"every": 2})
        delete(server, "settings", 1)
        sync(one, server, 0)
        advance(server)
        log.left = left
        assert server.down.collect() == 3
        again = Peer(MemoryLog(log.store), 0, keeper=True)
        assert names(again, "settings") == []


def test_what_a_seal_needs_is_not_collected() -> None:
    server = keeper()
    put(server, "settings", 1, {"every": 1})
    delete(server, "settings", 1)
    assert server.down.advance(1 << 40, 0)
    assert server.down.collect() == 0
    server.seal(0)
    assert server.down.collect() == 2


def test_a_frontier_names_no_local_author() -> None:
    server = ReadyPeer(MemoryLog(MemoryStore()), lambda: 5, keeper=True, kinds={"notes": 4})
    server.set_time(900000000000, 5, 4, 5)
    server.execute("INSERT INTO notes DOCUMENTS ({'_id': 1, 'n': 1})")
    server.execute("UPDATE notes SET n = 2")
    server.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'n': 1})")
    advance(server)
    assert server.local not in server.down.frontier.numbers
    # Nobody else has to be told of them: they go when they are superseded or deleted.
    server.execute("DELETE FROM notes")
    assert server.down.collect() == 3


def test_a_taker_counts_once_what_it_wrote_before_is_here() -> None:
    server, one = keeper(), gateway()
    want(one, "settings")
    put(server, "settings", 1, {"every": 1})
    delete(server, "settings", 1)
    sync(one, server, 0)
    for at in range(80):
        put(one, "settings", at, {"every": "a text that fills a record, with others of its kind"})
    newest = server.log.position()
    # Its link breaks when it has asked, and before it has brought what it wrote.
    for limit in range(200, 4000, 400):
        converse(one, server, 0, cut={0: limit})
        if server.log.held(one.author) < one.log.held(one.author):
            assert server.down.stability.positions.get(one.author, 0) < newest
    sync(one, server, 0)
    assert server.down.stability.positions[one.author] >= newest
    assert show(server, "settings") == show(one, "settings")
