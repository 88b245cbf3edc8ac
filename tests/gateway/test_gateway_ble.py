"""Sessions with boards over GATT: what is new gets here once, and no board and no bleak stops the rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_ble import Board, Ether
from gateway_kit import KINDS, MESH, BigPeer, config, listening, reading, run, until

from hedgerow.errors import HedgerowError
from hedgerow.memory import MemoryLog
from hedgerow.peer import Peer
from hedgerow.sync import gatt
from hedgerow_gateway import Gateway, limits
from hedgerow_gateway.radio import structure


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards that have something open are visited again and again: the gateway only hears."""
    monkeypatch.setattr(limits, "HOURLY_MS", 100)
    monkeypatch.setattr(limits, "HOURLY_RETRY_MS", 100)


@asynccontextmanager
async def running(path: Path, ether: Ether, **settings: Any) -> AsyncIterator[Gateway]:
    quick: dict[str, Any] = {
        "radio": "none",
        "call_s": 0.2,
        "connect_s": 0.2,
        "linger_ms": 20,
        "hold_off_ms": 50,
    }
    gateway = Gateway(config(path, **{**quick, **settings}, **ether.backends))
    task = asyncio.create_task(gateway.run())
    try:
        yield gateway
    finally:
        gateway.stop()
        await task


def numbers(gateway: Gateway, board: Board) -> list[int]:
    return [entry[1] for entry in gateway.log.read(board.log.author, 0, 1 << 31, 1 << 30)]


def whole(gateway: Gateway, board: Board) -> bool:
    return numbers(gateway, board) == list(range(1, board.log.held(board.log.author) + 1))


def test_a_gateway_that_cannot_speak_visits_each_board_once_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HOURLY_MS", 3_600_000)

    async def main() -> None:
        ether = Ether()
        boards = [Board(ether, f"C0:00:00:00:00:0{n}", f"b{n}") for n in range(1, 6)]
        for board in boards:
            for n in range(100):
                board.record(n)
        async with running(tmp_path, ether) as gateway:
            await until(lambda: all(whole(gateway, board) for board in boards), "all readings are here")
            await until(lambda: all(board.peer.utc(0) for board in boards), "each board learnt the time")
            await until(lambda: not gateway.central.visiting, "all visits have ended")
            names = {author["name"] for author in gateway.report()["authors"]}
            assert names >= {"gw", "b1", "b2", "b3", "b4", "b5"}
            boards[0].record(100)
            heard = gateway.mesher.counters.beacons
            await until(lambda: gateway.mesher.counters.beacons >= heard + 25, "each was heard again")
            assert [board.visits for board in boards] == [1] * 5
            assert gateway.report()["hourly"] == gateway.report()["connections"] == 5
            monkeypatch.setattr(limits, "HOURLY_MS", 0)
            await until(lambda: whole(gateway, boards[0]), "an hour later the new reading is here")
        assert ether.most_connecting == 1, "connects are serialised"
        assert ether.most_connected <= 3
        assert ether.connected == ether.scanning == 0, "nothing is left on"

    run(main())


def test_a_link_that_breaks_goes_on_where_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        for n in range(300):
            board.record(n)
        board.cut_after = 12
        async with running(tmp_path, ether) as gateway:
            await until(lambda: gateway.central.counters.errors["LINK_LOST"] >= 1, "a broken link is counted")
            assert gateway.report()["link_bytes"]["in"] > 500, "with the bytes that it carried"
            held = len(numbers(gateway, board))
            assert whole(gateway, board) is False
            board.cut_after = None
            await until(lambda: whole(gateway, board), "the rest came with a later visit")
            assert held <= len(numbers(gateway, board))

    run(main())


@pytest.mark.parametrize("answer", [b"\xff" * 90, b"\x00\x20" + b"junk" * 8, b"GET / HTTP/1.0\r\n\r\n"])
def test_garbage_from_a_board_is_a_coded_error_and_the_others_go_on(tmp_path: Path, answer: bytes) -> None:
    async def main() -> None:
        ether = Ether()
        bad = Board(ether, "C0:00:00:00:00:01", "bad")
        good = Board(ether, "C0:00:00:00:00:02", "good")
        bad.record(1)
        good.record(1)
        bad.answer = answer
        async with running(tmp_path, ether) as gateway:
            await until(lambda: whole(gateway, good), "the good board's reading is here")
            await until(lambda: gateway.central.counters.failed >= 1, "the bad board's visit failed")
            assert not numbers(gateway, bad)
            assert "GATEWAY_INTERNAL" not in gateway.central.counters.errors
            bad.answer = None
            await until(lambda: whole(gateway, bad), "the bad board is forgiven")

    run(main())


@pytest.mark.parametrize("call", ["connect", "start_notify", "write", "disconnect"])
@pytest.mark.parametrize("stubborn", [False, True], ids=["cancellable", "stubborn"])
def test_a_call_that_hangs_is_cut(tmp_path: Path, call: str, stubborn: bool) -> None:
    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        board.record(1)
        ether.hang = {call}
        ether.stubborn = stubborn
        async with running(tmp_path, ether) as gateway:
            visits, radio = gateway.central.counters, gateway.radios.adapter.counters
            if call == "disconnect":
                await until(lambda: radio.disconnect_failures >= 1, "the disconnect was cut")
            else:
                await until(lambda: visits.errors["RADIO_TIMEOUT"] >= 1, "the call was cut")
                assert not numbers(gateway, board)
            ether.hang = set()
            ether.stubborn = False
            await until(lambda: whole(gateway, board), "the reading came after all")

    run(main())


