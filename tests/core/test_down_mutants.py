"""Each rule of the way down, of receipts and of collecting is taken out in turn; a named test must then fail.

As in test_sync_mutants.py a mutant is one rule disabled by monkeypatching; its check passes on the real code.
"""

from collections.abc import Callable
from typing import Any

import pytest
import test_converge_faults as faults
import test_sync_down as down_tests
from sync_kit import board, converse, gateway, keeper, record, sync
from test_sync_down import delete, names, put, want

from hedgerow import collect as collect_module
from hedgerow import document as document_module
from hedgerow import documents as documents_module
from hedgerow.application import ReadyPeer
from hedgerow.custody.ledger import Ledger
from hedgerow.custody.stability import Stability
from hedgerow.down import Down
from hedgerow.errors import HedgerowError
from hedgerow.log import MemoryLog, MemoryStore
from hedgerow.marks import Marks
from hedgerow.peer import Peer
from hedgerow.presence import Presence
from hedgerow.subscriptions import Subscriptions
from hedgerow.sync import courier as courier_module
from hedgerow.sync import frames
from hedgerow.sync import giver as giver_module
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.interest import write_marks
from hedgerow.sync.taker import Taker

Patch = Callable[[pytest.MonkeyPatch], None]
Check = Callable[[], None]


# ---- checks that no other test makes


def check_no_mark_after_a_refused_pick() -> None:
    """What had no room today comes tomorrow."""
    server, one = keeper(), gateway()
    want(one, "settings")
    put(server, "settings", 1, {"every": 1})
    real = one.log.fill

    def full(*_args: Any) -> None:
        raise HedgerowError("LOG_FULL", "today")

    one.log.fill = full  # type: ignore[method-assign]
    sync(one, server, 0)
    one.log.fill = real  # type: ignore[method-assign]
    sync(one, server, 0)
    assert names(one, "settings") == [1]


def check_position_outlives_a_power_cut() -> None:
    server, one = keeper(), gateway()
    want(one, "settings")
    for at in range(5):
        put(server, "settings", at, {"every": at})
    sync(one, server, 0)
    again = gateway(one.log.store)
    assert sync(again, server, 0).ends[1].operations_out == 0


def check_new_incarnation_restarts() -> None:
    """The store was put back and has other arrivals under the same positions."""
    server, one = keeper(), gateway()
    want(one, "settings")
    image = (list(server.log.store.entries), dict(server.log.store.state))
    for at in range(3):
        put(server, "settings", at, {"every": at})
    sync(one, server, 0)
    again = faults.restored(server, *image)
    for at in range(3):
        put(again, "settings", 10 + at, {"every": at})
    sync(one, again, 0)
    assert names(one, "settings") == [0, 1, 2, 10, 11, 12]


def check_old_incarnation_counts_no_more() -> None:
    """What a keeper receipted before a restore is open again, and comes to it anew."""
    server, leaf = keeper(), board()
    image = (list(server.log.store.entries), dict(server.log.store.state))
    now = record(leaf, 3)
    sync(leaf, server, now)
    assert leaf.receipted(leaf.author) == leaf.log.held(leaf.author)
    again = faults.restored(server, *image)
    one, two = Exchange(leaf, now, central=True), Exchange(again, now)
    one.receive(two.outgoing(1200, now), now)
    assert leaf.receipted(leaf.author) == 0


def check_closing_waits_for_marks() -> None:
    """A link that is to be short stays until what was asked for has been answered."""
    server, one = keeper(), gateway()
    want(one, "settings")
    for at in range(60):
        put(server, "settings", at, {"every": "a text that fills a record, with others of its kind"})
    sync(one, server, 0)
    sync(one, server, 0)
    put(server, "settings", 99, {"every": 1})
    pipe = sync(one, server, 0)
    assert names(one, "settings")[-1] == 99
    assert pipe.ends[0]._taker.waiting is False  # type: ignore[attr-defined]
    assert sync(one, server, 0).ends[1].operations_out == 0


def check_all_required_keepers() -> None:
    first, second = keeper(), keeper()
    leaf = board(keepers=(first.author, second.author))
    now = record(leaf, 3)
    sync(leaf, first, now)
    assert leaf.receipted(leaf.author) == 0
    sync(leaf, second, now)
    assert leaf.receipted(leaf.author) > 0


