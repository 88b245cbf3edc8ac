"""The way down on long logs, for which a board's VM has no room (SPEC 7.10)."""

from sync_kit import Pipe, gateway, keeper
from test_sync_down import names, put, want

from hedgerow.sync.exchange import Exchange
from hedgerow.sync.interest import Interest


def test_a_condition_that_nothing_fulfils_does_not_hold_up_the_link() -> None:
    """A neighbour asks: how much of the log is read in one call has a bound (SPEC 7.10.3)."""
    server, one = keeper(), gateway()
    for at in range(400):
        put(server, "settings", at, {"every": at, "what": "x" * 40})
    one.down.subscriptions.subscribe(Interest("settings", "every < 0"))
    assert len(names(server, "settings")) == 400
    pipe = Pipe(Exchange(one, 0, central=True), Exchange(server, 0), 0)
    reads: list = []
    since = server.log.since

    def counted(position: int, max_bytes: int) -> list:
        reads.append(pipe.now)
        return since(position, max_bytes)

    server.log.since = counted
    pipe.run()
    assert [end.error for end in pipe.ends] == [None, None]
    per_call: dict = {}
    for now in reads:
        per_call[now] = per_call.get(now, 0) + 1
    assert len(reads) > 16 and max(per_call.values()) <= 12
    key = one.down.subscriptions.own[0].key
    assert one.down.subscriptions.position(server.author, 1, key) == server.log.position()


def test_a_link_that_breaks_has_brought_what_it_brought() -> None:
    """Else who is far behind on links that never last would begin again and again (SPEC 7.10.4)."""
    server, one = keeper(), gateway()
    for at in range(400):
        put(server, "settings", at, {"every": at, "what": "x" * 40})
    want(one, "settings")
    came: list = []
    while sum(came) < 400 and len(came) < 40:
        # At a second for each record no link lasts until all is said.
        ends = Exchange(one, 0, central=True), Exchange(server, 0)
        Pipe(ends[0], ends[1], 0, delay=1000, cut={1: 12000}).run()
        came.append(ends[0].operations_in)
    assert names(one, "settings") == list(range(400))
    assert 2 < len(came) < 40
