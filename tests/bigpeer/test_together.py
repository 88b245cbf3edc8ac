"""Several sessions bring the same authors at once, in any interleaving; and records that unpack to a lot."""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from bigpeer_harness import Local, eventually, local, remote
from log_writer import Writer
from starlette.types import Message
from starlette.websockets import WebSocket
from sync_link import Link
from websockets.exceptions import ConnectionClosed

from hedgerow.codec.segment import encode_segment
from hedgerow.limits import MAX_SEGMENT_OPERATIONS
from hedgerow.mesh.tag import mesh_tag
from hedgerow.sync.hello import Hello
from hedgerow.sync.session import Session
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.intake import Intake
from hedgerow_bigpeer.store.rows import Operation, SealEntry, Submission
from hedgerow_bigpeer.sync import Connection


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


async def bring(served: Local, writers: Sequence[Writer], chance: random.Random) -> None:
    """One session: every author's log in order, authors mixed, commits and pauses anywhere."""
    intake = Intake(served.peer.service, lambda: "test")
    logs = []
    for writer in writers:
        for schema in writer.peer.schemas.values():
            intake.add_schema(schema.encoded)
        logs.append((writer, iter(writer.entries())))
    while logs:
        at = chance.randrange(len(logs))
        writer, entries = logs[at]
        entry = next(entries, None)
        if entry is None:
            del logs[at]
        elif isinstance(entry, Operation):
            intake.add_segment(encode_segment(entry.author, entry.number, [entry.body], writer.peer.schemas))
        elif isinstance(entry, SealEntry):
            intake.add_seal(entry.author, entry.body)
        if chance.random() < 0.1:
            await intake.commit()
        elif chance.random() < 0.1:
            await asyncio.sleep(0)
    await intake.commit()


@pytest.mark.parametrize("seed", range(5))
def test_sessions_that_bring_the_same_authors(served: Local, seed: int) -> None:
    chance = random.Random(seed)
    writers = [Writer(f"board {number}") for number in range(3)]
    for writer in writers:
        for _ in range(4):
            writer.insert_many(chance.randrange(1, 25))
            writer.peer.seal(writer.now)

    async def all_at_once() -> None:
        await asyncio.gather(*[bring(served, writers, random.Random(seed * 10 + n)) for n in range(4)])

    served.run(all_at_once())
    assert len(served.peer.service.refusals) == 0
    for writer in writers:
        held = writer.peer.log.held(writer.peer.author)
        frontier = served.peer.service.frontier(writer.peer.author)
        assert (frontier.held, frontier.sealed, frontier.receipted) == (held, held, held)
    total = sum(writer.peer.log.held(writer.peer.author) - 1 for writer in writers)
    assert served.items("SELECT count(*) AS n, count(DISTINCT _id) AS d FROM readings") == [
        {"n": total, "d": total}
    ]
    assert served.peer.service.counters.operations == total + len(writers) + 1


def test_a_storm_of_connections_leaves_nothing_behind(tmp_path: Path) -> None:
    chance = random.Random(1)
    writer = Writer("board 1")
    writer.insert_many(300)
    with remote(tmp_path / "data") as running:
        for _ in range(40):
            link = Link(writer.peer, running.sync_url, writer.now)
            # A record that was made and not sent leaves a gap: the Big Peer hangs up when it sees it.
            with contextlib.suppress(ConnectionClosed):
                for _ in range(chance.randrange(5)):
                    record = link.exchange.outgoing(400, link.now())
                    if not record or chance.random() < 0.3:
                        link.step()
                    else:
                        link.socket.send(record)
            link.close()
        link = Link(writer.peer, running.sync_url, writer.now)
        link.until(301)
        link.close()
        eventually(lambda: running.status()["connections"] == 0)
        assert running.execute("SELECT count(*) AS n, count(DISTINCT n) AS d FROM readings")["items"] == [
            {"n": 300, "d": 300}
        ]
        assert all(row["refused"] is None for row in running.status()["authors"])
        assert running.stop() == 0
        assert "Traceback" not in running.log.read_text()


def test_a_record_that_unpacks_to_a_lot_is_committed_in_parts(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer("board 1")
    for _ in range(3 * MAX_SEGMENT_OPERATIONS):
        writer.insert({"same": 1})
    segments = []
    bodies = writer.bodies()
    for at in range(1, len(bodies), MAX_SEGMENT_OPERATIONS):
        run = bodies[at : at + MAX_SEGMENT_OPERATIONS]
        segments.append(encode_segment(writer.peer.author, at + 1, run, writer.peer.schemas))
    assert max(map(len, segments)) < 100 + MAX_SEGMENT_OPERATIONS * 3
    monkeypatch.setattr(limits, "TAKE_ENTRIES", MAX_SEGMENT_OPERATIONS)
    sizes: list[int] = []
    service = served.peer.service
    offer = service.offer

    async def counted(submissions: Sequence[Submission]) -> object:
        sizes.append(sum(len(submission.entries) for submission in submissions))
        return await offer(submissions)

    monkeypatch.setattr(service, "offer", counted)
    connection = Connection(service, mesh_tag("demo"), WebSocket({"type": "websocket"}, _never, _drop))
    session = Session(Hello(mesh_tag("demo"), b"a sender"), 0)
    first = session.outgoing(1200, 0)
    connection._inbox.put_nowait(first)
    session.remote = connection._hello()
    session.queue_schema(next(iter(writer.peer.schemas.values())).encoded)
    session.queue_segment(encode_segment(writer.peer.author, 1, bodies[:1], {}))
    for segment in segments:
        session.queue_segment(segment)
    while record := session.outgoing(1200, 0):
        connection._inbox.put_nowait(record)

    async def take() -> None:
        while not connection._inbox.empty():
            await connection._take()

    served.run(take())
    assert service.frontier(writer.peer.author).held == len(bodies)
    assert len(sizes) > 1 and max(sizes) <= 2 * MAX_SEGMENT_OPERATIONS + 8
    assert connection._session.error is None


async def _never() -> Message:
    raise AssertionError


async def _drop(message: Message) -> None:
    pass
