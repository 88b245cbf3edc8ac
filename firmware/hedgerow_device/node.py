"""A board in the mesh: its beacon, its ears, one session as peripheral, one as central."""

import asyncio
import gc

from hedgerow.errors import HedgerowError
from hedgerow.limits import const
from hedgerow.sync import beacon
from hedgerow.sync.hello import LEAF

from . import radio
from .modules import unload
from .uptime import now as uptime

_TICK_MS = const(50)
_BEACON_MS = const(1000)
_RELAY_DUTY = const(50)
_SILENCE_MS = const(60000)
_SCAN_AGAIN_MS = const(500)
# Scans begun anew in vain before the radio is switched off and on; each time after twice as many.
_SILENCES = const(5)
_MOST_SILENCES = const(640)
_MOST_TIGHT = const(4)
_FIRST_WORD_MS = const(10000)
_FAREWELL_MS = const(2000)
_DEFAULT_MTU = const(23)
# About half a kilobyte of a 32-bit heap each.
_NEIGHBOURS = const(6)
_CENTRAL_FREE = const(24576)
_ONCE = "hedgerow_device.flashreclaim hedgerow_device.central hedgerow.trust.lost hedgerow.trust.verify"
_SESSION = (
    "hedgerow_device.link hedgerow.sync.exchange hedgerow.sync.session hedgerow.sync.frames "
    "hedgerow.sync.courier hedgerow.sync.giver hedgerow.sync.taker hedgerow.sync.interest "
    "hedgerow.codec.segment hedgerow.codec.unfold hedgerow.custody.vectors hedgerow.trust.nonce"
)


