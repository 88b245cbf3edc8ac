"""The engine's part in a mesh with group keys: what is heard under which, when a newer one is used.

SPEC 11.16. Loaded where a board or gateway has a credential.
"""

from ..limits import const
from ..presence import UNKNOWN_DISTANCE
from . import frames, pace
from .tag import check, link_tag

# What Group.reads() says of a frame: nobody's; a STATE of some other epoch; of the newest, of the one before.
STRANGE = const(0)
APART = const(1)
NEWEST = const(2)
BEFORE = const(3)


class Epochs:
    """Keeps the key of a `mesh` engine that of its `group`."""

    def __init__(self, mesh: object, group: object, now: int):
        self.group = group
        self._mesh = mesh
        self._newest = group.key
        if group.before and group.due is None:
            group.due = now + pace.GRACE_MS
        handing = group.before and now < group.due - pace.GRACE_MS
        self._speak(group.before if handing else group.key)

    def _speak(self, key: bytes) -> None:
        self._mesh.key = self._mesh.feed.key = key

    def look(self, now: int) -> None:
        """See whether a session has brought a newer key, and whether it is time to use it alone."""
        group = self.group
        if group.key != self._newest:
            self._newest = group.key
            self._speak(group.before or group.key)
            group.due = now + pace.HANDOVER_MS + pace.GRACE_MS if group.before else None
            # Whoever lacks it learns of it from that.
            self._mesh.show(now)
            self._mesh.restate(now)
        elif group.due is not None and now >= self.due(group.due):
            if self._mesh.key != group.key:
                self._speak(group.key)
            else:
                # Once more later, should there be no room to load it.
                group.due = now + pace.HANDOVER_MS
                from ..crypto.rotation import settle

                settle(group)

    def read(self, frame: bytes, address: object, rssi: int, now: int) -> bytes:
        """Return a frame as it is, or under the key that is spoken under; b"" for one to pass over."""
        group = self.group
        found = group.reads(frame)
        kind = frame[0] & 0x0F
        if found == STRANGE:
            # Of a neighbour it is rather of another epoch than somebody else's.
            late = kind != frames.STATE and kind != frames.CALL and self._mesh.visits.knows(address)
            self._mesh.stats["apart" if late else "strangers"] += 1
            return b""
        if kind == frames.CALL:
            return frame
        if kind != frames.STATE:
            return frame[:-3] + link_tag(self._mesh.key, frame[:-3])
        visits = self._mesh.visits
        if found != NEWEST:
            state = frames.decode_state(frame)
            # Of a member of another epoch nothing counts but that it is there.
            state.distance = UNKNOWN_DISTANCE
            state.open_count = 0
            state.flags &= frames.CONNECTABLE
            visits.part(address, state, rssi, now)
            self._mesh.stats["apart"] += 1
        else:
            visits.joined(address)
        return b"" if found == APART else frame

    def sign(self, frame: bytes) -> bytes:
        """Return a frame that is to be said, which may be older than the key."""
        kind = frame[0] & 0x0F
        if kind == frames.STATE or kind == frames.CALL or check(self._mesh.key, frame):
            return frame
        return frame[:-3] + link_tag(self._mesh.key, frame[:-3])

    def due(self, at: int) -> int:
        """Return the earlier one of a moment and of what is due here."""
        due = self.group.due
        if due is not None and self._mesh.key != self.group.key:
            # First it goes on to speak under the newest key.
            due -= pace.GRACE_MS
        return at if due is None or due > at else due
