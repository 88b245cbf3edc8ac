"""What one gateway brought goes to others that carry its author, before any receipt (SPEC 7.7.1)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local, local
from log_writer import Writer
from raw_author import RawAuthor
from wire import Wire, raw

from hedgerow.codec.segment import decode_segment
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.mesh.tag import mesh_tag
from hedgerow.peer import Peer
from hedgerow.sync import frames, hello
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import Hello
from hedgerow.sync.session import Session
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.store.rows import SealEntry


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


class Carrier:
    """A peer that carries a board's operations, and its link; `role` is hello's."""

    def __init__(self, served: Local, role: int = hello.GATEWAY) -> None:
        self._served = served
        store = MemoryStore()
        self.peer: Any = Peer(MemoryLog(store), 0, name="carrier", mesh=mesh_tag("demo"), role=role)

    def now(self) -> int:
        return self._served.peer.service.clock.uptime() + 1000

    def take(self, board: Writer, last: int) -> None:
        """Hold a board up to a number, without its seals."""
        for schema in board.peer.schemas.values():
            self.peer.ingest_schema(schema.encoded)
        self.peer.ingest(board.peer.author, 1, board.bodies()[:last])
        self.peer.commit()

    def join(self) -> Wire:
        self.exchange = Exchange(self.peer, self.now(), linger_ms=None, central=True)
        self.wire = Wire(self._served, self.exchange, self.now)
        self.wire.settle()
        return self.wire

    def held(self, board: Writer) -> int:
        number: int = self.peer.log.held(board.peer.author)
        return number


def written(count: int = 6) -> Writer:
    board = Writer("board")
    board.insert_many(count)
    return board


def store(served: Local, board: Writer, last: int, *, sealed: int = 0) -> None:
    """Have the Big Peer hold a board up to a number, and seals up to another."""
    entries = [entry for entry in board.entries() if not isinstance(entry, SealEntry)]
    held = len(entries) - len(board.bodies()) + last
    seals = [entry for entry in board.entries() if isinstance(entry, SealEntry)][:sealed]
    served.run(served.peer.service.submit([*entries[:held], *seals]))


def test_what_one_brings_another_that_carries_the_author_gets(served: Local) -> None:
    board = written()
    bringer, waiting = Carrier(served), Carrier(served)
    bringer.take(board, 7)
    waiting.take(board, 3)
    waiting.join()
    assert waiting.held(board) == 3
    bringer.join()
    waiting.wire.until(lambda: waiting.held(board) == 7)
    waiting.wire.settle()
    service = served.peer.service
    assert service.frontier(board.peer.author)[2:5] == (7, 0, 0)
    assert service.counters.shared == 4 and not waiting.exchange.refused
    assert not bringer.wire.of(frames.SEGMENT)
    assert len(waiting.wire.of(frames.SEGMENT)) == 1


@pytest.mark.parametrize("role", [hello.RELAY, hello.LEAF])
def test_others_than_gateways_wait_for_receipts(served: Local, role: int) -> None:
    board = written()
    store(served, board, 7)
    carrier = Carrier(served, role)
    carrier.take(board, 3)
    carrier.join()
    assert carrier.held(board) == 3 and not carrier.wire.of(frames.SEGMENT)


def test_a_gateway_is_told_of_authors_that_it_carries_alone(served: Local) -> None:
    board, near = written(), written(2)
    store(served, board, 7)
    store(served, near, 3)
    gateway = Carrier(served)
    gateway.take(near, 1)
    gateway.join()
    assert (gateway.held(near), gateway.held(board)) == (3, 0)


def test_its_own_operations_and_the_keepers_are_not_sent_back(served: Local) -> None:
    gateway = Carrier(served)
    gateway.peer.insert("cars", {"a": 1}, 1000)
    gateway.join()
    served.execute("INSERT INTO cars DOCUMENTS ({'_id': 1})")
    gateway.wire.settle()
    assert served.peer.service.counters.shared == 0 and not gateway.wire.of(frames.SEGMENT)


def test_the_receipt_comes_before_what_follows_on_it(served: Local) -> None:
    """A gateway lacks what is receipted, and takes what comes behind that."""
    board = written(2)
    board.peer.seal(board.now)
    sealed = len(board.bodies())
    for n in range(3):
        board.insert({"n": n})
    store(served, board, sealed + 3, sealed=1)
    gateway = Carrier(served)
    gateway.take(board, 1)
    gateway.join()
    about = [kind for kind, body in gateway.wire.kinds if board.peer.author in body]
    assert about[-2:] == [frames.RECEIPT, frames.SEGMENT] and about.count(frames.SEGMENT) == 1
    assert gateway.held(board) == sealed + 3 and not gateway.exchange.refused


def gateway_session(served: Local, **options: Any) -> tuple[Session, Wire]:
    session = Session(Hello(mesh_tag("demo"), b"gateway.", role=hello.GATEWAY, **options), 0)
    wire = raw(served, session)
    wire.until(lambda: session.remote is not None)
    return session, wire


def shared(served: Local, wire: Wire) -> list[tuple[int, int]]:
    """Return (first, how many) of the segments that came."""
    found = []
    for body in wire.of(frames.SEGMENT):
        _, first, bodies = decode_segment(body, served.peer.service.schemas)
        found.append((first, len(bodies)))
    return found


def test_a_schema_goes_first_and_again_when_it_is_missed(served: Local) -> None:
    board = written()
    author = board.peer.author
    store(served, board, 7)
    claimed = tuple(served.peer.service.schemas)
    session, wire = gateway_session(served, vector=((author, 1, 0, 0),), schemas=claimed)
    wire.settle()
    assert shared(served, wire) == [(2, 6)] and not wire.of(frames.SCHEMA)
    session.queue_want_schema([])
    session.queue_have([(author, 1, 0, 0)])
    wire.settle()
    assert shared(served, wire) == [(2, 6), (2, 6)] and wire.of(frames.SCHEMA)
    order = [kind for kind, _ in wire.kinds if kind in (frames.SCHEMA, frames.SEGMENT)]
    assert order[-1] == frames.SEGMENT and frames.SCHEMA in order[1:-1]


def test_no_more_than_the_other_side_has_room_for(served: Local) -> None:
    board = Writer("board")
    for n in range(30):
        board.insert({"n": n, "text": f"{n:03}" * 300})
    store(served, board, 31)
    session, wire = gateway_session(served, vector=((board.peer.author, 1, 0, 0),), credit=4096)
    for _ in range(3):
        wire.settle()
    counters = served.peer.service.counters
    assert 0 < counters.shared * 900 <= 4096 + limits.PICK_BYTES

    def all_came() -> bool:
        session.grant()
        return sum(count for _, count in shared(served, wire)) == 30

    wire.until(all_came)
    assert [first for first, _ in shared(served, wire)] == list(range(2, 32, 2))
    assert counters.shared == 30


def test_a_hole_ends_what_is_sent(served: Local) -> None:
    """What follows on an operation that is not here makes sense to nobody."""
    board = RawAuthor(1)
    for n in range(4):
        board.insert(1000 * n, n, n=n)
    served.run(served.peer.service.submit(board.take()))

    async def without_three(author: bytes, first: int, last: int) -> Any:
        operations, skips = await operations_of(author, first, last)
        return [entry for entry in operations if entry.number != 3], skips

    store_ = served.peer.service.store
    operations_of, store_.operations = store_.operations, without_three  # type: ignore[method-assign]
    _, wire = gateway_session(served, vector=((board.author, 1, 0, 0),))
    wire.settle()
    assert shared(served, wire) == [(2, 1)]
