"""An exported log brought to a Big Peer or a gateway, as a relay that carried it would bring it.

The copy is opened under another name than the board's: the board goes on under its own, and one number must
never have two contents. Nothing is written by this peer, and nothing in the file.
"""

import asyncio
import contextlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_RECORD
from hedgerow.log import local_author, new_author
from hedgerow.mesh.tag import mesh_tag
from hedgerow.peer import Peer
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import RELAY
from hedgerow_cli.limits import DELIVERY_SESSION_SECONDS
from hedgerow_cli.logfile.image import Custody, custody
from hedgerow_gateway.config import check_uplink
from hedgerow_gateway.enrolment import Enrolment
from hedgerow_gateway.line import Line

_PATH = "/api/hedgerow/v1/sync"
_PAUSE_S = 1.0
# Receipts come with the session; what came last is receipted a moment after it.
_LINGER_MS = 1000
_CREDIT = 65536


class Courier(Peer):
    """A relay that carries what a log holds and writes nothing of its own."""

    def _boot(self, now: int) -> None:
        self.epoch = 0

    def set_time(self, utc_ms: int, error_ms: int, source: int, now: int, proven: bool = False) -> bool:
        """Take no time: that would be an operation of our own."""
        return False

    def wants(self, now: int, keeper: bool = False) -> bool:
        """Say that nothing is asked for: the board's interests, which the log remembers, are not ours."""
        return False


@dataclass(frozen=True)
class Delivery:
    """What came of it: sessions, operations that went out, readings that were open before and are now;
    `unsealed` of these their author has not sealed, so that no receipt can cover them: they have arrived."""

    sessions: int
    operations_sent: int
    readings_before: int
    readings_after: int
    unsealed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def url_of(text: str) -> str:
    """The address for a session: of a Big Peer's http:// address, its sync endpoint. ARGUMENTS_INVALID."""
    for scheme, other in (("http://", "ws://"), ("https://", "wss://")):
        if text.startswith(scheme):
            rest = text.removeprefix(scheme).rstrip("/")
            return other + (rest if "/" in rest else rest + _PATH)
    try:
        check_uplink("URL", text)
    except HedgerowError as error:
        raise HedgerowError("ARGUMENTS_INVALID", error.detail) from None
    return text


def deliver(log: Any, url: str, mesh: str, patience_s: float, identity: Path | None = None) -> Delivery:
    """Bring everything open in `log` to the peer at `url`; try again for `patience_s` seconds.

    `identity` is the file of who carries it, where strangers are not let in. Raises LOG_DELIVERY if something
    is left then, which says what went wrong last.
    """
    enrolment = None if identity is None else Enrolment(identity)
    return asyncio.run(_deliver(log, url_of(url), mesh, patience_s, enrolment))


async def _deliver(log: Any, url: str, mesh: str, patience_s: float, enrolment: Enrolment | None) -> Delivery:
    owner = log.author
    before = custody(log)
    log.author = new_author() if enrolment is None else enrolment.author
    peer = Courier(log, _now(), name="log deliver", role=RELAY, mesh=mesh_tag(mesh), credit=_CREDIT)
    deadline = time.monotonic() + patience_s
    sessions = sent = 0
    trouble = "not everything was receipted"
    while True:
        carried = None
        try:
            carried = await asyncio.wait_for(_session(peer, url, enrolment), DELIVERY_SESSION_SECONDS)
        except (HedgerowError, OSError, WebSocketException, TimeoutError) as error:
            trouble = str(error)
        if carried is not None:
            sessions += 1
            sent += carried
            after = custody(log)
            # A session in which there was nothing to send: the other side has said that it holds it all.
            if not carried and not _sealed_and_open(after, owner):
                return Delivery(sessions, sent, before.readings, after.readings, _unsealed(after, owner))
        if time.monotonic() > deadline:
            raise HedgerowError("LOG_DELIVERY", f"{custody(log).readings} readings are open: {trouble}")
        if not carried:
            await asyncio.sleep(_PAUSE_S)


def _travel(held: Custody, owner: bytes) -> list[Any]:
    """The authors whose operations leave a board: not what it keeps for itself."""
    writers = [owner, *(bytes.fromhex(author.name) for author in held.authors)]
    local = {local_author(writer).hex() for writer in writers}
    return [author for author in held.authors if author.name not in local]


def _sealed_and_open(held: Custody, owner: bytes) -> bool:
    return any(author.sealed > author.receipted for author in _travel(held, owner))


def _unsealed(held: Custody, owner: bytes) -> int:
    return sum(author.readings for author in _travel(held, owner))


async def _session(peer: Peer, url: str, enrolment: Enrolment | None) -> int:
    """One session to its end; returns how many operations it brought."""
    async with connect(url, max_size=MAX_RECORD, compression=None) as socket:
        keys = None if enrolment is None else enrolment.greeting(_now())
        exchange = Exchange(peer, _now(), linger_ms=_LINGER_MS, central=True, keys=keys)
        line = Line(peer, exchange, _now, MAX_RECORD)
        reader = asyncio.create_task(_read(socket, line))
        try:
            with line.listening():
                await line.run(socket.send)
        finally:
            reader.cancel()
            await asyncio.wait({reader})
        if exchange.refused:
            author, why = next(iter(exchange.refused.items()))
            raise HedgerowError("LOG_DELIVERY", f"{author.hex()}: {why}")
        return int(exchange.operations_out)


async def _read(socket: ClientConnection, line: Line) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in socket:
            if isinstance(message, str):
                break
            await line.feed(message)
    line.cut(HedgerowError("UPLINK_LOST", "closed by the other side"))


def _now() -> int:
    return time.monotonic_ns() // 1_000_000
