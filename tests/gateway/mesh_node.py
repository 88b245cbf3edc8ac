"""A relay in the test's own process: the core's peer and mesh engine over a radio on the air."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway_kit import KINDS, MESH, BigPeer, until, uptime

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
        self.mesh = Mesh(self.peer, uptime(), random=rng.randrange, key=mesh_key("demo"), seal_ms=SEAL_MS)
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
async def running(*nodes: Node) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(node.run()) for node in nodes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def delivered(big: BigPeer, gateway: Gateway, node: Node) -> None:
    """Wait until all that a node has recorded is at the Big Peer, and the node knows."""
    author = node.log.author
    held = node.log.held(author)
    await until(lambda: gateway.log.held(author) >= held, "at the gateway")
    await until(lambda: big.log.held(author) >= held, "at the Big Peer")
    await until(lambda: node.peer.receipted(author) >= held, "receipted at the node", 35)
