"""The way down (SPEC 7.10): who wants something gets it from whoever has it, once, and knows how far."""

from sync_kit import board, gateway, keeper, record, sync

from hedgerow.clock import hlc
from hedgerow.codec.schema import KEEP, SCOPE_BIG_PEER, SCOPE_LOCAL, Schema, schema_for
from hedgerow.custody.frontier import Frontier
from hedgerow.limits import MAX_FRONTIER
from hedgerow.log import MemoryLog
from hedgerow.operation import DELETE, INSERT, UPDATE, encode_body
from hedgerow.peer import Peer
from hedgerow.sync.interest import Interest

HEAP = "800k"

LOCAL = KEEP | SCOPE_LOCAL << 1
BIG_PEER = KEEP | SCOPE_BIG_PEER << 1


def put(
    peer: Peer,
    collection: str,
    name: object,
    document: dict,
    now: int = 0,
    kind: int = KEEP,
    change: int = INSERT,
) -> int:
    """Write a document, durable; return the operation's number."""
    schema = schema_for(collection, kind, document)
    return peer.write([[change, schema.name, name, schema.pack(document)]], [schema], now)


def delete(peer: Peer, collection: str, name: object, now: int = 0) -> None:
    schema = Schema(collection, KEEP, ())
    peer.write([[DELETE, schema.name, name]], [schema], now)


def show(peer: Peer, collection: str) -> dict:
    """Return {id: document} of a collection as a peer sees it."""
    shown = {}
    for document in peer.down.documents.scan(collection):
        if document is not None:
            shown[repr(document["_id"])] = document
    return shown


def names(peer: Peer, collection: str) -> list:
    return sorted([document["_id"] for document in show(peer, collection).values()])


def want(peer: Peer, collection: str, hops: int = 3) -> None:
    peer.down.subscriptions.subscribe(Interest(collection, hops=hops))


def test_a_document_written_at_a_keeper_reaches_who_wants_it() -> None:
    server, one, other = keeper(), gateway(), gateway()
    put(server, "settings", "a", {"every": 5})
    put(server, "other", "b", {"x": 1})
    want(one, "settings")
    sync(one, server, 0)
    sync(other, server, 0)
    assert names(one, "settings") == ["a"] and names(one, "other") == []
    assert other.log.authors() == [other.author]
    put(server, "settings", "a", {"every": 9}, change=UPDATE)
    put(server, "settings", "c", {"every": 7})
    pipe = sync(one, server, 0)
    assert [document["every"] for document in show(one, "settings").values()] == [9, 7]
    # Only what is new came, and the other document never did.
    assert pipe.ends[0].operations_in == 2
    assert sync(one, server, 0).ends[0].operations_in == 0


def test_what_came_down_outlives_a_power_cut_and_is_not_sent_again() -> None:
    server, one = keeper(), gateway()
    for at in range(20):
        put(server, "settings", at, {"every": at})
    want(one, "settings")
    sync(one, server, 0)
    again = gateway(store=one.log.store)
    assert names(again, "settings") == list(range(20))
    pipe = sync(again, server, 0)
    assert pipe.ends[1].operations_out == 0


def test_a_wider_subscription_fetches_what_went_by() -> None:
    server, one = keeper(), gateway()
    want(one, "settings")
    put(server, "alarms", 1, {"level": 1})
    put(server, "settings", 1, {"every": 1})
    sync(one, server, 0)
    assert names(one, "alarms") == []
    want(one, "alarms")
    sync(one, server, 0)
    assert names(one, "alarms") == [1] and names(one, "settings") == [1]


def test_a_delete_goes_down() -> None:
    server, one, late = keeper(), gateway(), gateway()
    want(one, "settings")
    want(late, "settings")
    put(server, "settings", 1, {"every": 1})
    sync(one, server, 0)
    delete(server, "settings", 1)
    sync(one, server, 0)
    sync(late, server, 0)
    assert names(one, "settings") == [] and names(late, "settings") == []
    # A latecomer that holds the document learns of the delete from who has it.
    assert one.down.documents.dots("settings", 1) == late.down.documents.dots("settings", 1)


