"""A Big Peer under load: how long statements take, how fast a change reaches 1,000 live answers, memory.

Everything goes over loopback into a process of its own; who asks shares the machine with it.
"""

import asyncio
import contextlib
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import connect

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_RECORD
from hedgerow.memory import MemoryLog, MemoryStore
from hedgerow.mesh.tag import mesh_tag
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange

from .bigpeer_kit import postgres
from .bigpeer_sync import PATH, big_peer
from .figure import Figure, figure, skip

CALLERS, SECONDS = 16, 6.0
STREAMS, CHANGES = 1000, 10
SESSIONS = 200
EXECUTE = "/api/v5/store/execute"
LIVE = "/api/hedgerow/v1/live"
Waits = dict[str, list[float]]


def execute() -> list[Figure]:
    """Milliseconds of statements while 16 callers ask without a pause: inserts, and documents by id."""
    found: dict[str, Waits] = {}
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder, big_peer(Path(folder)) as port:
        found["sqlite"] = asyncio.run(_ask(port))
    try:
        with (
            postgres() as server,
            tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder,
            big_peer(Path(folder), server.url()) as port,
        ):
            found["postgresql"] = asyncio.run(_ask(port))
    except HedgerowError as error:
        skip("bigpeer.load.execute on PostgreSQL", error)
    figures = []
    for kind in ("insert", "select"):
        beside = {
            f"{where}_p{share}": _share(waits[kind], share)
            for where, waits in found.items()
            for share in (50, 95, 99)
        }
        value = beside.pop("sqlite_p99")
        figures.append(figure(f"bigpeer.load.execute_{kind}_p99", value, "ms", beside=beside))
    rates = {where: sum(map(len, waits.values())) / SECONDS for where, waits in found.items()}
    figures.append(figure("bigpeer.load.execute_rate", rates.pop("sqlite"), "1/s", beside=rates))
    return figures


async def _ask(port: str) -> Waits:
    waits: Waits = {"insert": [], "select": []}
    url = f"http://127.0.0.1:{port}{EXECUTE}"

    async def caller(client: httpx.AsyncClient, number: int, end: float) -> None:
        count = 0
        while not count or time.perf_counter() < end:
            count += 1
            key = f"{number}-{count}"
            document = {"_id": key, "board": number, "n": count, "temperature": 21.5}
            inserts = {"statement": "INSERT INTO readings DOCUMENTS (:d)", "args": {"d": document}}
            reads = {"statement": "SELECT * FROM readings WHERE _id = :id", "args": {"id": key}}
            for kind, body in (("insert", inserts), ("select", reads)):
                began = time.perf_counter()
                answer = await client.post(url, json=body)
                waits[kind].append(1000 * (time.perf_counter() - began))
                if answer.status_code != 200:
                    raise HedgerowError("BENCH_FAILED", answer.text[:200])

    # One client: making sixteen takes a second of the loop that measures. It connects before the time counts.
    async with httpx.AsyncClient(timeout=30) as client:
        await asyncio.gather(*[caller(client, -1 - number, 0) for number in range(CALLERS)])
        waits = {"insert": [], "select": []}
        end = time.perf_counter() + SECONDS
        await asyncio.gather(*[caller(client, number, end) for number in range(CALLERS)])
    return waits


def _share(waits: Sequence[float], percent: int) -> float:
    return sorted(waits)[math.ceil(len(waits) * percent / 100) - 1]


def fan_out() -> list[Figure]:
    """Milliseconds from a statement to its change in 1,000 live answers, and what an idle one holds."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder, big_peer(Path(folder)) as port:
        took, held = asyncio.run(_watch(port))
    ordered = sorted(took)
    beside = {"least": ordered[0], "most": ordered[-1]}
    return [
        figure("bigpeer.load.fanout_1000", ordered[len(ordered) // 2], "ms", beside=beside),
        figure("bigpeer.load.live_stream_memory", held, "KiB"),
    ]


async def _watch(port: str) -> tuple[list[float], float]:
    url = f"http://127.0.0.1:{port}{EXECUTE}"
    async with httpx.AsyncClient(timeout=30) as client:
        await client.post(url, json={"statement": "INSERT INTO cars DOCUMENTS ({'_id': 0})"})
        before = await _memory(port)
        streams = []
        for _ in range(0, STREAMS, 50):
            streams += await asyncio.gather(*[_open(port) for _ in range(50)])
        held = (await _memory(port) - before) / STREAMS
        took = []
        for number in range(1, CHANGES + 1):
            began = time.perf_counter()
            insert = {"statement": "INSERT INTO cars DOCUMENTS (:d)", "args": {"d": {"_id": number}}}
            asked = asyncio.create_task(client.post(url, json=insert))
            await asyncio.gather(*[_event(reader, b"event: changes") for reader, _ in streams])
            took.append(1000 * (time.perf_counter() - began))
            await asked
        for _, writer in streams:
            writer.close()
    return took, held


async def _open(port: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
    body = json.dumps({"statement": "SELECT * FROM cars"}).encode()
    head = f"POST {LIVE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await _event(reader, b"event: rows")
    return reader, writer


async def _event(reader: asyncio.StreamReader, name: bytes) -> None:
    async with asyncio.timeout(60):
        while not (await reader.readline()).startswith(name):
            pass


async def _memory(port: str) -> float:
    """Return the resident memory in KiB of whoever listens on a port of loopback."""
    await asyncio.sleep(0.5)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"bench.bigpeer_server" in words and _parent(process) == os.getpid():
            for line in (process / "status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return float(line.split()[1])
    raise HedgerowError("BENCH_FAILED", f"no Big Peer at {port}")


def _parent(process: Path) -> int:
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])


def sessions() -> list[Figure]:
    """KiB that an idle sync session holds: of 200 peers that have said all."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-bench-") as folder, big_peer(Path(folder)) as port:
        held = asyncio.run(_idle(port))
    return [figure("bigpeer.load.session_memory", held, "KiB")]


async def _idle(port: str) -> float:
    await _joined(port)
    before = await _memory(port)
    sockets = []
    for _ in range(0, SESSIONS, 50):
        sockets += await asyncio.gather(*[_joined(port) for _ in range(50)])
    held = (await _memory(port) - before) / SESSIONS
    async with httpx.AsyncClient() as client:
        status = (await client.get(f"http://127.0.0.1:{port}/api/hedgerow/v1/status")).json()
    if status["connections"] != SESSIONS + 1:
        raise HedgerowError("BENCH_FAILED", f"{status['connections']} sessions are open")
    for socket in sockets:
        socket.transport.abort()
    return held


async def _joined(port: str) -> Any:
    """Return the connection of a peer whose one reading is receipted."""
    began = time.monotonic()

    def now() -> int:
        return int(1000 * (time.monotonic() - began)) + 1000

    peer: Any = Peer(MemoryLog(MemoryStore()), 0, name="idle", mesh=mesh_tag("demo"))
    peer.insert("readings", {"n": 1}, 1000)
    peer.seal(1000)
    exchange = Exchange(peer, now(), linger_ms=None, central=True)
    socket = await connect(f"ws://127.0.0.1:{port}{PATH}", compression=None)
    async with asyncio.timeout(60):
        while peer.receipted(peer.author) < peer.log.held(peer.author):
            while record := exchange.outgoing(MAX_RECORD, now()):
                await socket.send(record)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    exchange.receive(await socket.recv(decode=False), now())
    return socket


FIGURES = [execute, fan_out, sessions]
