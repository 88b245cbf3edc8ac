"""One session with a board over GATT: records as a byte stream, in chunks that fit the MTU (SPEC 7.2)."""

from collections.abc import Callable
from dataclasses import dataclass

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.exc import BleakError

from hedgerow.crypto.handshake import Gate
from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_RECORD
from hedgerow.peer import Peer
from hedgerow.sync import gatt
from hedgerow.sync.exchange import Exchange
from hedgerow.sync.hello import Hello

from . import limits
from .adapter import Adapter
from .bounded import bounded
from .enrolment import Enrolment
from .forks import Forks, make_exchange
from .line import Line


@dataclass(frozen=True)
class Visit:
    """What one session brought: who answered, its last summary, the receipts that it knows now, and the codes
    of refused authors."""

    remote: Hello
    summary: list[int | bytes] | None
    told: list[tuple[bytes, int, int, int]]
    refused: list[str]


class BleLink:
    """Sessions of `peer` with boards that `adapter` hears; counts the bytes of those that have ended.

    With an `enrolment` they have keys; `gate` has the key that boards ask of strangers. `forks` keeps the
    evidence of authors that have forked.
    """

    def __init__(
        self,
        peer: Peer,
        adapter: Adapter,
        now: Callable[[], int],
        *,
        linger_ms: int = limits.LINGER_MS,
        session_s: float = limits.SESSION_S,
        stall_s: float = limits.STALL_S,
        enrolment: Enrolment | None = None,
        gate: Gate | None = None,
        forks: Forks | None = None,
    ) -> None:
        self._forks = forks
        self._enrolment = enrolment
        self._gate = gate
        self.bytes_in = 0
        self.bytes_out = 0
        self._peer = peer
        self._adapter = adapter
        self._now = now
        self._linger_ms = linger_ms
        self._session_s = session_s
        self._stall_ms = int(stall_s * 1000)

    async def visit(self, address: str, about: list[bytes]) -> Visit:
        """Connect, exchange until both sides have nothing more, disconnect; `about` is Exchange's.

        Raises HedgerowError: RADIO_*, LINK_*, and the codes of sessions. Whatever had been committed
        before the error stays; the next visit goes on from there.
        """
        exchange: Exchange | None = None
        line: Line | None = None

        def lost() -> None:
            if line is not None:
                line.cut(HedgerowError("LINK_LOST", f"{address} disconnected"))

        client = await self._adapter.connect(address, lost)
        try:
            now, linger_ms = self._now(), self._linger_ms
            keys = None if self._enrolment is None else self._enrolment.greeting(now, address, self._gate)
            exchange = make_exchange(self._forks, self._peer, now, linger_ms, about, keys)
            line = Line(self._peer, exchange, self._now, MAX_RECORD, self._stall_ms)
            if not client.is_connected:
                lost()
            with line.listening():
                await bounded(
                    self._talk(client, line), self._session_s, "LINK_TOO_LONG", f"session with {address}"
                )
        finally:
            if exchange is not None and exchange.session.keys and self._enrolment is not None:
                self._enrolment.met(exchange.session.keys, address)
            if line is not None:
                self.bytes_in += line.bytes_in
                self.bytes_out += line.bytes_out
            await self._adapter.release(client)
        remote = exchange.remote
        if remote is None:
            raise HedgerowError("LINK_LOST", f"{address} said nothing")
        return Visit(remote, exchange.summary, exchange.told(), list(exchange.refused.values()))

    async def _talk(self, client: BleakClient, line: Line) -> None:
        rx, tx = _characteristics(client)

        def notified(_: BleakGATTCharacteristic, data: bytearray) -> None:
            line.push(bytes(data))

        async def send(record: bytes) -> None:
            chunk = min(max(rx.max_write_without_response_size, limits.CHUNK_MIN), limits.CHUNK_MAX)
            for at in range(0, len(record), chunk):
                part = record[at : at + chunk]
                await self._adapter.call(client.write_gatt_char(rx, part, response=False), "write")

        await self._adapter.call(client.start_notify(tx, notified), "subscribe")
        await line.run(send)


def _characteristics(client: BleakClient) -> tuple[BleakGATTCharacteristic, BleakGATTCharacteristic]:
    try:
        service = client.services.get_service(gatt.SERVICE)
    except BleakError as error:
        raise HedgerowError("LINK_LOST", f"{client.address}: {error}") from error
    rx = service.get_characteristic(gatt.RX) if service else None
    tx = service.get_characteristic(gatt.TX) if service else None
    if rx is None or tx is None:
        raise HedgerowError("LINK_SERVICE", f"{client.address} has no Hedgerow service")
    return rx, tx
