"""A keeper on an SQLite log that takes sessions over WebSockets: `python -m bench.rate_server LOG`.

Prints its port, and serves until it is killed. It is the gateway's log, line and loop on the other side of
its uplink: two peers of the same make.
"""

import asyncio
import sys
import time

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_RECORD
from hedgerow.mesh.tag import mesh_tag
from hedgerow.operation import SOURCE_KEEPER
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange
from hedgerow_gateway.limits import CREDIT_BYTES
from hedgerow_gateway.line import Line
from hedgerow_gateway.sqlite_log import SqliteLog

_UNIX_2000 = 946_684_800


def now() -> int:
    return time.monotonic_ns() // 1_000_000


async def main(path: str) -> None:
    log = SqliteLog(path)
    peer = Peer(log, now(), name="keeper", mesh=mesh_tag("demo"), keeper=True, credit=CREDIT_BYTES)
    peer.set_time(int((time.time() - _UNIX_2000) * 1000), 50, SOURCE_KEEPER, now())

    async def handle(socket: ServerConnection) -> None:
        line = Line(peer, Exchange(peer, now(), linger_ms=None), now, MAX_RECORD)

        async def read() -> None:
            try:
                async for message in socket:
                    assert isinstance(message, bytes)
                    await line.feed(message)
            except ConnectionClosed:
                pass
            line.cut(HedgerowError("UPLINK_LOST", "closed by the other side"))

        reader = asyncio.create_task(read())
        try:
            with line.listening():
                await line.run(socket.send)
        except HedgerowError as error:
            if error.code != "UPLINK_LOST":
                raise
        finally:
            reader.cancel()

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
