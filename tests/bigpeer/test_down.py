"""What subscribers are told: documents that match, and when they match no more (SPEC 10.13)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import Local, local
from log_writer import Writer
from raw_author import RawAuthor
from wire import Asker, Subscriber, Wire, done, ids, link

from hedgerow.codec.schema import KEEP, SCOPE_BIG_PEER, Schema
from hedgerow.custody.skip import LOST, Skip
from hedgerow.sync import frames
from hedgerow.sync.interest import read_marks, write_wants
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.store.rows import SkipEntry
from hedgerow_bigpeer.store.sqlite import SqliteStore


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


def test_what_is_written_over_http_reaches_a_subscriber(served: Local) -> None:
    subscriber = Subscriber(served)
    subscriber.peer.subscribe("SELECT * FROM cars WHERE color = :c", c="blue")
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1, 'color': 'blue'})")
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 2, 'color': 'red'})")
    wire = link(served, subscriber)
    wire.until(lambda: ids(subscriber) == [1])
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 3, 'color': 'blue'})")
    wire.until(lambda: ids(subscriber) == [1, 3])
    done(served, "UPDATE cars SET doors = 5 WHERE _id = 1")
    wire.until(lambda: subscriber.rows("SELECT doors FROM cars WHERE _id = 1") == [{"doors": 5}])
    done(served, "UPDATE cars APPLY doors INCREMENT BY 2 WHERE _id = 1")
    wire.until(lambda: subscriber.rows("SELECT doors FROM cars WHERE _id = 1") == [{"doors": 7}])
    # It comes to hold the condition, with all that was written before.
    done(served, "UPDATE cars SET color = 'blue' WHERE _id = 2")
    wire.until(lambda: ids(subscriber) == [1, 2, 3])
    # It holds it no more: the subscriber is told so.
    done(served, "UPDATE cars SET color = 'green' WHERE _id = 3")
    wire.until(lambda: subscriber.rows("SELECT color FROM cars WHERE _id = 3") == [{"color": "green"}])
    done(served, "DELETE FROM cars WHERE _id = 1")
    wire.until(lambda: ids(subscriber) == [2, 3])


def test_each_operation_is_sent_once_over_many_links(served: Local) -> None:
    subscriber = Subscriber(served)
    subscriber.peer.subscribe("SELECT * FROM cars")
    for n in range(3):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": n, "n": n}})
    wire = link(served, subscriber)
    wire.until(lambda: ids(subscriber) == [0, 1, 2])
    wire.settle()
    wire.cut()
    done(served, "UPDATE cars SET n = 9 WHERE _id = 1")
    wire = link(served, subscriber)
    wire.until(lambda: subscriber.rows("SELECT n FROM cars WHERE _id = 1") == [{"n": 9}])
    wire.settle()
    assert len(wire.of(frames.PICK)) == 1
    wire.cut()
    wire = link(served, subscriber)
    wire.settle()
    assert wire.of(frames.PICK) == []


def test_a_link_that_breaks_anywhere_loses_nothing(served: Local) -> None:
    board = Writer("board")
    board.insert_many(300)
    served.run(served.peer.service.submit(board.entries()))
    for n in range(40):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": n, "text": "x" * 900}})
    subscriber = Subscriber(served, credit=2048)
    subscriber.peer.subscribe("SELECT * FROM cars")
    subscriber.peer.subscribe("SELECT * FROM readings WHERE n > 100")
    for steps in range(3, 40):
        wire = link(served, subscriber)
        wire.until(_counter(steps))
        wire.cut()
    wire = link(served, subscriber)
    wire.until(lambda: ids(subscriber) == list(range(40)))
    count = "SELECT count(*) AS n, min(n) AS low FROM readings"
    wire.until(lambda: subscriber.rows(count) == [{"n": 200, "low": 101}])


def _counter(steps: int) -> Any:
    left = [steps]

    def over() -> bool:
        left[0] -= 1
        return left[0] < 0

    return over


def test_a_mark_says_up_to_where_all_has_been_sent(served: Local) -> None:
    for n in range(5):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": n}})
    asker = Asker(served)
    asker.ask(("cars", "", 0))
    asker.wire.until(lambda: asker.wire.of(frames.MARK))
    assert len(asker.picked()) == 5
    assert asker.position() == served.peer.service.transaction
    position = asker.position()
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 'late'})")
    again = Asker(served, b"another.")
    again.ask(("cars", "", position))
    again.wire.until(lambda: again.wire.of(frames.MARK))
    assert len(again.picked()) == 1


def test_who_may_have_seen_a_document_match_learns_that_it_does_so_no_more(served: Local) -> None:
    """Also where it never did so here: its changes came together, or in another order."""
    board = RawAuthor(1, collection="cars")
    board.insert(1000, 1, a=1, b=2)
    board.update(2000, 1, a=2)
    board.update(3000, 1, b=3)
    board.insert(1000, 2, a=1, b=2)
    board.update(2000, 2, a=3)
    served.run(served.peer.service.submit(board.take()))
    asker = Asker(served)
    asker.ask(("cars", "a = b", 0))
    asker.wire.until(lambda: asker.wire.of(frames.MARK))
    assert asker.picked() == [(board.author, 1), (board.author, 2), (board.author, 3)]
    position = asker.position()
    # Wanted before, so what is new is enough.
    board.update(4000, 1, a=9)
    board.delete(4000, 2)
    served.run(served.peer.service.submit(board.take()))
    other = Asker(served, b"another.")
    other.ask(("cars", "a = b", position))
    other.wire.until(lambda: other.wire.of(frames.MARK))
    assert other.picked() == [(board.author, number) for number in (4, 5, 6, 7)]


def test_nobody_is_told_what_it_has_just_said(served: Local) -> None:
    subscriber = Subscriber(served)
    subscriber.peer.subscribe("SELECT * FROM cars")
    author = subscriber.peer.author

    def insert(wire: Wire, name: int) -> None:
        subscriber.peer.execute("INSERT INTO cars DOCUMENTS (:d)", d={"_id": name})
        held = subscriber.peer.log.held(author)
        wire.until(lambda: served.peer.service.frontier(author).held == held)
        wire.settle()

    wire = link(served, subscriber)
    wire.settle()
    insert(wire, 1)
    wire.cut()
    # The same goes for what it carries for another.
    board = Writer("board")
    board.insert({"n": 1}, "cars")
    for schema in board.peer.schemas.values():
        subscriber.peer.ingest_schema(schema.encoded)
    subscriber.peer.ingest(board.peer.author, 1, board.bodies())
    subscriber.peer.commit()
    wire = link(served, subscriber)
    insert(wire, 2)
    assert served.peer.service.frontier(board.peer.author).held == 2
    assert len(served.items("SELECT _id FROM cars")) == 3
    assert not wire.of(frames.PICK)


def test_what_is_for_big_peers_stays(served: Local) -> None:
    secret = RawAuthor(1, collection="cars", kind=KEEP + 2 * SCOPE_BIG_PEER)
    secret.insert(1000, "secret", n=1)
    secret.seal()
    served.run(served.peer.service.submit(secret.take()))
    done(served, "INSERT INTO plain DOCUMENTS ({'_id': 'open'})")
    assert served.items("SELECT _id FROM cars") == [{"_id": "secret"}]
    asker = Asker(served)
    asker.ask(("cars", "", 0), ("plain", "", 0))
    asker.wire.until(lambda: asker.wire.of(frames.MARK))
    asker.session.queue(frames.WANT, write_wants([(secret.author, 1, 1)]))
    asker.wire.settle()
    assert [author for author, _ in asker.picked()] == [served.peer.service.store.identity.author]


def test_schemas_go_before_what_needs_them_and_are_sent_on_request(served: Local) -> None:
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1, 'color': 'blue'})")
    asker = Asker(served)
    asker.ask(("cars", "", 0))
    asker.wire.until(lambda: asker.wire.of(frames.MARK))
    kinds = [kind for kind, _ in asker.wire.kinds if kind in (frames.SCHEMA, frames.PICK)]
    assert kinds == [frames.SCHEMA, frames.PICK]
    (encoded,) = asker.wire.of(frames.SCHEMA)
    name = Schema.decode(encoded).name
    asker.session.queue_want_schema([name, b"none"])
    asker.wire.until(lambda: len(asker.wire.of(frames.SCHEMA)) == 2)
    assert asker.wire.of(frames.SCHEMA)[1] == encoded


def test_holes_are_answered_with_what_is_held(served: Local) -> None:
    author = RawAuthor(1)
    for n in range(6):
        author.insert(1000 + n, n, n=n)
    skip = Skip(7, 9, LOST, ["flash", b"\0" * 6])
    entries = [*author.take(), SkipEntry(author.author, skip.encode())]
    served.run(served.peer.service.submit(entries))
    asker = Asker(served)
    asker.session.queue(
        frames.WANT, write_wants([(author.author, 2, 3), (author.author, 6, 8), (b"nobody..", 1, 9)])
    )
    asker.wire.until(lambda: asker.wire.of(frames.MARK))
    assert asker.picked() == [(author.author, 2), (author.author, 3), (author.author, 6)]
    assert asker.wire.of(frames.SKIP) == [author.author + skip.encode()]
    # Who lost it again is answered again.
    asker.session.queue(frames.WANT, write_wants([(author.author, 2, 2)]))
    asker.wire.until(lambda: len(asker.picked()) == 4)


def test_who_asks_anew_is_told_all_again(served: Local) -> None:
    for n in range(3):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": n}})
    asker = Asker(served)
    for asked in range(1, 3):
        asker.ask(("cars", "", 0))
        asker.wire.until(lambda asked=asked: len(asker.wire.of(frames.MARK)) == asked)  # type: ignore[misc]
        assert len(asker.picked()) == 3 * asked


def test_credit_holds_the_big_peer_back(served: Local) -> None:
    for n in range(30):
        done(served, "INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": n, "text": "y" * 900}})
    asker = Asker(served, credit=4096)
    asker.ask(("cars", "", 0))
    asker.wire.settle()
    size = sum(len(body) for kind, body in asker.wire.kinds if frames.counted(kind))
    assert 0 < size <= 4096
    # It has not been made into frames ahead either: what waits is about a slice.
    assert served.peer.service.counters.picked * 900 <= 4096 + limits.DOWN_BYTES

    def go_on() -> bool:
        asker.session.grant()
        return len(asker.picked()) == 30

    asker.wire.until(go_on)


def test_only_commits_to_its_collection_cost_a_subscriber_a_look(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1})")
    asker = Asker(served)
    asker.ask(("cars", "", 0))
    asker.wire.settle()
    looks = []
    touched = SqliteStore.touched

    async def counted(store: SqliteStore, *args: Any) -> Any:
        looks.append(args)
        return await touched(store, *args)

    monkeypatch.setattr(SqliteStore, "touched", counted)
    for n in range(5):
        done(served, "INSERT INTO boats DOCUMENTS (:d)", {"d": {"_id": n}})
        asker.wire.settle()
    assert not looks
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 2})")
    asker.wire.until(lambda: len(asker.picked()) == 2)
    assert len(looks) == 1 and looks[0][1] == (served.peer.service.transaction, b"")


def test_interests_that_make_no_sense_end_the_session(served: Local) -> None:
    asker = Asker(served)
    asker.ask(("cars", "color = ", 0))
    asker.wire.until(lambda: asker.session.closed)
    assert asker.session.error is not None and asker.session.error.code == "QUERY_SYNTAX"


def test_new_interests_take_the_place_of_the_old(served: Local) -> None:
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 1})")
    done(served, "INSERT INTO boats DOCUMENTS ({'_id': 1})")
    asker = Asker(served)
    asker.ask(("cars", "", 0))
    asker.wire.until(lambda: len(asker.wire.of(frames.MARK)) == 1)
    asker.ask(("boats", "", 0))
    asker.wire.until(lambda: len(asker.wire.of(frames.MARK)) == 2)
    serial, positions = read_marks(asker.wire.of(frames.MARK)[1])
    assert serial == 2 and positions == [served.peer.service.transaction]
    done(served, "INSERT INTO cars DOCUMENTS ({'_id': 2})")
    done(served, "INSERT INTO boats DOCUMENTS ({'_id': 2})")
    asker.wire.until(lambda: len(asker.picked()) == 3)
    asker.wire.settle()
    assert len(asker.picked()) == 3
