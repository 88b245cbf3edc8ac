"""A board in the mesh: what it says and hears, one session as peripheral, one as central."""

import asyncio
import os

from hedgerow.limits import const
from hedgerow.sync.hello import LEAF

from . import radio
from .modules import unload
from .room import NO_ROOM_MS, Room
from .uptime import now as uptime
from .voice import Voice

# Between two looks at what is due; sessions are pumped that often too.
_TICK_MS = const(50)
_SEEK_MS = const(250)
# What is longer than this between two looks is no turn, but an erase, or somebody else's work.
_STILL_MS = const(100)
_FIRST_WORD_MS = const(10000)
_TEND_MS = const(1000)
_FAREWELL_MS = const(2000)
_DEFAULT_MTU = const(23)


class Node(Voice, Room):
    """Ties a peer to the radio. woken() waits for work, step(now) does it; `idle` says that no session runs.

    `on_error(error)` is called with what ended a session early. `silence_ms` is how long nothing is heard
    before the radio is mended, 0: whatever is heard. `options` are those of the Mesh.
    """

    def __init__(
        self, peer: object, now: int, on_error: object = None, *, silence_ms: int = 0, **options: object
    ):
        self.peer = peer
        self.idle = True
        self.mesh: object = None
        # What the next engine begins with.
        self.saved = b""
        # How far a session has handed over the own log, (held, sealed), while there was none.
        self._handed: tuple = (0, 0)
        self._options = options
        self._on_error = on_error
        self._flag = asyncio.ThreadSafeFlag()
        self.radio = radio.Radio(self.wake)
        self._generation = self.radio.face.generation
        self._tend_at = now
        self._open_room(now)
        # What chooses connections is for boards that open some.
        self._chooses = peer.role != LEAF
        self._seek_at = 0
        self._looked_at = now
        Voice.__init__(self, silence_ms, now)
        # The connection that a central has made to us, and its link once the central has spoken.
        self._conn: int | None = None
        self._conn_mtu = _DEFAULT_MTU
        self._caller = b""
        self._began = now
        # Connections of centrals of which none has written to us yet: since when, and whose.
        self._silent: dict = {}
        self._link: object = None
        self._ended_at: int | None = None
        self._central: object = None

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
        if now >= self._tend_at:
            self._tend_at = now + _TEND_MS
            self._tend(now)
        while True:
            event = self.radio.take_event()
            if event is None:
                break
            self._handle(event, now)
        if self._generation != self.radio.face.generation:
            self._begin_anew(now)
        if self._past and self._settle_at <= now and self._conn is None and not self._central:
            self._settle(now)
        if self.mesh is None and self.idle and self._may_open(now):
            self.open_mesh(now)
        self._hear(now)
        if self._small and self.mesh and self.idle and self._conn is None:
            self._run_errand(now)
        if self._conn is not None:
            self._serve(now)
        if self._central:
            self._central.step(now)
            if self._central.done:
                self._part(now)
        elif self._chooses and not self._small and now >= self._seek_at and not self._visited(now):
            # One session at a time: two do not fit the heap of the smallest board.
            self._seek(now)
        keys = self.peer.keys
        if keys and keys.signing:
            keys.sign_on()
            self.wake()
        if self.mesh:
            self._listen(now)
            if self._said_until is not None or not self._pressed():
                self._speak(now)
        idle = self._central is None and not self._visited(now)
        self.idle = idle

    def rest_until(self, now: int) -> int | None:
        """Return until when the board may sleep: all is said, and nobody is in the middle of anything."""
        keys = self.peer.keys
        if not self.idle or self._past or self.mesh is None or (keys and 0 < keys.due <= now):
            return None
        until = self.mesh.sleep_until(now)
        # Nothing new is begun then.
        self._resting = until is not None
        return until if self._said_until is None else None

    def _visited(self, now: int) -> bool:
        """Say whether a central has connected and talks to us, or may be about to."""
        if self._conn is not None:
            return True
        for conn in self._silent:
            if now - self._silent[conn][0] <= _FIRST_WORD_MS:
                return True
        return False

    def save(self, now: int) -> bytes:
        """Return what is to outlive a deep sleep: of the budget, if there is one, and of the mesh."""
        budget = self._options["budget"]
        return (budget.save(now) if budget else b"") + (self.mesh.save() if self.mesh else self.saved)

    # ---- the engine

    def open_mesh(self, now: int) -> None:
        """Make the engine, from what the one before has saved."""
        if self._small:
            from .teller import Teller as Mesh
        else:
            from hedgerow.mesh.mesh import Mesh

        mesh = Mesh(self.peer, now, random=_random, role=self.peer.role, **self._options)
        sleeper = self.peer.sleeper
        if sleeper:
            mesh.window.period = sleeper.period_ms
            mesh.window.length = self.peer.settings["window_ms"]
            mesh.window.until = now + mesh.window.length
            # Wakes are on the grid of the first one.
            mesh.window.woke_at = sleeper.due - sleeper.period_ms
        try:
            if self.saved:
                mesh.restore(self.saved, now)
            if self._small:
                mesh.pushed(self._handed)
        except MemoryError:
            # The peer would hold on to it.
            mesh.close()
            raise
        self.saved = b""
        self.mesh = mesh

    def _tend(self, now: int) -> None:
        """Now and then: an application may have switched the radio off, or a central may say nothing."""
        self._look_around(now)
        if self.mesh is None and self.idle and self._silence_ms and now - self._heard_at > self._silence_ms:
            # What is heard reaches nobody: such a board is as deaf as one whose radio is silent.
            self._heard_at = now
            self._mend(now)
        face = self.radio.face
        face.tend()
        for conn in list(self._silent):
            if now - self._silent[conn][0] > _FIRST_WORD_MS and face.claims(conn):
                self.radio.disconnect(conn)

    def _begin_anew(self, now: int) -> None:
        """The radio was switched off and on, or has other services: all that it did has ended."""
        self._generation = self.radio.face.generation
        self.radio.scanning = False
        self._said_until = None
        self._urgent = False
        self._scan_at = now
        self._silent = {}
        if self._conn is not None:
            self._hang_up(now)
        if self._central:
            self._central.abort(now)

    def _hang_up_soon(self, now: int) -> None:
        self._ended_at = now - _FAREWELL_MS - 1

    # ---- events

    def _handle(self, event: tuple, now: int) -> None:
        kind = event[0]
        if kind == radio.CENTRAL_CONNECT:
            self._silent[event[1]] = (now, bytes((event[2],)) + event[3], _DEFAULT_MTU)
            if self._small and self.mesh:
                self.mesh.answered()
            # The radio has stopped advertising by itself.
            self._said_until = None
            self._urgent = False
        elif kind == radio.CENTRAL_DISCONNECT:
            self._silent.pop(event[1], None)
            if event[1] == self._conn:
                self._hang_up(now)
        elif kind == radio.GATTS_WRITE:
            self._meet(event[1], now)
        elif kind == radio.MTU_EXCHANGED and event[1] in self._silent:
            self._silent[event[1]] = self._silent[event[1]][:2] + (event[2],)
        elif kind == radio.MTU_EXCHANGED and event[1] == self._conn:
            if self._link:
                self._link.mtu = event[2]
        elif kind == radio.SCAN_DONE:
            self._scan_done(now)
        elif self._central:
            self._central.handle(event, now)

    def _meet(self, conn: int, now: int) -> None:
        """A central has written to us: its connection is ours, unless there is another."""
        if conn in self._silent and self._conn is None:
            if self._past:
                # The engine would have to go again at once.
                self._clear_up()
                self._tell_past(now)
            if not self._fits():
                self.full = True
                self.radio.disconnect(conn)
                return
            _, self._caller, self._conn_mtu = self._silent.pop(conn)
            self._conn = self.radio.session = conn
            self._began = now
            self.idle = False
            if self._small and self.mesh:
                self._shelve()

    def _hear(self, now: int) -> None:
        mesh = self.mesh
        if mesh:
            # While the loop stood still the handler may have as well.
            late = now - self._looked_at
            mesh.down.late_ms = late if late > _STILL_MS else 0
        self._looked_at = now
        pressed = self._pressed()
        while True:
            report = self.radio.take_report()
            if report is None:
                return
            if mesh and not pressed:
                # It may have waited for a session's turn: what it says of the time is of when it came.
                mesh.heard(report[0], report[1], report[2], uptime() - report[4], report[3])

    # ---- the session with a central

    def _serve(self, now: int) -> None:
        data = self.radio.take_written()
        if self._link is None and self._ended_at is None:
            from .link import Link

            self._link = Link(
                self.peer, self._conn, self._conn_mtu, self._notify, now,
                linger_ms=None, central=False, tight=self._tight,
            )  # fmt: skip
        link = self._link
        if link and self._ended_at is None:
            link.receive(data, now)
            if link.pump(now):
                self.wake()
            if link.finished or link.failed:
                self._ended_at = now
        if self._ended_at is not None and now - self._ended_at > _FAREWELL_MS:
            self._ended_at = now
            if not self.radio.disconnect(self._conn):
                # There was no place for the event that has said so.
                self._hang_up(now)

    def _notify(self, chunk: bytes) -> None:
        self.radio.ble.gatts_notify(self._conn, self.radio.face.tx, chunk)

    def _hang_up(self, now: int) -> None:
        self._over(self._caller, self._result(self._link), False, now)
        self._conn = self._link = self._ended_at = None
        self.radio.session = radio.NO_SESSION

    def _over(self, address: bytes, said: object, ours: bool, now: int) -> None:
        """A session is over; what it leaves is settled in a turn of its own."""
        self._spend(now)
        if self._past:
            self._tell_past(now)
        self._past = (address, said, ours)
        self._settle_at = self._heard_at = now
        self.wake()

    def _spend(self, now: int) -> None:
        if self._options["budget"]:
            self._options["budget"].connected(now - self._began)

    def _result(self, link: object) -> object:
        """Return what a session that has ended leaves: (summary, what it told, how far ours is there), its
        error, or None."""
        if link is None:
            return None
        exchange = link.exchange
        if link.error or not (link.finished or exchange.settled):
            return link.error
        return exchange.summary, exchange.told(), exchange.courier.theirs(self.peer.author)

    def _tell(self, address: bytes, said: object, now: int) -> None:
        """Let the engine know what a session has come to; the session's memory is free by then."""
        if isinstance(said, tuple):
            self._tight = 0
            self.peer.asks = True
            if self.mesh:
                self.mesh.synced(address, said[0], now, said[1])
            else:
                self._handed = said[2]
        elif said:
            if self._on_error:
                self._on_error(said)
            if self.peer.members:
                from .accuse import note

                note(self.peer, said.code, address)
                unload("hedgerow_device.accuse hedgerow.offences")

    # ---- the session as a central

    def _seek(self, now: int) -> None:
        self._seek_at = now + _SEEK_MS
        if self.mesh is None or self._past:
            return
        if not self._may_seek():
            # Before anybody is asked to be connectable.
            self._seek_at = now + NO_ROOM_MS
            return
        address = self.mesh.visit(now)
        if address is None:
            return
        about = self.mesh.authors(address)
        if not self._fits():
            self.mesh.failed(address, now)
            return
        from .central import Central

        try:
            self._quiet()
            if self.peer.keys:
                self.peer.keys.calls = address
            self._central = Central(self.radio, self.peer, address, now, about, self._tight)
        except OSError:
            self._reopen(now)
            self.mesh.failed(address, now)

    def _part(self, now: int) -> None:
        central = self._central
        said = self._result(central.link) if central.succeeded else central.error
        self._over(central.address, said, True, now)
        self._central = None


def _random(bound: int) -> int:
    """Return a number in [0, bound), which is at most 2**24."""
    return int.from_bytes(os.urandom(4), "big") % bound
