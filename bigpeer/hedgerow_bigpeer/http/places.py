"""Streams that stay open: so many in all, and no caller holds more than its share of them."""

from collections import Counter
from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from hedgerow.errors import HedgerowError

from .. import limits


class Places:
    """The places of one kind of stream; `most()` is how many there are."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    def take(self, holder: str) -> None:
        """Hold a place, until leave(). Raises OBSERVERS_FULL."""
        if self._held.total() >= self._most():
            raise HedgerowError("OBSERVERS_FULL", str(self._most()))
        if self._held[holder] >= limits.STREAMS_PER_CALLER:
            raise HedgerowError("OBSERVERS_FULL", f"{limits.STREAMS_PER_CALLER} of one caller")
        self._held[holder] += 1

    def leave(self, holder: str) -> None:
        """Give a place back."""
        self._held[holder] -= 1
        if self._held[holder] <= 0:
            del self._held[holder]


class EventStream(StreamingResponse):
    """Server-sent events. `close` is called at the end, also if whoever asked went away before they began."""

    def __init__(self, events: AsyncIterator[bytes], close: Callable[[], None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()