def check_quota() -> None:
    leaf, middle = board(), gateway(quota=5)
    now = record(leaf, 20)
    converse(middle, leaf, now)
    assert middle.log.held(leaf.author) <= 5


def check_horizon_moves_no_clock() -> None:
    """What is ahead of its time waits, and nobody's clock follows it."""
    server, ahead = keeper(), board()
    ahead.clock.jump(10 * server.clock.base_ms)
    put(ahead, "settings", 1, {"every": 1})
    before = server.clock.base_ms, server.clock.last
    sync(ahead, server, 0)
    server.down.set_horizon(0)
    assert names(server, "settings") == []
    assert (server.clock.base_ms, server.clock.last) == before


def ready(store: MemoryStore | None = None) -> ReadyPeer:
    return ReadyPeer(MemoryLog(store), lambda: 5)


def check_evict_keeps_open_operations() -> None:
    one, server = ready(), keeper()
    one.execute("INSERT INTO cars DOCUMENTS ({'_id': 1})")
    one.execute("EVICT FROM cars")
    sync(one, server, 0)
    assert names(server, "cars") == [1]


def check_evict_keeps_counters() -> None:
    """Who counts goes on from what it has counted."""
    one, server = ready(), keeper()
    one.execute("INSERT INTO doors DOCUMENTS ({'_id': 1})")
    one.execute("UPDATE doors APPLY opened INCREMENT BY 2")
    sync(one, server, 0)
    one.execute("EVICT FROM doors")
    one.execute("INSERT INTO doors INITIAL DOCUMENTS ({'_id': 1}) ON ID CONFLICT DO NOTHING")
    one.execute("UPDATE doors APPLY opened INCREMENT BY 1")
    sync(one, server, 0)
    assert down_tests.show(server, "doors")["1"]["opened"] == 3


def check_operation_beats_skip() -> None:
    """A keeper was told that operations are lost; a relay that still has them brings them."""
    leaf, middle, server = board(), gateway(), keeper()
    number = put(leaf, "settings", 1, {"every": 1})
    leaf.seal(0)
    sync(leaf, middle, 0)
    faults.lose(leaf, number)
    sync(leaf, server, 0)
    assert names(server, "settings") == []
    for _ in range(2):
        sync(middle, server, 0)
    assert names(server, "settings") == [1]


def check_marks_follow_picks() -> None:
    """Wherever the link breaks, what a position covers has come."""
    for limit in range(200, 3000, 200):
        server, one = keeper(), gateway()
        want(one, "settings")
        for at in range(40):
            put(server, "settings", at, {"every": "a text that fills a record, with others of its kind"})
        converse(one, server, 0, cut={1: limit})
        sync(one, server, 0)
        assert names(one, "settings") == list(range(40)), limit


def check_marks_of_former_interests() -> None:
    """A position that answers what was asked before is not taken for what is asked now."""
    server, one = keeper(), gateway()
    want(one, "settings")
    put(server, "alarms", 1, {"level": 1})
    ends = Exchange(one, 0, central=True), Exchange(server, 0)
    ends[1].receive(ends[0].outgoing(1200, 0), 0)
    ends[0].receive(ends[1].outgoing(1200, 0), 0)
    one.down.subscriptions.cancel(one.down.subscriptions.own[0].key)
    want(one, "alarms")
    ends[0].outgoing(1200, 0)
    ends[1].session.queue(frames.MARK, write_marks(1, [server.log.position()]))
    ends[0].receive(ends[1].outgoing(1200, 0), 0)
    sync(one, server, 0)
    assert names(one, "alarms") == [1]


def check_big_peer_scope() -> None:
    """What is for Big Peers alone answers no interest and no WANT."""
    one, middle, other = board(), gateway(), board()
    number = put(one, "audit", 1, {"x": 1}, kind=down_tests.BIG_PEER)
    sync(one, middle, 0)
    want(other, "audit", hops=0)
    other.down.want(one.author, number, number)
    sync(other, middle, 0)
    assert other.log.fetch(one.author, number) is None


