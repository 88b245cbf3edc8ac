"""What may be forgotten below the stability frontier, who is told, and survivors (SPEC 5.11, 10.14)."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from bigpeer_harness import Local, local
from raw_author import RawAuthor
from wire import Asker, Subscriber, done, has, ids, link

from hedgerow.clock.hlc import pack
from hedgerow.codec.schema import KEEP, Schema
from hedgerow.codec.segment import encode_segment
from hedgerow.crypto.port import P256, finish
from hedgerow.custody.frontier import Frontier
from hedgerow.custody.skip import LOST, Skip
from hedgerow.operation import INSERT, encode_body
from hedgerow.sync import frames
from hedgerow.sync.interest import write_wants
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth.registry import Registry
from hedgerow_bigpeer.store import ingest
from hedgerow_bigpeer.store.rows import Operation, SkipEntry


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


def stable(served: Local) -> int:
    return served.run(served.peer.service.refresh_frontier()).position


@pytest.fixture
def forgetful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """A Big Peer to which everything is old the moment after."""
    monkeypatch.setattr(ingest, "MOMENT_MS", 0)
    with local(tmp_path / "forgetful", collect_after_days=0) as running:
        yield running


def test_the_frontier_is_what_subscribers_confirm_and_is_said_when_it_moves(forgetful: Local) -> None:
    served = forgetful
    first, second = Asker(served, b"the one."), Asker(served, b"another.")
    for asker in (first, second):
        asker.ask(("cars", "", 0))
        asker.wire.settle()
    said = stable(served)
    for n in range(3):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": n}})
    for asker in (first, second):
        asker.wire.settle()
    assert stable(served) == said
    position = first.position()
    first.ask(("cars", "", position))
    first.wire.settle()
    assert stable(served) == said
    second.ask(("cars", "", position - 1))
    second.wire.settle()
    assert stable(served) == position - 1 > said
    for asker in (first, second):
        asker.wire.settle()
        frontier = Frontier.decode(asker.wire.of(frames.FRONTIER)[-1][1:])
        identity = served.peer.service.store.identity
        assert (frontier.position, frontier.keeper) == (position - 1, identity.keeper)
        assert frontier.numbers == {identity.author: position - 1}
        assert not any(body[0] for body in asker.wire.of(frames.FRONTIER))
    # Who has no interests has nothing to be told.
    idle = Asker(served, b"no wish.")
    idle.wire.settle()
    assert not idle.wire.of(frames.FRONTIER)


def test_a_latecomer_resurrects_nothing(forgetful: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion is collected while a retired subscriber is away: it drops the document on its return."""
    served = forgetful
    late, other = Subscriber(served), Subscriber(served)
    for subscriber in (late, other):
        subscriber.peer.subscribe("SELECT * FROM cars")
    for name in ("kept", "gone"):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": name}})
    for subscriber in (late, other):
        wire = link(served, subscriber)
        wire.until(partial(has, subscriber, ["gone", "kept"]))
        wire.settle()
        wire.cut()
    done(served, "DELETE FROM cars WHERE _id = 'gone'")
    served.run(served.peer.own.stop())
    collect = served.peer.service.collect
    for _ in range(2):
        # Once to be told, once to confirm it.
        wire = link(served, other)
        wire.until(lambda: ids(other) == ["kept"])
        wire.settle()
        wire.cut()
    assert served.run(collect()) == 0
    with monkeypatch.context() as patch:
        patch.setattr(limits, "RETIRE_MS", -1000)
        served.run(served.peer.service.refresh_frontier())
    wire = link(served, other)
    wire.settle()
    wire.cut()
    assert served.run(collect()) == 2
    wire = link(served, late)
    wire.until(lambda: ids(late) == ["kept"])
    wire.settle()
    assert wire.of(frames.FRONTIER)[0][0] == 1
    assert served.items("SELECT _id FROM cars") == [{"_id": "kept"}]


def test_a_survivor_of_what_is_lost_is_asked_for(served: Local) -> None:
    author = RawAuthor(1, collection="cars")
    for n in range(3):
        author.insert(1000 + n, n, n=n)
    schema, first, second, third = author.take()
    skip = SkipEntry(author.author, Skip(2, 2, LOST, ["flash", b"\0" * 6]).encode())
    served.run(served.peer.service.submit([schema, first, skip, third]))
    holder = Asker(served)
    holder.wire.until(lambda: holder.wire.of(frames.WANT))
    assert holder.wire.of(frames.WANT) == [write_wants([(author.author, 2, 2)])]
    assert isinstance(second, Operation)
    # What was not asked for, or cannot be read, is passed over, and refuses nobody.
    stranger = Schema("boats", KEEP, (("n", None),))
    body = encode_body(pack(5), [[INSERT, stranger.name, None, [1]]])
    holder.session.queue(frames.PICK, encode_segment(author.author, 2, [body], {stranger.name: stranger}))
    for number in (2, 9):
        schemas = served.peer.service.schemas
        holder.session.queue(frames.PICK, encode_segment(author.author, number, [second.body], schemas))
    service = served.peer.service
    transaction = service.transaction
    holder.wire.until(lambda: service.transaction > transaction)
    assert served.items("SELECT n FROM cars") == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert service.frontier(author.author).held == 3 and not service.refusals.authors()


def test_what_everybody_was_told_is_signed_in_production(tmp_path: Path, forgetful: Local) -> None:
    """SPEC 5.11.6."""
    registry = Registry(tmp_path)
    registry.create_app("test", "farm", "production", "farm")
    registry.close()
    with local(tmp_path, app="farm", mesh="farm", collect_after_days=0) as served:
        served.run(served.peer.service.refresh_frontier())
        said = served.peer.service.frontier_said
        own = served.peer.membership.identity
        assert said.position and said.keeper == served.peer.service.store.identity.keeper
        verify = P256(os.urandom).verify
        assert finish(verify(own.sealing, said.signed(), said.signature))
    # A playground has nobody to know it by.
    forgetful.run(forgetful.peer.service.refresh_frontier())
    said = forgetful.peer.service.frontier_said
    assert said.position and said.signature == b""
