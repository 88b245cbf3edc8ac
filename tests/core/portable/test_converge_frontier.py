"""What a stability frontier means for who has passed it: what it may collect, take again and ask for."""

from sync_kit import board, gateway, keeper, record, sync
from test_converge_faults import advance, lose
from test_sync_down import delete, names, put, want

from hedgerow.custody.skip import LOST
from hedgerow.peer import Peer

HEAP = "2m"


def deleted_and_stable() -> tuple:
    """Return a keeper, two gateways that have passed its frontier, and the number of a document below it.

    All of them hold it and its delete.
    """
    server, one, other = keeper(), gateway(), gateway()
    for peer in (one, other):
        want(peer, "settings")
    number = put(server, "settings", 1, {"every": 1})
    for peer in (one, other):
        sync(peer, server, 0)
    delete(server, "settings", 1)
    tell(server, one, other)
    return server, one, other, number


def tell(server: Peer, *takers: Peer) -> None:
    """Let all takers hear of all, move the frontier over it, and let them pass it."""
    for peer in takers * 2:
        sync(peer, server, 0)
    advance(server)
    for peer in takers:
        sync(peer, server, 0)


def test_what_was_collected_is_not_wanted_again() -> None:
    server, one, _, number = deleted_and_stable()
    assert one.down.collect() == 2
    one.down.want(server.author, number, number)
    assert one.down.holes() == []
    # What lies above the frontier in the same range still is.
    newest = put(server, "settings", 2, {"every": 1})
    one.down.want(server.author, number, newest)
    assert one.down.holes() == [(server.author, server.down.frontier.numbers[server.author] + 1, newest)]
    sync(one, server, 0)
    assert names(one, "settings") == [2] and one.log.fetch(server.author, number) is None


def test_a_keeper_takes_nothing_again_that_it_has_collected() -> None:
    server, one, _, number = deleted_and_stable()
    body = one.log.fetch(server.author, number)
    assert server.down.collect() == 2
    assert server.down.fill(server.author, number, [body], True) == 0
    # A gateway takes it from who has passed the frontier: it may have evicted it.
    assert one.down.collect() == 2
    assert one.down.fill(server.author, number, [body], False) == 0
    assert one.down.fill(server.author, number, [body], True) == 1


def test_what_is_lost_below_the_frontier_comes_from_a_survivor() -> None:
    leaf, relay, server = board(), gateway(distance=1), keeper()
    now = record(leaf, 4)
    sync(leaf, relay, now)
    body = leaf.log.fetch(leaf.author, 3)
    lose(leaf, 3)
    sync(leaf, server, now)
    assert server.log.missing(leaf.author) == [(3, 3, LOST)]
    advance(server)
    assert server.down.frontier.covers(leaf.author, 3)
    # The relay has never heard of the frontier.
    sync(relay, server, now)
    assert server.log.fetch(leaf.author, 3) == body


def test_a_keeper_never_begins_anew() -> None:
    server, one, other, _ = deleted_and_stable()
    number = put(server, "settings", 2, {"every": 2})
    tell(server, one, other)
    assert one.down.collect() == 2
    # The gateway has evicted what the keeper still has, and the keeper asks it for the first time.
    one.down.documents.forget(server.author, number, one.log.fetch(server.author, number))
    one.commit()
    want(server, "settings")
    sync(one, server, 0)
    assert names(server, "settings") == [2]


def test_what_is_open_is_not_collected() -> None:
    leaf, relay, server, one = board(), gateway(distance=1), keeper(), gateway()
    want(one, "settings")
    put(leaf, "settings", 1, {"every": 1})
    delete(leaf, "settings", 1)
    number = leaf.log.held(leaf.author)
    sync(leaf, relay, 0)
    sync(leaf, server, 0)
    tell(server, one)
    # It meets the frontier at a gateway, and no receipt.
    relay.down.pass_frontier(one.down.frontier, False)
    assert relay.down.frontier.covers(leaf.author, number) and relay.carries(leaf.author, number)
    assert relay.down.collect() == 0
    sync(relay, server, 0)
    assert relay.down.collect() == 2
