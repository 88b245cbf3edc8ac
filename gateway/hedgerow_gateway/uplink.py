"""The uplink: one WebSocket to a Big Peer, made again for ever with growing pauses.

A binary message is one session record. The session stays open and pushes what the peer commits; what
was recorded during an outage is read from the log when the other side has said how far it holds it, so
an outage of any length costs no memory. A slow uplink holds the log's reader back (the socket's write
buffer, then the session's credit), and a slow log holds the server back (the socket's read buffer).
"""

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_RECORD
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange

from . import limits
from .bounded import Backoff, bounded
from .delegate import Delegate
from .enrolment import Enrolment, poster
from .forks import Forks
from .line import Line

logger = logging.getLogger(__name__)


@dataclass
class UplinkCounters:
    """What the uplink did since the start. An outage is the end of a greeted session, goodbye or not."""

    attempts: int = 0
    sessions: int = 0
    outages: int = 0
    failures: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    resumed: int = 0
    renewals: int = 0
    last_error: str = ""


class Uplink:
    """Keeps `peer` in session with the Big Peer at `url` (ws:// or wss://) while `run` runs.

    `on_outgrown` is called when the Big Peer holds operations under our own name that we do not. With an
    `enrolment` sessions have keys, and its credential is renewed in time; what a `delegate` has issued is
    countersigned, and evidence of `forks` is shown.
    """

    def __init__(
        self,
        peer: Peer,
        url: str,
        now: Callable[[], int],
        rng: random.Random,
        *,
        first_pause_s: float = limits.BACKOFF_FIRST_S,
        max_pause_s: float = limits.BACKOFF_MAX_S,
        on_outgrown: Callable[[HedgerowError], None] | None = None,
        enrolment: Enrolment | None = None,
        delegate: Delegate | None = None,
        forks: Forks | None = None,
    ) -> None:
        self._forks = forks
        self._enrolment = enrolment
        self._delegate = delegate
        # Whether the Big Peer's credential is by an issuer that ours does not come with.
        self._outdated = False
        self.url = url
        self.counters = UplinkCounters()
        self._peer = peer
        self._now = now
        self._on_outgrown = on_outgrown
        self._backoff = Backoff(first_pause_s, max_pause_s, rng)
        self._line: Line | None = None

    @property
    def connected(self) -> bool:
        """Whether a session is up that the other side has greeted."""
        return self._line is not None and self._line.exchange.remote is not None

    async def run(self) -> None:
        """Connect, exchange, and connect again, until cancelled."""
        while True:
            try:
                await self._attempt()
            except (HedgerowError, OSError, WebSocketException) as error:
                self._failed(error)
            await asyncio.sleep(self._backoff.pause())

    def _failed(self, error: Exception) -> None:
        self.counters.failures += 1
        coded = error if isinstance(error, HedgerowError) else HedgerowError("UPLINK_LOST", str(error))
        # An outage of days says the same thing every minute; the log is told when that changes.
        level = logging.DEBUG if str(coded) == self.counters.last_error else logging.WARNING
        logger.log(level, "uplink %s: %s", self.url, coded)
        self.counters.last_error = str(coded)

    async def _attempt(self) -> None:
        """One connection and its session, to the end of either."""
        self.counters.attempts += 1
        if self._enrolment is not None:
            await self._renew(self._enrolment)
            await self._show()
        socket = await connect(
            self.url,
            open_timeout=limits.UPLINK_OPEN_S,
            close_timeout=limits.UPLINK_CLOSE_S,
            ping_interval=limits.UPLINK_PING_S,
            ping_timeout=limits.UPLINK_PING_S,
            max_size=limits.MESSAGE_BYTES,
            compression=None,
        )
        async with socket:
            began = self._now()
            keys = None if self._enrolment is None else self._enrolment.greeting(began)
            exchange = Exchange(self._peer, began, linger_ms=None, central=True, keys=keys)
            line = self._line = Line(self._peer, exchange, self._now, MAX_RECORD)
            try:
                await self._exchange(socket, line)
                self.counters.outages += 1
            except asyncio.CancelledError:
                raise
            except HedgerowError as error:
                self.counters.outages += self.connected
                self._check_outgrown(exchange)
                self._outdated = error.code == "CREDENTIAL_ISSUER"
                if error.code == "HANDSHAKE_REFUSED":
                    raise await _reason(socket, error) from None
                raise
            except BaseException:
                self.counters.outages += self.connected
                self._check_outgrown(exchange)
                raise
            finally:
                if keys is not None and self._enrolment is not None and self.connected:
                    self._enrolment.met(keys)
                    self.counters.resumed += keys.channel.resumed
                self.counters.sessions += self.connected
                # A server that accepts and says nothing is no success, however long that takes.
                if self.connected and self._now() - began >= limits.STEADY_S * 1000:
                    self._backoff.reset()
                self.counters.bytes_in += line.bytes_in
                self.counters.bytes_out += line.bytes_out
                self._line = None

    async def _stay_enrolled(self) -> None:
        while self._enrolment is not None:
            await asyncio.sleep(limits.RENEWAL_LOOK_S)
            try:
                await self._renew(self._enrolment)
                await self._show()
            except (HedgerowError, OSError) as error:
                # The next look may find better: a file that is being written, a Big Peer that answers.
                logger.warning("%s: the credential is not looked after: %s", self.url, error)

    async def _renew(self, enrolment: Enrolment) -> None:
        """Have the credential renewed if it is time. It is good enough as it is while it names our log."""
        enrolment.refresh()
        self._adopt(enrolment)
        claims = enrolment.claims
        if not self._outdated and not enrolment.due(time.time()):
            return
        try:
            await asyncio.to_thread(enrolment.renew, poster(self.url))
            self._outdated = False
            self.counters.renewals += 1
            self._adopt(enrolment)
        except HedgerowError as error:
            if claims.author != enrolment.author:
                raise
            logger.warning("%s: the credential is not renewed: %s", self.url, error)

    async def _show(self) -> None:
        """Show what was issued and found here; that nobody answers is no reason against a session.

        Evidence may name what was issued, and whatever becomes of it is no reason against countersigning.
        """
        for shown in (self._countersign, self._show_forks):
            try:
                await asyncio.to_thread(shown)
            except HedgerowError as error:
                logger.warning("%s: what was issued and found here waits: %s", self.url, error)
                if error.code == "UPLINK_LOST":
                    return

    def _countersign(self) -> None:
        if self._delegate is not None:
            for board in self._delegate.countersign(poster(self.url)):
                known = board.read.claims
                logger.info("%s: board %s, %s: %s", self.url, known.cti.hex(), known.subject, board.state)

    def _show_forks(self) -> None:
        if self._forks is not None:
            self._forks.show(poster(self.url))

    def _adopt(self, enrolment: Enrolment) -> None:
        """Let own seals name the credential that is in the file, whoever has put it there."""
        members, found = self._peer.members, enrolment.credential
        if members is not None and found is not None and found is not members.own:
            members.enrol(found)

    def _check_outgrown(self, exchange: Exchange) -> None:
        error = exchange.error
        if error is None or error.code != "SYNC_OWN_AUTHOR" or self._on_outgrown is None:
            return
        # Only who ends a session itself is `ending`: it is our name, not the other side's.
        if exchange.session.ending:
            self._on_outgrown(HedgerowError(error.code, f"{error.detail}, at {self.url}"))

    async def _exchange(self, socket: ClientConnection, line: Line) -> None:
        async def send(record: bytes) -> None:
            await bounded(socket.send(record), limits.UPLINK_SEND_S, "UPLINK_LOST", "send")

        tasks = {asyncio.create_task(self._read(socket, line)), asyncio.create_task(self._stay_enrolled())}
        try:
            with line.listening():
                await line.run(send)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    @staticmethod
    async def _read(socket: ClientConnection, line: Line) -> None:
        try:
            async for message in socket:
                if isinstance(message, str):
                    line.cut(HedgerowError("UPLINK_MESSAGE", "a text message"))
                    return
                await line.feed(message)
            line.cut(HedgerowError("UPLINK_LOST", "closed by the other side"))
        except ConnectionClosed as error:
            line.cut(HedgerowError("UPLINK_LOST", str(error)))


async def _reason(socket: ClientConnection, error: HedgerowError) -> HedgerowError:
    """Return what the end of the socket says of a handshake that was refused, or the error."""
    await asyncio.wait([asyncio.create_task(socket.wait_closed())], timeout=limits.REFUSAL_S)
    reason = socket.close_reason or ""
    return HedgerowError(reason, "said by the Big Peer") if re.fullmatch(r"[A-Z_]{1,32}", reason) else error
