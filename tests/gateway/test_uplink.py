"""The uplink against a real WebSocket server: pushes, outages, catching up, garbage, and a store put back."""

import asyncio
import random
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import BigPeer, config, listening, reading, run, until
from websockets.asyncio.server import ServerConnection

from hedgerow.errors import HedgerowError
from hedgerow_gateway import Gateway, open_peer
from hedgerow_gateway.bounded import Backoff


@asynccontextmanager
async def running(path: Path, url: str, **settings: Any) -> AsyncIterator[Gateway]:
    gateway = Gateway(config(path, uplink=url, **settings))
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        gateway.stop()
        await task


def record(gateway: Gateway, first: int, last: int) -> None:
    for n in range(first, last + 1):
        gateway.peer.insert("readings", reading(n), gateway.clock.now())


def whole(big: BigPeer, gateway: Gateway) -> bool:
    author = gateway.peer.author
    return big.numbers(author) == list(range(1, gateway.log.held(author) + 1))


def receipted(gateway: Gateway) -> bool:
    return gateway.peer.receipted(gateway.peer.author) == gateway.log.held(gateway.peer.author)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_what_is_committed_is_pushed_and_receipted(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()
        async with listening(big) as url, running(tmp_path, url) as gateway:
            for n in range(1, 4):
                record(gateway, n, n)
                await until(lambda: whole(big, gateway), "pushed at once")
            await until(lambda: receipted(gateway), "receipted, the tail sealed")
            assert gateway.uplink is not None
            assert big.sessions == gateway.uplink.counters.attempts == 1
            assert gateway.uplink.connected

    run(main())


def test_days_without_an_uplink_then_it_catches_up(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()
        port = free_port()
        async with running(tmp_path, f"ws://127.0.0.1:{port}/") as gateway:
            uplink = gateway.uplink
            assert uplink is not None
            await until(lambda: uplink.counters.failures >= 3, "it tries")
            record(gateway, 1, 3000)
            assert "UPLINK_LOST" in uplink.counters.last_error
            assert uplink.counters.outages == 0, "never up is not an outage"
            async with listening(big, port):
                await until(lambda: whole(big, gateway), "caught up")
                await until(lambda: receipted(gateway), "receipted")
            await until(lambda: uplink.counters.outages == 1, "the outage is counted")
            record(gateway, 3001, 3100)
            async with listening(big, port):
                await until(lambda: whole(big, gateway), "caught up again")
            assert big.errors == []

    run(main())


def test_a_server_that_dies_in_the_middle_doubles_and_loses_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()
        big.cut_after = 4
        async with listening(big) as url, running(tmp_path, url) as gateway:
            record(gateway, 1, 2000)
            await until(lambda: big.sessions >= 3, "it dies and is met again")
            big.cut_after = None
            await until(lambda: whole(big, gateway), "everything, once, in order")

    run(main())


def test_a_server_that_dies_inside_a_record(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()

        async def half(connection: ServerConnection) -> None:
            await connection.send(b"\x00\x90\x10\x00")
            connection.transport.abort()

        big.misbehave = half
        async with listening(big) as url, running(tmp_path, url) as gateway:
            record(gateway, 1, 10)
            await until(lambda: big.sessions >= 2, "met again")
            big.misbehave = None
            await until(lambda: whole(big, gateway), "and then all is well")

    run(main())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x00\x20" + b"\xa5" * 32, "RECORD"),
        (b"\xff" * 1000, "RECORD_LENGTH"),
        ("hello", "UPLINK_MESSAGE"),
        (b"\x00" * 5000, "UPLINK_LOST"),
    ],
    ids=["record", "length", "text", "huge"],
)
def test_garbage_from_the_server_is_a_coded_error_and_a_reconnect(
    tmp_path: Path, message: bytes | str, code: str
) -> None:
    async def main() -> None:
        big = BigPeer()

        async def garbage(connection: ServerConnection) -> None:
            await connection.send(message)
            await connection.wait_closed()

        big.misbehave = garbage
        async with listening(big) as url, running(tmp_path, url) as gateway:
            record(gateway, 1, 10)
            uplink = gateway.uplink
            assert uplink is not None
            await until(lambda: big.sessions >= 2, "met again")
            assert uplink.counters.last_error.startswith(code)
            assert not uplink.connected
            assert uplink.counters.outages == 0, "it never greeted"
            big.misbehave = None
            await until(lambda: whole(big, gateway), "and then all is well")

    run(main())


@pytest.mark.parametrize("strangers", [0, 70])
def test_a_database_put_back_with_what_was_seen_of_it_becomes_a_new_author_at_the_big_peers_word(
    tmp_path: Path, strangers: int
) -> None:
    async def main() -> None:
        big = BigPeer()
        # So many that the hello has no room for the gateway itself.
        body = big.log.read(big.log.author, 0, 0, 1)[0][3]
        for number in range(strangers):
            big.peer.ingest(b"author%02d" % number, 1, [body])
        big.peer.commit()
        async with listening(big) as url:
            async with running(tmp_path / "a", url) as gateway:
                record(gateway, 1, 10)
                await until(lambda: whole(big, gateway), "first part")
                old = gateway.peer.author
            names = ("gateway.db", "gateway.db.seen")
            kept = {name: (tmp_path / "a" / name).read_bytes() for name in names}
            async with running(tmp_path / "a", url) as gateway:
                record(gateway, 11, 20)
                await until(lambda: whole(big, gateway), "second part")
            for name, data in kept.items():
                with (tmp_path / "a" / name).open("r+b") as file:
                    file.write(data)
                    file.truncate()
            async with running(tmp_path / "a", url) as gateway:
                assert gateway.peer.author == old
                await until(lambda: gateway.peer.author != old, "operations that it has not written")
                assert gateway.log.incarnation == 2
                record(gateway, 1, 10)
                await until(lambda: whole(big, gateway), "as a new author")
            assert big.numbers(old) == list(range(1, big.log.held(old) + 1))
        shutil.rmtree(tmp_path / "a")

    run(main())


def test_a_full_database_stops_the_gateway_with_its_code(tmp_path: Path) -> None:
    async def main() -> None:
        gateway = Gateway(config(tmp_path, log_bytes=1 << 20))
        task = asyncio.create_task(gateway.run())
        with pytest.raises(HedgerowError, match="DATABASE_FULL"):
            for n in range(100_000):
                gateway.peer.insert("readings", reading(n) | {"text": "x" * 3000}, gateway.clock.now())
        with pytest.raises(HedgerowError, match="DATABASE_FULL"):
            await task

    run(main())


def test_open_peer_with_a_url(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()
        async with listening(big) as url:
            with open_peer(tmp_path / "field.db", url, name="field", time="trust") as peer:
                peer.insert("readings", reading(1))
                await until(lambda: big.numbers(peer.author) == [1, 2, 3], "boot, time, reading")
            assert peer.uplink is not None

    run(main())


def test_backoff_grows_with_jitter_to_its_limit() -> None:
    backoff = Backoff(1.0, 60.0, random.Random(3))
    pauses = [backoff.pause() for _ in range(40)]
    for n, pause in enumerate(pauses):
        whole_s = min(60.0, 2.0**n)
        assert whole_s / 2 <= pause <= whole_s
    assert len(set(pauses[10:])) == 30, "no two gateways wait in step"
    backoff.reset()
    assert backoff.pause() <= 1.0


def test_a_server_that_accepts_and_says_nothing_is_left_alone_for_longer_and_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hedgerow_gateway.limits.STEADY_S", 0.05)
    monkeypatch.setattr("hedgerow.sync.exchange.limits.HELLO_TIMEOUT_MS", 100)

    async def main() -> None:
        big = BigPeer()

        async def silent(socket: ServerConnection) -> None:
            await socket.wait_closed()

        async def dribble(socket: ServerConnection) -> None:
            while True:
                await socket.send(b"\x00")
                await asyncio.sleep(0.02)

        async with listening(big) as url, running(tmp_path, url) as gateway:
            uplink = gateway.uplink
            assert uplink is not None
            for number, misbehave in enumerate((silent, dribble), 1):
                big.misbehave = misbehave
                met = big.sessions
                await until(lambda met=met: big.sessions >= met + 3, "tried again")
                assert uplink._backoff.failures >= 3 * number - 1
                assert not uplink.connected and uplink.counters.outages == uplink.counters.sessions == 0
            big.misbehave = None
            record(gateway, 1, 3)
            await until(lambda: whole(big, gateway), "and then all is well")

    run(main())


def test_an_uplink_that_flaps_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()
        async with listening(big) as url, running(tmp_path, url, uplink_max_pause_s=0.02) as gateway:
            for n in range(1, 9):
                big.cut_after = big.messages + 1 + n % 3
                record(gateway, 20 * n - 19, 20 * n)
                sessions = big.sessions
                await until(lambda sessions=sessions: big.sessions > sessions, "cut off")
            big.cut_after = None
            await until(lambda: whole(big, gateway) and receipted(gateway), "all of it, once")
            uplink = gateway.uplink
            assert uplink is not None
            assert uplink.counters.outages <= uplink.counters.sessions <= uplink.counters.attempts

    run(main())