# ---- mutants


def mark_in_spite_of_a_refusal(patch: pytest.MonkeyPatch) -> None:
    real = Taker.mark

    def mark(self: Taker, serial: int, positions: list[int]) -> None:
        self._missed = False
        real(self, serial, positions)

    patch.setattr(Taker, "mark", mark)


def position_not_stored(patch: pytest.MonkeyPatch) -> None:
    real = Marks.set

    def keep(self: Marks, name: bytes, value: bytes, _durable: bool) -> None:
        real(self, name, value, False)

    patch.setattr(Marks, "set", keep)


def incarnation_of_positions_ignored(patch: pytest.MonkeyPatch) -> None:
    def position(self: Subscriptions, store: bytes, _incarnation: int, key: bytes) -> int:
        return int.from_bytes(self._marks.get(store + key)[4:], "big")

    patch.setattr(Subscriptions, "position", position)
    patch.setattr(Marks, "forget", lambda *_args: None)


def incarnation_of_receipts_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "note_keeper", lambda _self, _keeper, incarnation: incarnation)


def restored_under_a_new_name(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Peer, "_identity", lambda self: self.author)


def no_frontier_guard(patch: pytest.MonkeyPatch) -> None:
    real = Down.fill
    patch.setattr(Down, "fill", lambda self, a, first, bodies, _passed: real(self, a, first, bodies, True))


def anyone_vouches(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(giver_module.Giver, "_vouches", lambda _self: True)


def below_a_frontier_nothing_goes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Down, "_may_go", lambda *_args: False)


def below_a_frontier_all_goes(patch: pytest.MonkeyPatch) -> None:
    real = Down._may_go

    def may_go(self: Down, author: bytes, number: int, body: bytes, _stale: list[str]) -> bool:
        everything = [schema.collection for schema in self._peer.schemas.values()]
        return real(self, author, number, body, everything)

    patch.setattr(Down, "_may_go", may_go)


def local_in_vectors(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Presence, "authors", lambda self: self.log.authors())


def big_peer_scope_is_picked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(giver_module, "scope_of", lambda _kind: 0)
    patch.setattr(Down, "scope_of", lambda *_args: 0)


def mark_before_its_picks(patch: pytest.MonkeyPatch) -> None:
    real = giver_module.Giver.ask

    def ask(self: giver_module.Giver, interests: list[Any]) -> None:
        real(self, interests)
        newest = [self._log.position()] * len(interests)
        self._exchange.session.queue(frames.MARK, write_marks(self._serial, newest))

    patch.setattr(giver_module.Giver, "ask", ask)


def closing_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Taker, "waiting", property(lambda _self: False, lambda _self, _value: None), raising=False)


def any_serial_will_do(patch: pytest.MonkeyPatch) -> None:
    real = Taker.mark
    patch.setattr(Taker, "mark", lambda self, _serial, positions: real(self, self._serial, positions))


def best_required_keeper(patch: pytest.MonkeyPatch) -> None:
    real = Ledger.receipted

    def receipted(self: Ledger, author: bytes) -> int:
        required = self.required.get(author)
        if required:
            return max([self.receipted_by(author, keeper) for keeper in required])
        return real(self, author)

    patch.setattr(Ledger, "receipted", receipted)


def no_horizon(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(documents_module, "horizon_at", lambda _utc: bytes((255,)) * 8)


def clock_follows_what_comes(patch: pytest.MonkeyPatch) -> None:
    real = Peer.ingest

    def ingest(self: Peer, author: bytes, first: int, bodies: list[bytes]) -> int:
        for body in bodies:
            stamp = document_module.operation.decode_body(body)[0]
            self.clock.last = max(self.clock.last, stamp)
        return real(self, author, first, bodies)

    patch.setattr(Peer, "ingest", ingest)


def nothing_is_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Peer, "carries", lambda *_args: False)


def counters_are_evicted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("hedgerow.evict._counts", lambda *_args: False)


def no_quota(patch: pytest.MonkeyPatch) -> None:
    real = Peer.__init__

    def init(self: Peer, *args: Any, **options: Any) -> None:
        options.pop("quota", None)
        real(self, *args, **options)

    patch.setattr(Peer, "__init__", init)


