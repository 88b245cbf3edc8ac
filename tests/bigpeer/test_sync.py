"""Sync over a real WebSocket: custody, receipts, time, garbage, and the death of the process."""

import calendar
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bigpeer_harness import Remote, eventually, remote
from log_writer import Writer
from sync_link import Link
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from hedgerow.application import ReadyPeer
from hedgerow.codec.decimal import Decimal
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.mesh.tag import mesh_tag
from hedgerow.sync import frames
from hedgerow.sync.hello import Hello
from hedgerow.sync.session import Session
from hedgerow_bigpeer.auth.registry import Registry


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Remote]:
    with remote(tmp_path / "data") as running:
        yield running


def said(url: str, *messages: bytes | str) -> tuple[list[str], int]:
    """Send messages; return the error codes that came back, and the code with which the socket was closed."""
    listener = Session(Hello(mesh_tag("demo"), b"listener"), 0)
    codes: list[str] = []
    with connect(url, compression=None) as socket:
        try:
            for message in messages:
                socket.send(message)
            while True:
                record = socket.recv(timeout=20)
                assert isinstance(record, bytes)
                listener.receive(record, 0)
        except ConnectionClosed as closed:
            if listener.error is not None:
                codes.append(listener.error.code)
            return codes, closed.rcvd.code if closed.rcvd else 0


def hello_record(author: bytes = b"garbage!", mesh: str = "demo") -> bytes:
    return Session(Hello(mesh_tag(mesh), author), 0).outgoing(1200, 0)


def carry(author: Writer, relay: Writer) -> None:
    """Give a relay the author's operations, without its seals."""
    for schema in author.peer.schemas.values():
        relay.peer.ingest_schema(schema.encoded)
    relay.peer.ingest(author.peer.author, 1, author.bodies())
    relay.peer.commit()


def test_writes_over_http_go_down_a_real_socket(server: Remote) -> None:
    clock = time.monotonic
    began = clock()
    peer = ReadyPeer(
        MemoryLog(MemoryStore()), lambda: int((clock() - began) * 1000), name="small", mesh=mesh_tag("demo")
    )
    peer.subscribe("SELECT * FROM cars WHERE color = 'blue'")
    server.execute("INSERT INTO cars DOCUMENTS ({'_id': 1, 'color': 'blue', 'text': 'before'})")
    link = Link(peer, server.sync_url)

    def shows(expected: list[dict[str, object]]) -> None:
        deadline = clock() + 20
        while peer.execute("SELECT color, text FROM cars").rows != expected:
            assert clock() < deadline and link.step(), link.exchange.error

    shows([{"color": "blue", "text": "before"}])
    server.execute("UPDATE cars SET text = 'after' WHERE _id = 1")
    shows([{"color": "blue", "text": "after"}])
    server.execute("UPDATE cars SET color = 'red' WHERE _id = 1")
    shows([{"color": "red", "text": "after"}])
    server.execute("DELETE FROM cars")
    shows([])
    link.close()


def test_readings_arrive_exactly_and_are_receipted(server: Remote) -> None:
    writer = Writer("board 1")
    writer.insert_many(100)
    writer.insert({"board": "board 1", "n": 101, "temperature_f": Decimal.parse("-0.0")})
    link = Link(writer.peer, server.sync_url, writer.now)
    link.until(102)
    items = server.execute("SELECT n, temperature_f FROM readings ORDER BY n")["items"]
    assert [item["temperature_f"] for item in items[:3]] == ["39.1", "39.2", "39.3"]
    assert items[-1] == {"n": 101, "temperature_f": "0.0"}
    assert [item["n"] for item in items] == list(range(1, 102))
    (row,) = [row for row in server.status()["authors"] if row["name"] == "board 1"]
    assert row["author"] == writer.peer.author.hex()
    assert row["held"] == row["sealed"] == row["receipted"] >= 102
    known = writer.peer.utc(link.now())
    assert known is not None and known[1] < 1000
    link.close()
    assert server.stop() == 0


