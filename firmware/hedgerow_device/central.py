"""A connection that this board makes: connect, exchange the MTU, find the service, subscribe, exchange."""

import bluetooth

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.sync import gatt

from . import radio
from .link import Link

_CONNECT_MS = const(2000)
_STEP_MS = const(6000)
_LINGER_MS = const(300)
_SUBSCRIBE = b"\x01\x00"
_DEFAULT_MTU = const(23)


class Central:
    """One attempt at one address (7 bytes: its type, then itself). OSError if the radio refuses to begin.

    `done` at the end; `succeeded` if the exchange went to its end. `connecting` until the link is up:
    the radio cannot scan meanwhile.
    """

    def __init__(self, ears: object, peer: object, address: bytes, now: int, about: list, tight: int):
        self.address = address
        self.connecting = True
        self.done = False
        self.succeeded = False
        self.error: HedgerowError | None = None
        self.link: Link | None = None
        self._radio = ears
        self._peer = peer
        self._about = about
        self._tight = tight
        self._conn: int | None = None
        self._mtu = _DEFAULT_MTU
        self._service: tuple | None = None
        self._rx = 0
        self._tx = 0
        self._switch = 0
        self._deadline = now + _CONNECT_MS + _STEP_MS
        self._closing = False
        ears.ble.gap_connect(address[0], address[1:], _CONNECT_MS)

    def handle(self, event: tuple, now: int) -> None:
        """Take an event of the radio."""
        kind = event[0]
        if kind == radio.PERIPHERAL_CONNECT and self._conn is None and event[3] == self.address[1:]:
            self._conn = event[1]
            self.connecting = False
            while self._radio.take_notified():
                pass
            self._radio.notifier = event[1]
            self._next(now, self._radio.ble.gattc_exchange_mtu)
        elif kind == radio.PERIPHERAL_DISCONNECT and (self._conn is None or event[1] == self._conn):
            self._end()
        elif self._conn is not None and event[1] == self._conn and not self._closing:
            self._advance(kind, event, now)

    def _advance(self, kind: int, event: tuple, now: int) -> None:
        ble = self._radio.ble
        if kind == radio.MTU_EXCHANGED:
            self._mtu = event[2]
            self._next(now, ble.gattc_discover_services, bluetooth.UUID(gatt.SERVICE))
        elif kind == radio.SERVICE_RESULT:
            self._service = event[2:4]
        elif kind == radio.SERVICE_DONE:
            if self._service is None:
                self._fail("GATT_SERVICE", "not there")
            else:
                self._next(now, ble.gattc_discover_characteristics, *self._service)
        elif kind == radio.CHARACTERISTIC_RESULT:
            if event[5] == radio.IS_RX:
                self._rx = event[3]
            elif event[5] == radio.IS_TX:
                self._tx = event[3]
        elif kind == radio.CHARACTERISTIC_DONE:
            if not self._rx or not self._tx:
                self._fail("GATT_SERVICE", "characteristics")
            else:
                self._next(now, ble.gattc_discover_descriptors, self._tx, self._service[1])
        elif kind == radio.DESCRIPTOR_RESULT:
            if not self._switch and event[3] == radio.IS_SWITCH:
                self._switch = event[2]
        elif kind == radio.DESCRIPTOR_DONE:
            if not self._switch:
                self._fail("GATT_SERVICE", "no notifications")
            else:
                self._next(now, ble.gattc_write, self._switch, _SUBSCRIBE, 1)
        elif kind == radio.WRITE_DONE and self.link is None:
            if event[3]:
                self._fail("GATT_SERVICE", "subscription: %d" % event[3])
            else:
                self.link = Link(
                    self._peer, self._conn, self._mtu, self._write, now,
                    linger_ms=_LINGER_MS, central=True, about=self._about, tight=self._tight,
                )  # fmt: skip

    def _next(self, now: int, call: object, *args: object) -> None:
        self._deadline = now + _STEP_MS
        try:
            call(self._conn, *args)
        except OSError as error:
            self._fail("GATT_FAILED", str(error))

    def _write(self, chunk: bytes) -> None:
        self._radio.ble.gattc_write(self._conn, self._rx, chunk, 0)

    def step(self, now: int) -> None:
        """Move bytes; end what takes too long."""
        link = self.link
        if link and not self._closing:
            while True:
                data = self._radio.take_notified()
                if not data:
                    break
                link.receive(data, now)
            if link.pump(now):
                self._radio.wake()
            if link.finished or link.failed:
                self.error = link.error
                self.succeeded = link.finished and not link.error
                self._disconnect(now)
        elif now > self._deadline:
            if self._closing:
                self._end()
            elif self._conn is None:
                self._radio.ble.gap_connect(None)
                self._deadline = now + _STEP_MS
                self._closing = True
            else:
                self._fail("GATT_TIMEOUT", "no answer")
                self._disconnect(now)

    def abort(self, now: int) -> None:
        """Give the session up."""
        self.link = None
        self._fail("DEVICE_MEMORY", "session given up")
        if not self._closing:
            self._disconnect(now)

    def _fail(self, code: str, detail: str) -> None:
        # The first error is the cause of those behind it.
        self.error = self.error or HedgerowError(code, detail)
        self._deadline = 0

    def _disconnect(self, now: int) -> None:
        self._closing = True
        self._deadline = now + _STEP_MS
        if self._conn is None or not self._radio.disconnect(self._conn):
            self._end()

    def _end(self) -> None:
        self.connecting = False
        self._radio.notifier = radio.NO_SESSION
        self.done = True
