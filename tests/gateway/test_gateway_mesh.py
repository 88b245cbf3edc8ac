"""A gateway in the mesh: operations, seals and receipts over advertisements, without any connection."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import BigPeer, config, listening, run, until, uptime
from mesh_node import Node, delivered, running

from hedgerow.errors import HedgerowError
from hedgerow.log import ENTRY_OP, ENTRY_SEAL
from hedgerow.mesh.tells import Announce
from hedgerow.sync.hello import LEAF
from hedgerow.sync.interest import Interest
from hedgerow_boards.air import Air
from hedgerow_boards.air.backend import AirVoice, backends
from hedgerow_gateway import Gateway, limits, metrics
from hedgerow_gateway.bluez_voice import BluezVoice
from hedgerow_gateway.clock import Clock, KernelTime
from hedgerow_gateway.host_radio import Voice
from hedgerow_gateway.radio import structure

GATEWAY = "e0:00:00:00:00:01"
VOICES = ["air", "bluez", "old bluez", "slow bluez"]


@asynccontextmanager
async def voice_on(air: Air, tmp_path: Path, kind: str, address: str) -> AsyncIterator[Voice]:
    """How a gateway's adapter speaks: as the emulator's does, or through an emulated BlueZ."""
    if kind == "air":
        yield AirVoice(air.path, address)
        return
    pytest.importorskip("dbus_fast", reason="dbus-fast comes with bleak on Linux only")
    if shutil.which("dbus-daemon") is None:
        pytest.skip("no dbus-daemon here")
    from emulated_bluez import Bluez, system_bus

    folder = tmp_path / "bus"
    folder.mkdir()
    latency_s = 0.2 if kind == "slow bluez" else 0.02
    bluez = Bluez(air.path, modern=kind != "old bluez", latency_s=latency_s)
    async with system_bus(folder) as bus, bluez.serving(bus):
        yield BluezVoice("hci0", bus_address=bus, kernel=lambda: (6, 6))


@asynccontextmanager
async def gateway_on(
    air: Air, tmp_path: Path, kind: str = "air", address: str = GATEWAY, **settings: Any
) -> AsyncIterator[Gateway]:
    scanner, client = backends(air.path, address)
    chosen = {"radio": "auto", "scanner_backend": scanner, "client_backend": client, **settings}
    async with voice_on(air, tmp_path, kind, address) as voice:
        gateway = Gateway(config(tmp_path / "gateway", voice=voice, **chosen))
        task = asyncio.create_task(gateway.run())
        try:
            yield gateway
        finally:
            gateway.stop()
            await task


@pytest.mark.parametrize("kind", VOICES)
def test_readings_go_up_and_receipts_and_time_come_down_without_a_connection(
    tmp_path: Path, kind: str
) -> None:
    async def main() -> None:
        big = BigPeer()
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            node = Node(air, 1)
            async with (
                listening(big) as url,
                gateway_on(air, tmp_path, kind, uplink=url) as gateway,
                running(node),
            ):
                for n in range(5):
                    node.record(n)
                    await asyncio.sleep(0.1)
                await delivered(big, gateway, node)
                await until(lambda: node.peer.utc(uptime()), "it knows the time", 35)
                told, stated = node.peer.utc(uptime()), gateway.clock.read()
                assert told and stated and abs(told[0] - stated.utc_ms) <= told[1] + stated.error_ms
                assert air.counters.connections == gateway.central.counters.connections == 0
                report = gateway.report()["radio"]
                assert report["speaks"] and report["said"] > 0 and report["say_failures"] == 0
                assert report["kind"] == kind.split()[-1]
                assert report["heard_age_s"] is not None and report["heard_age_s"] < 10
                assert big.errors == []

    run(main(), 80)


def test_a_named_gateway_is_the_keeper_where_there_is_no_big_peer(tmp_path: Path) -> None:
    async def main() -> None:
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            node = Node(air, 1)
            async with gateway_on(air, tmp_path, keeper=True) as gateway, running(node):
                for n in range(3):
                    node.record(n)
                author, held = node.log.author, node.log.held(node.log.author)
                await until(lambda: node.peer.receipted(author) >= held, "receipted by the gateway", 35)
                [receipt] = node.peer.receipts(author)
                assert receipt.keeper == gateway.peer.identity
                assert gateway.log.held(author) >= held
                assert air.counters.connections == 0

    run(main(), 60)


def test_two_gateways_beside_each_other_bring_everything_once(tmp_path: Path) -> None:
    async def main() -> None:
        big = BigPeer()
        (tmp_path / "b").mkdir()
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            nodes = [Node(air, 1), Node(air, 2)]
            async with (
                listening(big) as url,
                gateway_on(air, tmp_path, uplink=url) as first,
                gateway_on(air, tmp_path / "b", address="e0:00:00:00:00:02", uplink=url) as second,
                running(*nodes),
            ):
                for n in range(4):
                    for node in nodes:
                        node.record(n)
                    await asyncio.sleep(0.2)
                for node in nodes:
                    held = node.log.held(node.log.author)
                    await delivered(big, first, node)
                    # A record of the time may have come meanwhile, and is on its way.
                    numbers = big.numbers(node.log.author)
                    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= held
                assert air.counters.connections == 0 and big.errors == []
                assert second.radios.voice.health.said > 0

    run(main(), 60)


def test_time_is_given_only_while_the_kernel_vouches_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TIME_EVERY_S", 0.05)
    synchronised = False
    monkeypatch.setattr(
        "hedgerow_gateway.gateway.Clock", lambda _: Clock(kernel=lambda: KernelTime(synchronised, 5))
    )

    async def main() -> None:
        nonlocal synchronised
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            node = Node(air, 1)
            async with gateway_on(air, tmp_path) as gateway, running(node):
                node.record(1)
                await until(lambda: gateway.log.held(node.log.author), "at the gateway")
                await asyncio.sleep(2)
                assert node.peer.utc(uptime()) is None and gateway.mesh.stats["times"] == 0
                synchronised = True
                await until(lambda: node.peer.utc(uptime()), "it knows the time", 15)

    run(main(), 60)


def said_by(node: Node, count: int) -> list[bytes]:
    """Payloads that a node says, without its radio."""
    said = []
    now = uptime()
    while len(said) < count:
        now += 20
        if saying := node.mesh.say(now):
            said.append(saying[0])
    return said


def test_what_comes_within_a_moment_is_one_commit_and_only_then_acknowledged(tmp_path: Path) -> None:
    async def main() -> None:
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            node = Node(air, 1)
            for n in range(6):
                node.record(n)
            payloads = said_by(node, 12)
            gateway = Gateway(config(tmp_path / "gateway"))
            commits = gateway.log.commits
            gateway.mesher.take([(node.address, -60, payload, False) for payload in payloads])
            assert gateway.mesher.counters.beacons == len(payloads)
            assert gateway.log.held(node.log.author) > 1
            assert gateway.log.commits == commits + 1
            gateway.log.close()

    run(main())


def test_a_batch_that_is_not_durable_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            node = Node(air, 1)
            node.record(1)
            gateway = Gateway(config(tmp_path / "gateway"))

            def commit() -> None:
                raise HedgerowError("DATABASE_FULL", "as the test says")

            monkeypatch.setattr(gateway.log, "commit", commit)
            with pytest.raises(HedgerowError, match="DATABASE_FULL"):
                gateway.mesher.take([(node.address, -60, payload, False) for payload in said_by(node, 4)])
            assert not gateway.mesher._awake.is_set()

    run(main())


def test_an_interest_over_a_log_that_ends_with_a_seal_is_looked_through_to_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            node = Node(air, 1)
            for n in range(40):
                node.record(n)
            gateway = Gateway(config(tmp_path / "gateway"))
            author = node.log.author
            for schema in node.peer.schemas.values():
                gateway.peer.ingest_schema(schema.encoded)
            entries = node.log.read(author, 0, 0, 1 << 30)
            gateway.peer.ingest(author, 1, [body for kind, _, _, body in entries if kind == ENTRY_OP])
            for kind, _, _, body in entries:
                if kind == ENTRY_SEAL:
                    gateway.peer.ingest_seal(author, body)
            gateway.peer.commit()
            assert gateway.log.since(gateway.log.position() - 1, 1) == [], "the last to arrive was a seal"
            now = gateway.clock.now()
            gateway.peer.note_interests([Interest("settings", "", {}, 3)], now)
            for step in range(600):
                gateway.mesh.say(now + 100 * step)
            assert gateway.mesh.stats["wishes"] >= 1
            gateway.log.close()

    run(main())


def test_an_advertisement_that_upsets_the_engine_does_not_stop_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            node = Node(air, 1)
            node.record(1)
            gateway = Gateway(config(tmp_path / "gateway"))
            heard = gateway.mesh.heard
            bad = structure(b"bad")

            def upset(address: object, rssi: int, payload: bytes, now: int, connectable: bool) -> bool:
                if payload == bad:
                    raise ValueError("as the test says")
                return bool(heard(address, rssi, payload, now, connectable))

            gateway.mesh.heard = upset  # type: ignore[method-assign]
            batch = [("AA:00:00:00:00:00", -60, bad, False)]
            gateway.mesher.take(batch + [(node.address, -60, payload, False) for payload in said_by(node, 8)])
            assert gateway.mesher.counters.errors["GATEWAY_INTERNAL"] == 1
            assert gateway.log.held(node.log.author) >= 1
            gateway.log.close()

    run(main())


def test_an_engine_that_fails_to_say_something_is_asked_again(tmp_path: Path) -> None:
    async def main() -> None:
        with Air(str(tmp_path / "air"), loss=0.0) as air:
            async with gateway_on(air, tmp_path) as gateway:
                say, gateway.mesh.say = gateway.mesh.say, lambda _: 1 // 0  # type: ignore[method-assign]
                await until(lambda: gateway.mesher.counters.errors["GATEWAY_INTERNAL"], "counted")
                gateway.mesh.say = say  # type: ignore[method-assign]
                said = gateway.radios.voice.health.said
                await until(lambda: gateway.radios.voice.health.said > said, "says again")

    run(main())


def test_who_sleeps_and_misses_its_wakes_is_overdue(tmp_path: Path) -> None:
    gateway = Gateway(config(tmp_path / "gateway"))
    try:
        author, now = gateway.peer.author, gateway.clock.now()

        def shown(late_ms: int) -> tuple[Any, bool, bool]:
            gateway.roster.met(author, "leaf", now - late_ms)
            report = gateway.report()
            overdue = "hedgerow_gateway_authors_overdue 1\n" in metrics.render(report)
            return report["authors"][0]["due_s"], report["authors"][0]["overdue"], overdue

        assert shown(0) == (None, False, False)
        gateway.mesh.names.announced(Announce(author, 0, 0, LEAF, 0, 10, 4000, 1), now)
        assert shown(5_000)[1:] == (False, False) and 0 <= (shown(5_000)[0] or 0) < 10
        # Three wakes, and half a minute for its clock.
        assert shown(62_000)[1:] == (True, True) and 0 <= (shown(62_000)[0] or 0) < 10
    finally:
        gateway.log.close()