def test_two_ways_at_once_double_nothing(server: Remote) -> None:
    writer = Writer("board 1")
    writer.insert_many(300)
    copy = Writer("the same log, carried by another")
    carry(writer, copy)
    writer.peer.seal(writer.now)
    links = [Link(each.peer, server.sync_url, each.now) for each in (writer, copy)]
    carried = threading.Thread(target=lambda: links[1].error(), daemon=True)
    carried.start()
    links[0].until(301)
    assert server.execute("SELECT count(*) AS n, count(DISTINCT n) AS d FROM readings")["items"] == [
        {"n": 300, "d": 300}
    ]
    eventually(lambda: copy.peer.receipted(writer.peer.author) >= 301)
    assert server.stop() == 0
    assert links[0].error() is None and links[0].exchange.finished
    links[0].close()
    carried.join(20)
    links[1].close()
    assert not carried.is_alive()


def test_the_time_of_a_backlog_is_derived_when_the_mapping_comes(server: Remote) -> None:
    writer = Writer("board 1")
    writer.insert_many(5)
    began = time.time() - 3600
    # The board has run for an hour without time; then it meets the Big Peer.
    link = Link(writer.peer, server.sync_url, 3_600_000)
    link.until(6)
    rows = eventually(
        lambda: (
            [
                row
                for row in server.execute("SELECT * FROM readings ORDER BY n")["items"]
                if row.get("_time_error_ms", 1 << 40) < 2000
            ]
            or (link.step() and None)
        )
    )
    assert len(rows) == 5
    for row in rows:
        at = time.strptime(row["_time"][:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
        expected = began + int(row["n"])
        assert row["_time"].endswith("Z") and len(row["_time"]) == 24
        assert abs(_epoch(at) - expected) < 2 + row["_time_error_ms"] / 1000
    link.close()


def _epoch(moment: time.struct_time) -> float:
    return calendar.timegm(moment)


def test_receipts_reach_whoever_carries_the_author(server: Remote) -> None:
    writer = Writer("board 1")
    writer.insert_many(3)
    relay = Writer("relay")
    carry(writer, relay)
    waiting = Link(relay.peer, server.sync_url, relay.now)
    waiting.until(1)
    assert relay.peer.receipted(writer.peer.author) == 0
    direct = Link(writer.peer, server.sync_url, writer.now)
    direct.until(4)
    eventually(lambda: waiting.step() and relay.peer.receipted(writer.peer.author) >= 4)
    for link in (waiting, direct):
        link.close()


GARBAGE: dict[str, tuple[bytes | str, ...]] = {
    "text": ("hello",),
    "empty": (b"",),
    "short": (b"\x00",),
    "zeros": (bytes(64),),
    "noise": (random.Random(1).randbytes(600),),
    "long": (b"\x04\xb0" + bytes(4000),),
    "no hello": (frames.seal_record(0, b"\x03\x01x"),),
    "unknown frame": (frames.seal_record(0, b"\x7f\x00"),),
    "bad hello": (frames.seal_record(0, b"\x01\x01\xf6"),),
    "other mesh": (hello_record(mesh="another"),),
    "replayed": (hello_record(), hello_record()),
    "two hellos": (hello_record(), frames.seal_record(1, hello_record()[5:-8])),
    "empty segment": (hello_record(), frames.seal_record(1, b"\x03\x00")),
    "noise segment": (hello_record(), frames.seal_record(1, b"\x03\x50" + random.Random(2).randbytes(80))),
    "noise schema": (hello_record(), frames.seal_record(1, b"\x02\x02\x81\x01")),
    "noise seal": (hello_record(), frames.seal_record(1, b"\x04\x0912345678\x80")),
    "gap": (hello_record(), frames.seal_record(1, b"\x05\x10author12" + bytes.fromhex("8501050700f6"))),
}


def test_garbage_gets_a_coded_error_and_changes_nothing(server: Remote) -> None:
    before = server.status()["transaction"]
    for case, messages in GARBAGE.items():
        codes, closed = said(server.sync_url, *messages)
        assert len(codes) == 1 and codes[0].isupper(), (case, codes)
        assert closed == 1000, case
    assert server.status()["transaction"] == before
    writer = Writer("board 1")
    writer.insert_many(3)
    link = Link(writer.peer, server.sync_url, writer.now)
    link.until(4)
    link.close()
    assert server.stop() == 0
    log = server.log.read_text()
    assert "Traceback" not in log, log


def test_a_broken_record_leaves_the_ones_before_it(server: Remote) -> None:
    writer = Writer("board 1")
    writer.insert_many(200)
    errors = []
    for cut in range(1, 9):
        link = Link(writer.peer, server.sync_url, writer.now)
        sent = 0
        while sent < cut and writer.peer.receipted(writer.peer.author) < 201:
            record = link.exchange.outgoing(300, link.now())
            if record:
                sent += 1
                link.socket.send(record if sent < cut else record[:-1])
            else:
                assert link.step()
        if sent == cut:
            errors.append(link.error())
        link.close()
    assert errors and {error.code for error in errors if error} == {"SYNC_MESSAGE"}
    link = Link(writer.peer, server.sync_url, writer.now)
    link.until(201)
    link.close()
    assert server.execute("SELECT count(*) AS n, max(n) AS m FROM readings")["items"] == [
        {"n": 200, "m": 200}
    ]


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_a_web_page_elsewhere_is_refused(server: Remote, origin: str) -> None:
    with pytest.raises(InvalidStatus) as caught, connect(server.sync_url, origin=Origin(origin)):
        pass
    assert caught.value.response.status_code == 403


def test_a_session_ends_with_the_api_key_that_opened_it(server: Remote) -> None:
    registry = Registry(server.directory)
    (app,) = registry.apps.all()
    made = {name: registry.keys.create("test", app, name, ["sync"], 3600) for name in ("over", "out", "good")}
    ends = {
        "over": lambda key: registry.database.run("UPDATE keys SET expires = 1 WHERE id = ?", key.id),
        "out": lambda key: registry.keys.revoke("test", app, key.id),
    }
    links = {}
    for name in (*made, ""):
        writer = Writer(name)
        writer.insert_many(3)
        links[name] = Link(writer.peer, server.sync_url, writer.now, key=made[name][1] if name else "")
        links[name].until(3)
    for name, end in ends.items():
        end(made[name][0])
        error = links[name].error()
        assert error is not None and error.code == "AUTH_INVALID"
    assert links["good"].step() and links[""].step(), "the others go on"
    for link in links.values():
        link.close()
    registry.close()


@pytest.mark.parametrize("seed", range(4))
def test_nothing_receipted_is_lost_when_the_process_is_killed(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    writer = Writer("board 1")
    total = 0
    for _ in range(3):
        writer.insert_many(150)
        total += 150
        with remote(tmp_path / "data") as running:
            link = Link(writer.peer, running.sync_url, writer.now)
            goal = writer.peer.receipted(writer.peer.author) + chance.randrange(1, 150)
            link.until(goal)
            running.kill()
            link.error()
            link.close()
    receipted = writer.peer.receipted(writer.peer.author)
    with remote(tmp_path / "data") as running:
        (row,) = [row for row in running.status()["authors"] if row["author"] == writer.peer.author.hex()]
        assert row["receipted"] >= receipted and row["held"] >= row["sealed"] >= row["receipted"]
        Link(writer.peer, running.sync_url, writer.now).until(total + 1)
        assert running.execute("SELECT count(*) AS n, count(DISTINCT _id) AS d FROM readings")["items"] == [
            {"n": total, "d": total}
        ]
        assert running.stop() == 0
