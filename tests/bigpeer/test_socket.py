"""WebSockets at the end of a server."""

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from hedgerow_bigpeer.http.socket import SocketProtocol


class Line(asyncio.Transport):
    """Keeps what is written; it is closed once all was taken, which here is never."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closes = 0

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closes += 1

    def is_closing(self) -> bool:
        return self.closes > 0


async def application(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def shut_down(*, closing: bool) -> Line:
    config = Config(application, ws=SocketProtocol, lifespan="off", log_config=None)
    config.load()
    line, state = Line(), ServerState()
    protocol = SocketProtocol(config, state, {})
    protocol.connection_made(line)
    client = ClientProtocol(parse_uri("ws://127.0.0.1/"))
    client.send_request(client.connect())
    protocol.data_received(b"".join(client.data_to_send()))
    while b"101" not in line.sent:
        await asyncio.sleep(0)
    client.receive_data(line.sent)
    if closing:
        client.send_close()
        protocol.data_received(b"".join(client.data_to_send()))
        # The answer waits in a buffer that nobody reads.
        assert protocol in state.connections
    protocol.shutdown()
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)
    return line


def test_a_server_ends_in_order_while_a_peer_is_closing() -> None:
    for closing in (False, True):
        assert asyncio.run(shut_down(closing=closing)).closes > 0, closing