def test_a_relay_takes_on_an_interest() -> None:
    server, middle, leaf = keeper(), gateway(), board()
    want(leaf, "settings", hops=2)
    put(server, "settings", 1, {"every": 1})
    sync(middle, server, 0)
    sync(leaf, middle, 0)
    sync(middle, server, 0)
    sync(leaf, middle, 0)
    assert names(leaf, "settings") == [1]
    # With no hops left it goes no farther.
    far = board()
    want(far, "alarms", hops=0)
    put(server, "alarms", 1, {"level": 1})
    sync(far, middle, 0)
    sync(middle, server, 0)
    assert names(middle, "alarms") == []


def test_open_operations_of_others_go_down_too() -> None:
    one, middle, two = board(), gateway(), board()
    record(one, 3)
    sync(one, middle, 0)
    want(two, "readings")
    sync(two, middle, 0)
    assert len(show(two, "readings")) == 3
    # They are beside the run: what is held for a keeper has no holes.
    assert two.log.held(one.author) == 0


def test_what_came_from_the_other_side_is_not_told_back() -> None:
    one, two = gateway(), gateway()
    want(one, "settings")
    want(two, "settings")
    for at in range(10):
        put(one, "settings", at, {"every": at})
    pipe = sync(one, two, 0)
    assert names(two, "settings") == list(range(10))
    # The clock record of its boot is all that it has to say.
    assert pipe.ends[1].operations_out == 1
    put(two, "settings", 3, {"every": 99}, now=5, change=UPDATE)
    sync(two, one, 10)
    assert show(one, "settings") == show(two, "settings")


def test_local_operations_never_leave() -> None:
    one, server = gateway(), keeper()
    want(server, "notes")
    put(one, "settings", 1, {"every": 1})
    before = one.log.held(one.author)
    schema = schema_for("notes", LOCAL, {"secret": 1})
    number = one.write([[INSERT, schema.name, 1, schema.pack({"secret": 1})]], [schema], 0, local=True)
    assert number == 1 and one.log.held(one.author) == before
    pipe = sync(one, server, 0)
    assert names(one, "notes") == [1]
    assert server.log.held(one.local) == 0 and one.local not in [entry[0] for entry in one.vector()]
    assert server.log.held(one.author) == one.log.held(one.author)
    assert all(b"secret" not in record for way in pipe.records for record in way)


def test_local_operations_go_on_after_a_power_cut() -> None:
    one = gateway()
    schema = schema_for("notes", LOCAL, {"n": 1})
    for at in range(3):
        one.write([[INSERT, schema.name, at, schema.pack({"n": at})]], [schema], 0, local=True)
    again = gateway(store=one.log.store)
    assert again.write([[INSERT, schema.name, 3, schema.pack({"n": 3})]], [schema], 0, local=True) == 4
    assert names(again, "notes") == [0, 1, 2, 3]
    assert again.clock.last > one.clock.last


def test_an_operation_that_should_have_stayed_is_refused() -> None:
    one, other = gateway(), gateway()
    schema = schema_for("notes", LOCAL, {"n": 1})
    one.write([[INSERT, schema.name, 1, schema.pack({"n": 1})]], [schema], 0)
    number = one.log.held(one.author)
    body = one.log.fetch(one.author, number)
    other.schemas[schema.name] = schema
    try:
        other.down.fill(one.author, number, [body], False)
    except Exception as error:
        assert error.code == "SCOPE_LOCAL"
    else:
        raise AssertionError("taken")
    assert other.log.fetch(one.author, number) is None


def test_what_is_for_big_peers_is_carried_and_does_not_show() -> None:
    one, middle, server = board(), gateway(), keeper()
    want(middle, "audit")
    put(one, "audit", 1, {"x": 1}, kind=BIG_PEER)
    sync(one, middle, 0)
    assert names(one, "audit") == [1] and names(middle, "audit") == []
    other = gateway()
    want(other, "audit")
    sync(other, middle, 0)
    assert names(other, "audit") == []
    sync(middle, server, 0)
    assert names(server, "audit") == [1]