def skip_beats_operation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Down, "want_lost", lambda *_args: None)


def losses_are_not_said(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(courier_module.Courier, "_say_lost", lambda *_args: False)


def deletes_leave_alone(patch: pytest.MonkeyPatch) -> None:
    def gone(peer: Any, frontier: Any, author: bytes, number: int) -> bool:
        documents = peer.down.documents
        places = documents.touched(author, number)
        dots = [dot for place in places for dot in documents.dots(*place)]
        stable = [collect_module._stable(peer, frontier, *dot) for dot in dots]  # type: ignore[attr-defined]
        found = [documents.load(*place) for place in places]
        dead = [not document.exists() and document.deleted() for document in found]
        return bool(places) and all(stable) and all(dead)

    patch.setattr(collect_module, "_gone", gone)


def everything_is_stable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(collect_module, "_stable", lambda *_args: True)


def taker_counts_at_once(patch: pytest.MonkeyPatch) -> None:
    def note(self: giver_module.Giver, position: int) -> None:
        self._peer.down.stability.note(self._exchange.remote.author, position)

    patch.setattr(giver_module.Giver, "_note_taker", note)


def nobody_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stability, "note", lambda *_args: None)


def check_frontier_waits_for_takers() -> None:
    """What a taker has not been told of lies below no frontier."""
    server, one = keeper(), gateway()
    want(one, "settings")
    put(server, "settings", 1, {"every": 1})
    sync(one, server, 0)
    delete(server, "settings", 1)
    server.seal(0)
    server.down.advance(1 << 40, 0)
    assert server.down.collect() == 0
    sync(one, server, 0)
    assert names(one, "settings") == []


below = down_tests.test_who_is_below_the_frontier_begins_anew_and_resurrects_nothing
PAIRS: list[tuple[Patch, Check]] = [
    (mark_in_spite_of_a_refusal, check_no_mark_after_a_refused_pick),
    (position_not_stored, check_position_outlives_a_power_cut),
    (incarnation_of_positions_ignored, check_new_incarnation_restarts),
    (incarnation_of_receipts_ignored, check_old_incarnation_counts_no_more),
    (restored_under_a_new_name, faults.test_a_restored_keeper_is_the_same_keeper_with_a_new_author),
    (no_frontier_guard, faults.test_who_was_not_told_of_deletes_is_not_believed_below_the_frontier),
    (anyone_vouches, faults.test_who_was_not_told_of_deletes_is_not_believed_below_the_frontier),
    (below_a_frontier_nothing_goes, below),
    (below_a_frontier_all_goes, faults.test_a_first_subscription_drops_nothing_of_other_collections),
    (local_in_vectors, down_tests.test_local_operations_never_leave),
    (big_peer_scope_is_picked, check_big_peer_scope),
    (mark_before_its_picks, check_marks_follow_picks),
    (closing_does_not_wait, check_closing_waits_for_marks),
    (any_serial_will_do, check_marks_of_former_interests),
    (best_required_keeper, check_all_required_keepers),
    (no_horizon, check_horizon_moves_no_clock),
    (clock_follows_what_comes, check_horizon_moves_no_clock),
    (nothing_is_open, check_evict_keeps_open_operations),
    (counters_are_evicted, check_evict_keeps_counters),
    (no_quota, check_quota),
    (skip_beats_operation, check_operation_beats_skip),
    (losses_are_not_said, faults.test_the_newest_own_operations_are_said_to_be_lost),
    (deletes_leave_alone, faults.test_a_delete_stays_while_what_it_deletes_stays),
    (everything_is_stable, check_frontier_waits_for_takers),
    (nobody_is_waited_for, check_frontier_waits_for_takers),
    (taker_counts_at_once, faults.test_a_taker_counts_once_what_it_wrote_before_is_here),
]


@pytest.mark.parametrize(("mutant", "check"), PAIRS, ids=[mutant.__name__ for mutant, _ in PAIRS])
def test_mutant_is_killed(mutant: Patch, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    check()
    mutant(monkeypatch)
    with pytest.raises((AssertionError, HedgerowError)):
        check()
