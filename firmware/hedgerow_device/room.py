"""Which of sessions, engine and readings has the heap of a board that is too small for all at once."""

import gc
import sys

from hedgerow.limits import const

from .modules import WIDE, free, is_tight, unload
from .uptime import now as uptime

# Of the memory that the radio's own software lives in: connecting in less has ended in a panic.
_CENTRAL_BLOCK = const(20480)
_ONCE = "hedgerow_device.flashreclaim hedgerow_device.central hedgerow.trust.lost hedgerow.trust.verify"
_SESSION = (
    "hedgerow_device.link hedgerow.sync.exchange hedgerow.sync.session hedgerow.sync.frames "
    "hedgerow.sync.courier hedgerow.sync.giver hedgerow.sync.taker hedgerow.sync.interest "
    "hedgerow.codec.segment hedgerow.codec.unfold hedgerow.custody.vectors hedgerow.custody.digest"
)
# What the engine, or the log, loads now and then.
_SELDOM = "hedgerow.mesh.brief hedgerow.codec.unfold hedgerow_device.flashscan hedgerow_device.flashsummary"
# What a session with keys takes, a handshake first: with less, the engine is given back meanwhile.
_KEYED_FREE = const(36864)
_KEYED_LEAST = const(24576)
# What a session takes (on 32 bits): it is not begun with less, and others are not let in with much less.
_SESSION_FREE = const(13312)
_LEAST_FREE = const(10240)
# With less the engine gives up what others say again before a session, and is at rest while it runs.
_EASY_FREE = const(20480)
_PRESSED_FREE = const(8192)
NO_ROOM_MS = const(2000)
# What a statement takes that looks at documents: with less, it and the engine take turns.
_BESIDE_FREE = const(20480)
# What the small engine takes, with something to spare; how long it is gone for documents, at least.
_OPEN_FREE = const(10240)
_SHELVED_MS = const(1000)
# Memory that fails twice in this time where no session runs is short for good: for how long the engine goes.
_SHORT_MS = const(10000)
_SHRUNK_MS = const(600000)
# With less than this free before the mesh is there (on 32 bits), the board speaks for itself alone, and gives
# the mesh back while a session runs.
_RELAY_FREE = const(36864)
_ENGINE = "hedgerow.mesh."
_TELLER = (
    "hedgerow_device.teller hedgerow_device.pusher hedgerow_device.wisher hedgerow.mesh.frames "
    "hedgerow.mesh.letters hedgerow.mesh.asks hedgerow.mesh.tells hedgerow.mesh.ops hedgerow.mesh.tag "
    "hedgerow.custody.digest"
)
# What the core has loaded for them.
_LOADED = "hedgerow.down hedgerow.subscriptions"
_MOST_TIGHT = const(4)


