"""A ready peer in one call, for programs that record on a Pi, a laptop or a server."""

import asyncio
import random
from pathlib import Path
from types import TracebackType
from typing import Self

from hedgerow.errors import HedgerowError
from hedgerow.operation import SOURCE_GATEWAY
from hedgerow.peer import Peer
from hedgerow.sync.hello import RELAY

from .clock import KERNEL, Clock
from .config import host_name
from .gateway import mesh_tag
from .sqlite_log import SqliteLog
from .uplink import Uplink


class LocalPeer(Peer):
    """A Peer on an SQLite file, with its clock and, if it has a URL, its uplink.

    Methods of Peer that want `now` get it from `now()`. Close it, or use it in a `with` block.
    """

    def __init__(self, log: SqliteLog, clock: Clock, *, name: str, mesh: str, kinds: dict[str, int]) -> None:
        super().__init__(log, clock.now(), name=name, role=RELAY, mesh=mesh_tag(mesh), kinds=kinds)
        self.now = clock.now
        self._database = log
        self.uplink: Uplink | None = None
        self._task: asyncio.Task[None] | None = None

    def link(self, url: str) -> None:
        """Keep in session with the Big Peer at `url`, as a task of the running event loop.

        If the Big Peer holds more of this author than this log (a backup was put back), the uplink does not
        come up, and the log goes on as a new author when it is opened the next time.
        """

        def outgrown(_: HedgerowError) -> None:
            self._database.disown()

        self.uplink = Uplink(self, url, self.now, random.Random(), on_outgrown=outgrown)
        self._task = asyncio.get_running_loop().create_task(self.uplink.run())

    def close(self) -> None:
        """End the uplink and close the log."""
        if self._task is not None:
            self._task.cancel()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_peer(
    path: str | Path,
    url: str | None = None,
    *,
    name: str | None = None,
    mesh: str = "demo",
    kinds: dict[str, int] | None = None,
    time: str = KERNEL,
) -> LocalPeer:
    """Open or make the log at `path` and return a ready peer on it.

    `kinds` maps collections to hedgerow's STREAM or KEEP. With `url` (ws:// or wss://) it syncs with a Big
    Peer for as long as the event loop runs that is running now; without a running loop that is
    SETTING_INVALID. Raises the codes of SqliteLog.
    """
    if url is not None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise HedgerowError("SETTING_INVALID", "a peer with a url wants a running event loop") from None
    clock = Clock(time)
    log = SqliteLog(path)
    try:
        peer = LocalPeer(log, clock, name=host_name() if name is None else name, mesh=mesh, kinds=kinds or {})
    except BaseException:
        log.close()
        raise
    reading = clock.read()
    if reading is not None:
        peer.set_time(reading.utc_ms, reading.error_ms, SOURCE_GATEWAY, reading.now)
    if url is not None:
        peer.link(url)
    return peer