def test_a_hole_is_refilled_when_asked_for() -> None:
    server, one = keeper(), gateway()
    want(one, "settings")
    for at in range(5):
        put(server, "settings", at, {"every": at})
    sync(one, server, 0)
    number = one.down.documents.dots("settings", 3)[0][1]
    one.down.documents.forget(server.author, number, one.log.fetch(server.author, number))
    one.commit()
    assert names(one, "settings") == [0, 1, 2, 4]
    sync(one, server, 0)
    assert names(one, "settings") == [0, 1, 2, 4]
    one.down.want(server.author, number, number)
    sync(one, server, 0)
    assert names(one, "settings") == [0, 1, 2, 3, 4]


def test_who_is_below_the_frontier_begins_anew_and_resurrects_nothing() -> None:
    server, one, late = keeper(), gateway(), gateway()
    for peer in (one, late):
        want(peer, "settings")
    put(server, "settings", 1, {"every": 1})
    put(server, "settings", 2, {"every": 2})
    sync(one, server, 0)
    sync(late, server, 0)
    delete(server, "settings", 1)
    sync(one, server, 0)
    sync(one, server, 0)
    server.seal(0)
    # The latecomer was retired: the frontier passed without it, and the deleted document is gone everywhere.
    position = server.log.position()
    server.down.pass_frontier(
        Frontier(server.author, 1, position, {server.author: server.log.held(server.author)}), False
    )
    assert server.down.collect() == 2
    sync(one, server, 0)
    assert one.down.collect() == 2
    assert one.down.documents.dots("settings", 1) == []
    put(late, "settings", 3, {"every": 3})
    assert names(late, "settings") == [1, 2, 3]
    # It meets a peer that has passed the frontier, not the keeper itself.
    sync(late, one, 0)
    sync(late, one, 0)
    assert names(late, "settings") == [2, 3] and names(one, "settings") == [2, 3]
    sync(late, server, 0)
    assert names(server, "settings") == [2, 3]


def test_what_waits_for_its_time_shows_when_it_has_come() -> None:
    server = keeper()
    ahead = board()
    ahead.clock.jump(server.utc(0)[0] + 3600000)
    put(ahead, "settings", 1, {"every": 1})
    put(ahead, "settings", 2, {"every": 2})
    record(ahead, 2, now=0)
    server.down.set_horizon(0)
    sync(ahead, server, 0)
    put(server, "settings", 2, {"every": 9})
    assert names(server, "settings") == [2] and show(server, "settings")["2"]["every"] == 9
    # No other write's order depends on a reading: it shows at once, also when somebody has written to it.
    assert len(show(server, "readings")) == 2
    put(server, "readings", [ahead.author, ahead.log.held(ahead.author)], {"seen": True}, change=UPDATE)
    assert len(show(server, "readings")) == 2
    assert server.receipted(ahead.author) == ahead.log.held(ahead.author)
    assert server.down.set_horizon(3400000) == [("settings", 1), ("settings", 2)]
    assert names(server, "settings") == [1, 2] and show(server, "settings")["2"]["every"] == 2


def test_a_forbidden_write_is_kept_and_never_shows() -> None:
    def verdict(author: bytes, number: int, stamp: bytes, change: list, schema: Schema) -> bool:
        return schema.collection != "settings"

    server = Peer(MemoryLog(), 0, keeper=True, verdict=verdict)
    one = gateway()
    put(one, "settings", 1, {"every": 1})
    put(one, "alarms", 1, {"level": 1})
    sync(one, server, 0)
    assert names(server, "settings") == [] and names(server, "alarms") == [1]
    assert server.receipted(one.author) == one.log.held(one.author) == server.log.held(one.author)


