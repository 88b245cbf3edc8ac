"""When a leaf is awake, and what its neighbours do with that (SPEC 6.30)."""

from .. import limits
from . import pace

# An overdue leaf has missed so many of its wakes, give or take its clock.
_MISSED = limits.const(3)
_LATE_MS = limits.const(30000)


class Window:
    """The time in which a leaf listens: from a wake on, as long as it speaks or is spoken to, up to
    pace.longest_wake(); `period` is the time between two wakes, 0 while its shell has not said, `length` for
    how long it listens after a word."""

    def __init__(self, now: int):
        self.period = 0
        self.length = pace.LEAF_WINDOW_MS
        self.woke_at = now
        self.until = now + self.length

    def stir(self, now: int) -> None:
        """Stay awake for a window from now, if this wake has not lasted for long."""
        self.until = max(self.until, min(now + self.length, self.woke_at + pace.longest_wake(self.period)))

    def wake(self, now: int) -> bool:
        """Begin a new wake, if the one before is over; say whether it is."""
        if now < self.until:
            return False
        self.woke_at = now
        self.until = now + self.length
        return True

    def left(self, now: int) -> int:
        """Return for how many tenths of a second from now a leaf listens."""
        return min(250, max(0, self.until - now + 99) // 100)

    def wakes_at(self) -> int:
        """Return when the wake after the last one begins."""
        return self.woke_at + (self.period or pace.LEAF_PERIOD_MS)

    def next(self, now: int) -> int:
        """Return when the leaf wakes next."""
        period = self.period or pace.LEAF_PERIOD_MS
        passed = (now - self.woke_at) // period + 1
        return self.woke_at + passed * period


class Leaves:
    """The leaves that a relay hears, and the newest receipt that it holds for each."""

    def __init__(self, mesh: object):
        self._mesh = mesh
        # Short author -> [receipt frame or None, moment it was heard last]
        self._known: dict = {}

    def hears(self, short: bytes) -> bool:
        """Say whether a leaf is one of those."""
        return short in self._known

    def hold(self, short: bytes, frame: bytes) -> None:
        """Keep a RECEIPT for a leaf that is heard here."""
        entry = self._known.get(short)
        if entry is not None:
            entry[0] = frame

    def heard(self, state: object, now: int) -> None:
        """A leaf is awake: hand over what it lacks, ask for what is lacking of it."""
        mesh = self._mesh
        entry = self._known.get(state.author)
        if entry is None:
            if len(self._known) >= limits.MAX_LEAVES:
                del self._known[min(self._known, key=lambda short: self._known[short][1])]
            entry = self._known[state.author] = [None, now]
        entry[1] = now
        if state.distance > mesh.peer.distance(now) + 1:
            mesh.tell_distance(now)
        if mesh.wishes is not None:
            mesh.wishes.hand_over(now)
        receipted = int.from_bytes(state.digest[:4], "big")
        held = state.digest[4] << 8 | state.digest[5]
        authors = mesh.names.find(state.author)
        if not [1 for author in authors if mesh.names.get(author) is not None]:
            # When it is due, and what its numbers are, it says when it is asked.
            mesh.repair.want_plan(state.author, now)
        for author in authors:
            if mesh.peer.receipted(author) > receipted:
                mesh.down.tell_author(author, not receipted, now)
                return
            if mesh.flood or mesh.collects:
                mesh.repair.behind(author, held, now)
        frame = entry[0]
        if frame is not None and int.from_bytes(frame[12:16], "big") > receipted:
            mesh.down.hand_over(frame, now)


def own_digest(peer: object) -> bytes:
    """Return what a leaf's STATE shows: 4 bytes of the number receipted, 2 of the one held."""
    held = peer.log.held(peer.author)
    return peer.receipted(peer.author).to_bytes(4, "big") + bytes((held >> 8 & 0xFF, held & 0xFF))


def plan(announce: object, heard_at: int, now: int) -> tuple:
    """Return (when a leaf is due next, whether it is overdue) by its announcement, (None, False) without.

    `announce` is what Names.get() gives: its `due_ms` is a moment of our clock.
    """
    if announce is None or not announce.period_s:
        return None, False
    period = announce.period_s * 1000
    due = announce.due_ms
    if due < now:
        due += ((now - due) // period + 1) * period
    return due, now - heard_at > _MISSED * period + _LATE_MS