@pytest.mark.parametrize("call", ["connect", "start_notify", "write", "disconnect"])
def test_a_call_that_fails_is_tried_again(tmp_path: Path, call: str) -> None:
    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        board.record(1)
        ether.fail = {call}
        async with running(tmp_path, ether) as gateway:
            visits, radio = gateway.central.counters, gateway.radios.adapter.counters
            await until(lambda: visits.failed + radio.disconnect_failures >= 1, "a failure is counted")
            ether.fail = set()
            await until(lambda: whole(gateway, board), "the reading came after all")

    run(main())


def test_a_device_without_the_service_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        board.record(1)
        board.service = gatt.SERVICE.replace("6d1e", "0000")
        async with running(tmp_path, ether) as gateway:
            await until(lambda: gateway.central.counters.errors["LINK_SERVICE"] >= 1, "no service")
            await until(lambda: ether.connected == 0, "disconnected")

    run(main())


def test_a_visit_that_takes_too_long_is_cut(tmp_path: Path) -> None:
    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        board.record(1)
        async with running(tmp_path, ether, session_s=0.1, linger_ms=60_000) as gateway:
            await until(lambda: gateway.central.counters.errors["LINK_TOO_LONG"] >= 1, "cut")
            assert whole(gateway, board), "what was committed stays"

    run(main())


def test_a_board_that_falls_silent_gives_up_its_place(tmp_path: Path) -> None:
    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        board.record(1)
        board.mute = True
        async with running(tmp_path, ether, stall_s=0.1) as gateway:
            await until(lambda: gateway.central.counters.errors["LINK_STALLED"] >= 1, "cut")
            board.mute = False
            await until(lambda: whole(gateway, board), "the next visit brings it")

    run(main())


def test_beacons_of_others_and_bad_ones_bring_no_visit(tmp_path: Path) -> None:
    async def main() -> None:
        ether = Ether()
        board = Board(ether, "C0:00:00:00:00:01", "b1")
        board.record(1)
        board.peer.mesh = b"\x01\x02\x03"
        async with running(tmp_path, ether) as gateway:
            heard = gateway.mesher.counters
            await until(lambda: heard.foreign >= 3, "beacons of another mesh")
            gateway.mesher.take([(board.address, -50, structure(b"\x10\x00"), False)])
            assert heard.foreign >= 4
            assert heard.beacons == board.visits == 0

    run(main())


def test_a_board_that_is_being_visited_is_not_visited_again(tmp_path: Path) -> None:
    async def main() -> None:
        ether = Ether()
        slow = Board(ether, "C0:00:00:00:00:01", "slow")
        slow.record(1)
        slow.mute = True
        async with running(tmp_path, ether, stall_s=0.5) as gateway:
            await until(lambda: gateway.central.visiting, "a visit is under way")
            counters = gateway.central.counters
            beacons = gateway.mesher.counters.beacons
            await until(lambda: gateway.mesher.counters.beacons >= beacons + 10, "and goes on")
            assert ether.most_connected == counters.connections == gateway.central.visiting == 1

    run(main())


def test_a_board_flashed_anew_at_its_old_address_is_another_author(tmp_path: Path) -> None:
    async def main() -> None:
        ether = Ether()
        old = Board(ether, "C0:00:00:00:00:01", "b1")
        for n in range(40):
            old.record(n)
        async with running(tmp_path, ether) as gateway:
            await until(lambda: whole(gateway, old), "the first log is here")
            new = Board(ether, old.address, "b1")
            for n in range(20):
                new.record(n)
            await until(lambda: whole(gateway, new), "so is the second one")
            assert whole(gateway, old) and gateway.central.counters.failed == 0

    run(main())


def test_two_gateways_share_a_board(tmp_path: Path) -> None:
    async def main() -> None:
        ethers = [Ether(), Ether()]
        board = Board(ethers[0], "C0:00:00:00:00:01", "b1")
        ethers[1].boards[board.address] = board
        big = BigPeer()
        async with (
            listening(big) as url,
            running(tmp_path / "a", ethers[0], uplink=url),
            running(tmp_path / "b", ethers[1], uplink=url),
        ):
            author = board.log.author
            for n in range(5):
                for m in range(20):
                    board.record(20 * n + m)
                held = board.log.held(author)
                await until(lambda held=held: big.log.held(author) >= held, "at the Big Peer")
            await until(lambda: board.peer.receipted(author) >= held, "receipted on the board")
            assert big.numbers(author) == list(range(1, big.log.held(author) + 1))
            assert big.errors == []

    run(main())


def test_a_bad_author_on_a_relay_is_counted_and_the_others_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        ether = Ether()
        relay = Board(ether, "C0:00:00:00:00:01", "relay")
        bad, good = (MemoryLog() for _ in range(2))
        peers = [Peer(log, 0, mesh=MESH, kinds=KINDS) for log in (bad, good)]
        for log, peer in zip((bad, good), peers, strict=True):
            peer.insert("readings", reading(1), 1)
            bodies = [entry[3] for entry in log.read(log.author, 0, 0, 1 << 20)]
            for schema in peer.schemas.values():
                relay.peer.ingest_schema(schema.encoded)
            relay.peer.ingest(log.author, 1, bodies)
        relay.peer.commit()
        async with running(tmp_path, ether) as gateway:
            take = gateway.peer.ingest

            def ingest(author: bytes, first: int, bodies: list[bytes]) -> int:
                if author == bad.author:
                    raise HedgerowError("SYNC_GAP", "as of a sender that lost its flash")
                return take(author, first, bodies)

            gateway.peer.ingest = ingest  # type: ignore[method-assign]
            await until(lambda: gateway.log.held(good.author) == 2, "the good author is here")
            await until(lambda: gateway.central.counters.errors["SYNC_GAP"] == 1, "the bad one is counted")
            assert gateway.log.held(bad.author) == gateway.central.counters.failed == 0

    run(main())