def test_a_keeper_that_was_put_back_gets_the_rest_from_a_survivor() -> None:
    store = MemoryLog().store
    server = Peer(MemoryLog(store), 0, keeper=True)
    one, relay = board(), gateway()
    record(one, 4)
    image = list(store.entries), dict(store.state)
    sync(one, relay, 0)
    sync(relay, server, 0)
    sync(one, relay, 0)
    assert one.receipted(one.author) == 5
    # The author gives up what was receipted; then its keeper is put back to before it had any of it.
    for number in range(1, 4):
        one.down.documents.forget(one.author, number, one.log.fetch(one.author, number))
    one.commit()
    store.entries, store.state = image
    store.incarnation += 1
    server = Peer(MemoryLog(store), 0, keeper=True)
    sync(one, server, 0)
    assert server.lost(one.author) == [(1, 3)] and server.log.held(one.author) == 5
    sync(one, server, 0)
    assert server.receipted(one.author) == one.receipted(one.author) == 5
    assert len(show(server, "readings")) == 2
    # The relay has them all: the keeper asks, and they beat the skip.
    sync(relay, server, 0)
    assert server.lost(one.author) == [] and len(show(server, "readings")) == 4


def test_who_heard_from_one_that_began_anew_begins_anew() -> None:
    """Nobody is left to say that what it has from there was deleted (SPEC 5.11.3)."""
    server, middle, end, other = keeper(), gateway(), gateway(), gateway()
    for peer in (middle, end, other):
        want(peer, "settings")
    for at in (1, 2):
        put(server, "settings", at, {"every": at})
    sync(middle, server, 0)
    sync(end, middle, 0)
    # The middle one was retired, and the end has never met the keeper.
    delete(server, "settings", 1)
    server.seal(0)
    numbers = {server.author: server.log.held(server.author)}
    server.down.pass_frontier(Frontier(server.author, 1, server.log.position(), numbers), False)
    assert server.down.collect() == 2
    put(server, "settings", 3, {"every": 3})
    sync(middle, server, 0)
    assert names(middle, "settings") == [2, 3]
    sync(end, middle, 0)
    assert names(end, "settings") == [2, 3]
    sync(other, end, 0)
    assert names(other, "settings") == [2, 3]


def test_a_keeper_of_many_authors_stays_trusted_whichever_its_frontier_names() -> None:
    """A frontier names 256 authors: a keeper of more takes others each time (SPEC 5.11, 7.10.5)."""
    server, one = keeper(), gateway()
    for at in (1, 2):
        put(server, "settings", at, {"every": at})
    want(one, "settings")
    position = server.log.position()
    one.down.pass_frontier(Frontier(server.author, 1, 1, {server.author: 9, b"someone.": 4}), False)
    server.down.pass_frontier(Frontier(server.author, 1, position, {server.author: 9}), False)
    sync(one, server, 0)
    assert names(one, "settings") == [1, 2]
    assert one.down.frontier.position == position


def test_who_begins_anew_drops_also_what_a_full_frontier_has_no_room_to_name() -> None:
    late, server = gateway(), keeper()
    want(late, "settings")
    put(server, "settings", 1, {"every": 1})
    put(server, "settings", 2, {"every": 2})
    sync(late, server, 0)
    delete(server, "settings", 1)
    server.seal(0)
    position = server.log.position()
    numbers = {b"auth" + number.to_bytes(4, "big"): 1 for number in range(MAX_FRONTIER - 1)}
    covered = dict(numbers)
    covered[server.author] = server.log.held(server.author)
    server.down.pass_frontier(Frontier(server.author, 1, position, covered), False)
    assert server.down.collect() == 2
    numbers[b"auth9999"] = 1
    server.down.pass_frontier(Frontier(server.author, 1, position + 1, numbers), False)
    sync(late, server, 0)
    assert names(late, "settings") == [2]


def test_what_breaks_a_rule_does_not_hold_up_the_way_down() -> None:
    server, one = keeper(), gateway()
    put(server, "settings", 1, {"every": 1})
    schema = schema_for("settings", KEEP, {"every": 1})
    bad = encode_body(hlc.pack(5), [[INSERT, schema.name, 2, [1, 2]]])
    # A store of another make did not look.
    server.log.fill(b"bad-auth", 1, bad)
    put(server, "settings", 3, {"every": 3})
    want(one, "settings")
    sync(one, server, 0)
    assert names(one, "settings") == [1, 3] and one.log.fetch(b"bad-auth", 1) is None
    key = one.down.subscriptions.own[0].key
    assert one.down.subscriptions.position(server.author, 1, key) == server.log.position()