class Room:
    """The part of a Node that gives memory to what needs it; it needs the rest of it."""

    def _open_room(self, now: int) -> None:
        # Where the firmware lies in files, the engine's code would be in the heap as well.
        in_heap = __file__.startswith("/lib")
        self._small = in_heap or free() < _RELAY_FREE * WIDE
        # Since when it does with the small engine because memory failed; when it failed last.
        self._shrunk_at: int | None = None
        self._short_at = now - _SHORT_MS
        # When the small engine is made again that was given back for documents.
        self._open_at: int | None = None
        # No session fits now.
        self.full = False
        # The engine is away for a session with keys.
        self._shelved = False
        # Of a session that has ended, until its memory is free: whose, what it has left, whether it was ours.
        self._past: tuple | None = None
        self._settle_at = now
        # How often sessions were given up lately.
        self._tight = 0
        self.peer.relays = not self._small
        self.peer.make_room = self._make_room
        self.peer.give_up = self._give_up

    def drop(self, now: int, short: bool = False) -> None:
        """Give up the sessions, to get their memory back; what was acknowledged is kept.

        The next ones pack less at once, until one has gone to its end. Where memory is `short` and none runs,
        the engine gives up what others say again; if that does not help for long, all but the small one goes.
        """
        keys = self.peer.keys
        if short and keys:
            keys.signing = keys.batching = keys.vouching = None
            # There will be another.
            keys.batch = b""
            keys.parts.clear()
        if self._conn is not None or self._central:
            self._tight = min(self._tight + 1, _MOST_TIGHT)
            self.peer.asks = not (short and self._small and self.peer.asks)
            self._link = None
            if self._conn is not None:
                self._hang_up_soon(now)
            if self._central:
                self._central.abort(now)
        elif short and self.mesh is None:
            # It could not be made.
            self._open_at = now + _SHELVED_MS
            self._unload_engine()
            self.peer.close_documents()
        elif short and not self._small:
            self.mesh.spare()
            gc.collect()
            if now - self._short_at < _SHORT_MS:
                self._shrink(now)
            self._short_at = now

    def _shelve(self) -> None:
        """Give the engine back: it and a session do not fit a small heap together."""
        self._quiet()
        self.saved = self.mesh.save()
        self._unload_mesh()

    def _unload_mesh(self) -> None:
        self.mesh.close()
        self.mesh = None
        self._unload_engine()

    def _unload_engine(self) -> None:
        # Its tables go first: to unload takes memory, too.
        gc.collect()
        unload(_TELLER, *[name for name in sys.modules if name.startswith(_ENGINE)])

    def _shrink(self, now: int) -> None:
        """Do with the small engine for a while: an application, or documents, need the room."""
        self._quiet()
        self._small = True
        self._shrunk_at = now
        self._unload_mesh()

    def _grow(self, now: int) -> None:
        """Try again whether the engine fits."""
        self._shrunk_at = now
        self._shelve()
        self.saved = b""
        if free() >= _RELAY_FREE * WIDE:
            self._small = False
            self._shrunk_at = None

    def _give_up(self, engine: bool = False) -> None:
        """Make room for a reading, at the price of what could be sent again; of a large `engine`, too."""
        now = uptime()
        self.drop(now, True)
        gc.collect()
        # What the session has loaded is most of it, and its connection may take long to part.
        self._clear_up()
        if self.mesh and (engine or (self._small and self._conn is None and not self._central)):
            self._shelve()
            self._open_at = now + _SHELVED_MS

    def _clear_up(self) -> None:
        """Give back the memory of what only the session that ended has needed."""
        unload(_ONCE)
        keys = self.peer.keys
        if keys:
            keys.parted()
        if self._shelved or is_tight():
            unload(_SESSION)
            if keys:
                keys.rest()
            # What came down has loaded some of that.
            self.peer.close_documents()

    def _settle(self, now: int) -> None:
        """Give back what a session has taken, then let the engine know what it came to; all of it again later
        where memory fails, for what it has loaded would stay.

        Not from where the session has just ended: the VM's frames hold on to what was passed in them, and the
        collector goes by them.
        """
        self._settle_at = now + _SHELVED_MS
        self._clear_up()
        self._reopen(now)
        self._tell_past(now)

    def _tell_past(self, now: int) -> None:
        """Let the engine, if it is there, know what the session before has come to."""
        past = self._past
        self._past = None
        address, said, ours = past
        try:
            if ours and not isinstance(said, tuple) and self.mesh:
                self.mesh.failed(address, now)
            self._tell(address, said, now)
        except MemoryError:
            # What is an error was said.
            self._past = past if isinstance(said, tuple) else None
            raise

    def _make_room(self, short: bool = False) -> None:
        """Give back what sessions need, and the small engine, before a statement that needs documents.

        Where that was too little (`short`) sessions go too, and the engine, for the small one.
        """
        now = uptime()
        if short and not self.idle:
            self.drop(now)
        if self.idle or short:
            unload(_SESSION, _SELDOM)
        if self.mesh is None:
            return
        if self._small:
            # What it has of letters goes with it.
            if self.idle and (short or free() < _BESIDE_FREE * WIDE):
                self._shelve()
                self._open_at = now + _SHELVED_MS
        elif short or free() < _LEAST_FREE * WIDE:
            self.mesh.spare()
            if short and free() < _BESIDE_FREE * WIDE:
                self._shrink(now)
                self._open_at = now + _SHELVED_MS

    def _run_errand(self, now: int) -> None:
        """Do what is to be done for documents, without the small engine."""
        whole = self.mesh.errand(now)
        if whole is None:
            return
        self._shelve()
        peer = self.peer
        try:
            from .errands import run

            run(peer, whole, now)
            del run
        except MemoryError:
            # The next time may be better; a session that comes along brings documents too.
            peer.wish_at = max(peer.wish_at, now + _SHORT_MS)
        finally:
            gc.collect()
            peer.close_documents()
            unload("hedgerow_device.errands hedgerow.sync.interest", _LOADED)
            self._unload_engine()

    def _may_open(self, now: int) -> bool:
        """Say whether the engine may be made: at once, but not beside the documents that it made room for."""
        if self._open_at is None:
            return True
        if now < self._open_at:
            return False
        if free() < _OPEN_FREE * WIDE:
            self._open_at = now + _SHELVED_MS
            return False
        self._open_at = None
        return True

    def _fits(self) -> bool:
        """Say whether there is room for a session, at the price of what waits in the engine if need be, or of
        the engine where the session has keys: _reopen() makes it again.
        """
        if self.peer.greeter and free() < _KEYED_FREE * WIDE:
            if self.mesh:
                unload(_SELDOM)
                self._shelve()
                # The small one is made again once the engine knows what the session has come to.
                self._shelved = not self._small
            # A statement loads them again, once the session is over.
            self.peer.close_documents()
            if free() >= _KEYED_LEAST * WIDE:
                return True
            self._reopen(uptime())
            return False
        if self._small or gc.mem_free() >= _EASY_FREE * WIDE or free() >= _EASY_FREE * WIDE:
            return True
        if self.mesh:
            self.mesh.spare()
        unload(_SELDOM)
        return gc.mem_free() >= _SESSION_FREE * WIDE

    def _reopen(self, now: int) -> None:
        """Make the engine again that was given back for a session."""
        if self._shelved and self.mesh is None:
            self.open_mesh(now)
        self._shelved = False

    def _pressed(self) -> bool:
        """Say whether a session needs all of the memory: the engine has no ears and no voice meanwhile."""
        running = self._link is not None or (self._central and self._central.link)
        least = _PRESSED_FREE * WIDE
        return bool(running) and not self._small and gc.mem_free() < least and free() < least

    def _may_seek(self) -> bool:
        """Say whether a connection of our own would fit; nothing is given up for it before it is made."""
        least = _LEAST_FREE * WIDE
        return (gc.mem_free() >= least or free() >= least) and largest() >= _CENTRAL_BLOCK

    def _look_around(self, now: int) -> None:
        """Now and then: see whether a session would fit, or the engine again, or a seal only without it."""
        keys = self.peer.keys
        if keys and self.idle:
            keys.tend(self.peer, now)
        if keys and keys.unsigned > 1 and self.idle and self.mesh:
            self._shelve()
            # If there is too little room even now, it tries beside the engine for a while.
            keys.unsigned = -1
            self.peer.seal(now)
        if self.idle and self.mesh:
            if self._shrunk_at is not None and now - self._shrunk_at > _SHRUNK_MS:
                self._grow(now)
            self.full = not self._small and gc.mem_free() < _LEAST_FREE * WIDE
            if self._small and self.peer.greeter:
                self.full = free() < _KEYED_LEAST * WIDE
            elif self.full:
                if free() < _LEAST_FREE * WIDE:
                    # It is loaded again where it is needed.
                    unload(_SELDOM)
                self.full = free() < _LEAST_FREE * WIDE


def largest() -> int:
    """Return the largest free block of the memory that the radio's own software lives in."""
    import esp32

    return max([region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA)] or [0])