class Node:
    """Ties a peer to the radio. woken() waits for work, step(now) does it; `idle` says that no session runs.

    `on_error(error)` is called with what ended a session early.
    """

    def __init__(self, peer: object, on_error: object = None):
        self.peer = peer
        self.idle = True
        self._on_error = on_error
        self._flag = asyncio.ThreadSafeFlag()
        self._radio = radio.Radio(self.wake)
        peer.make_room = self._make_room
        peer.give_up = self._give_up
        # What chooses connections is for boards that open some, and have neighbours.
        self._chooses = peer.role != LEAF and _free() >= _CENTRAL_FREE
        self._neighbours: object = None
        self._counter = 0
        self._beacon_at = 0
        self._advertised = False
        self._scan_at = 0
        self._heard = 0
        self._heard_at = 0
        # The connection that a central has made to us, and its link once the central has spoken.
        self._conn: int | None = None
        self._conn_mtu = _DEFAULT_MTU
        self._conn_at = 0
        self._link: object = None
        self._ended_at: int | None = None
        self._central: object = None
        self._tight = 0
        self._silences = 0
        self._patience = _SILENCES

    def wake(self) -> None:
        """Make step() run soon; safe in an interrupt handler."""
        self._flag.set()

    async def woken(self) -> None:
        """Wait until there may be work."""
        await self._flag.wait()

    async def tick(self) -> None:
        """Wake at least every 50 ms, for what is due without an event."""
        while True:
            self._flag.set()
            await asyncio.sleep_ms(_TICK_MS)

    def step(self, now: int) -> None:
        """Do what there is to do now."""
        while True:
            event = self._radio.take_event()
            if event is None:
                break
            self._handle(event, now)
        self._hear(now)
        if self._conn is not None:
            self._serve(now)
        if self._central:
            self._central.step(now)
            if self._central.done:
                self._part(now)
        elif self._neighbours and self._conn is None:
            # One session at a time: two do not fit the heap of the smallest board.
            self._seek(now)
        self._listen(now)
        self._speak(now)
        idle = self._conn is None and self._central is None
        if idle and not self.idle:
            self._clear_up()
        self.idle = idle

    def drop(self, now: int) -> None:
        """Give up the sessions, to get their memory back; what was acknowledged is kept.

        The next ones pack less at once, until one has gone to its end.
        """
        self._tight = min(self._tight + 1, _MOST_TIGHT)
        if self._conn is not None:
            self._link = None
            self._ended_at = now - _FAREWELL_MS - 1
        if self._central:
            self._central.abort(now)

    def _give_up(self) -> None:
        """Make room for a reading, at the price of what could be sent again."""
        self.drop(uptime())
        gc.collect()

    def _clear_up(self) -> None:
        """Give back the memory of what only the session that ended has needed."""
        unload(_ONCE)

    def _make_room(self) -> None:
        """Give back what sessions need, before a statement that needs documents."""
        if self.idle:
            unload(_SESSION)

    # ---- events

    def _handle(self, event: tuple, now: int) -> None:
        kind = event[0]
        if kind == radio.CENTRAL_CONNECT:
            if self._conn is None:
                self._conn = event[1]
                self._conn_mtu = _DEFAULT_MTU
                self._conn_at = now
            self._advertised = False
        elif kind == radio.CENTRAL_DISCONNECT:
            if event[1] == self._conn:
                self._hang_up(now)
            self._advertised = False
        elif kind == radio.MTU_EXCHANGED and event[1] == self._conn:
            self._conn_mtu = event[2]
            if self._link:
                self._link.mtu = event[2]
        elif kind == radio.SCAN_DONE:
            self._radio.scanning = False
            self._scan_at = now + (_SCAN_AGAIN_MS if self._central is None else 0)
        elif self._central and kind != radio.GATTS_WRITE:
            self._central.handle(event, now)

    def _hear(self, now: int) -> None:
        while True:
            report = self._radio.take_report()
            if report is None:
                return
            try:
                state = beacon.decode(report[2])
            except HedgerowError:
                continue
            if isinstance(state, beacon.State) and state.mesh == self.peer.mesh:
                self._note(report[0], state, report[1], now)

    def _note(self, address: bytes, state: object, rssi: int, now: int) -> None:
        """Remember a neighbour whom this board may have to visit; of the others only the way to a keeper."""
        peer = self.peer
        peer.note_distance(state.distance, now)
        if state.distance > peer.distance(now) or (state.flags & beacon.WANTS_TIME and peer.utc(now)):
            if self._neighbours is None and self._chooses:
                from hedgerow.sync.neighbours import Neighbours

                self._neighbours = Neighbours(limit=_NEIGHBOURS)
            if self._neighbours is not None:
                self._neighbours.heard(address, state, rssi, now)
        elif self._neighbours is not None:
            self._neighbours.forget(address)

    # ---- the session with a central

    def _serve(self, now: int) -> None:
        data = self._radio.take_written()
        if self._link is None and self._ended_at is None:
            # The central speaks first: before that it may not listen to notifications yet.
            if data:
                from .link import Link

                self._link = Link(
                    self.peer, self._conn, self._conn_mtu, self._notify, now,
                    linger_ms=None, central=False, tight=self._tight,
                )  # fmt: skip
            elif now - self._conn_at > _FIRST_WORD_MS:
                self._ended_at = now - _FAREWELL_MS - 1
        link = self._link
        if link and self._ended_at is None:
            link.receive(data, now)
            if link.pump(now):
                self.wake()
            if link.finished or link.failed:
                self._ended_at = now
        if self._ended_at is not None and now - self._ended_at > _FAREWELL_MS:
            self._radio.ble.gap_disconnect(self._conn)
            self._ended_at = now

    def _notify(self, chunk: bytes) -> None:
        self._radio.ble.gatts_notify(self._conn, self._radio.tx, chunk)

    def _hang_up(self, now: int) -> None:
        link = self._link
        if link and link.finished and not link.error:
            self._tight = 0
        self._conn = self._link = self._ended_at = None
        self._radio.take_written()
        if link and link.error and self._on_error:
            self._on_error(link.error)

    # ---- the session as a central

    def _seek(self, now: int) -> None:
        address = self._neighbours.candidate(self.peer, now)
        if address is None:
            return
        if _free() < _CENTRAL_FREE:
            # This heap carries the board's own sessions, and not those that it would open besides.
            return
        from .central import Central

        try:
            about = self._neighbours.authors(address)
            self._central = Central(self._radio, self.peer, address, now, about, self._tight)
            self._advertised = False
        except OSError:
            self._neighbours.failed(address, now)

    def _part(self, now: int) -> None:
        central = self._central
        self._central = None
        self._advertised = False
        if central.succeeded:
            exchange = central.link.exchange
            self._neighbours.synced(central.address, exchange.summary, now, exchange.told())
        else:
            self._neighbours.failed(central.address, now)
            if central.error and self._on_error:
                self._on_error(central.error)

    # ---- ears and voice

    def _listen(self, now: int) -> None:
        if self.peer.role == LEAF or (self._central and self._central.connecting):
            return
        ears = self._radio
        if ears.heard != self._heard:
            self._heard = ears.heard
            self._heard_at = now
            self._silences = 0
            self._patience = _SILENCES
        elif now - self._heard_at > _SILENCE_MS:
            # Scanning has been seen to stop without a word on ESP32.
            self._heard_at = now
            self._silences += 1
            if self.idle and self._silences >= self._patience:
                self._silences = 0
                self._patience = min(2 * self._patience, _MOST_SILENCES)
                ears.restart()
                self._advertised = False
            elif ears.scanning:
                ears.ble.gap_scan(None)
            return
        if not ears.scanning and now >= self._scan_at:
            try:
                ears.scan(_RELAY_DUTY)
            except OSError:
                self._scan_at = now + _SCAN_AGAIN_MS

    def _speak(self, now: int) -> None:
        if now < self._beacon_at and self._advertised:
            return
        if now >= self._beacon_at:
            self._counter = self._counter + 1 & 0xFFFF
            self._beacon_at = now + _BEACON_MS
        state = self.peer.state_beacon(self._counter, now)
        connectable = self._conn is None and self._central is None
        if not connectable:
            state.flags &= ~beacon.CONNECTABLE
        try:
            self._radio.advertise(beacon.encode_state(state), connectable)
            self._advertised = True
        except OSError:
            self._advertised = True
            self._beacon_at = now + _BEACON_MS


def _free() -> int:
    """Return how many bytes of the heap are free."""
    gc.collect()
    return gc.mem_free()
