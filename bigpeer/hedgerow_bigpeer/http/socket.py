"""WebSockets as uvicorn speaks them, but for how they end with the server."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState


class SocketProtocol(WebSocketsSansIOProtocol):
    """A connection that the other side is closing may be shut down too: uvicorn would raise, and with that
    the whole server would end in disorder.
    """

    def shutdown(self) -> None:
        """End it."""
        try:
            super().shutdown()
        except InvalidState:
            self.transport.close()
