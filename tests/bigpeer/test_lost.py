"""What authors say is lost: the Big Peer takes their word, goes on, shows it, and asks for survivors."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import STATUS, Local, local
from raw_author import RawAuthor
from wire import Wire, link

from hedgerow.application import ReadyPeer
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.custody.skip import DROPPED, Skip
from hedgerow.limits import MAX_WANT_NUMBERS, MAX_WANTS
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.mesh.tag import mesh_tag
from hedgerow.trust.lost import make_lost
from hedgerow.trust.seal import seal_hash
from hedgerow.trust.verify import twin
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.down import wanted
from hedgerow_bigpeer.store.rows import Lost, SkipEntry

CAPACITY = 24_000


class Board:
    """A peer on a small log that was offline for long."""

    def __init__(self, served: Local, policy: str, capacity: int = CAPACITY) -> None:
        self._served = served
        self.store = MemoryStore()
        self.peer: Any = ReadyPeer(
            MemoryLog(self.store, capacity=capacity),
            self.now,
            name="board",
            mesh=mesh_tag("demo"),
            kinds={"readings": STREAM},
            full={"readings": policy},
        )

    def now(self) -> int:
        return self._served.peer.service.clock.uptime() + 1000

    def record(self, count: int) -> None:
        for n in range(count):
            self.peer.insert("readings", {"n": n, "value": Decimal(n % 100, -1)}, self.now())


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    monkeypatch.setattr(limits, "LOST_LOOK_MS", 0)
    with local(tmp_path) as running:
        yield running


def deliver(served: Local, board: Board) -> Wire:
    wire = link(served, board)  # type: ignore[arg-type]
    wire.until(lambda: board.peer.receipted(board.peer.author) == board.peer.log.held(board.peer.author))
    return wire


@pytest.mark.parametrize(("policy", "reason"), [("oldest", "dropped"), ("thin", "thinned")])
def test_every_reading_arrives_or_is_named(served: Local, policy: str, reason: str) -> None:
    board = Board(served, policy)
    board.record(1500)
    deliver(served, board)
    author = board.peer.author
    lost = served.request("GET", STATUS).json()["lost"]
    assert lost and {(row["author"], row["reason"]) for row in lost} == {(author.hex(), reason)}
    count = sum(row["last"] - row["first"] + 1 for row in lost)
    rows = served.items("SELECT * FROM readings")
    plain = [row for row in rows if "_count" not in row]
    summaries = sum(row.get("_count", 0) for row in rows)
    assert summaries == (1500 - len(plain) if policy == "thin" else 0)
    for row in lost:
        assert row["time"].startswith("20")
        assert (row["summary"] is None) == (policy == "oldest")
        if row["summary"]:
            assert row["last"] < row["summary"][1] <= board.peer.log.held(author)
    held = board.peer.log.held(author)
    assert count == held - sum(1 for n in range(1, held + 1) if board.peer.log.fetch(author, n))
    assert not served.peer.service.refusals.authors()
    page = served.request("GET", "/").text
    assert reason in page and "Lost by their authors" in page


def test_a_break_before_the_receipts_and_survivors_with_another(served: Local) -> None:
    """The Big Peer holds a part unsealed when the author gives all of it up; a relay has most of the rest."""
    board = Board(served, "oldest")
    board.record(150)
    wire = link(served, board)  # type: ignore[arg-type]
    wire.until(lambda: served.peer.service.frontier(board.peer.author).held > 40)
    wire.cut()
    relay = Board(served, "refuse", capacity=0)
    board.record(200)
    pass_on(board, relay)
    board.record(1500)
    author = board.peer.author
    assert Skip.decode(board.peer.log.read(author, 1, 1 << 30, 1)[0][3]).last > 150
    deliver(served, board).cut()
    frontier = served.peer.service.frontier(author)
    assert frontier.held == frontier.sealed == board.peer.log.held(author)
    upto = relay.peer.log.held(author)
    counters = served.peer.service.counters
    before = counters.operations
    wire = link(served, relay)  # type: ignore[arg-type]
    wire.until(lambda: counters.operations > before)

    def lost() -> list[int]:
        return [row["first"] for row in served.request("GET", STATUS).json()["lost"]]

    # What the relay has comes in pieces.
    for _ in range(40):
        wire.settle()
        if lost() == [upto + 1]:
            break
    assert lost() == [upto + 1]


def pass_on(board: Board, relay: Board) -> None:
    """Bring a board's operations to a relay, as a session would."""
    log = board.peer.log
    for schema in board.peer.schemas.values():
        relay.peer.ingest_schema(schema.encoded)
    for kind, first, _, body in log.read(board.peer.author, 0, 0, 1 << 30):
        if kind == 0:
            relay.peer.ingest(board.peer.author, first, [body])
        else:
            relay.peer.ingest_seal(board.peer.author, body)
    relay.peer.commit()


def test_a_lost_range_is_its_authors_word(served: Local) -> None:
    author = RawAuthor(1, collection="cars")
    submit = served.peer.service.submit
    body = make_lost(author.author, 1, 4, DROPPED, bytes(6), None, bytes(16))
    for wrong in (
        make_lost(b"somebody", 1, 4, DROPPED, bytes(6), None, bytes(16)),
        make_lost(author.author, 1, 4, DROPPED, bytes(6), None, bytes(15) + b"\1"),
    ):
        with pytest.raises(Exception, match="SKIP_INVALID"):
            served.run(submit([SkipEntry(author.author, wrong)]))
    served.run(submit([SkipEntry(author.author, body)]))
    assert served.peer.service.frontier(author.author).held == 4


def test_a_lost_range_names_the_seal_before_it_by_either_of_its_signatures(served: Local) -> None:
    author = RawAuthor(2, collection="cars")
    author.insert(1, 1, n=1)
    author.seal()
    submit, seal = served.peer.service.submit, author.entries[-1].body  # type: ignore[union-attr]
    served.run(submit(author.take()))

    def lost(previous: bytes) -> SkipEntry:
        return SkipEntry(author.author, make_lost(author.author, 2, 4, DROPPED, bytes(6), None, previous))

    with pytest.raises(Exception, match="another seal"):
        served.run(submit([lost(bytes(16))]))
    # The one that it has may be as a relay wrote it.
    served.run(submit([lost(seal_hash(twin(seal)))]))
    assert served.peer.service.frontier(author.author).held == 4


def test_who_is_asked_for_what() -> None:
    row = Lost(b"author-a", 11, 9000, "dropped", "", None)
    other = row._replace(author=b"author-b", last=12)
    assert wanted([row], []) == [(b"author-a", 11, 10 + MAX_WANT_NUMBERS)]
    assert wanted([other, row], [(b"author-a", 500, 0, 0)]) == [
        (b"author-a", 245, 500), (b"author-a", 11, 244), (b"author-b", 11, 12),
    ]  # fmt: skip
    assert wanted([row], [(b"author-a", 10, 0, 0)]) == []
    many = wanted([row], [(b"author-a", 9000, 0, 0)])
    assert len(many) == MAX_WANTS and many[0] == (b"author-a", 9001 - MAX_WANT_NUMBERS, 9000)
