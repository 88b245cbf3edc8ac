"""A GATT link: an exchange on one side, chunks of the connection's MTU on the other."""

import errno
import gc

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.sync.exchange import Exchange

# Longest record that a board makes: it is held in RAM until its last chunk has gone.
_RECORD = const(640)
_RECORD_WHEN_TIGHT = const(256)
_TIGHT = const(12288)
_LEAST_READ = const(64)
_CHUNKS_PER_TURN = const(12)
# Out of buffers: the same chunk goes again later.
_BUSY = (errno.ENOMEM, errno.EAGAIN, errno.EALREADY, 16)


class Link:
    """One connection. `send(chunk)` gives a chunk to the radio and may raise OSError.

    `tight` says how often memory ran out lately: less is read and packed at once then. `failed` says that
    the connection is of no more use; `finished` that the exchange is done.
    """

    def __init__(
        self, peer: object, conn: int, mtu: int, send: object, now: int, *,
        linger_ms: int | None, central: bool, about: list | None = None, tight: int = 0,
    ):  # fmt: skip
        self.conn = conn
        self.mtu = mtu
        self.failed = False
        self.exchange = Exchange(peer, now, linger_ms=linger_ms, central=central, about=about)
        self._tight = tight
        self._send = send
        self._record = b""
        self._at = 0

    def receive(self, data: bytes, now: int) -> None:
        """Take bytes that came."""
        if data:
            self.exchange.receive(data, now)

    def pump(self, now: int) -> bool:
        """Send what there is to send, as far as the radio takes it; say whether there may be more at once."""
        sent = False
        for _ in range(_CHUNKS_PER_TURN):
            if self._at >= len(self._record):
                self._record = self.exchange.outgoing(self._limit(), now)
                self._at = 0
                if not self._record:
                    break
            chunk = self._record[self._at : self._at + self.mtu - 3]
            try:
                self._send(chunk)
            except OSError as error:
                self.failed = error.errno not in _BUSY
                break
            self._at += len(chunk)
            sent = True
        keys = self.exchange.session.keys
        return sent or (keys is not None and keys.working)

    def _limit(self) -> int:
        """Return how long the next record may be; before the keys are there each is short."""
        keys = self.exchange.session.keys
        return self._make_room() if keys is None or keys.done else _RECORD_WHEN_TIGHT

    def _make_room(self) -> int:
        """Fit what the next record is made of into the heap; return how long it may be."""
        gc.collect()
        free = gc.mem_free()
        # Operations are decoded to be packed, which takes about fifty times their bytes.
        self.exchange.peer.log.read_limit = max(_LEAST_READ, free >> 7 + self._tight)
        return _RECORD_WHEN_TIGHT if self._tight or free < _TIGHT else _RECORD

    @property
    def finished(self) -> bool:
        """Whether both sides are done and everything has gone out."""
        return self.exchange.finished and self._at >= len(self._record)

    @property
    def error(self) -> HedgerowError | None:
        """Why the exchange ended early, if it did."""
        return self.exchange.error
