"""A gateway in the mesh: operations, seals and receipts over advertisements, without any connection."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import KINDS, MESH, BigPeer, config, listening, run, until, uptime

from hedgerow.codec.decimal import Decimal
from hedgerow.memory import MemoryLog
from hedgerow.mesh.mesh import Mesh
from hedgerow.mesh.tag import mesh_key
from hedgerow.peer import Peer
from hedgerow_boards.air import Air
from hedgerow_boards.air.backend import AirVoice, backends
from hedgerow_gateway import Gateway
from hedgerow_gateway.adapter import AdapterSettings
from hedgerow_gateway.host_radio import HostRadio
from hedgerow_gateway.radio import key_of

SEAL_MS = 500


class Node:
    """A relay: the core's peer and mesh engine over a radio on the air, as a board has them."""

    def __init__(self, air: Air, number: int) -> None:
        self.address = f"c0:00:00:00:00:{number:02x}"
        self.log = MemoryLog()
        self.peer = Peer(self.log, uptime(), name=f"b{number}", mesh=MESH, kinds=KINDS)
        rng = random.Random(number)
        self.mesh = Mesh(
            self.peer, uptime(), random=rng.randrange, key=mesh_key("demo"), seal_ms=SEAL_MS
        )
        scanner, _ = backends(air.path, self.address)
        settings = AdapterSettings(scanner_backend=scanner)
        self.radio = HostRadio(settings, self._heard, rng, AirVoice(air.path, self.address))

    def _heard(self, address: str, rssi: int, payload: bytes, connectable: bool) -> None:
        self.mesh.heard(key_of(address), rssi, payload, uptime(), connectable)

    def record(self, n: int) -> None:
        self.peer.insert("readings", {"t": Decimal(200 + n, -1), "h": Decimal(500 - n, -1)}, uptime())

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.radio.run())
            while True:
                said = self.mesh.say(uptime())
                if said is None:
                    await asyncio.sleep(0.02)
                else:
                    await self.radio.say(*said)


@asynccontextmanager
async def world(tmp_path: Path, nodes: int, **settings: Any) -> AsyncIterator[tuple[Air, Gateway, list[Node]]]:
    """Nodes in a line behind a gateway, each in reach of its neighbours alone."""
    with Air(str(tmp_path / "air"), loss=0.0) as air:
        scanner, client = backends(air.path)
        gateway = Gateway(
            config(
                tmp_path / "gateway",
                radio="auto",
                scanner_backend=scanner,
                client_backend=client,
                voice=AirVoice(air.path),
                **settings,
            )
        )
        line = [Node(air, number) for number in range(1, nodes + 1)]
        addresses = ["e0:00:00:00:00:01", *(node.address for node in line)]
        for at, address in enumerate(addresses):
            for other in addresses[at + 2 :]:
                air.block(address, other)
        tasks = [asyncio.create_task(part.run()) for part in (gateway, *line)]
        try:
            yield air, gateway, line
        finally:
            gateway.stop()
            await asyncio.wait(tasks[:1], timeout=10)
            for task in tasks[1:]:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task


@pytest.mark.parametrize("hops", [1, 2])
def test_readings_go_up_and_receipts_come_down_without_a_connection(tmp_path: Path, hops: int) -> None:
    async def main() -> None:
        big = BigPeer()
        async with listening(big) as url, world(tmp_path, hops, uplink=url) as (air, gateway, line):
            far = line[-1]
            for n in range(5):
                far.record(n)
                await asyncio.sleep(0.1)
            author = far.log.author
            held = far.log.held(author)
            await until(lambda: gateway.log.held(author) >= held, "at the gateway", 15)
            await until(lambda: big.log.held(author) >= held, "at the Big Peer")
            await until(lambda: far.peer.receipted(author) >= held, "receipted on the board", 15)
            await until(lambda: far.peer.utc(uptime()), "it knows the time", 15)
            assert air.counters.connections == gateway.central.counters.connections == 0
            assert gateway.radios.voice.health.said > 0
            assert big.errors == []

    run(main())
