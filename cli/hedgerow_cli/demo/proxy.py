"""A TCP proxy in the place of the internet between gateway and Big Peer; it can be cut.

Before several nodes it is a balancer.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from types import TracebackType

_CHUNK = 16 * 1024
_START_SECONDS = 10.0


class Proxy:
    """Passes bytes between whoever connects to `port` and `target_port`, both on 127.0.0.1.

    With `more` targets each takes connections in its turn; one that does not answer is passed over.
    `outages` counts cuts that ended at least one connection, `links` has the open ones by target.
    """

    def __init__(self, target_port: int, *more: int) -> None:
        self.port = 0
        self.outages = 0
        self.links: Counter[int] = Counter()
        self._targets = [target_port, *more]
        self._down = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise TimeoutError("the proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    @property
    def connected(self) -> bool:
        return bool(self._writers)

    def cut(self) -> None:
        """End every connection, and each new one at once, until restore()."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def restore(self) -> None:
        self._down = False

    async def _cut(self) -> None:
        self._down = True
        self.outages += bool(self._writers)
        self._abort()

    def _abort(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._ended.wait()
        server.close()
        self._abort()
        await server.wait_closed()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            target, far_reader, far_writer = await self._connect()
            both = {writer, far_writer}
            self._writers |= both
            self.links[target] += 1
            try:
                await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            finally:
                self.links[target] -= 1
                self._writers -= both
                for each in both:
                    each.transport.abort()
            return
        writer.transport.abort()

    async def _connect(self) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter]:
        error: OSError | None = None
        for target in list(self._targets):
            # The next one begins with the next target.
            self._targets.append(self._targets.pop(0))
            try:
                return target, *await asyncio.open_connection("127.0.0.1", target)
            except OSError as failed:
                error = failed
        assert error is not None
        raise error

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
