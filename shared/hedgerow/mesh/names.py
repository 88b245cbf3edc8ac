"""Whose short names are whose: authors by their first 3 bytes, and what they announced (SPEC 6.13)."""

from .. import limits
from .tells import Announce, decode_announce, encode_announce

_FOREVER = 1 << 62


class Names:
    """At most `limit` authors; of those that are not pinned the one unheard of for longest makes room.

    What was announced is kept as the bytes that it came as.
    """

    def __init__(self, limit: int = limits.MAX_NAMES):
        self._limit = limit
        # Author -> [moment it was last heard of, body of its ANNOUNCE or None, moment of that]
        self._entries: dict = {}
        self._short: dict = {}

    def __len__(self) -> int:
        return len(self._entries)

    def learn(self, author: bytes, now: int) -> bool:
        """Remember an author, or that it was heard of again; False if all places are pinned."""
        entry = self._entries.get(author)
        if entry is None:
            if len(self._entries) >= self._limit and not self._make_room():
                return False
            self._entries[author] = [now, None, 0]
            short = author[:3]
            self._short[short] = self._short.get(short, ()) + (author,)
        elif entry[0] < now:
            entry[0] = now
        return True

    def pin(self, author: bytes) -> None:
        """Never let go of an author that is known."""
        entry = self._entries.get(author)
        if entry is not None:
            entry[0] = _FOREVER

    def announced(self, announce: Announce, now: int) -> bool:
        """Remember an author by its announcement; False if all places are pinned."""
        if not self.learn(announce.author, now):
            return False
        entry = self._entries[announce.author]
        entry[1] = encode_announce(announce)
        entry[2] = now
        return True

    def find(self, short: bytes) -> tuple:
        """Return the known authors that begin with 3 bytes: none, one, or several that collide."""
        return self._short.get(short, ())

    def get(self, author: bytes) -> Announce | None:
        """Return what an author announced, its `due_ms` as a moment of our clock; None if it did not."""
        entry = self._entries.get(author)
        if entry is None or entry[1] is None:
            return None
        announce = decode_announce(bytes(4) + entry[1] + bytes(3))
        announce.due_ms += entry[2]
        return announce

    def _make_room(self) -> bool:
        oldest = min(self._entries, key=lambda author: self._entries[author][0])
        if self._entries[oldest][0] == _FOREVER:
            return False
        del self._entries[oldest]
        rest = tuple([author for author in self._short[oldest[:3]] if author != oldest])
        if rest:
            self._short[oldest[:3]] = rest
        else:
            del self._short[oldest[:3]]
        return True
