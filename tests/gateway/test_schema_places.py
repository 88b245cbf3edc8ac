"""A gateway's log gives places of schemas to others once no operation uses them (SPEC 5.17)."""

from pathlib import Path

import pytest

from hedgerow.clock import hlc
from hedgerow.codec.schema import STREAM, Schema
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_LEARNT_SCHEMAS
from hedgerow.log import STATE_SCHEMA
from hedgerow.operation import INSERT, encode_body
from hedgerow.peer import Peer
from hedgerow.sync import hello
from hedgerow_gateway.sqlite_log import SqliteLog

WRITER = b"a writer"


def open_peer(path: Path) -> Peer:
    return Peer(SqliteLog(path), 0, role=hello.GATEWAY)


def take(peer: Peer, at: int) -> Schema:
    schema = Schema(f"c{at}", STREAM, (("x", None),))
    peer.ingest_schema(schema.encoded)
    number = peer.log.held(WRITER) + 1
    peer.ingest(WRITER, number, [encode_body(hlc.pack(1), [[INSERT, schema.name, None, [at]]])])
    peer.commit()
    return schema


def test_a_gateway_makes_room_for_schemas(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    peer = open_peer(path)
    every = [take(peer, at) for at in range(MAX_LEARNT_SCHEMAS)]
    for at in range(1000, 1200):
        with pytest.raises(HedgerowError, match="SCHEMAS_FULL"):
            take(peer, at)
    peer.log.drop(WRITER, 8, 8)
    more = take(peer, 99)
    peer.log.close()
    back = open_peer(path)
    assert set(back.schemas) == {one.name for one in every if one is not every[7]} | {more.name}
    assert len([value for _, value in back.log.items(STATE_SCHEMA) if value]) == MAX_LEARNT_SCHEMAS
    assert back.log.fetch(WRITER, MAX_LEARNT_SCHEMAS + 1) is not None
    back.log.close()
