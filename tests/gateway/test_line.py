"""A line hands over together what came together."""

import asyncio
from pathlib import Path

from hedgerow.codec.schema import STREAM
from hedgerow.log import MemoryLog
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange
from hedgerow_gateway.line import Line
from hedgerow_gateway.sqlite_log import SqliteLog


def _said(peer: Peer, other: Peer) -> list[bytes]:
    """What a peer says in one go to another one, whose hello it has."""
    exchange = Exchange(peer, 0)
    exchange.receive(Exchange(other, 0, central=True).outgoing(1200, 0), 0)
    records = []
    while record := exchange.outgoing(600, 0):
        records.append(record)
    return records


def test_records_that_wait_become_durable_with_one_commit(tmp_path: Path) -> None:
    sender = Peer(MemoryLog(), 0, kinds={"readings": STREAM})
    for number in range(200):
        sender.insert("readings", {"n": number * number * 7919 % 1000003}, number)
    log = SqliteLog(tmp_path / "keeper.db")
    keeper = Peer(log, 0, keeper=True)
    records = _said(sender, keeper)
    assert len(records) > 3
    line = Line(keeper, Exchange(keeper, 0), lambda: 0, 1200)
    before = log.commits
    for record in records:
        line.push(record)

    async def send(_: bytes) -> None:
        raise asyncio.CancelledError

    async def run() -> None:
        try:
            await line.run(send)
        except asyncio.CancelledError:
            pass

    asyncio.run(run())
    assert log.held(sender.author) == sender.log.held(sender.author)
    assert log.commits == before + 1
    log.close()
