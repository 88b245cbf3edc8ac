"""Who is on the way between a gateway and the Big Peer: the proxy through which its uplink goes."""

import asyncio
import contextlib
import re
import socket
from collections import Counter
from urllib.parse import urlsplit

from hedgerow.crypto.records import VERSION_KIND

from .world import NETWORK, Attacker, World

_BINARY = 2
_TRIES_S = 30.0
#: So many records of a session go by before it does what it does, as it is.
_HONEST = 1
_UP, _DOWN = "up", "down"
_DEEDS = ("alter", "replay", "reorder", "drop", "cut", "old")
WAYS = tuple((deed, which) for deed in _DEEDS for which in (_UP, _DOWN))


class Frames:
    """A direction of a connection, frame by frame; what comes before the first is its HTTP head."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def head(self) -> bytes:
        return await self._reader.readuntil(b"\r\n\r\n")

    async def next(self) -> tuple[bytes, bool]:
        """Return a frame, and whether it holds a record under keys."""
        frame = await self._reader.readexactly(2)
        size, masked = frame[1] & 127, frame[1] >> 7
        if size >= 126:
            more = await self._reader.readexactly(2 if size == 126 else 8)
            frame, size = frame + more, int.from_bytes(more, "big")
        mask = await self._reader.readexactly(4) if masked else bytes(4)
        said = await self._reader.readexactly(size)
        sealed = frame[0] & 15 == _BINARY and size > 2 and said[2] ^ mask[2] == VERSION_KIND
        return frame + (mask if masked else b"") + said, sealed


class Between(Attacker):
    """Alters a record, says one twice, another one first, none, half of one, or one of the session before, in
    either direction: a session each, and what comes behind goes on as if nothing were. It goes between when
    `environment` is that of who opens the uplink; until it attacks it passes on all that it hears.
    """

    power = NETWORK
    names = (("session.refuse", "RECORD_TAG"), ("session.refuse", "RECORD_SEQUENCE"))
    # What it does is seen in the gateway's session: nobody knows who else has a hand on the line.
    address = "credential:*:gateway"

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.environment = {"ws_proxy": "http://{}:{}".format(*self._listener.getsockname()[:2])}
        self.did: Counter[tuple[str, str]] = Counter()
        self._way: tuple[str, str] | None = None
        self._other = 0
        self._old: dict[str, bytes] = {}
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def done(self) -> bool:
        return self.did.keys() == set(WAYS)

    async def begin(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._listener)

    async def end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def run(self, world: World) -> None:
        # Who brings logs speaks with the Big Peer itself, and so does the demo's own intruder.
        self._other = urlsplit(world.url).port or 0
        for way in WAYS:
            self._way = way
            for link in self._links:
                link.transport.abort()
            await world.until(lambda way=way: self.did[way], _TRIES_S)
        self._way = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            asked = re.match(rb"CONNECT ([^:]+):(\d+) ", await reader.readuntil(b"\r\n\r\n"))
            assert asked is not None
            far, out = await asyncio.open_connection(asked[1].decode(), int(asked[2]))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            if int(asked[2]) != self._other:
                self._links.add(writer)
            ways = [
                asyncio.create_task(self._one_way(Frames(reader), out, _UP, writer)),
                asyncio.create_task(self._one_way(Frames(far), writer, _DOWN, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                out.close()
        self._links.discard(writer)
        self._tasks.discard(task)
        writer.close()

    async def _one_way(
        self, frames: Frames, sink: asyncio.StreamWriter, which: str, link: asyncio.StreamWriter
    ) -> None:
        sink.write(await frames.head())
        records, done = 0, link not in self._links
        while True:
            frame, sealed = await frames.next()
            records += sealed
            way = self._way
            if done or way is None or way[1] != which or not sealed or records <= _HONEST:
                sink.write(frame)
                continue
            done = True
            self.did[way] += 1
            said = await self._changed(way[0], frame, frames, self._old.get(which, b""))
            self._old[which] = frame
            sink.write(said)
            if way[0] == "cut":
                await sink.drain()
                return

    async def _changed(self, deed: str, frame: bytes, frames: Frames, old: bytes) -> bytes:
        """Return what is said in the place of a frame."""
        if deed == "alter":
            return frame[:-1] + bytes((frame[-1] ^ 1,))
        if deed == "replay":
            return frame + frame
        if deed == "old":
            return old + frame
        if deed == "drop":
            return b""
        if deed == "cut":
            return frame[: len(frame) // 2]
        said, sealed = await frames.next()
        while not sealed:
            more, sealed = await frames.next()
            said += more
        return said + frame
