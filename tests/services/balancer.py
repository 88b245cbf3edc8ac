"""A TCP balancer before nodes that come and go: each connection goes to one of them, taken at random."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

_CHUNK = 1 << 16


class Balancer:
    """Listens on loopback; `targets` gives the URLs of the nodes. One that does not answer is passed over."""

    def __init__(self, targets: Callable[[], Sequence[str]], seed: int = 0) -> None:
        self._targets = targets
        self._chance = random.Random(seed)
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.url = ""
        self.connections = 0
        self._thread.start()
        assert self._ready.wait(10)

    @property
    def sync_url(self) -> str:
        """Where peers connect."""
        return self.url.replace("http", "ws") + "/api/hedgerow/v1/sync"

    def stop(self) -> None:
        """Cut everything off."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await self._over.wait()
        server.close()
        joined = asyncio.all_tasks() - {asyncio.current_task()}
        for task in joined:
            task.cancel()
        await asyncio.gather(*joined, return_exceptions=True)
        # What they have closed is gone a turn later.
        await asyncio.sleep(0.1)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.CancelledError):
            other = await self._connect()
            if other is None:
                return
            self.connections += 1
            with contextlib.closing(other[1]):
                ways = [_pump(reader, other[1]), _pump(other[0], writer)]
                tasks = [asyncio.ensure_future(way) for way in ways]
                # Whoever of the two goes away first ends the whole.
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        targets = list(self._targets())
        for url in self._chance.sample(targets, len(targets)):
            with contextlib.suppress(OSError):
                place = urlsplit(url)
                return await asyncio.open_connection(place.hostname, place.port)
        return None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
